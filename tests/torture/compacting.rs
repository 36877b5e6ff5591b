//! Compacting the database after something was forgotten: the daemon that commits, ends or is killed meanwhile, and a
//! disk without room for two copies.

use std::fs::{self, File};
use std::time::SystemTime;

use rusqlite::Connection;

use crate::program::{Home, Running, enlarge, wait_until};
use crate::site::{CONFIG, Site};
use crate::storage::Small;

const DATABASE: &str = "state/tokenwatch.db";
const BACKUP: &str = "state/tokenwatch.db.backup";
const LOG: &str = "state/tokenwatch.db-wal";

const REWRITTEN: &str = "The database was rewritten without what was forgotten.";

/// Makes the next start of the daemon compact and back up the database, as if something had been forgotten.
fn make_due(home: &Home) {
    let sql = "INSERT INTO setting (name, value) VALUES ('forgotten', 1)
        ON CONFLICT (name) DO UPDATE SET value = value + 1";
    let database = Connection::open(home.path(DATABASE)).unwrap();
    assert_eq!(database.execute(sql, []).unwrap(), 1);
    // A database as young as this has no backup made, unless there is an old one.
    let backup = File::create(home.path(BACKUP)).unwrap();
    backup.set_modified(SystemTime::UNIX_EPOCH).unwrap();
}

/// Returns whether the database has been compacted since.
fn is_compacted(site: &Site) -> bool {
    let sql = "SELECT count(DISTINCT value) = 1 AND count(*) = 2 FROM setting
        WHERE name IN ('forgotten', 'compacted')";
    site.database().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Starts the daemon and returns it while it rewrites the database: the copy is in the write-ahead log.
fn start_compacting(site: &Site) -> Running {
    for _ in 0..20 {
        make_due(&site.home);
        let n_before = site.n_said(REWRITTEN);
        let daemon = site.home.run(&[]);
        let mut is_writing = false;
        wait_until("it compacts", || {
            is_writing = fs::metadata(site.home.path(LOG)).is_ok_and(|log| 8 << 20 < log.len());
            is_writing || n_before < site.n_said(REWRITTEN)
        });
        if is_writing {
            return daemon;
        }
        // On a busy machine this test may be given no time until it is over.
        assert!(daemon.terminate().success());
    }
    panic!("each time, it was over too soon");
}

#[test]
fn commits_ends_and_kills_while_the_database_is_rewritten_are_as_at_any_other_time() {
    let mut site = Site::new();
    site.append("logs/a.log", 10);
    let daemon = site.start();
    site.wait();
    assert!(daemon.terminate().success());
    // About as large as one may be that is rewritten beside a daemon.
    enlarge(&site.home.path(DATABASE), 60);

    let daemon = start_compacting(&site);
    wait_until("it is compacted, and commits", || {
        site.append("logs/a.log", 5);
        site.wait();
        is_compacted(&site)
    });
    assert!(daemon.terminate().success());

    let daemon = start_compacting(&site);
    site.append("logs/a.log", 20);
    assert!(daemon.terminate().success(), "{}", site.home.daemon_log());

    let daemon = start_compacting(&site);
    site.append("logs/a.log", 20);
    daemon.kill();

    make_due(&site.home);
    let daemon = site.start();
    site.wait();
    wait_until("it is compacted", || is_compacted(&site));
    for trouble in ["cannot be used", "still hold", "was lost", "backup failed"] {
        assert_eq!(site.n_said(trouble), 0, "{}", site.home.daemon_log());
    }
    site.prove(daemon);
}

#[test]
fn compacting_on_a_disk_without_room_for_two_copies_took_the_room_of_the_backup() {
    let home = Home::new(CONFIG);
    let Some(_small) = Small::mount(&home, "282m") else { return };
    home.output_with(&["tokens", "add", "ci"], "exk_077a5d0c81e7b93f24");
    enlarge(&home.path(DATABASE), 97);
    File::create(home.path(BACKUP)).unwrap();
    // Temporary files are on the same disk, as they usually are.
    fs::create_dir(home.path("state/tmp")).unwrap();
    let mut forget = home.command(&["tokens", "forget", "ci", "--yes"]);
    let forgot = forget.env("TMPDIR", home.path("state/tmp")).output().unwrap();
    let told = String::from_utf8(forgot.stderr).unwrap();
    assert!(forgot.status.success() && told.contains("compacting needs"), "{told}");
    assert!(!told.contains("No backup can be made now"), "{told}");
    assert!(97 << 20 < fs::metadata(home.path(BACKUP)).unwrap().len());
}
