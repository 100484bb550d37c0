//! Many clients at once, each on a connection of its own.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
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
    /// Value of `x-gateway-provider`.
    pub provider: Option<String>,
    /// Value of `x-should-retry`.
    pub should_retry: Option<String>,
    pub body: Bytes,
    /// Why the connection ended before the answer did.
    pub broken: Option<String>,
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
        let mut sender = self.connected().await?;
        let mut request =
            Request::post(&ask.path).header("host", &ask.address).header("content-type", "application/json");
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::from(ask.body.to_string())).map_err(|error| error.to_string())?;
        let since = Instant::now();
        let mut response = sender.send_request(request).await.map_err(text)?;
        let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let (attempts, provider) = (header("x-gateway-attempts"), header("x-gateway-provider"));
        let (status, should_retry) = (response.status().as_u16(), header("x-should-retry"));
        let (mut body, mut first, mut broken) = (Vec::new(), None, None);
        while let Some(frame) = response.frame().await {
            match frame.map(|frame| frame.into_data()) {
                Ok(Ok(data)) => {
                    first.get_or_insert(since.elapsed());
                    body.extend_from_slice(&data);
                    if most.is_some_and(|most| body.len() >= most) {
                        broken = Some("the client left".to_owned());
                    }
                }
                Ok(Err(_)) => {}
                Err(error) => broken = Some(error.to_string()),
            }
            if broken.is_some() {
                break;
            }
        }
        let whole = since.elapsed();
        if broken.is_none() {
            self.connection = Some(sender);
        }
        let (body, first) = (body.into(), first.unwrap_or(whole));
        Ok(Outcome { status, attempts, provider, should_retry, body, broken, first, whole })
    }

    /// The connection, until it is put back: a request that is given up takes it along.
    async fn connected(&mut self) -> Result<SendRequest<Full<Bytes>>, String> {
        if let Some(mut sender) = self.connection.take().filter(|sender| !sender.is_closed())
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let stream = TcpStream::connect(&self.address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        sender.ready().await.map_err(|error| error.to_string())?;
        Ok(sender)
    }
}

/// The middle of some durations, in milliseconds.
pub fn median(durations: &mut [Duration]) -> f64 {
    durations.sort();
    durations.get(durations.len() / 2).map_or(f64::NAN, |middle| middle.as_secs_f64() * 1000.0)
}
