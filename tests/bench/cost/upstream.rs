//! Providers that cost nearly nothing: each request is answered with bytes that are ready, by the name in `x-bench`.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::bodies::Dialect;

/// Clients that can be kept in step with.
pub const CLIENTS: usize = 512;

/// What lets the upstream send the next piece of a client's stream: that the client has the one before.
pub type Paces = Arc<Vec<Semaphore>>;

/// What an upstream is asked for in the header `x-bench`.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    /// A whole answer.
    Whole,
    /// A stream of so many pieces, each when this client has the one before.
    Dense { client: usize, pieces: usize },
    /// A stream of so many pieces, all at once.
    Burst { pieces: usize },
    /// 503 from who speaks OpenAI's dialect.
    Fail,
}

impl Order {
    pub fn header(self) -> String {
        match self {
            Self::Whole => "whole 0 0".to_owned(),
            Self::Dense { client, pieces } => format!("dense {client} {pieces}"),
            Self::Burst { pieces } => format!("burst 0 {pieces}"),
            Self::Fail => "fail 0 0".to_owned(),
        }
    }

    fn of(header: &str) -> Option<Self> {
        let mut words = header.split(' ');
        let word = words.next()?;
        let mut number = || words.next()?.parse().ok();
        let (client, pieces) = (number()?, number()?);
        Some(match word {
            "dense" => Self::Dense { client, pieces },
            "burst" => Self::Burst { pieces },
            "fail" => Self::Fail,
            _ => Self::Whole,
        })
    }
}

/// Serves for ever; the address is returned.
pub async fn serve(paces: Paces) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let paces = paces.clone();
            // A connection that ends is no matter.
            tokio::spawn(async move { answer_all(stream, &paces).await });
        }
    });
    address
}

async fn answer_all(mut stream: TcpStream, paces: &Paces) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(1 << 16);
    loop {
        let Some((dialect, order, length)) = read_request(&mut stream, &mut buffer).await? else { return Ok(()) };
        buffer.drain(..length);
        answer(&mut stream, dialect, order, paces).await?;
    }
}

/// Waits for a whole request; how long it is, with its body.
async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Option<(Dialect, Order, usize)>> {
    loop {
        if let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") {
            let head = std::str::from_utf8(&buffer[..end]).unwrap();
            let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
            let dialect = if head.starts_with("POST /anthropic/") { Dialect::Anthropic } else { Dialect::OpenAi };
            let order = Order::of(header("x-bench:")).unwrap_or(Order::Whole);
            let length = end + 4 + header("content-length:").parse::<usize>().unwrap_or(0);
            while buffer.len() < length {
                if stream.read_buf(buffer).await? == 0 {
                    return Ok(None);
                }
            }
            return Ok(Some((dialect, order, length)));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

async fn answer(stream: &mut TcpStream, dialect: Dialect, order: Order, paces: &Paces) -> std::io::Result<()> {
    let [begin, text, end] = dialect.stream();
    match order {
        Order::Fail if dialect == Dialect::OpenAi => {
            stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await
        }
        Order::Whole | Order::Fail => {
            let body = dialect.answer();
            let head = head("200 OK", "application/json", &format!("content-length: {}", body.len()));
            stream.write_all(format!("{head}{body}").as_bytes()).await
        }
        Order::Burst { pieces } => {
            let body = [begin, &text.repeat(pieces), end].concat();
            let answer = format!("{}{}0\r\n\r\n", head("200 OK", EVENTS, CHUNKED), chunk(&body));
            stream.write_all(answer.as_bytes()).await
        }
        Order::Dense { client, pieces } => {
            stream.write_all(format!("{}{}", head("200 OK", EVENTS, CHUNKED), chunk(begin)).as_bytes()).await?;
            let piece = chunk(text).into_bytes();
            for _ in 0..pieces {
                stream.write_all(&piece).await?;
                // One that is never let go on stays open.
                let Ok(permit) = tokio::time::timeout(Duration::from_secs(60), paces[client].acquire()).await else {
                    return Ok(());
                };
                permit.unwrap().forget();
            }
            stream.write_all(format!("{}0\r\n\r\n", chunk(end)).as_bytes()).await
        }
    }
}

const EVENTS: &str = "text/event-stream; charset=utf-8";
const CHUNKED: &str = "transfer-encoding: chunked";

/// With as many headers as providers send.
fn head(status: &str, media_type: &str, length: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\n{length}\r\ndate: Tue, 14 Nov 2023 22:13:20 GMT\r\n\
         server: cloudflare\r\nx-request-id: req_0123456789abcdef\r\nopenai-processing-ms: 512\r\n\
         x-ratelimit-limit-requests: 10000\r\nx-ratelimit-limit-tokens: 30000000\r\n\
         x-ratelimit-remaining-requests: 9999\r\nx-ratelimit-remaining-tokens: 29999000\r\n\
         x-ratelimit-reset-requests: 6ms\r\nx-ratelimit-reset-tokens: 2ms\r\n\
         strict-transport-security: max-age=31536000\r\ncf-ray: 0123456789abcdef-FRA\r\n\r\n"
    )
}

fn chunk(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n", body.len())
}
