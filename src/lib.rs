//! Model Gateway: an Envoy filter that turns any Envoy into an LLM gateway.
//!
//! All but `shell` is the core: it has no sockets, no files, no threads, no clock, no randomness, no logging and no global
//! state, it does not name proxy-wasm, and it cannot panic. Bytes, headers and the time come in; what the host is to do
//! comes out. ARCHITECTURE.md has the map.

pub mod answered;
pub mod calendar;
pub mod chance;
pub mod chat;
pub mod clients;
pub mod config;
pub mod dialect;
mod digits;
pub mod embedding;
pub mod error;
pub mod exchange;
pub mod facts;
pub mod frame;
pub mod headers;
pub mod json;
pub mod limits;
pub mod live;
pub mod metrics;
pub mod names;
pub mod price;
pub mod providers;
pub mod redact;
pub mod route;
#[cfg(target_os = "wasi")]
mod shell;
pub mod splice;
pub mod time_zone;
pub mod tokens;
mod words;
