//! Envoy's admin interface, as much of it as the command asks.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The admin interface of one Envoy.
#[derive(Debug, Clone, Copy)]
pub struct Admin {
    address: SocketAddr,
}

/// One of the two things that Envoy follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// Where clients connect to.
    Listeners,
    /// Where requests go.
    Clusters,
}

/// How far Envoy is with what it follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The version that it took last.
    pub version: String,
    /// How many it refused since it began.
    pub rejected: u64,
    /// How many of what it took are not ready yet.
    pub warming: u64,
}

impl Admin {
    /// The interface whose address Envoy wrote to `file`; `None` until it has.
    pub fn find(file: &Path) -> Option<Self> {
        let address = std::fs::read_to_string(file).ok()?.trim().parse().ok()?;
        Some(Self { address })
    }

    /// Where it is.
    pub fn address(self) -> SocketAddr {
        self.address
    }

    /// Whether Envoy serves.
    pub async fn is_ready(self) -> bool {
        self.get("/ready").await.is_some()
    }

    /// Where clients connect to; `None` if Envoy listens nowhere.
    pub async fn listens(self) -> Option<SocketAddr> {
        let listeners: Value = serde_json::from_str(&self.get("/listeners?format=json").await?).ok()?;
        let socket = listeners.pointer("/listener_statuses/0/local_address/socket_address")?;
        let port = u16::try_from(socket.get("port_value")?.as_u64()?).ok()?;
        Some(SocketAddr::new(socket.get("address")?.as_str()?.parse().ok()?, port))
    }

    /// How far Envoy is with `followed`; `None` if it does not answer.
    pub async fn progress(self, followed: Followed) -> Option<Progress> {
        let (subscription, warming) = match followed {
            Followed::Listeners => ("listener_manager.lds", "listener_manager.total_listeners_warming"),
            Followed::Clusters => ("cluster_manager.cds", "cluster_manager.warming_clusters"),
        };
        let stats = self.get("/stats?filter=%5E(listener|cluster)_manager").await?;
        let find = |wanted: &str| {
            let mut values = stats.lines().filter_map(|line| line.split_once(": "));
            values.find(|(name, _)| *name == wanted).map(|(_, value)| value.trim_matches('"').to_owned())
        };
        let count = |name: &str| find(name).and_then(|value| value.parse().ok()).unwrap_or(0);
        Some(Progress {
            version: find(&format!("{subscription}.version_text")).unwrap_or_default(),
            rejected: count(&format!("{subscription}.update_rejected")),
            warming: count(warming),
        })
    }

    /// The body at `path`; `None` for anything but 200 within a few seconds.
    async fn get(self, path: &str) -> Option<String> {
        timeout(Duration::from_secs(5), self.fetch(path)).await.ok()?
    }

    async fn fetch(self, path: &str) -> Option<String> {
        let stream = TcpStream::connect(self.address).await.ok()?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        let connection = tokio::spawn(connection);
        let request = Request::get(path).header(HOST, "localhost").body(Empty::<Bytes>::new()).ok()?;
        let response = sender.send_request(request).await.ok()?;
        let found = response.status() == StatusCode::OK;
        let body = response.into_body().collect().await.ok()?.to_bytes();
        connection.abort();
        found.then(|| String::from_utf8_lossy(&body).into_owned())
    }
}
