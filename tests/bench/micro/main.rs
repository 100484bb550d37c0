//! How long the core's parts take, natively: no host, no network. `make bench`, or `cargo bench --profile command --bench micro`,
//! with a part of a name to leave the others out.
//!
//! It is for what a change does to one part. What the gateway costs in Envoy, where it runs in V8, is told by `cost`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
// The macro puts its entries into a section of their own.
#![allow(unsafe_code)]

#[path = "../board.rs"]
mod board;
#[path = "../bodies.rs"]
mod bodies;
mod decisions;
mod requests;
mod streams;

fn main() {
    divan::main();
}
