//! Opens old logs, compressed or not: what a file is, its first bytes say, not its name.

use std::fs::{File, OpenOptions};
use std::io::{self, Cursor, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Bytes on their way to a reader.
pub(super) type Bytes = Box<dyn Read + Send>;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const BZIP2: &[u8] = b"BZh";
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];

/// First bytes of what is compressed in ways that are not read here, and who compresses so: LZ4's frame format, the
/// application note of PKWARE, compress(1).
const UNREAD: [(&[u8], &str); 3] =
    [(&[0x04, 0x22, 0x4d, 0x18], "lz4"), (b"PK\x03\x04", "zip"), (&[0x1f, 0x9d], "compress")];

/// Memory that an xz stream may ask for: the most that `xz -9` needs is 65 MiB.
const XZ_MEMORY_KIB: u32 = 256 * 1024;

/// Opens a file for reading without waiting, should somebody have put a pipe there.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    super::moment::pass();
    super::moment::refusal(path)?;
    OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

/// Opens a file that somebody named. A pipe is waited for: it was named for what somebody is about to write.
pub(super) fn open_named(path: &Path) -> io::Result<File> {
    if path.metadata()?.file_type().is_fifo() { File::open(path) } else { open_file(path) }
}

/// Looks at the first bytes and puts the fitting decoder before the input; tells whether there is one.
/// Files joined from several compressed ones are read to their end.
///
/// # Errors
/// What the system says; `Unsupported` for what is compressed in a way that is not read here.
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
