//! What a plan costs, natively: the order of a model's ten targets by each strategy, all of them with a record of their health.
//!
//! `make bench`. The records are in memory here; in Envoy each is a call to the host, which is not counted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "board.rs"]
mod board;

use std::hint::black_box;
use std::time::{Duration, Instant};

use board::{Board, config};
use model_gateway::dialect::Operation;
use model_gateway::error::Cause;
use model_gateway::route::{Ask, Health, Plan, Record, Shared, Version, plan};
use serde_json::json;

const TARGETS: usize = 10;
const ROUNDS: u64 = 100;
const SAMPLES: usize = 1001;
/// What issue 4 allows a plan. Held against the fastest sample: what else the machine does is not the plan's.
const ALLOWED: Duration = Duration::from_micros(5);

fn main() {
    let providers: serde_json::Map<_, _> = (0..TARGETS).map(|n| (provider(n), json!({"kind": "openai"}))).collect();
    println!(
        "a plan for {TARGETS} targets, native; the fastest, the 50th and the 99th of a hundred samples of {ROUNDS}"
    );
    let mut slow = Vec::new();
    for strategy in ["weighted", "latency", "least_busy", "sticky"] {
        for cooled in [0, 3] {
            let targets: Vec<_> = (0..TARGETS)
                .map(
                    |n| json!({"provider": provider(n), "model": format!("model-of-some-length-{n}"), "weight": n + 1}),
                )
                .collect();
            let file = json!({"providers": providers, "models": {"m": {"targets": targets, "strategy": strategy}}});
            let config = config(file);
            let board = Board::default();
            for (n, target) in config.models.get("m").unwrap().targets.iter().enumerate() {
                let mut health = Health::default();
                health.took(1000, 100 + n as u64, 1000, 100);
                health.begins(1000);
                if n < cooled {
                    health.failed(1000, Cause::Authentication, None, &target.breaker);
                }
                board.set(&format!("health {}/{}", target.provider, target.model), &health.encode(), Version(0));
            }
            let ask = |seed| Ask {
                model: config.models.find("m").unwrap(),
                operation: Operation::Chat,
                key: None,
                estimate: None,
                sticky: Some(seed),
                now: 2000,
                seed,
            };
            let made = plan(&config, &ask(0), &board).unwrap();
            assert_eq!(made.line.len(), TARGETS);
            let cost = measure(&format!("{strategy}, {cooled} cooled"), |seed| plan(&config, &ask(seed), &board));
            if cost > ALLOWED {
                slow.push(strategy);
            }
            if strategy == "weighted" && cooled == 0 {
                let written = made.encode();
                println!("  it is {} bytes in filter state", written.len());
                measure("  written there", |_| made.encode());
                measure("  read again", |_| Plan::decode(&written));
            }
        }
    }
    assert!(slow.is_empty(), "more than {ALLOWED:?}: {slow:?}");
}

fn provider(n: usize) -> String {
    format!("provider-{n}")
}

fn measure<T>(what: &str, mut work: impl FnMut(u64) -> T) -> Duration {
    let mut samples: Vec<Duration> = (0..SAMPLES)
        .map(|_| {
            let since = Instant::now();
            for seed in 0..ROUNDS {
                black_box(work(black_box(seed)));
            }
            since.elapsed() / ROUNDS as u32
        })
        .collect();
    samples.sort();
    let [fastest, half, most] = [0, 50, 99].map(|part| samples[SAMPLES * part / 100]);
    println!("{what:<24} {fastest:>10.2?} {half:>10.2?} {most:>10.2?}");
    fastest
}
