//! Requests with scripted answers: one table of cases, for the machines and for the module alike.
#![allow(dead_code)] // Each test crate uses its own part.

pub mod api_keys;
pub mod cases;
pub mod chat;
pub mod envoy;
pub mod faults;
pub mod filters;
pub mod invariants;
pub mod keys;
pub mod limits;
pub mod refusals;
pub mod wire;
