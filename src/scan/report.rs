//! What other scanners report: gitleaks, trufflehog and kingfisher.
//!
//! A report is a list of objects, or one object a line; each scanner's have keys of their own. They are read one by
//! one, and only what is needed of each is kept.
//!
//! ```text
//! gitleaks     {"RuleID", "Secret", "File", "StartLine", "StartColumn", "Commit"}
//! trufflehog   {"DetectorName", "Raw", "SourceMetadata": {"Data": {"Git": {"file", "line", "commit"}}}}
//! kingfisher   {"rule": {"id"}, "finding": {"snippet", "path", "line", "column_start", "git_metadata"}},
//!              in a list, in "findings" of one object, or (1.x) in "matches" of each
//! ```

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};
use smol_str::{ToSmolStr, format_smolstr};
use zeroize::Zeroizing;

use super::{STDIN, Scan, ScanError, Whereabouts};

/// What a report must be, for people.
pub(super) const EXPECTED: &str = "the JSON that gitleaks, trufflehog or kingfisher writes";

/// The most bytes from one finding to the next, which bounds the memory that one takes.
const MAX_FINDING: u64 = 8 << 20;

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The keys of which the values are kept.
const KEPT: [&str; 11] = [
    "RuleID",
    "Secret",
    "File",
    "StartLine",
    "StartColumn",
    "Commit",
    "DetectorName",
    "Raw",
    "SourceMetadata",
    "rule",
    "finding",
];

/// The keys under which there are more findings.
const NESTING: [&str; 2] = ["findings", "matches"];

impl Scan<'_> {
    /// Judges what another scanner reports in a file, or on standard input (`-`).
    ///
    /// # Errors
    /// Those of `tell`.
    pub fn report(&mut self, file: &Path) -> io::Result<()> {
        if file.as_os_str() == STDIN {
            return self.findings(file, io::stdin().lock());
        }
        match File::open(file) {
            Ok(from) => self.findings(file, from),
            Err(cause) => {
                self.note(ScanError::Read { doing: "opening", path: file.to_owned(), cause });
                Ok(())
            }
        }
    }

    fn findings(&mut self, file: &Path, from: impl Read) -> io::Result<()> {
        let n_read = Rc::new(Cell::new(0));
        let from = without_mark(BufReader::new(from));
        let from = Metered { from, n_read: Rc::clone(&n_read) };
        let mut json = serde_json::Deserializer::from_reader(from);
        let mut findings = Findings { scan: self, n_read, n_known: 0, n_other: 0, refusal: None };
        let mut read = Ok(());
        // Not an error: there is something behind the last value.
        while read.is_ok() && json.end().is_err() {
            read = findings.deserialize(&mut json);
        }
        let Findings { n_known, n_other, refusal, .. } = findings;
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let path = || file.to_owned();
        match read {
            Err(fault) if fault.is_io() => {
                let fault = ScanError::Read { doing: "reading", path: path(), cause: fault.into() };
                self.note(fault);
            }
            Err(fault) if !fault.is_data() => {
                let (line, column) = (fault.line(), fault.column());
                self.note(ScanError::NoJson { path: path(), line, column });
            }
            // Not the text of the fault, which may quote a secret.
            Err(_) => self.note(ScanError::Unknown { path: path() }),
            Ok(()) if n_known == 0 && 0 < n_other => self.note(ScanError::Unknown { path: path() }),
            Ok(()) => {}
        }
        Ok(())
    }

    /// Tells a finding of another scanner.
    fn finding(&mut self, finding: &Finding) -> io::Result<()> {
        self.tally.reported += 1;
        match self.searcher.judge(finding.secret.as_bytes()) {
            Some(spot) => (self.tell)(&finding.at, &spot),
            None => {
                self.tally.masked += 1;
                Ok(())
            }
        }
    }
}

/// What is read in a report so far.
struct Findings<'f, 'a> {
    scan: &'f mut Scan<'a>,
    n_read: Rc<Cell<u64>>,
    n_known: u64,
    /// Objects of no known scanner, such as messages in between.
    n_other: u64,
    /// The error of `tell`, for which JSON's errors have no room.
    refusal: Option<io::Error>,
}

impl<'de> DeserializeSeed<'de> for &mut Findings<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Findings<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("findings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(&mut *self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let mut kept = Map::new();
        let mut is_nesting = false;
        while let Some(key) = object.next_key::<String>()? {
            if NESTING.contains(&key.as_str()) {
                is_nesting = true;
                object.next_value_seed(&mut *self)?;
            } else if KEPT.contains(&key.as_str()) {
                kept.insert(key, object.next_value()?);
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        self.n_read.set(0);
        match Finding::of(&mut Value::Object(kept)) {
            Some(finding) => {
                self.n_known += 1;
                self.scan.finding(&finding).map_err(|refusal| {
                    self.refusal = Some(refusal);
                    A::Error::custom("refused")
                })
            }
            None => {
                self.n_other += u64::from(!is_nesting);
                Ok(())
            }
        }
    }
}

/// A secret that another scanner found.
struct Finding {
    secret: Zeroizing<String>,
    at: Whereabouts,
}

impl Finding {
    fn of(object: &mut Value) -> Option<Self> {
        Self::of_gitleaks(object)
            .or_else(|| Self::of_trufflehog(object))
            .or_else(|| Self::of_kingfisher(object))
    }

    fn of_gitleaks(object: &mut Value) -> Option<Self> {
        let rule = text(object, "/RuleID")?;
        let secret = take(object, "/Secret")?;
        let at = Whereabouts {
            path: text(object, "/File").unwrap_or_default().into(),
            line: number(object, "/StartLine"),
            column: number(object, "/StartColumn"),
            commit: text(object, "/Commit").unwrap_or_default().to_smolstr(),
            rule: format_smolstr!("gitleaks {rule}"),
        };
        Some(Self { secret, at })
    }

    fn of_trufflehog(object: &mut Value) -> Option<Self> {
        let rule = text(object, "/DetectorName")?;
        let secret = take(object, "/Raw")?;
        // `Git`, `Filesystem`, `Github`, ...: what was searched.
        let sources = object.pointer("/SourceMetadata/Data").and_then(Value::as_object);
        let source = sources.and_then(|sources| sources.values().next()).unwrap_or(&Value::Null);
        let at = Whereabouts {
            path: text(source, "/file").unwrap_or_default().into(),
            line: number(source, "/line"),
            column: None,
            commit: text(source, "/commit").unwrap_or_default().to_smolstr(),
            rule: format_smolstr!("trufflehog {rule}"),
        };
        Some(Self { secret, at })
    }

    fn of_kingfisher(object: &mut Value) -> Option<Self> {
        let rule = text(object, "/rule/id").or_else(|| text(object, "/rule/name"))?;
        let secret = take(object, "/finding/snippet")?;
        let git = |pointer: &str| text(object, &format!("/finding/git_metadata/{pointer}"));
        let path = git("file/path").or_else(|| text(object, "/finding/path"));
        let at = Whereabouts {
            path: path.unwrap_or_default().into(),
            line: number(object, "/finding/line"),
            // Counted from 0.
            column: number(object, "/finding/column_start").map(|column| column + 1),
            commit: git("commit/id").unwrap_or_default().to_smolstr(),
            rule: format_smolstr!("kingfisher {rule}"),
        };
        Some(Self { secret, at })
    }
}

fn text(object: &Value, pointer: &str) -> Option<String> {
    object.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

fn number(object: &Value, pointer: &str) -> Option<u64> {
    object.pointer(pointer).and_then(Value::as_u64).filter(|number| 0 < *number)
}

/// Takes a secret out of an object.
fn take(object: &mut Value, pointer: &str) -> Option<Zeroizing<String>> {
    match object.pointer_mut(pointer).map(Value::take) {
        Some(Value::String(secret)) => Some(Zeroizing::new(secret)),
        _ => None,
    }
}

/// Skips a byte order mark, which Windows writes before JSON. What cannot be read now is a fault of the next read.
fn without_mark(mut from: impl Read) -> impl Read {
    let mut head = Vec::new();
    from.by_ref().take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut head).ok();
    if head == BYTE_ORDER_MARK {
        head.clear();
    }
    io::Cursor::new(head).chain(from)
}

/// Counts what is read, and refuses to read more than one finding can be.
struct Metered<R> {
    from: R,
    n_read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if MAX_FINDING < self.n_read.get() {
            let why = format!("more than {MAX_FINDING} bytes without an end of a finding");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        let n_bytes = self.from.read(buffer)?;
        self.n_read.set(self.n_read.get() + n_bytes as u64);
        Ok(n_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::sample::{STRIPE, scanned};

    /// The places and rules that a report tells, and its faults.
    fn read(report: &str) -> (Vec<Whereabouts>, Vec<String>) {
        let (told, _, faults) =
            scanned(|scan| scan.findings(Path::new("report.json"), report.as_bytes()));
        assert!(told.iter().all(|(_, spot)| spot.kind == "stripe-live"), "{told:?}");
        (told.into_iter().map(|(at, _)| at).collect(), faults)
    }

    fn at(rule: &str, column: Option<u64>) -> Whereabouts {
        let commit = "8d3f".into();
        Whereabouts { path: "a/x.py".into(), line: Some(7), column, commit, rule: rule.into() }
    }

    #[test]
    fn reports_of_three_scanners_are_told_apart_by_their_keys() {
        let gitleaks = format!(
            r#"[{{"RuleID":"stripe","Description":"x","StartLine":7,"EndLine":7,"StartColumn":5,"Match":"m",
            "Secret":"{STRIPE}","File":"a/x.py","Commit":"8d3f","Tags":[],"Entropy":3.5}}]"#
        );
        assert_eq!(read(&gitleaks), (vec![at("gitleaks stripe", Some(5))], vec![]));
        let marked = format!("\u{feff}{gitleaks}");
        assert_eq!(read(&marked), (vec![at("gitleaks stripe", Some(5))], vec![]));
        let trufflehog = format!(
            r#"{{"SourceMetadata":{{"Data":{{"Git":{{"commit":"8d3f","file":"a/x.py","line":7}}}}}},
            "SourceID":1,"DetectorName":"Stripe","Verified":true,"Raw":"{STRIPE}","RawV2":""}}"#
        )
        .replace('\n', "");
        let lines = format!("{trufflehog}\n{{\"level\":\"info\"}}\n{trufflehog}\n");
        assert_eq!(read(&lines), (vec![at("trufflehog Stripe", None); 2], vec![]));
        let kingfisher = format!(
            r#"{{"rule":{{"name":"Stripe","id":"kingfisher.stripe.1"}},"finding":{{"snippet":"{STRIPE}",
            "line":7,"column_start":4,"path":"/tmp/x","git_metadata":{{"commit":{{"id":"8d3f"}},
            "file":{{"path":"a/x.py"}}}}}}}}"#
        );
        let found = vec![at("kingfisher kingfisher.stripe.1", Some(5))];
        for report in [
            kingfisher.clone(),
            format!("[{kingfisher}]"),
            format!(r#"{{"findings":[{kingfisher}],"metadata":{{"summary":{{"findings":1}}}}}}"#),
            format!(r#"[{{"id":"kingfisher.stripe.1","matches":[{kingfisher}]}}]"#),
        ] {
            assert_eq!(read(&report), (found.clone(), vec![]), "{report}");
        }
    }

    #[test]
    fn reports_without_findings_are_no_fault() {
        for report in ["", "[]", " \n", "null", r#"{"findings":[]}"#] {
            let (found, faults) = read(report);
            assert!(found.is_empty());
            let is_fault = report == "null";
            assert_eq!(!faults.is_empty(), is_fault, "{report}: {faults:?}");
        }
    }

    #[test]
    fn what_is_no_report_is_said_without_its_text() {
        let secret = format!("\"{STRIPE}\"");
        for (text, said) in [
            ("key=1", "report.json:1:1: this is no JSON, expected "),
            ("[{\"a\":1}", "report.json:1:8: this is no JSON, expected "),
            (r#"[{"Secret":"x"}]"#, "report.json: no secret in it has the keys of a known scanner"),
            ("[1]", "report.json: no secret in it"),
            (secret.as_str(), "report.json: no secret in it"),
        ] {
            let (_, faults) = read(text);
            assert_eq!(faults.len(), 1, "{text}");
            assert!(faults[0].starts_with(said) && !faults[0].contains(STRIPE), "{faults:?}");
        }
    }

    #[test]
    fn masked_findings_are_counted() {
        let report = r#"[{"RuleID":"x","Secret":"REDACTED","File":"a"}]"#;
        let (told, tally, faults) =
            scanned(|scan| scan.findings(Path::new("x"), report.as_bytes()));
        assert_eq!((told.len(), faults.len()), (0, 0));
        assert_eq!((tally.reported, tally.masked), (1, 1));
    }

    #[test]
    fn one_finding_takes_no_more_memory_than_its_limit() {
        let endless = io::repeat(b'x').take(MAX_FINDING * 2);
        let report = r#"[{"RuleID":"x","Secret":""#.as_bytes().chain(endless);
        let (_, _, faults) = scanned(|scan| scan.findings(Path::new("x"), report));
        assert!(faults[0].contains("without an end of a finding"), "{faults:?}");
    }
}
