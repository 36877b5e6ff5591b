//! Tokenwatch under test: its configuration, and the contents of its database at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

use mail_parser::MessageParser;
use rusqlite::{Connection, OpenFlags};

use crate::program::Home;
use crate::reader::Reader;
use crate::smtp::SmtpServer;
use crate::writer::{self, TOKENS, Written};

/// The daemon's home.
pub(crate) struct Own(pub(crate) Home);

const CONFIG: &str = r#"
[[source]]
paths = ["logs/*.log"]
read_from = "start"
[output]
journal = false
"#;

impl Reader for Own {
    fn name(&self) -> String {
        "Tokenwatch".to_owned()
    }

    fn command(&self) -> Command {
        self.0.command(&["run"])
    }

    fn n_read(&mut self) -> u64 {
        self.0.committed_lines()
    }
}

impl Own {
    /// Makes a home where the tokens are known and mail goes to this server.
    pub(crate) fn new(server: &SmtpServer, n_decoys: u64) -> Self {
        let mail = format!(
            "[mail]\nserver = \"smtp://localhost:{}\"\nca_file = \"ca.pem\"\nmax_per_hour = 10000\n\
             from = \"Tokenwatch <tokenwatch@example.org>\"\nto = [\"security@example.org\"]\n",
            server.port()
        );
        let home = Home::new(&format!("{CONFIG}{mail}"));
        std::fs::write(home.path("ca.pem"), server.ca_pem()).unwrap();
        let mut registry = "token,name,decoy\n".to_owned();
        for token in 0..TOKENS {
            writeln!(registry, "{},{},", writer::secret(token), name(token)).unwrap();
        }
        for number in 0..n_decoys {
            writeln!(registry, "{},bait-{number},true", writer::decoy(number)).unwrap();
        }
        let output = home.output_with(&["tokens", "import", "-"], &registry);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self(home)
    }

    /// Mails that are still to be sent.
    pub(crate) fn n_waiting(&self) -> u64 {
        let sql = "SELECT count(*) FROM outbox WHERE state = 'waiting' AND incident IS NOT NULL";
        self.database().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned()
    }

    /// Compares what was counted with what was written.
    pub(crate) fn findings(&self, written: &[Written], server: &SmtpServer) -> Findings {
        let counted = self.counted();
        let mut findings = Findings::default();
        for token in 0..TOKENS {
            let wanted: u64 = written.iter().map(|written| written.by_token[token as usize]).sum();
            let found = counted.get(&name(token)).copied().unwrap_or_default();
            findings.missing += wanted.saturating_sub(found);
            findings.doubled += found.saturating_sub(wanted);
            if wanted != found {
                eprintln!("{}: {wanted} lines, counted {found}", name(token));
            }
        }
        findings.decoys = written.iter().map(|written| written.decoys).sum();
        let sql = "SELECT count(DISTINCT principal) FROM alert WHERE principal LIKE 'bait-%'";
        findings.alerts =
            self.database().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned();
        self.count_bytes(&mut findings);
        self.count_mails(&mut findings, server);
        findings
    }

    /// Requests by name, over all hours.
    fn counted(&self) -> BTreeMap<String, u64> {
        let sql = "SELECT registry.name, sum(activity.requests) FROM registry
            JOIN token ON token.id = registry.token
            JOIN activity ON activity.token = token.number GROUP BY registry.name";
        let database = self.database();
        let mut statement = database.prepare(sql).unwrap();
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())))
            .unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn count_bytes(&self, findings: &mut Findings) {
        let status = self.0.json(&["status", "--json"]).remove(0);
        for stream in status["streams"].as_array().unwrap() {
            findings.lines += stream["lines"].as_u64().unwrap();
            findings.rejected += stream["rejected"].as_u64().unwrap();
            findings.gap_bytes += stream["gap_bytes"].as_u64().unwrap();
            if stream["accounted"] != true {
                findings.unaccounted += 1;
                eprintln!("not accounted for: {stream}");
            }
        }
    }

    /// What the outbox holds has to have come, under its Message-ID or in a bundle with others, and what was baited
    /// has to be named in it.
    fn count_mails(&self, findings: &mut Findings, server: &SmtpServer) {
        let (mut ids, mut told) = (BTreeSet::new(), BTreeSet::new());
        for message in server.messages() {
            let mail = MessageParser::default().parse(&message.bytes).unwrap();
            let id = mail.message_id().unwrap().to_owned();
            findings.repeated += u64::from(!ids.insert(id));
            let text = mail.body_text(0).unwrap();
            let words = text.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '-');
            told.extend(words.filter(|word| word.starts_with("bait-")).map(str::to_owned));
        }
        findings.mails = ids.len() as u64;
        findings.mailed = told.len() as u64;
        let came: BTreeSet<&str> = ids.iter().map(|id| row_of(id)).collect();
        let database = self.database();
        let sql = "SELECT sent.message_id FROM outbox
            LEFT JOIN outbox AS sent ON sent.id = abs(outbox.sent_in)
            WHERE outbox.incident IS NOT NULL AND outbox.state <> 'empty'";
        let mut statement = database.prepare(sql).unwrap();
        let sent_in = statement.query_map([], |row| row.get::<_, Option<String>>(0)).unwrap();
        for id in sent_in.map(Result::unwrap) {
            findings.unsent += u64::from(!id.is_some_and(|id| came.contains(id.as_str())));
        }
    }

    fn database(&self) -> Connection {
        let path = self.0.path("state/tokenwatch.db");
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
    }
}

fn name(token: u64) -> String {
    format!("key-{token}")
}

/// The row of the outbox that a Message-ID is made of: `ROW@HOST`, or `ROW.bundle.LAST@HOST`.
fn row_of(id: &str) -> &str {
    let local = id.split('@').next().unwrap_or_default();
    local.split(".bundle.").next().unwrap_or_default()
}

/// What was found in the end.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Lines that were counted, and of these rejected.
    pub(crate) lines: u64,
    pub(crate) rejected: u64,
    /// Usages that no token's hours hold, and those that are held twice.
    pub(crate) missing: u64,
    pub(crate) doubled: u64,
    pub(crate) gap_bytes: u64,
    /// Streams whose bytes do not add up.
    pub(crate) unaccounted: u64,
    pub(crate) decoys: u64,
    pub(crate) alerts: u64,
    /// Decoys that a mail names.
    pub(crate) mailed: u64,
    /// Mails that came, by Message-ID; those that came again; rows of the outbox that never did.
    pub(crate) mails: u64,
    pub(crate) repeated: u64,
    pub(crate) unsent: u64,
}

impl Findings {
    /// Whether every line was counted once, and every alert mailed.
    pub(crate) fn are_good(&self, written: u64) -> bool {
        self.lines == written
            && [self.rejected, self.missing, self.doubled, self.gap_bytes] == [0; 4]
            && [self.unaccounted, self.unsent] == [0; 2]
            && [self.alerts, self.mailed] == [self.decoys; 2]
    }
}
