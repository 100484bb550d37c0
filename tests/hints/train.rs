//! Tells the engine which branches of the module are hardly ever taken: `make build` runs it, once the module is built.
//!
//! The module runs on the tests' small host, on requests as they usually are and on every fault there is a test of, and
//! counts which way its branches go. V8 then puts what is rare out of the way, so that a request, which runs through much of
//! the module's code once, finds it close together. What that brings is in ARCHITECTURE.md ("Speed").
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![cfg(not(target_family = "wasm"))]

#[path = "../bench/bodies.rs"]
mod bodies;
mod branches;
#[path = "../host/mod.rs"]
#[allow(dead_code)]
mod host;
#[path = "../scripted/mod.rs"]
mod scripted;
#[path = "../filter/typical.rs"]
mod typical;

use std::path::PathBuf;

use bodies::Dialect;
use branches::{Branch, Count, branches, counters, counting, hinted};
use host::Wasm;
use scripted::cases::{cases, check};
use scripted::chat;
use scripted::envoy::run_on;
use scripted::filters::Records;
use serde_json::{Value, json};

fn main() {
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/target/wasm32-wasip1/release/model_gateway.wasm");
    let path = std::env::args_os().nth(1).map_or_else(|| PathBuf::from(built), PathBuf::from);
    let module = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if !branches::hints(&module).is_empty() {
        return;
    }
    let (branches, counting) = (branches(&module), counting(&module));
    let [usual, faulty] = [usual(&counting, branches.len()), faulty(&counting, branches.len())];
    // What usual requests come by is judged by them alone.
    let counts = usual.into_iter().zip(faulty).map(|(usual, faulty)| if usual.reached > 0 { usual } else { faulty });
    let hints: Vec<(Branch, bool)> =
        branches.iter().zip(counts).filter_map(|(branch, count)| Some((*branch, count.usual()?))).collect();
    // Into the same file: it has a second name in cargo's own folder, by which cargo would bring it back as it was.
    std::fs::write(&path, hinted(&module, &hints)).unwrap();
    println!("hints for {} of the module's {} branches", hints.len(), branches.len());
}

/// Of gateways that are set up in three ways: what one of them never needs is not rare.
fn usual(module: &[u8], branches: usize) -> Vec<Count> {
    let limited = typical::config();
    let (mut bare, mut observed) = (limited.clone(), limited.clone());
    for key in ["keys", "limits"] {
        bare.as_object_mut().unwrap().remove(key);
    }
    observed["labels"] = json!({"headers": ["feature"], "metadata": ["tenant"], "user": true});
    let mut all = vec![Count::default(); branches];
    for config in [bare, limited, observed] {
        let counts = usual_with(&config, module, branches);
        all.iter_mut().zip(counts).for_each(|(all, count)| *all = all.and(count));
    }
    all
}

fn usual_with(config: &Value, module: &[u8], branches: usize) -> Vec<Count> {
    const KB: usize = 1 << 10;
    let mut wasm = Wasm::with_roots(module, config, chat::ENVIRONMENT);
    let records = Records::default();
    let mut first = Vec::new();
    // The first time there is more to be made.
    for round in 0..3 {
        for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
            for (size, chunks) in [(2 * KB, None), (32 * KB, None), (2 * KB, Some(40))] {
                let mut script = typical::script(dialect, size, chunks);
                script.headers.set("x-gateway-label-feature", "search");
                let outcome = run_on(&mut wasm, &script, &records);
                assert_eq!((outcome.status, outcome.cut), (200, false), "{outcome:?}");
            }
        }
        if round == 0 {
            first = counted(&wasm, branches);
        }
    }
    counted(&wasm, branches).into_iter().zip(first).map(|(all, first)| all.since(first)).collect()
}

fn faulty(module: &[u8], branches: usize) -> Vec<Count> {
    let mut wasm = Wasm::with_roots(module, &chat::config(), chat::ENVIRONMENT);
    for case in cases() {
        check(&mut wasm, &case);
    }
    counted(&wasm, branches)
}

fn counted(wasm: &Wasm, branches: usize) -> Vec<Count> {
    let count = |branch| {
        let [reached, held] = counters(branch).map(|name| wasm.counter(&name).unwrap());
        Count { reached, held }
    };
    (0..branches).map(count).collect()
}
