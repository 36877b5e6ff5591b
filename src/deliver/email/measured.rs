//! A connection of which only so much is read: lettre reads a line of any length into memory before it looks at it, and
//! before TLS begins, that line is of whoever is on the way to the server.
//!
//! What came before TLS began must not count as sent in it, either: lettre keeps what it read beyond the answer to
//! STARTTLS, and would take it for answers of the server itself (the fault of CVE-2011-0411). So until TLS begins, it
//! is given one line at a time, and nothing is written while a line is left: no server answers what it was not asked
//! yet.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

#[expect(deprecated, reason = "the only way to TLS from the start with lettre's settings")]
use lettre::transport::smtp::client::AsyncNetworkStream;
use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};

/// Bytes that a server may send during one mail. Its answers have a hundred each, one for each recipient and some more;
/// a certificate that is shown after STARTTLS has some thousand.
const MAX_BYTES: usize = 1 << 20;

/// The first byte of a TLS handshake, and of no command (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// Why nothing is written while a line is left.
const SENT_AHEAD: &str =
    "the server, or somebody on the way to it, sent more than an answer before TLS began";

/// A connection, and how much more of it may be read.
#[derive(Debug)]
#[expect(deprecated, reason = "see above")]
pub(super) struct Measured {
    stream: Compat<AsyncNetworkStream>,
    left: usize,
    /// What was read beyond the last line; `None` if the connection is not to be encrypted, or is already.
    ahead: Option<Vec<u8>>,
}

impl Measured {
    #[expect(deprecated, reason = "see above")]
    pub(super) fn new(stream: AsyncNetworkStream) -> Self {
        Self { stream: stream.compat(), left: MAX_BYTES, ahead: None }
    }

    /// Wraps a connection in which TLS will begin by STARTTLS.
    #[expect(deprecated, reason = "see above")]
    pub(super) fn before_tls(stream: AsyncNetworkStream) -> Self {
        Self { ahead: Some(Vec::new()), ..Self::new(stream) }
    }

    /// Reads from the connection within the limit.
    fn poll_stream(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n_before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let n_read = buffer.filled().len().saturating_sub(n_before);
        let Some(left) = self.left.checked_sub(n_read) else {
            let why = format!("it sent more than {} KiB", MAX_BYTES >> 10);
            return Poll::Ready(Err(io::Error::other(why)));
        };
        self.left = left;
        Poll::Ready(Ok(()))
    }

    /// Reads what there is, at most `n_bytes`, into `ahead`.
    fn read_ahead(
        &mut self,
        context: &mut Context<'_>,
        ahead: &mut Vec<u8>,
        n_bytes: usize,
    ) -> Poll<io::Result<()>> {
        let mut bytes = vec![0; n_bytes];
        let mut read = ReadBuf::new(&mut bytes);
        ready!(self.poll_stream(context, &mut read))?;
        ahead.extend_from_slice(read.filled());
        Poll::Ready(Ok(()))
    }

    /// Notices where TLS begins, and refuses to write while a line is left.
    fn check_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.ahead.as_ref().is_some_and(|ahead| !ahead.is_empty()) {
            return Err(io::Error::other(SENT_AHEAD));
        }
        if bytes.first() == Some(&HANDSHAKE) {
            self.ahead = None;
        }
        Ok(())
    }
}

/// Moves the first line of `ahead` into a buffer, or as much of it as there is or fits.
fn move_line(ahead: &mut Vec<u8>, buffer: &mut ReadBuf<'_>) {
    let end = ahead.iter().position(|byte| *byte == b'\n').map_or(ahead.len(), |at| at + 1);
    let n_moved = end.min(buffer.remaining());
    let line: Vec<u8> = ahead.drain(..n_moved).collect();
    buffer.put_slice(&line);
}

impl AsyncRead for Measured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(mut ahead) = self.ahead.take() else {
            return self.poll_stream(context, buffer);
        };
        let outcome = if ahead.is_empty() {
            self.read_ahead(context, &mut ahead, buffer.remaining())
        } else {
            Poll::Ready(Ok(()))
        };
        move_line(&mut ahead, buffer);
        self.ahead = Some(ahead);
        outcome
    }
}

impl AsyncWrite for Measured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_write(bytes)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Measured {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().peer_addr()
    }
}
