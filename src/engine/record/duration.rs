//! How long a request took, in the notations of logs.
//!
//! nginx (`$request_time`), Caddy (`duration`), CloudFront (`time-taken`) and load balancers of AWS write seconds with
//! a fraction; IIS (`time-taken`), Squid and pino-http (`responseTime`) write whole milliseconds. Elsewhere a whole
//! number may be of any unit.

/// Nothing takes longer than this, in milliseconds (30 days): such a number has another unit.
const LONGEST: u32 = 30 * 24 * 3_600_000;

/// What a number without a fraction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Unknown,
    Millis,
}

/// Parses a duration into milliseconds: with a fraction it is in seconds.
pub(super) fn read(text: &[u8], whole: Whole) -> Option<u32> {
    let has_fraction = text.iter().any(|b| matches!(b, b'.' | b'e' | b'E'));
    let millis = match whole {
        _ if has_fraction => millis(text)?,
        Whole::Millis => u32::try_from(super::scan::decimal(text)?).ok()?,
        Whole::Unknown => return None,
    };
    (millis <= LONGEST).then_some(millis)
}

/// Converts seconds, such as `0.123` or `1.5e-05`, to milliseconds.
fn millis(seconds: &[u8]) -> Option<u32> {
    let seconds: f64 = std::str::from_utf8(seconds).ok()?.parse().ok()?;
    let millis = libm::ceil(seconds * 1000.0);
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
            ("2592001.0", None, None),
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

    proptest! {
        #[test]
        fn any_text_is_a_duration_within_bounds_or_none(text in "[-0-9.eE+a-z]{0,24}") {
            for whole in [Whole::Unknown, Whole::Millis] {
                prop_assert!(read(text.as_bytes(), whole).is_none_or(|millis| millis <= LONGEST));
            }
        }
    }
}
