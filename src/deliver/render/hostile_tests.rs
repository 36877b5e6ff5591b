//! Tests of what attackers cannot make people read.

use super::tests::{context, ended};
use super::*;
use crate::deliver::sample::{self, HOSTILE};
use crate::engine::alert::{Incident, Level};
use crate::engine::mute::Scope;

/// Checks that a mail about hostile text shows it and nothing more.
fn check(mail: &Mail) {
    let headers = [&mail.subject, &mail.message_id, mail.thread.as_ref().unwrap_or(&mail.subject)];
    for header in headers {
        assert!(!header.contains(|c: char| c.is_control() || c == '\u{202e}'), "{header:?}");
        assert!(!header.contains("<script"), "{header:?}");
    }
    for part in [&mail.text, &mail.html] {
        assert!(!part.contains(['\r', '\u{202e}', '\u{1b}']), "{part}");
        assert!(!part.lines().any(|line| line.starts_with("Bcc")), "{part}");
        assert!(!part.contains("https://"), "{part}");
    }
    assert!(!mail.html.contains("<script") && !mail.html.contains("\"'&\\u"), "{}", mail.html);
    assert!(!mail.html.contains("href") && !mail.html.contains("src="), "{}", mail.html);
}

#[test]
fn hostile_text_is_shown_and_does_nothing() {
    let hostile = Incident {
        id: HOSTILE.into(),
        principal: HOSTILE.into(),
        revision: 2,
        ..sample::incident()
    };
    let (history, host) = ([HOSTILE.to_owned()], sample::named(HOSTILE));
    let background = sample::hostile_background();
    let context = Context {
        host: &host,
        files: &|_| Some(HOSTILE.to_owned()),
        background: Some(&background),
        ..context(&history)
    };
    let alerts = [sample::hostile(), sample::alert(), sample::hostile()];
    let told = incident(&hostile, &alerts, &context);
    check(&told);
    let shown = "evil@example.org\\u{d}\\u{a}\\u{d}\\u{a}<script>alert(1)</script>\"'&\\u{202e}gpj";
    assert!(told.text.contains(shown), "{}", told.text);
    assert!(told.html.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;\\u{202e}"));
    let scope = Scope { rule: HOSTILE.into(), client: HOSTILE.into(), ..Scope::default() };
    let mutes = [ended(scope, HOSTILE, 1, &[HOSTILE], Level::High)];
    let bundle = Bundle::Daily { day: HOSTILE, mutes: &mutes };
    let (id, n_alerts, n_incidents) = (HOSTILE, 2, 2);
    check(&digest(&Digest { id, bundle, alerts: &alerts, n_alerts, n_incidents }, &context));
    check(&test(HOSTILE, &context));
    check(&blocked(HOSTILE, &context));
}

#[test]
fn commands_cannot_carry_what_a_shell_would_read() {
    let hostile = Incident { id: "$(id)".into(), ..sample::incident() };
    let mut alert = sample::alert();
    alert.token.as_mut().unwrap().name = "`id`; rm -rf /".into();
    let text = incident(&hostile, &[alert], &context(&[])).text;
    let commands = text.lines().filter(|line| line.trim_start().starts_with("tokenwatch "));
    assert!(commands.clone().count() == 3, "{text}");
    for command in commands {
        assert!(!command.contains(['$', '`', ';']), "{command}");
    }
}
