//! How long a request took, in the notations of logs.
//!
//! nginx (`$request_time`), Caddy (`duration`), CloudFront (`time-taken`) and load balancers of AWS write seconds with
//! a fraction; IIS (`time-taken`) and Squid write whole milliseconds, pino-http (`responseTime`) milliseconds.
//! Elsewhere a whole number may be of any unit.
//!
//! Only what the server alone writes is believed: a template's variable, a key, a column. What ends a token is compared
//! with the beginning of the request, so whoever could write a duration into a line could hide uses of a dead token.

/// Nothing takes longer than this, in milliseconds (a day): such a number has another unit, or is not to be believed.
const LONGEST: u32 = 24 * 3_600_000;

/// What a number without a fraction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Unknown,
    /// Milliseconds; a fraction means seconds.
    Millis,
    /// Milliseconds, and so is a number with a fraction.
    AllMillis,
}

/// Adds two durations; 0 if they are too long together.
pub(super) fn sum(a: u32, b: u32) -> u32 {
    let sum = a.saturating_add(b);
    if sum <= LONGEST { sum } else { 0 }
}

/// Parses a duration into milliseconds: with a fraction it is in seconds.
pub(super) fn read(text: &[u8], whole: Whole) -> Option<u32> {
    let has_fraction = text.iter().any(|b| matches!(b, b'.' | b'e' | b'E'));
    let millis = match whole {
        Whole::AllMillis => ceil(text, 1.0)?,
        _ if has_fraction => ceil(text, 1000.0)?,
        Whole::Millis => u32::try_from(super::scan::decimal(text)?).ok()?,
        Whole::Unknown => return None,
    };
    (millis <= LONGEST).then_some(millis)
}

/// Multiplies a number, such as `0.123` or `1.5e-05`, and rounds it up.
fn ceil(number: &[u8], by: f64) -> Option<u32> {
    let number: f64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    let millis = libm::ceil(number * by);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
    (0.0..=f64::from(LONGEST)).contains(&millis).then_some(millis as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_fraction_means_seconds() {
        for (text, unknown, millis) in [
            ("0.123", Some(123), Some(123)),
            ("5400.000", Some(5_400_000), Some(5_400_000)),
            ("0.0000151", Some(1), Some(1)),
            ("1.5e-05", Some(1), Some(1)),
            ("0.000", Some(0), Some(0)),
            ("250", None, Some(250)),
            // Nanoseconds, perhaps.
            ("7200000000000", None, None),
            ("86401.0", None, None),
            ("86400.0", Some(86_400_000), Some(86_400_000)),
            ("-1.5", None, None),
            ("-1", None, None),
            ("1.5.1", None, None),
            ("NaN.", None, None),
            ("-", None, None),
            ("", None, None),
        ] {
            assert_eq!(read(text.as_bytes(), Whole::Unknown), unknown, "{text}");
            assert_eq!(read(text.as_bytes(), Whole::Millis), millis, "{text}");
        }
    }

    #[test]
    fn milliseconds_with_a_fraction_were_seconds() {
        for (text, millis) in [("9519.804", Some(9520)), ("40", Some(40)), ("-1", None)] {
            assert_eq!(read(text.as_bytes(), Whole::AllMillis), millis, "{text}");
        }
        assert_eq!((sum(1, 2), sum(LONGEST, 1), sum(u32::MAX, u32::MAX)), (3, 0, 0));
    }

    proptest! {
        #[test]
        fn any_text_is_a_duration_within_bounds_or_none(text in "[-0-9.eE+a-z]{0,24}") {
            for whole in [Whole::Unknown, Whole::Millis, Whole::AllMillis] {
                prop_assert!(read(text.as_bytes(), whole).is_none_or(|millis| millis <= LONGEST));
            }
        }
    }
}
