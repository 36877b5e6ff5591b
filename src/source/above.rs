//! What stands above an offset of a file: the directives in force there.

use std::fs::File;
use std::io;

use super::marks;
use super::tail::READ;
use crate::engine::line::{Directives, comment};

/// How far before the place where reading begins directives are searched for: servers repeat them on each start.
const LOOK_BACK: u64 = 64 * 1024 * 1024;

/// Returns the directives in force at an offset. Only a file that begins with a comment has any; they are searched for
/// in its first bytes and in the last bytes before the offset.
pub(super) fn directives_above(file: &File, offset: u64) -> io::Result<Directives> {
    let mut directives = Directives::default();
    let read = |at: u64| {
        let length = super::as_length(offset.saturating_sub(at)).min(READ);
        marks::read_at_most(file, at, length)
    };
    let mut chunk = read(0)?;
    let mut at = 0;
    let first = chunk.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if comment(first).is_none() {
        return Ok(directives);
    }
    while !chunk.is_empty() {
        // A line cut at the chunk's end is read with the next chunk; a line that fills the chunk is no directive.
        let whole = memchr::memrchr(b'\n', &chunk).map_or(chunk.len(), |end| end + 1);
        directives.note_all(chunk.get(..whole).unwrap_or_default());
        at = (at + whole as u64).max(offset.saturating_sub(LOOK_BACK));
        chunk = read(at)?;
    }
    Ok(directives)
}
