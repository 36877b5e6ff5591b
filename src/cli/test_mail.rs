//! `test-mail`: sends one mail through the configured server, and shows its reply for each recipient.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::{Context, credentials, exit, host, print};
use crate::clock::now;
use crate::daemon::post::mailer;
use crate::deliver::email::Timeouts;
use crate::deliver::render;

pub(super) fn run(context: &mut Context) -> anyhow::Result<ExitCode> {
    let Context { site, printer, global, .. } = context;
    let mail =
        site.config.mail.as_ref().context(
            "no mail is configured: [mail] needs server, from and to (see tokenwatch.toml)",
        )?;
    let mailer = mailer(mail, credentials().as_deref(), Timeouts::BRIEF)?;
    let now = now();
    let host = host(global, site);
    let words = render::Context {
        host: &host,
        date: now,
        files: &|_| None,
        history: &[],
        background: None,
    };
    let mail = render::test(&now.0.to_string(), &words);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let deliveries = runtime.block_on(mailer.send(&mail));
    let mut is_sent = true;
    for delivery in &deliveries {
        let to = print::safe(&delivery.to);
        let error = delivery.result.as_ref().err();
        is_sent &= error.is_none();
        let remedy = error.map(|fault| fault.remedy()).unwrap_or_default();
        let said = error.map(|fault| print::safe(fault.to_string()));
        if printer.is_json() {
            printer.json(&serde_json::json!({"to": to, "sent": error.is_none(), "error": said, "hint": remedy}))?;
            continue;
        }
        match said {
            None => printer.line(format_args!("{to}: sent, {}", mail.message_id))?,
            Some(said) if remedy.is_empty() => printer.line(format_args!("{to}: {said}"))?,
            Some(said) => printer.line(format_args!("{to}: {said}; {remedy}"))?,
        }
    }
    Ok(ExitCode::from(if is_sent { 0 } else { exit::FAILED }))
}
