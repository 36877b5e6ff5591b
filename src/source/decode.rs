//! Opens old logs, compressed or not, as their first bytes show, regardless of their names.

use std::fs::{File, OpenOptions};
use std::io::{self, Cursor, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// The bytes of a log for a reader.
pub(super) type Bytes = Box<dyn Read + Send>;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const BZIP2: &[u8] = b"BZh";
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];

/// First bytes of unsupported compressed formats, with the program's name: LZ4's frame format, PKWARE's application
/// note, compress(1).
const UNREAD: [(&[u8], &str); 3] =
    [(&[0x04, 0x22, 0x4d, 0x18], "lz4"), (b"PK\x03\x04", "zip"), (&[0x1f, 0x9d], "compress")];

/// The memory limit of an xz stream: `xz -9` needs at most 65 MiB. Whoever compresses a file chooses, so more would be
/// a way around `[limits] memory`. Of zstd, it is what the library allows: a window of 128 MiB, as `zstd --long` has
/// it.
const XZ_MEMORY_KIB: u32 = 66 * 1024;

/// Opens a file for reading without blocking, in case it is a pipe.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    super::moment::pass();
    super::moment::refusal(path)?;
    OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

/// Opens a file named by a person. A pipe is waited for: it was named for data still to be written.
pub(super) fn open_named(path: &Path) -> io::Result<File> {
    if path.metadata()?.file_type().is_fifo() { File::open(path) } else { open_file(path) }
}

/// Detects the format from the first bytes and adds the decoder to the input; also returns whether it is compressed.
/// Concatenated compressed files are read to their end.
///
/// # Errors
/// The system's error; `Unsupported` for an unsupported compressed format.
pub(super) fn decode(mut input: impl Read + Send + 'static) -> io::Result<(Bytes, bool)> {
    let mut magic = Vec::with_capacity(XZ.len());
    input.by_ref().take(XZ.len() as u64).read_to_end(&mut magic)?;
    let start = magic.clone();
    if let Some((_, by)) = UNREAD.iter().find(|(magic, _)| start.starts_with(magic)) {
        let text = format!("compressed by {by}, which is not read here: unpack it first");
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    let whole = Cursor::new(magic).chain(input);
    let decoder: Bytes = if start.starts_with(GZIP) {
        Box::new(flate2::read::MultiGzDecoder::new(whole))
    } else if start.starts_with(ZSTD) {
        Box::new(zstd::stream::read::Decoder::new(whole)?)
    } else if start.starts_with(BZIP2) {
        Box::new(bzip2::read::MultiBzDecoder::new(whole))
    } else if start.starts_with(XZ) {
        Box::new(lzma_rust2::XzReader::new_mem_limit(whole, true, XZ_MEMORY_KIB))
    } else {
        return Ok((Box::new(whole), false));
    };
    Ok((decoder, true))
}
