//! A client on one connection that does little but count.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::upstream::{Order, Paces};

/// A connection, for as many requests as one likes.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// How long an answer took: to the first bytes of its body, and to its end.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    pub first: Duration,
    pub whole: Duration,
}

/// A request, but for what it asks of the upstream.
#[derive(Debug, Clone)]
pub struct Ask {
    pub path: &'static str,
    pub body: std::sync::Arc<str>,
}

impl Client {
    pub async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::with_capacity(1 << 16) }
    }

    /// Sends a request and reads its answer, which has to be good.
    pub async fn ask(&mut self, ask: &Ask, order: Order, paces: &Paces) -> Took {
        let since = Instant::now();
        self.send(ask, order).await;
        let mut first = None;
        let mut at = 0;
        let head = loop {
            self.read().await;
            if let Some(end) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = std::str::from_utf8(&self.buffer[..head]).unwrap().to_ascii_lowercase();
        assert!(text.starts_with("http/1.1 200"), "{}", String::from_utf8_lossy(&self.buffer));
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        let whole = length.map(|length| head + length.trim().parse::<usize>().unwrap());
        loop {
            if self.buffer.len() > head {
                first.get_or_insert_with(|| since.elapsed());
            }
            if let Order::Dense { client, .. } = order {
                // A piece that is not there as a whole is found again with the next one.
                let from = self.buffer.get(at.max(head)..).unwrap_or_default();
                let pieces: Vec<usize> = memchr::memmem::find_iter(from, PIECE).collect();
                if let Some(last) = pieces.last() {
                    at = at.max(head) + last + PIECE.len();
                    paces[client].add_permits(pieces.len());
                }
            }
            let ended = match whole {
                Some(whole) => self.buffer.len() >= whole,
                None => self.buffer.ends_with(b"\r\n0\r\n\r\n"),
            };
            if ended {
                break;
            }
            self.read().await;
        }
        if whole.is_none() {
            assert!(memchr::memmem::find(&self.buffer, b"\"error\"").is_none());
        }
        self.buffer.clear();
        Took { first: first.unwrap_or_default(), whole: since.elapsed() }
    }

    /// Sends a request for a stream, and waits for its first piece only.
    pub async fn open(&mut self, ask: &Ask, order: Order) {
        self.send(ask, order).await;
        while memchr::memmem::find(&self.buffer, PIECE).is_none() {
            self.read().await;
        }
    }

    async fn send(&mut self, ask: &Ask, order: Order) {
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: gateway.example\r\naccept: application/json\r\naccept-encoding: gzip, deflate\r\n\
             authorization: Bearer {KEY}\r\nuser-agent: OpenAI/Python 2.8.0\r\nx-stainless-lang: python\r\n\
             x-stainless-package-version: 2.8.0\r\nx-stainless-os: Linux\r\nx-stainless-arch: x64\r\n\
             x-stainless-runtime: CPython\r\nx-stainless-retry-count: 0\r\ncontent-type: application/json\r\n\
             x-gateway-label-feature: search\r\nx-bench: {}\r\ncontent-length: {}\r\n\r\n",
            ask.path,
            order.header(),
            ask.body.len()
        );
        self.stream.write_all(&[head.as_bytes(), ask.body.as_bytes()].concat()).await.unwrap();
    }

    async fn read(&mut self) {
        let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
        assert!(read > 0, "closed after {}", String::from_utf8_lossy(&self.buffer));
    }
}

/// The client's key.
pub const KEY: &str = "key-of-the-benchmark";
/// What every piece of a stream has in it once, in either dialect.
const PIECE: &[u8] = b"\" nothing\"";
