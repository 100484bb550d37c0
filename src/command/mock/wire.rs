//! The socket of a connection, which can be told to end with a reset instead of an orderly close.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A `TcpStream` that is reset when it is dropped, if its [`Fuse`] was lit.
pub struct Wire {
    stream: TcpStream,
    fuse: Fuse,
}

/// Decides, from outside the connection that owns the [`Wire`], how it ends.
#[derive(Clone, Default)]
pub struct Fuse(Arc<AtomicBool>);

impl Wire {
    /// Wraps the socket of an accepted connection.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, fuse: Fuse::default() }
    }

    /// What lights this wire.
    pub fn fuse(&self) -> Fuse {
        self.fuse.clone()
    }
}

impl Fuse {
    /// The peer will see RST, not FIN.
    pub fn light(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.fuse.0.load(Ordering::Relaxed) {
            // A socket closed with a linger time of zero sends RST. If it cannot be set, the peer sees FIN.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
