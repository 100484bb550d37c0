//! What is decided about a request: where it goes, and whether it may.

use divan::Bencher;
use model_gateway::config::Config;
use model_gateway::dialect::Operation;
use model_gateway::limits::{Amounts, Who, reserve};
use model_gateway::route::{Ask, Plan, plan};
use serde_json::json;

use crate::board::{Board, config};

/// When it is, in milliseconds since 1970.
const NOW: u64 = 1_700_000_000_000;

/// By how many targets the model has; by strategy it is the benchmark `plan`'s.
#[divan::bench(args = [1, 10])]
fn plan_made(bencher: Bencher<'_, '_>, targets: usize) {
    let (config, board) = (targets_of(targets), Board::default());
    bencher.bench_local(|| plan(&config, &ask(&config), &board).unwrap());
}

/// Into filter state, and out of it.
#[divan::bench(args = [1, 10])]
fn plan_carried(bencher: Bencher<'_, '_>, targets: usize) {
    let config = targets_of(targets);
    let made = plan(&config, &ask(&config), &Board::default()).unwrap();
    bencher.bench_local(|| Plan::decode(&made.encode()));
}

fn targets_of(targets: usize) -> Config {
    let targets: Vec<_> = (0..targets).map(|n| json!({"provider": "p", "model": format!("model-{n}")})).collect();
    config(json!({"providers": {"p": {"kind": "openai"}}, "models": {"m": {"targets": targets}}}))
}

fn ask(config: &Config) -> Ask<'_> {
    let model = config.models.find("m").unwrap();
    Ask { model, operation: Operation::Chat, key: None, estimate: None, sticky: None, now: NOW, seed: 7 }
}

/// By how many limits are about the request, each with an account of its own.
#[divan::bench(args = [1, 4, 16])]
fn limits_reserve_and_settle(bencher: Bencher<'_, '_>, limits: usize) {
    let limits: Vec<_> = (0..limits as u64)
        .map(|n| match n % 3 {
            0 => json!({"tokens": 1_000_000_000_000 + n, "per": "day"}),
            1 => json!({"requests": 1_000_000_000 + n, "per": "minute"}),
            _ => json!({"usd": 1_000_000 + n, "per": "month"}),
        })
        .collect();
    let config = config(json!({
        "providers": {"p": {"kind": "openai"}}, "models": {"m": {"targets": [{"provider": "p"}]}}, "limits": limits,
    }));
    let (board, who) = (Board::default(), Who { model: "m", ..Who::default() });
    let amounts = Amounts { input: 512, output: 120, usd: 2_480_000_000 };
    bencher.bench_local(|| {
        let reserved = reserve(&config.groups, who, amounts, false, &|_| false, NOW, &board).unwrap();
        reserved.settle(amounts, NOW + 1, &board);
    });
}
