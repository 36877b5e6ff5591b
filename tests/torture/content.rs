//! Section b: lines that are torn, overlong, or never end.

#[path = "../../src/engine/record/hostile.rs"]
mod hostile;

use std::fs::File;
use std::io::Write;

use tokenwatch::engine::line::Batch;
use tokenwatch::engine::reader::{Reader, Source};
use tokenwatch::engine::record::Format;
use tokenwatch::engine::secret::SealKey;
use tokenwatch::engine::token::{Finder, Names, Sealer};
use tokenwatch::source::MAX_BATCH;

use self::hostile::PIECES;
use crate::program::wait_until;
use crate::site::{CONFIG, Site, append, is_full, line_of};

/// What an over-long line may cost, in KiB.
const LINE_MEMORY: u64 = 8 * 1024;

#[test]
fn a_line_written_in_pieces_across_kills_is_one_line() {
    let mut site = Site::new();
    site.append("logs/a.log", 3);
    let path = site.home.path("logs/a.log");
    let mut daemon = site.start();
    site.wait();
    let line = site.lines(1);
    for piece in line.as_bytes().chunks(30) {
        append(&path, piece);
        daemon.kill();
        daemon = site.start();
    }
    site.wait();
    site.append("logs/a.log", 1);
    site.wait();
    site.prove(daemon);
}

#[test]
fn a_last_line_without_an_end_is_taken_once_when_its_file_was_rotated() {
    let mut site = Site::new();
    let lines = site.lines(3);
    append(&site.home.path("logs/a.log"), lines.trim_end().as_bytes());
    let daemon = site.start();
    site.wait_but_for(1);
    site.rename("logs/a.log", "logs/a.log.1");
    site.append("logs/a.log", 2);
    site.wait();
    daemon.kill();
    let daemon = site.start();
    site.append("logs/a.log", 2);
    site.wait();
    site.prove(daemon);
}

#[test]
fn an_endless_line_costs_no_memory_and_the_next_one_is_exact() {
    for n_bytes in [64 * 1024_u64, 1 << 20, 200 << 20] {
        let mut site = Site::new();
        site.append("logs/a.log", 3);
        let daemon = site.start();
        site.wait();
        let before = site.peak_memory();
        let mut file = File::options().append(true).open(site.home.path("logs/a.log")).unwrap();
        for _ in 0..n_bytes / (64 * 1024) {
            file.write_all(&[b'x'; 64 * 1024]).unwrap();
        }
        file.write_all(b"\n").unwrap();
        site.append("logs/a.log", 3);
        site.wait_with(1);
        let (grown, discarded) = (site.growth(before), site.sum("discarded"));
        assert!(grown < LINE_MEMORY, "{n_bytes} bytes: {grown} KiB");
        assert!((n_bytes - 64 * 1024..=n_bytes).contains(&discarded));
        assert_eq!(site.sum("rejected"), 1);
        site.prove(daemon);
    }
}

#[test]
fn a_line_that_never_ends_is_waited_for_without_memory() {
    let mut site = Site::new();
    site.append("logs/a.log", 3);
    let daemon = site.start();
    site.wait();
    let before = site.peak_memory();
    let mut file = File::options().append(true).open(site.home.path("logs/a.log")).unwrap();
    for n in 0..200 {
        file.write_all(&vec![b'x'; 1 << 20]).unwrap();
        // Another file shows that the daemon goes on meanwhile.
        site.append("logs/b.log", n % 2);
        site.wait();
    }
    let grown = site.growth(before);
    assert!(grown < LINE_MEMORY, "{grown} KiB");
    file.write_all(b"\n").unwrap();
    site.append("logs/a.log", 1);
    wait_until("the line behind it is read", || site.sum("rejected") == 1);
    site.wait_with(1);
    site.prove(daemon);
}

/// A request in plain columns. The token is the last one: a CR that stayed with it would make it another token.
fn columns(target: &str, end: &str) -> String {
    format!("2026-03-02T08:00:00Z 192.0.2.7 200 {target} exk_000000010123456789abcdefgh{end}")
}

/// This line after as many bytes of others as make its CR the last byte of the first read.
fn at_the_edge(last: &str) -> String {
    let before = MAX_BATCH - 1 - last.find('\r').expect("a CR");
    let line = columns("/v1/items?n=", "\n");
    let filling = "1".repeat(before % line.len());
    let first = columns(&format!("/v1/items?n={filling}"), "\n");
    first + &line.repeat(before / line.len() - 1) + last
}

#[test]
fn a_cr_that_ends_a_read_belongs_to_its_line_end_or_is_data() {
    let template = "template = '$time_iso8601 $remote_addr $status $request_uri $http_x_api_key'";
    let site = Site::with(&CONFIG.replace("read_from", &format!("{template}\nread_from")));
    let mut n_lines = 0;
    let (ended, lone) = (columns("/v1/items", "\r\n"), columns("/v1/it\rems", "\n"));
    for (name, last) in [("logs/ended.log", &ended), ("logs/lone.log", &lone)] {
        let log = at_the_edge(last) + &ended + &columns("/v1/items", "\n");
        assert_eq!(log.as_bytes()[MAX_BATCH - 1], b'\r');
        append(&site.home.path(name), log.as_bytes());
        n_lines += log.matches('\n').count() as u64;
    }
    let mut daemon = site.start();
    site.wait_with(n_lines);
    // The line end comes in two pieces, and the daemon is killed between them. Another file shows that it has looked.
    let (begin, end) = ended.split_at(ended.len() - 1);
    append(&site.home.path("logs/ended.log"), begin.as_bytes());
    append(&site.home.path("logs/lone.log"), ended.as_bytes());
    site.wait_with(n_lines + 1);
    daemon.kill();
    daemon = site.start();
    append(&site.home.path("logs/ended.log"), end.as_bytes());
    site.wait_with(n_lines + 2);
    assert!(daemon.terminate().success(), "{}", site.home.daemon_log());
    assert_eq!(site.sum("rejected"), 0);
    let tokens = site.home.json(&["tokens", "list", "--json"]);
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    let history = site.home.json(&["history", tokens[0]["principal"].as_str().unwrap(), "--json"]);
    let routes = history[0]["facets"]["route"].as_array().unwrap().iter();
    let routes: Vec<_> = routes.map(|row| (&row["value"], row["count"].as_u64())).collect();
    // The CR is within a segment, which is thus no word.
    let expected = [(&"- /v1/items".into(), Some(n_lines + 1)), (&"- /v1/{id}".into(), Some(1))];
    assert_eq!(routes, expected);
    assert!(site.streams().iter().all(|stream| stream["accounted"] == true));
}

#[test]
fn masks_in_the_place_of_tokens_are_counted_as_no_token() {
    let mut site = Site::new();
    let daemon = site.start();
    let masks = ["****", "REDACTED", "[FILTERED]", "-", "", "xxxxxxxxxxxxxxxxxxxx", "ghp_****4f2a"];
    let mut n_lines = 0;
    for mask in masks {
        // In the header, in the URL and in the objects that servers write; from two places, which one token would
        // share.
        for address in ["192.0.2.7", "198.51.100.23"] {
            let line = line_of(n_lines, mask, 200).replace("192.0.2.7", address);
            let in_url = line.replace(" HTTP/1.1", &format!("?api_key={mask} HTTP/1.1"));
            let object = serde_json::json!({
                "time": "2026-03-02T08:00:00Z", "remote_addr": address, "status": 200,
                "request": "GET /v1 HTTP/1.1", "http_x_api_key": mask,
                "headers": { "Authorization": [mask], "Cookie": [format!("session={mask}")] },
            });
            site.home.append("logs/a.log", format!("{in_url}{object}\n"));
            n_lines += 2;
        }
    }
    site.append("logs/a.log", 3);
    site.wait_with(u64::from(n_lines));
    assert_eq!(site.sum("rejected"), 0);
    assert!(site.home.json(&["alerts", "list", "--json"]).is_empty());
    // Three rows, of the three tokens.
    site.prove(daemon);
}

#[test]
fn lines_that_are_torn_anywhere_cost_none_of_the_next() {
    let mut site = Site::new();
    let daemon = site.start();
    let torn = line_of(0, "exk_999999990123456789abcdefgh", 200);
    // Not behind the token, where the line is whole.
    let n_torn = torn.find("abcdefgh").expect("the token's end");
    for at in 1..n_torn {
        site.home.append("logs/a.log", format!("{}\n", &torn[..at]));
        site.append("logs/a.log", 1);
    }
    site.wait_with(n_torn as u64 - 1);
    let rejected = site.sum("rejected");
    let n_head = torn.find(" 612").expect("the size") as u64;
    assert!(0 < rejected && rejected <= n_head, "{rejected}: what follows the size may be missing");
    // A row for each whole line, and none of half a token.
    site.prove(daemon);
}

#[test]
fn an_address_is_one_in_whatever_form_it_is_logged() {
    let site = Site::new();
    let daemon = site.start();
    let forms = [
        "2001:db8::1",
        "2001:DB8:0:0:0:0:0:1",
        "2001:db8::1:58430",
        "[2001:db8::1]",
        "[2001:db8::1]:443",
        "2001:db8::1%0",
        "192.0.2.7",
        "192.0.2.7:58430",
        "::ffff:192.0.2.7",
        "[::ffff:192.0.2.7]:443",
    ];
    for (serial, form) in (0..).zip(forms) {
        let line = line_of(serial, "exk_000000010123456789abcdefgh", 200);
        site.home.append("logs/a.log", line.replace("192.0.2.7", form));
    }
    site.wait_with(forms.len() as u64);
    assert!(daemon.terminate().success(), "{}", site.home.daemon_log());
    let token = site.home.json(&["tokens", "list", "--json"]).remove(0);
    let history = site.home.json(&["history", token["principal"].as_str().unwrap(), "--json"]);
    let rows = history[0]["facets"]["address"].as_array().unwrap().iter();
    let mut rows: Vec<_> = rows.map(|row| (row["value"].as_str(), row["count"].as_u64())).collect();
    rows.sort_unstable();
    assert_eq!(rows, [(Some("192.0.2.7"), Some(4)), (Some("2001:db8::1"), Some(6))]);
}

#[test]
fn lines_in_other_encodings_are_read_like_others() {
    let mut site = Site::new();
    let utf_16 = |text: &str, unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    };
    let orders = [("le", u16::to_le_bytes as fn(u16) -> [u8; 2]), ("be", u16::to_be_bytes)];
    for (name, unit) in orders {
        let lines = site.lines(5).replace('\n', "\r\n");
        append(
            &site.home.path(format!("logs/{name}.log")),
            &utf_16(&format!("\u{feff}{lines}"), unit),
        );
    }
    // UTF-8 with a mark, Latin-1, Big5, overlong, a lone continuation, an end in the middle of a character.
    let odd: [&[u8]; 6] = [
        b"\xef\xbb\xbf",
        b"caf\xe9",
        b"\xa4\xa4\xa4\xe5",
        b"\xc0\xaf\xe0\x80\xaf",
        b"\x80",
        b"\xf0\x9f\x94",
    ];
    for (n, bytes) in odd.iter().enumerate() {
        let line = site.lines(1);
        let (head, rest) = line.split_at(line.find("/v1").unwrap());
        let (path, agent) = rest.split_at(rest.find("curl").unwrap());
        let odd = match n {
            0 => [bytes, line.as_bytes()].concat(),
            _ => [head.as_bytes(), b"/", bytes, path.as_bytes(), bytes, agent.as_bytes()].concat(),
        };
        append(&site.home.path("logs/bytes.log"), &odd);
    }
    let daemon = site.start();
    site.wait();
    // And what is appended, which has no mark.
    for (name, unit) in orders {
        let lines = site.lines(5).replace('\n', "\r\n");
        append(&site.home.path(format!("logs/{name}.log")), &utf_16(&lines, unit));
    }
    site.wait();
    assert_eq!(site.sum("rejected"), 0);
    site.home.print(&["status"]);
    site.home.print(&["tokens", "list"]);
    site.prove(daemon);
}

/// A line four times as long takes four times as long if time is linear, and 16 times if it is quadratic.
const MOST_FOR_FOUR_TIMES: u64 = 8;

/// What a batch of this size may take without anybody looking closer, in ns: too little to be measured well.
const NEGLIGIBLE: u64 = 400_000;

/// What a line of 60 KiB may take, in ns: 5 ms are promised of the optimised program, which is many times as fast.
const LONGEST_READING: u64 = 200_000_000;

/// How long this thread was on a processor, in ns: what other processes do meanwhile does not count.
fn worked() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).expect("ns")
}

/// The least work of some readings of a line.
fn work_of(reader: &Reader, line: &str, n_times: usize) -> u64 {
    let batch = Batch { bytes: line.as_bytes().to_vec(), ..Batch::default() };
    let once = || {
        let before = worked();
        assert_eq!(reader.read(&batch).tally.lines, 1);
        worked() - before
    };
    (0..n_times).map(|_| once()).min().expect("some")
}

#[test]
fn a_hostile_line_four_times_as_long_takes_about_four_times_the_work() {
    let formats: Vec<&str> =
        if is_full() { Format::presets().map(|(name, _)| name).collect() } else { vec!["auto"] };
    let head = "192.0.2.7 - - [02/Mar/2026:08:00:00 +0000] \"GET / HTTP/1.1\" 200 5 ";
    let (mut worst, mut longest) = ((0, String::new()), 0);
    for format in formats {
        let names = Names::default();
        let sealer = Sealer::new(SealKey::new(b"key"), &names);
        let source = Source::of(Format::preset(format).expect("a preset"));
        let reader = Reader::new(Finder::new(&names), sealer, vec![source]);
        for piece in PIECES {
            for (head, tail) in
                [("", ""), (head, ""), (head, "\""), (&head[..44], ""), ("{\"path\":\"", "\"}")]
            {
                let line = |length: usize| {
                    format!(
                        "{head}{}{tail}\n",
                        piece.repeat((length - head.len() - 2) / piece.len())
                    )
                };
                let (short, long) = (line(15 * 1024), line(60 * 1024));
                // Most are far from the bound: only what looks like more is measured well.
                let is_fine = |n_times| {
                    let work = work_of(&reader, &long, n_times);
                    let base = work_of(&reader, &short, n_times).max(NEGLIGIBLE / 4);
                    let of_ten = work * 10 / base;
                    (work < NEGLIGIBLE || of_ten <= 10 * MOST_FOR_FOUR_TIMES, of_ten)
                };
                let (mut is_linear, mut ratio) = is_fine(1);
                if !is_linear {
                    (is_linear, ratio) = is_fine(9);
                }
                assert!(is_linear, "{format}: {head}{piece}...: {ratio} tenths of the work");
                let work = work_of(&reader, &long, 2);
                assert!(work < LONGEST_READING, "{format}: {head}{piece}...: {work} ns");
                longest = longest.max(work);
                worst = worst.max((ratio, format!("{format}: {head}{piece}...")));
            }
        }
    }
    println!("the most, in tenths: {worst:?}; the longest: {longest} ns");
}
