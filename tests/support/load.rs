//! Many clients at once, each on a connection of its own.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// A request to send again and again.
#[derive(Clone)]
pub struct Ask {
    pub address: String,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Value,
}

/// What came of one request.
#[derive(Debug)]
pub struct Outcome {
    pub status: u16,
    /// Value of `x-gateway-attempts`.
    pub attempts: Option<String>,
    pub body: Bytes,
    /// To the first byte of the body.
    pub first: Duration,
    /// To its last.
    pub whole: Duration,
}

/// A client with one connection, which is opened again when it breaks.
pub struct Client {
    address: String,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), connection: None }
    }

    pub async fn send(&mut self, ask: &Ask) -> Result<Outcome, String> {
        self.send_and_read(ask, None).await
    }

    /// The same, and leaves after so many bytes of the answer.
    pub async fn send_and_read(&mut self, ask: &Ask, most: Option<usize>) -> Result<Outcome, String> {
        let text = |error: hyper::Error| error.to_string();
        if self.connection.as_ref().is_none_or(SendRequest::is_closed) {
            let stream = TcpStream::connect(&self.address).await.map_err(|error| error.to_string())?;
            stream.set_nodelay(true).map_err(|error| error.to_string())?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(text)?;
            tokio::spawn(connection);
            self.connection = Some(sender);
        }
        let sender = self.connection.as_mut().ok_or("no connection")?;
        let mut request =
            Request::post(&ask.path).header("host", &ask.address).header("content-type", "application/json");
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::from(ask.body.to_string())).map_err(|error| error.to_string())?;
        let since = Instant::now();
        sender.ready().await.map_err(text)?;
        let mut response = sender.send_request(request).await.map_err(text)?;
        let status = response.status();
        let attempts =
            response.headers().get("x-gateway-attempts").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        let mut first = None;
        while let Some(frame) = response.frame().await {
            if let Ok(data) = frame.map_err(text)?.into_data() {
                first.get_or_insert(since.elapsed());
                body.extend_from_slice(&data);
                if most.is_some_and(|most| body.len() >= most) {
                    self.connection = None;
                    break;
                }
            }
        }
        let whole = since.elapsed();
        Ok(Outcome {
            status: StatusCode::as_u16(&status),
            attempts,
            body: body.into(),
            first: first.unwrap_or(whole),
            whole,
        })
    }
}

/// The middle of some durations, in milliseconds.
pub fn median(durations: &mut [Duration]) -> f64 {
    durations.sort();
    durations.get(durations.len() / 2).map_or(f64::NAN, |middle| middle.as_secs_f64() * 1000.0)
}
