//! A small rate limit service, version 3 of Envoy's protocol, over Redis. It counts as the reference implementation does: fixed
//! windows of Unix time, by keys of domain, entries and window, and knows no limits but those that come with a request.
//!
//! <https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/service/ratelimit/v3/rls.proto>

use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use super::redis::Connection;

#[derive(Clone, PartialEq, Message)]
struct RateLimitRequest {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(message, repeated, tag = "2")]
    descriptors: Vec<Descriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct Descriptor {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<Entry>,
    #[prost(message, optional, tag = "2")]
    limit: Option<Quota>,
    #[prost(message, optional, tag = "3")]
    hits_addend: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Quota {
    #[prost(uint32, tag = "1")]
    requests_per_unit: u32,
    #[prost(int32, tag = "2")]
    unit: i32,
}

#[derive(Clone, PartialEq, Message)]
struct RateLimitResponse {
    #[prost(int32, tag = "1")]
    overall_code: i32,
    #[prost(message, repeated, tag = "2")]
    statuses: Vec<Status>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(message, optional, tag = "2")]
    current_limit: Option<Quota>,
    #[prost(uint32, tag = "3")]
    limit_remaining: u32,
    #[prost(message, optional, tag = "4")]
    duration_until_reset: Option<Seconds>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Seconds {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

const OK: i32 = 1;
const OVER_LIMIT: i32 = 2;

/// The service, while it runs.
pub struct Service {
    runtime: Option<Runtime>,
    redis: String,
    address: SocketAddr,
}

impl Service {
    pub fn start(redis: &str) -> Self {
        let mut service =
            Self { runtime: None, redis: redis.to_owned(), address: super::support::free_address().parse().unwrap() };
        service.restart();
        service
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// At once: connections break, what is under way is lost.
    pub fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Where it was.
    pub fn restart(&mut self) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = super::support::poll("the service's address to be free", || {
            runtime.block_on(TcpListener::bind(self.address)).ok()
        });
        let redis = Arc::new(Mutex::new(Connection::open(&self.redis).unwrap()));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let redis = redis.clone();
                let answers = hyper::service::service_fn(move |request| answer(request, redis.clone()));
                tokio::spawn(
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), answers),
                );
            }
        });
        self.runtime = Some(runtime);
    }
}

/// One call: a message with its length before it, and trailers that say that all is well.
/// <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>
async fn answer(
    request: Request<Incoming>,
    redis: Arc<Mutex<Connection>>,
) -> Result<Response<impl Body<Data = Bytes, Error = Infallible>>, hyper::Error> {
    assert_eq!(request.uri().path(), "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit");
    let body = request.into_body().collect().await?.to_bytes();
    let response = limit(&RateLimitRequest::decode(&body[5..]).unwrap(), &mut redis.lock().unwrap());
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(response.encoded_len() as u32);
    response.encode(&mut framed).unwrap();
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    let body = Full::new(framed.freeze()).with_trailers(ready(Some(Ok(trailers))));
    Ok(Response::builder().header("content-type", "application/grpc").body(body).unwrap())
}

/// Counts, and says what came of it.
fn limit(request: &RateLimitRequest, redis: &mut Connection) -> RateLimitResponse {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let statuses: Vec<Status> =
        request.descriptors.iter().map(|descriptor| count(&request.domain, descriptor, now, redis)).collect();
    let over = statuses.iter().any(|status| status.code == OVER_LIMIT);
    RateLimitResponse { overall_code: if over { OVER_LIMIT } else { OK }, statuses }
}

fn count(domain: &str, descriptor: &Descriptor, now: u64, redis: &mut Connection) -> Status {
    let Some(quota) = descriptor.limit else { return Status { code: OK, ..Status::default() } };
    let length: u64 = match quota.unit {
        1 => 1,
        2 => 60,
        3 => 3600,
        4 => 86_400,
        5 => 30 * 86_400,
        other => panic!("unit {other}"),
    };
    let entries = descriptor.entries.iter().map(|entry| format!("{}_{}_", entry.key, entry.value));
    let key = format!("{domain}_{}{}", entries.collect::<String>(), now / length * length);
    let hits = descriptor.hits_addend.unwrap_or(1).to_string();
    let answers = redis.ask(&[&["INCRBY", &key, &hits], &["EXPIRE", &key, &length.to_string()]]).unwrap();
    let (count, most) = (answers[0].number() as u64, u64::from(quota.requests_per_unit));
    Status {
        code: if count > most { OVER_LIMIT } else { OK },
        current_limit: Some(quota),
        limit_remaining: most.saturating_sub(count) as u32,
        duration_until_reset: Some(Seconds { seconds: (length - now % length) as i64 }),
    }
}
