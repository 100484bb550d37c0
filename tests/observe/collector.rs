//! What takes logs and traces: OpenTelemetry over HTTP and gRPC, and Envoy's own access log service.
//!
//! <https://github.com/open-telemetry/opentelemetry-proto>,
//! <https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/service/accesslog/v3/als.proto>

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use super::support::poll;

/// A line of a log, or a span.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// What it was posted to.
    pub path: String,
    /// The header `x-token` of the post.
    pub token: String,
    /// The log's, or the span's.
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    pub trace: String,
    pub span: String,
    pub parent: String,
}

impl Told {
    pub fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

#[derive(Clone, PartialEq, Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<Resource>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, optional, tag = "1")]
    resource: Option<Attributes>,
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<Scope>,
}

#[derive(Clone, PartialEq, Message)]
struct Attributes {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

/// Of logs and of spans alike.
#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(bytes = "vec", repeated, tag = "2")]
    records: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct LogRecord {
    #[prost(message, repeated, tag = "6")]
    attributes: Vec<KeyValue>,
    #[prost(bytes = "vec", tag = "9")]
    trace: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    span: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 3")]
    any: Option<Any>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Any {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(int64, tag = "3")]
    Int(i64),
}

#[derive(Clone, PartialEq, Message)]
struct StreamAccessLogs {
    #[prost(message, optional, tag = "1")]
    identifier: Option<Identifier>,
    #[prost(message, optional, tag = "2")]
    http: Option<HttpLogs>,
}

#[derive(Clone, PartialEq, Message)]
struct Identifier {
    #[prost(string, tag = "2")]
    log_name: String,
}

#[derive(Clone, PartialEq, Message)]
struct HttpLogs {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<HttpEntry>,
}

#[derive(Clone, PartialEq, Message)]
struct HttpEntry {
    #[prost(message, optional, tag = "1")]
    common: Option<Common>,
}

#[derive(Clone, PartialEq, Message)]
struct Common {
    #[prost(map = "string, string", tag = "22")]
    custom_tags: HashMap<String, String>,
}

/// The collector, while it runs.
pub struct Collector {
    _runtime: Runtime,
    told: Arc<Mutex<Vec<Told>>>,
    /// Where it speaks HTTP.
    pub http: SocketAddr,
    /// Where it speaks gRPC.
    pub grpc: SocketAddr,
}

impl Collector {
    pub fn start() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let told = Arc::<Mutex<Vec<Told>>>::default();
        let bind = || runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (http, grpc) = (bind(), bind());
        let addresses = (http.local_addr().unwrap(), grpc.local_addr().unwrap());
        let to = told.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = http.accept().await {
                let to = to.clone();
                let answers = hyper::service::service_fn(move |request| take_http(request, to.clone()));
                let server = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answers);
                tokio::spawn(server);
            }
        });
        let to = told.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = grpc.accept().await {
                let to = to.clone();
                let answers = hyper::service::service_fn(move |request| take_grpc(request, to.clone()));
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(server.serve_connection(TokioIo::new(stream), answers));
            }
        });
        Self { _runtime: runtime, told, http: addresses.0, grpc: addresses.1 }
    }

    /// All that it was told so far.
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// What it was told at this path that `wanted` wants, once there are so many.
    pub fn wait(&self, path: &str, count: usize, wanted: impl Fn(&Told) -> bool) -> Vec<Told> {
        poll(&format!("{count} at {path}"), || {
            let told: Vec<_> = self.told().into_iter().filter(|told| told.path == path && wanted(told)).collect();
            (told.len() >= count).then_some(told)
        })
    }
}

type To = Arc<Mutex<Vec<Told>>>;

async fn take_http(request: Request<Incoming>, to: To) -> Result<Response<Full<Bytes>>, Infallible> {
    let (path, token) = (request.uri().path().to_owned(), token(request.headers()));
    if let Ok(body) = request.into_body().collect().await {
        to.lock().unwrap().extend(decode(&path, &token, &body.to_bytes()));
    }
    Ok(Response::new(Full::default()))
}

async fn take_grpc(
    request: Request<Incoming>,
    to: To,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let (path, token) = (request.uri().path().to_owned(), token(request.headers()));
    let mut body = request.into_body();
    let mut held = BytesMut::new();
    // An access log is a stream without an end.
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        held.extend_from_slice(&data);
        while held.len() >= 5 {
            let length = u32::from_be_bytes(held[1..5].try_into().unwrap()) as usize;
            if held.len() < 5 + length {
                break;
            }
            held.advance(5);
            let message = held.split_to(length);
            to.lock().unwrap().extend(decode(&path, &token, &message));
        }
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let empty = Bytes::from_static(&[0, 0, 0, 0, 0]);
    let body = Full::new(empty).with_trailers(std::future::ready(Some(Ok(trailers))));
    Ok(Response::builder().header("content-type", "application/grpc").body(body).unwrap())
}

fn token(headers: &HeaderMap) -> String {
    headers.get("x-token").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

fn decode(path: &str, token: &str, message: &[u8]) -> Vec<Told> {
    let base = Told { path: path.to_owned(), token: token.to_owned(), ..Told::default() };
    if path.ends_with("StreamAccessLogs") {
        let message = StreamAccessLogs::decode(message).unwrap();
        let name = message.identifier.map(|identifier| identifier.log_name).unwrap_or_default();
        let entries = message.http.into_iter().flat_map(|logs| logs.entries);
        let tags = entries.map(|entry| entry.common.unwrap_or_default().custom_tags.into_iter().collect());
        return tags.map(|attributes| Told { name: name.clone(), attributes, ..base.clone() }).collect();
    }
    let is_logs = path.ends_with("/v1/logs") || path.contains("LogsService");
    let export = Export::decode(message).unwrap();
    let record = |resource: &Resource, record: &[u8]| {
        let service = resource.resource.clone().map(|resource| attributes(resource.attributes)).unwrap_or_default();
        let told = if is_logs {
            let log = LogRecord::decode(record).unwrap();
            let (trace, span) = (hex(&log.trace), hex(&log.span));
            Told { attributes: attributes(log.attributes), trace, span, ..base.clone() }
        } else {
            let span = Span::decode(record).unwrap();
            let (trace, parent) = (hex(&span.trace), hex(&span.parent));
            let name = span.name.clone();
            Told { name, attributes: attributes(span.attributes), trace, span: hex(&span.span), parent, ..base.clone() }
        };
        let mut told = told;
        told.attributes.extend(service);
        told
    };
    let resources = export.resources.iter();
    resources
        .flat_map(|resource| {
            resource.scopes.iter().flat_map(move |scope| scope.records.iter().map(move |bytes| (resource, bytes)))
        })
        .map(|(resource, bytes)| record(resource, bytes))
        .collect()
}

fn attributes(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.any) {
        Some(Any::Text(text)) => text,
        Some(Any::Int(number)) => format!("{number}i"),
        None => String::new(),
    };
    attributes.into_iter().map(|attribute| (attribute.key, text(attribute.value))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
