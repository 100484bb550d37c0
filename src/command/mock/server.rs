//! The HTTP server: reads requests, has them planned, and acts.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::dialect::{FALLBACK, Fault, find, site};
use super::plan::{self, Act, plan};
use super::playback::{Aborted, Playback};
use super::record::{Received, State};
use super::wire::{Fuse, Wire};

/// Serves the simulated providers to whoever connects; never returns.
pub async fn serve(listener: TcpListener, state: Arc<State>) {
    let address: Arc<str> = listener.local_addr().map(|address| address.to_string()).unwrap_or_default().into();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, most likely: some will be closed.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Without it, the small writes of a stream would wait for each other's acknowledgement.
        let _ = stream.set_nodelay(true);
        let wire = Wire::new(stream);
        let connection =
            Arc::new(Connection { listener: Arc::clone(&address), state: Arc::clone(&state), fuse: wire.fuse() });
        let service = service_fn(move |request| handle(request, Arc::clone(&connection)));
        // An error here is a connection that was broken, by the client or on purpose.
        tokio::spawn(async move { http1::Builder::new().serve_connection(TokioIo::new(wire), service).await });
    }
}

struct Connection {
    listener: Arc<str>,
    state: Arc<State>,
    fuse: Fuse,
}

async fn handle(request: Request<Incoming>, connection: Arc<Connection>) -> Result<Response<Playback>, Aborted> {
    if request.uri().path().starts_with("/mock/") {
        return Ok(told(&request, &connection.state));
    }
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let found = find(&head.method, path);
    let (dialect, mut asked) = match found {
        Some((dialect, operation)) => (dialect, Ok(operation)),
        None => (FALLBACK, Err(Fault::NoPath { method: head.method.to_string(), path: path.to_owned() })),
    };
    let mut gone = false;
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            gone = !error.is::<LengthLimitError>();
            asked = Err(Fault::TooLarge);
            Bytes::new()
        }
    };
    let request = plan::Request {
        dialect,
        asked,
        site: site(path),
        path,
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        body: &body,
        draw: connection.state.draw(),
        now: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
    };
    let plan = plan(&request);
    let exchange = connection.state.begin(Received {
        site: site(path).to_owned(),
        dialect: if found.is_some() { dialect.name() } else { "" },
        listener: Arc::clone(&connection.listener),
        method: head.method,
        path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        headers: head.headers,
        body,
    });
    if gone {
        return Err(Aborted);
    }

    // From here on the client may leave at any await; then the exchange is dropped, and with it recorded.
    exchange.asked(&plan.model, plan.stream, &plan.directives);
    if !plan.wait.is_zero() {
        tokio::time::sleep(plan.wait).await;
    }
    match plan.act {
        Act::Hang => {
            exchange.broken("hang");
            pending().await
        }
        Act::Reset => {
            exchange.broken("reset");
            exchange.finished();
            connection.fuse.light();
            Err(Aborted)
        }
        Act::Close => {
            exchange.broken("close");
            exchange.finished();
            Err(Aborted)
        }
        Act::Respond(planned) => {
            exchange.answered(planned.status, &planned.id, planned.flaw);
            let mut response = Response::new(Playback::new(planned.steps, planned.length, Some(exchange)));
            *response.status_mut() = StatusCode::from_u16(planned.status).unwrap_or_default();
            for (name, value) in planned.headers {
                if let Ok(value) = HeaderValue::try_from(value) {
                    response.headers_mut().insert(name, value);
                }
            }
            Ok(response)
        }
    }
}

/// What is under `/mock/`.
fn told(request: &Request<Incoming>, state: &State) -> Response<Playback> {
    let query = |key: &str| {
        let pairs = request.uri().query().unwrap_or_default().split('&');
        pairs.filter_map(|pair| pair.split_once('=')).find_map(|(name, value)| (name == key).then_some(value))
    };
    let (status, document): (StatusCode, Value) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/mock/requests") => (StatusCode::OK, state.requests(query("id"))),
        (&Method::DELETE, "/mock/requests") => {
            state.clear();
            (StatusCode::OK, json!({"cleared": true}))
        }
        (&Method::GET, "/mock/ledger/rows") => {
            let from = query("from").and_then(|from| from.parse().ok()).unwrap_or_default();
            (StatusCode::OK, state.rows(from))
        }
        (&Method::GET, "/mock/ledger") => (StatusCode::OK, state.ledger()),
        (&Method::GET, "/mock/health") => (StatusCode::OK, json!({"status": "ok"})),
        (method, path) => {
            let fault = Fault::NoPath { method: method.to_string(), path: path.to_owned() };
            (StatusCode::NOT_FOUND, FALLBACK.error(&fault, "").1)
        }
    };
    let mut response = Response::new(Playback::of(document.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// More than any provider takes.
const MAX_BODY: usize = 64 << 20;
