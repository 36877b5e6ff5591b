//! `[detect.*]`: values by detector and name, which only the detectors interpret.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::fault::{At, Fault, Faults, Span};
use super::read::{Node, Reading, Section, unknown};
use super::scalar;

/// The settings of the detectors, for them to read.
///
/// Each key is read once, as a number within its range. [`DetectTable::finish`] then reports the invalid ones, and the
/// keys that no detector read. A key that is absent or invalid is `None`, so the detector's default applies:
///
/// ```ignore
/// let mut detect = config.detect.clone();
/// let speed = detect.number("travel", "min_speed_kmh", 0.0..=1e5).unwrap_or(900.0);
/// detect.finish()?;
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DetectTable {
    detectors: BTreeMap<String, BTreeMap<String, Entry>>,
    /// The last place where each detector is named.
    names: BTreeMap<String, At<()>>,
    asked: BTreeMap<&'static str, BTreeSet<&'static str>>,
    /// The values that were read, by detector and key.
    set: Vec<(&'static str, &'static str, Span)>,
    faults: Faults,
}

/// The places of a key and its value; the value is parsed when its type is known.
#[derive(Clone, Debug)]
struct Entry {
    key: Span,
    value: Span,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.value.text() == other.value.text()
    }
}

impl DetectTable {
    /// Adds the contents of another file; of a repeated key, the last value wins.
    pub(super) fn read(&mut self, section: &mut Section<'_>) {
        section.each_section(|name, section| {
            self.names.insert(name.to_owned(), At { value: (), span: section.span() });
            let values = self.detectors.entry(name.to_owned()).or_default();
            for (key, span, node) in section.each_value() {
                values.insert(key.to_owned(), Entry { key: span, value: node.span() });
            }
        });
    }

    /// Reads a number, whole or not.
    pub fn number(
        &mut self,
        detector: &'static str,
        key: &'static str,
        range: RangeInclusive<f64>,
    ) -> Option<f64> {
        self.take(detector, key, scalar::number(range))
    }

    fn take<T>(
        &mut self,
        detector: &'static str,
        key: &'static str,
        read: impl Fn(Node<'_>) -> Reading<T>,
    ) -> Option<T> {
        self.asked.entry(detector).or_default().insert(key);
        let entry = self.detectors.get_mut(detector)?.remove(key)?;
        self.set.push((detector, key, entry.value.clone()));
        match entry.value.read(read) {
            Ok(value) => Some(value),
            Err(faults) => {
                self.faults.extend(faults);
                None
            }
        }
    }

    /// Reports a value of which another one makes no sense, where the files set it.
    pub fn refuse(&mut self, detector: &str, key: &str, expected: &str) {
        let set = self.set.iter().find(|(one, name, _)| *one == detector && *name == key);
        if let Some((_, _, span)) = set {
            self.faults.extend([span.fault(format!("found {}", span.text()), expected, "")]);
        }
    }

    /// Finishes reading.
    ///
    /// # Errors
    /// Returns the faults of all keys that were read, and every key and detector that was not read.
    pub fn finish(self) -> Result<(), Faults> {
        let known: Vec<&str> = self.asked.keys().copied().collect();
        let mut faults = self.faults;
        for (name, values) in &self.detectors {
            match self.asked.get(name.as_str()) {
                Some(asked) => faults.extend(left_over(name, values, asked)),
                None => {
                    let span = self.names.get(name).map(|at| at.span.clone()).unwrap_or_default();
                    faults.extend([unknown(&span, "detector", name, "detect", &known)]);
                }
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

fn left_over(
    detector: &str,
    values: &BTreeMap<String, Entry>,
    asked: &BTreeSet<&'static str>,
) -> impl Iterator<Item = Fault> {
    let known: Vec<&str> = asked.iter().copied().collect();
    let place = format!("detect.{detector}");
    values.iter().map(move |(key, entry)| unknown(&entry.key, "key", key, &place, &known))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::*;

    fn table(text: &str) -> DetectTable {
        Config::parse(text, Path::new("/a/b.toml")).unwrap().detect
    }

    #[test]
    fn detectors_take_what_they_know() {
        let mut detect =
            table("[detect.travel]\nmin_speed_kmh = 900\nradius = 1.5\n[detect.rate]\nfloor = 3\n");
        assert_eq!(detect.number("travel", "min_speed_kmh", 0.0..=1e5), Some(900.0));
        assert_eq!(detect.number("travel", "radius", 0.0..=1e5), Some(1.5));
        assert_eq!(detect.number("rate", "floor", 1.0..=10.0), Some(3.0));
        assert_eq!(detect.number("rate", "absent", 1.0..=10.0), None);
        detect.finish().unwrap();
    }

    #[test]
    fn what_no_detector_asks_for_is_a_fault_with_a_suggestion() {
        let mut detect = table("[detect.travel]\nmin_sped_kmh = 900\n[detect.trvael]\nx = 1\n");
        detect.number("travel", "min_speed_kmh", 0.0..=1e5);
        assert_eq!(
            detect.finish().unwrap_err().to_string(),
            "/a/b.toml:2:1: unknown key \"min_sped_kmh\" in [detect.travel], expected min_speed_kmh; \
             did you mean \"min_speed_kmh\"?\n\
             /a/b.toml:3:1: unknown detector \"trvael\" in [detect], expected travel; \
             did you mean \"travel\"?"
        );
    }

    #[test]
    fn values_out_of_range_are_faults_where_they_stand() {
        let mut detect = table("[detect.rate]\nfloor = 0\nshare = \"x\"\n");
        assert_eq!(detect.number("rate", "floor", 1.0..=10.0), None);
        assert_eq!(detect.number("rate", "share", 0.0..=1.0), None);
        assert_eq!(
            detect.finish().unwrap_err().to_string(),
            "/a/b.toml:2:9: found 0, expected a number from 1 to 10\n\
             /a/b.toml:3:9: found \"x\", expected a number from 0 to 1"
        );
    }

    #[test]
    fn a_later_file_changes_single_keys() {
        let mut first = table("[detect.rate]\na = 1\nb = 2\n");
        assert_ne!(first, table("[detect.rate]\na = 1\nb = 3\n"));
        assert_eq!(first, table("[detect.rate]\nb = 2\n\na = 1\n"));
        assert_eq!(first.number("rate", "a", 0.0..=9.0), Some(1.0));
        assert_eq!(first.number("rate", "b", 0.0..=9.0), Some(2.0));
    }
}
