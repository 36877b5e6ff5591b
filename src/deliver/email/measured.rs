//! A connection of which only so much is read: lettre reads a line of any length into memory before it looks at it, and
//! before TLS begins, that line is of whoever is on the way to the server.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

#[allow(deprecated, reason = "the only way to TLS from the start with lettre's settings")]
use lettre::transport::smtp::client::AsyncNetworkStream;
use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};

/// Bytes that a server may send during one mail. Its answers have a hundred each, one for each recipient and some more;
/// a certificate that is shown after STARTTLS has some thousand.
const MAX_BYTES: usize = 1 << 20;

/// A connection, and how much more of it may be read.
#[derive(Debug)]
#[allow(deprecated, reason = "see above")]
pub(super) struct Measured {
    stream: Compat<AsyncNetworkStream>,
    left: usize,
}

impl Measured {
    #[allow(deprecated, reason = "see above")]
    pub(super) fn new(stream: AsyncNetworkStream) -> Self {
        Self { stream: stream.compat(), left: MAX_BYTES }
    }
}

impl AsyncRead for Measured {
    fn poll_read(
        mut self: Pin<&mut Self>,
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
}

impl AsyncWrite for Measured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
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
