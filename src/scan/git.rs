//! The history of a repository: each line that a commit on any branch or tag added, through `git log`.
//!
//! The repository may be anybody's. Its configuration can name programs (a pager, filters of diffs, a signature's
//! verifier, a transport for missing objects) and hide lines; each such setting is overridden here. Whether a
//! repository of another user is read at all is left to git (`safe.directory`), so the configuration of the user and
//! of the system stays in force.
//!
//! ```text
//! commit 8d3f...                 the format that is asked for
//! diff --git a/x b/x             headers, of any number
//! +++ b/x                        the file; in quotes if its name is odd
//! @@ -3 +3,2 @@                  one line goes, two come: the next three lines, whatever they look like
//! -old
//! +new
//! +newer
//! ```
//!
//! The diff of a merge has a column and a range for each parent, and one `@` more for each.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use smol_str::SmolStr;

use super::pieces::{Piece, Pieces};
use super::pipes::pipe_in;
use super::{Scan, ScanError, Whereabouts};

/// Settings that a repository must not choose: programs, files that might be pipes, and what hides lines or commits.
const SETTINGS: [&str; 11] = [
    "core.attributesFile=/dev/null",
    "core.bigFileThreshold=16m",
    "core.commitGraph=false",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.quotePath=true",
    "diff.orderFile=/dev/null",
    "log.mailmap=false",
    "log.showRoot=true",
    "log.showSignature=false",
    "protocol.allow=never",
];

/// What is asked for. Of a merge, only the lines that none of its parents has.
const LOG: [&str; 17] = [
    "log",
    "--all",
    "--patch",
    "--format=commit %H",
    "--cc",
    "--unified=0",
    "--inter-hunk-context=0",
    "--no-renames",
    "--no-relative",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-show-signature",
    "--no-notes",
    "--submodule=short",
    "--src-prefix=a/",
    "--dst-prefix=b/",
];

/// Variables that would make git read another repository, as in a hook, or run a program.
const FOREIGN: [&str; 6] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
    "GIT_EXTERNAL_DIFF",
];

/// The most that git writes as the name of an object.
const MAX_HASH: usize = 64;

/// How much of git's messages is kept.
const MAX_SAID: u64 = 4096;

impl Scan<'_> {
    /// Searches all that was ever added on any branch or tag of a repository.
    ///
    /// # Errors
    /// Those of `tell`.
    pub fn history(&mut self, repository: &Path) -> io::Result<()> {
        if let Some(path) = pipe_in(repository) {
            self.note(ScanError::Special { path });
            return Ok(());
        }
        let mut child = match log(repository).spawn() {
            Ok(child) => child,
            Err(cause) => {
                self.note(ScanError::NoGit { cause });
                return Ok(());
            }
        };
        let said = listen(&mut child);
        let read = match child.stdout.take() {
            Some(out) => self.diffs(repository, out),
            None => Ok(()),
        };
        if read.is_err() {
            child.kill().ok();
        }
        let status = child.wait();
        let said = said.and_then(|said| said.join().ok()).unwrap_or_default();
        if !status.is_ok_and(|status| status.success()) && read.is_ok() {
            self.note(ScanError::Git { path: repository.to_owned(), said });
        }
        read
    }

    /// Searches what the commits of a repository added, as `git log` tells it.
    ///
    /// # Errors
    /// Those of `tell`.
    pub fn diffs(&mut self, repository: &Path, out: impl Read) -> io::Result<()> {
        let mut pieces = Pieces::new(out);
        let mut diff = Diff::default();
        loop {
            let piece = match pieces.next() {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(cause) => {
                    let path = repository.to_owned();
                    self.note(ScanError::Read { doing: "reading the history of", path, cause });
                    break;
                }
            };
            self.tally.bytes += piece.bytes.len() as u64;
            if let Some(added) = diff.read(piece) {
                let at = || Whereabouts {
                    path: repository.join(&diff.path),
                    commit: diff.commit.clone(),
                    ..Whereabouts::default()
                };
                self.text(added.bytes, added.line, added.column, at)?;
            }
        }
        self.tally.commits += diff.n_commits;
        self.tally.binary += diff.n_binary;
        if self.binary.is_none() {
            self.binary = diff.binary.map(|path| repository.join(path));
        }
        Ok(())
    }
}

fn log(repository: &Path) -> Command {
    let mut command = git(repository);
    command.args(LOG);
    // Attributes in a file of the repository would hide others: one line `* -diff` hides all.
    if let Some(tree) = empty_tree(repository) {
        command.env("GIT_ATTR_SOURCE", tree);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Returns the name of the tree without files, which depends on the repository's kind of hash. Nothing is written.
fn empty_tree(repository: &Path) -> Option<String> {
    let mut command = git(repository);
    let output = command.args(["hash-object", "-t", "tree", "/dev/null"]).output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    let is_name = !name.is_empty() && name.len() <= MAX_HASH;
    (output.status.success() && is_name).then_some(name)
}

/// Returns git, in a repository that is not trusted.
fn git(repository: &Path) -> Command {
    let mut command = Command::new("git");
    command.args(["--no-pager", "--no-replace-objects"]);
    command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
    command.arg("-C").arg(repository);
    FOREIGN.iter().for_each(|name| {
        command.env_remove(name);
    });
    // Objects that a partial clone lacks are not fetched, in any version of git.
    command.env("GIT_NO_LAZY_FETCH", "1").env("GIT_ALLOW_PROTOCOL", "none");
    // Nor are commits hidden by other parents than their own.
    command.env("GIT_GRAFT_FILE", "/dev/null");
    // Not the repository around a directory: its paths would be taken for those below the directory.
    if let Some(above) = repository.canonicalize().ok().as_deref().and_then(Path::parent) {
        command.env("GIT_CEILING_DIRECTORIES", above);
    }
    command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C");
    command.stdin(Stdio::null());
    command
}

/// Reads git's messages while its output is read elsewhere; returns the one that says why it failed.
fn listen(child: &mut Child) -> Option<thread::JoinHandle<String>> {
    let mut from = child.stderr.take()?;
    let listen = move || {
        let mut said = Vec::new();
        from.by_ref().take(MAX_SAID).read_to_end(&mut said).ok();
        io::copy(&mut from, &mut io::sink()).ok();
        let said = String::from_utf8_lossy(&said);
        let fatal = said.lines().find(|line| line.starts_with("fatal: "));
        fatal.or(said.lines().next_back()).unwrap_or("it ended without a word").to_owned()
    };
    thread::Builder::new().spawn(listen).ok()
}

/// How far a stream of diffs was read.
#[derive(Debug, Default)]
struct Diff {
    commit: SmolStr,
    /// The file as it is after the commit; empty if the commit deletes it.
    path: PathBuf,
    hunk: Option<Hunk>,
    /// The line of the file that is being read, if it was added, and the columns before its text.
    added: Option<(u64, usize)>,
    n_commits: u64,
    n_binary: u64,
    /// The first file that git took for binary.
    binary: Option<PathBuf>,
}

/// The lines of a hunk that are still to come.
#[derive(Debug)]
struct Hunk {
    /// Of each parent.
    old: Vec<u64>,
    /// Of the file after the commit.
    new: u64,
    /// The next line of the file, counted from 1.
    line: u64,
}

impl Diff {
    /// Reads the next piece of the stream; returns the added text in it, with its place in the file.
    fn read<'p>(&mut self, piece: Piece<'p>) -> Option<Piece<'p>> {
        let Piece { bytes, column, .. } = piece;
        if column > 0 {
            let (line, n_columns) = self.added?;
            return Some(Piece { bytes, line, column: column.saturating_sub(n_columns as u64) });
        }
        self.added = None;
        let Some(hunk) = &mut self.hunk else {
            self.header(bytes);
            return None;
        };
        // `\ No newline at end of file`
        if bytes.starts_with(b"\\") {
            return None;
        }
        let n_columns = hunk.old.len();
        let body = bytes.split_at_checked(n_columns).filter(|(signs, _)| signs.iter().all(is_sign));
        let Some((signs, text)) = body else {
            self.hunk = None;
            self.header(bytes);
            return None;
        };
        self.added = hunk.take(signs).map(|line| (line, n_columns));
        self.hunk.take_if(|hunk| hunk.is_over());
        let (line, _) = self.added?;
        Some(Piece { bytes: text, line, column: 0 })
    }

    /// Reads a line outside of hunks. None is text of a file: those are within hunks, and counted.
    fn header(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.starts_with(b"@@") {
            self.hunk = Hunk::parse(line).filter(|hunk| !hunk.is_over());
        } else if let Some(name) = line.strip_prefix(b"+++ ") {
            self.path = path(name);
        } else if let Some(hash) = line.strip_prefix(b"commit ") {
            self.commit = SmolStr::new(String::from_utf8_lossy(hash));
            self.n_commits += 1;
        } else if line.starts_with(b"diff ") {
            self.path = PathBuf::new();
        } else if line.starts_with(b"Binary files ") {
            self.n_binary += 1;
            if self.binary.is_none() {
                self.binary = binary(line);
            }
        }
    }
}

const fn is_sign(byte: &u8) -> bool {
    matches!(byte, b'+' | b'-' | b' ')
}

impl Hunk {
    /// Parses `@@ -3 +3,2 @@`, for a merge of two `@@@ -3 -3,0 +3,2 @@@`.
    fn parse(line: &[u8]) -> Option<Self> {
        let n_parents = line.iter().take_while(|b| **b == b'@').count() - 1;
        let text = std::str::from_utf8(line.get(n_parents + 1..)?.split(|b| *b == b'@').next()?);
        let mut ranges = text.ok()?.split_ascii_whitespace();
        let old = ranges.by_ref().take(n_parents).map(|old| range(old, '-').map(|(_, n)| n));
        let old = old.collect::<Option<Vec<u64>>>()?;
        let (line, new) = range(ranges.next()?, '+')?;
        (old.len() == n_parents).then_some(Self { old, new, line })
    }

    /// Counts a line by its signs; returns its place in the file if no parent has it.
    fn take(&mut self, signs: &[u8]) -> Option<u64> {
        let is_removed = signs.contains(&b'-');
        let of_parent = if is_removed { b'-' } else { b' ' };
        for (old, _) in self.old.iter_mut().zip(signs).filter(|(_, sign)| **sign == of_parent) {
            *old = old.saturating_sub(1);
        }
        if is_removed {
            return None;
        }
        let line = self.line;
        self.line += 1;
        self.new = self.new.saturating_sub(1);
        signs.iter().all(|sign| *sign == b'+').then_some(line)
    }

    fn is_over(&self) -> bool {
        self.new == 0 && self.old.iter().all(|n| *n == 0)
    }
}

/// Parses `-3,2` or `+3`: the first line and how many there are.
fn range(text: &str, sign: char) -> Option<(u64, u64)> {
    let text = text.strip_prefix(sign)?;
    let (first, n) = text.split_once(',').unwrap_or((text, "1"));
    Some((first.parse().ok()?, n.parse().ok()?))
}

/// Returns the path of `+++ b/PATH`; empty for `/dev/null`.
fn path(name: &[u8]) -> PathBuf {
    let name = match name.strip_prefix(b"\"") {
        Some(quoted) => unquoted(quoted),
        // A name with a space is followed by a tab; one with a tab is in quotes.
        None => name.strip_suffix(b"\t").unwrap_or(name).to_vec(),
    };
    let name = name.strip_prefix(b"b/").unwrap_or_default();
    // A tree that git never made can have a name that begins with `/`, which is none of this machine's.
    let n_slashes = name.iter().take_while(|byte| **byte == b'/').count();
    PathBuf::from(OsStr::from_bytes(name.get(n_slashes..).unwrap_or_default()))
}

/// Returns the path of `Binary files a/PATH and b/PATH differ`, as far as the commit has the file.
fn binary(line: &[u8]) -> Option<PathBuf> {
    let names = line.strip_suffix(b" differ")?;
    let between = b" and ";
    let at = memchr::memmem::rfind(names, between)?;
    Some(path(names.get(at + between.len()..)?)).filter(|path| !path.as_os_str().is_empty())
}

/// Decodes a name up to its closing quote, as git quotes them: like a string in C.
fn unquoted(text: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next().filter(|byte| *byte != b'"') {
        if byte != b'\\' {
            name.push(byte);
            continue;
        }
        let Some(escaped) = bytes.next() else { break };
        name.push(match escaped {
            b'a' => 7,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 11,
            b'f' => 12,
            b'r' => b'\r',
            b'0'..=b'3' => (0..2).fold(escaped - b'0', |value, _| {
                let digit = bytes.next_if(|b| matches!(b, b'0'..=b'7'));
                digit.map_or(value, |digit| (value << 3) | (digit - b'0'))
            }),
            other => other,
        });
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The added lines of a stream, in the form `commit path:line text`.
    fn added(stream: &str) -> Vec<String> {
        let mut pieces = Pieces::new(stream.as_bytes());
        let mut diff = Diff::default();
        let mut all = Vec::new();
        while let Some(piece) = pieces.next().unwrap() {
            if let Some(Piece { bytes, line, .. }) = diff.read(piece) {
                let text = String::from_utf8_lossy(bytes);
                let path = diff.path.display();
                all.push(format!("{} {path}:{line} {}", diff.commit, text.trim_end()));
            }
        }
        all
    }

    #[test]
    fn added_lines_have_the_places_of_the_file_after_the_commit() {
        let stream = "commit c2\n\ndiff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n\
            @@ -3 +3,2 @@ fn main()\n-old\n+new\n+newer\n@@ -9,0 +11 @@\n+eleventh\n\
            \\ No newline at end of file\n\
            diff --git a/y b/y\ndeleted file mode 100644\n--- a/y\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n\
            diff --git a/logo b/logo\nBinary files a/logo and b/logo differ\n\
            commit c1\n\ndiff --git a/z b/z\nnew file mode 100644\n--- /dev/null\n+++ b/z\n@@ -0,0 +1 @@\n+first\n";
        assert_eq!(
            added(stream),
            ["c2 x:3 new", "c2 x:4 newer", "c2 x:11 eleventh", "c1 z:1 first"]
        );
    }

    #[test]
    fn lines_that_look_like_headers_are_text() {
        let stream = "commit c1\n\ndiff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,4 @@\n\
            -- a/y\n---- a/y\n+commit c9\n+++ b/y\n+@@ -1 +1 @@\n+diff --git a/y b/y\n\
            diff --git a/z b/z\n--- a/z\n+++ b/z\n@@ -1 +1 @@\n-a\n+b\n";
        assert_eq!(
            added(stream),
            [
                "c1 x:1 commit c9",
                "c1 x:2 ++ b/y",
                "c1 x:3 @@ -1 +1 @@",
                "c1 x:4 diff --git a/y b/y",
                "c1 z:1 b"
            ]
        );
    }

    #[test]
    fn of_a_merge_the_lines_are_read_that_no_parent_has() {
        let stream = "commit m\n\ndiff --cc x\nindex 1,2..3\n--- a/x\n+++ b/x\n\
            @@@ -2,2 -2,1 +2,3 @@@\n- ours\n -theirs\n++both\n +of one\n++new\ncommit c1\n";
        assert_eq!(added(stream), ["m x:2 both", "m x:4 new"]);
    }

    #[test]
    fn the_first_binary_file_is_named_that_a_commit_has() {
        for (line, expected) in [
            ("Binary files a/x and b/y z differ", Some("y z")),
            ("Binary files /dev/null and \"b/\\303\\244\" differ", Some("ä")),
            ("Binary files a/x and /dev/null differ", None),
            ("Binary files differ", None),
        ] {
            assert_eq!(binary(line.as_bytes()).as_deref(), expected.map(Path::new), "{line}");
        }
    }

    #[test]
    fn odd_names_are_those_of_the_files() {
        for (name, expected) in [
            ("b/x y\t", "x y"),
            ("b/b/x", "b/x"),
            ("\"b/a\\\"b\\\\c\\td\\ne\\033\"", "a\"b\\c\td\ne\x1b"),
            ("\"b/\\303\\244\"", "ä"),
            ("/dev/null", ""),
            ("b//etc/passwd", "etc/passwd"),
            ("\"b//x\"", "x"),
            ("\"b/open", "open"),
            ("\"b/\\", ""),
        ] {
            assert_eq!(path(name.as_bytes()), Path::new(expected), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_stream_is_too_odd(
            lines in prop::collection::vec(
                "(@@@? -[0-9]{0,3}(,[0-9]{1,20})?( -1)? \\+[0-9]{0,20}(,[0-9])? @@|[+-]{0,3}|\\+\\+\\+ \"?b?/?|commit |diff ).{0,12}",
                0..30,
            ),
        ) {
            let stream = lines.join("\n");
            prop_assert!(added(&stream).len() <= lines.len());
        }
    }
}
