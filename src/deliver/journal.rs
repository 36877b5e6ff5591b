//! Alerts as structured records, for the systemd journal and any other reader of our log.
//!
//! An alert is one `tracing` record with the target [`TARGET`] and the fields `level`, `rule`, `principal`, `incident`,
//! `alert`, `risk`, `reason` and, if known, `token` and `source`. If the daemon logs to the journal, `tracing-journald`
//! turns these into journal fields (`F_RULE=`, ...), so that `journalctl F_RULE=impossible-travel` finds them;
//! otherwise they are text or JSON (text leaves `reason` to the message). A subscriber that wants alerts only, or none,
//! filters by the target.
//!
//! The message is for people who follow the log, and all values are safe to show: `tracing` would pass the control
//! characters of a log on to a terminal.

use crate::engine::alert::{Alert, Level};

use super::render::safe;

/// The `tracing` target of alerts.
pub const TARGET: &str = "tokenwatch::alert";

/// Records an alert: critical and high ones as warnings, the others as information.
pub fn record(alert: &Alert) {
    let (rule, principal) = (safe(&alert.rule.name), safe(&alert.principal));
    let (reason, level) = (safe(&alert.reason), alert.rule.level);
    let token = alert.token.as_ref().map(|token| tracing::field::display(token.id));
    let source = alert.client.map(tracing::field::display);
    macro_rules! record {
        ($priority:expr) => {
            tracing::event!(
                target: TARGET,
                $priority,
                level = level.as_str(),
                rule,
                principal,
                incident = alert.incident.as_str(),
                alert = alert.id.as_str(),
                token,
                risk = alert.risk,
                source,
                reason,
                "{level} {rule}: {principal}: {reason}"
            )
        };
    }
    if level < Level::High {
        record!(tracing::Level::INFO);
    } else {
        record!(tracing::Level::WARN);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use crate::deliver::sample;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn recorded(alert: &Alert) -> serde_json::Value {
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || record(alert));
        let bytes = log.0.lock().unwrap().clone();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn an_alert_is_a_record_with_fields() {
        let record = recorded(&sample::alert());
        let fields = &record["fields"];
        assert_eq!((&record["target"], &record["level"]), (&TARGET.into(), &"WARN".into()));
        assert_eq!(fields["rule"], "unusual-use");
        assert_eq!(fields["level"], "high");
        assert_eq!(fields["principal"], "ci-deploy");
        assert_eq!(fields["source"], "203.0.113.7");
        assert_eq!(fields["incident"], "in_2c5ea4c0f00dcafe");
        assert_eq!(fields["reason"], sample::alert().reason.as_str());
    }

    #[test]
    fn mild_alerts_are_information_and_hostile_text_is_shown() {
        let mut alert = sample::alert();
        alert.rule.level = Level::Medium;
        alert.principal = "basic:\u{1b}[2J\r\n".into();
        let record = recorded(&alert);
        assert_eq!(record["level"], "INFO");
        assert_eq!(record["fields"]["principal"], "basic:\\u{1b}[2J\\u{d}\\u{a}");
    }
}
