//! Model Gateway: an Envoy filter that turns any Envoy into an LLM gateway.

pub mod chat;
pub mod clients;
pub mod config;
pub mod error;
pub mod exchange;
pub mod frame;
pub mod json;
pub mod names;
pub mod providers;
pub mod route;
#[cfg(target_os = "wasi")]
mod shell;
pub mod splice;
