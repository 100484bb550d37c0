//! What a limit costs: processor time of the real Envoy for a request with none, one, four and sixteen limits, in turn in one run.
//!
//! `make bench`. Time on a processor, by the kernel's own account, and not time that passed: other work on the machine adds little.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

use serde_json::json;
use support::load::{Ask, Client};
use support::{Gateway, Mock};

const ROUNDS: usize = 60;
const REQUESTS: u64 = 200;
/// What a limit may cost, in µs.
const ALLOWED: f64 = 3.0;
const LIMITS: [usize; 4] = [0, 1, 4, 16];

fn main() {
    let mock = Mock::start();
    let gateways = LIMITS.map(|limits| Gateway::start(&config(&mock, limits)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut clients = gateways.each_ref().map(|gateway| Client::new(&gateway.address));
    let mut costs = LIMITS.map(|_| Vec::new());
    for round in 0..ROUNDS + ROUNDS / 10 {
        for (index, gateway) in gateways.iter().enumerate() {
            let body = json!({
                "model": "gpt-4o", "user": "somebody", "max_completion_tokens": 20,
                "messages": [{"role": "user", "content": "good day"}],
            });
            let path = "/v1/chat/completions".to_owned();
            let ask = Ask { address: gateway.address.clone(), path, headers: Vec::new(), body };
            let before = gateway.process.cpu_time_of_children();
            for _ in 0..REQUESTS {
                assert_eq!(runtime.block_on(clients[index].send(&ask)).unwrap().status, 200);
            }
            let cost = (gateway.process.cpu_time_of_children() - before) as f64 / REQUESTS as f64 / 1000.0;
            if round >= ROUNDS / 10 {
                costs[index].push(cost);
            }
        }
    }
    println!("{ROUNDS} rounds of {REQUESTS} requests each; processor time of Envoy for a request, in µs");
    println!("{:<12} {:>10} {:>10} {:>10}", "", "a quarter", "half", "the most");
    let quarters = LIMITS.iter().zip(&mut costs).map(|(limits, costs)| {
        costs.sort_by(f64::total_cmp);
        println!(
            "{limits:>2} limits    {:>10.1} {:>10.1} {:>10.1}",
            costs[ROUNDS / 4],
            costs[ROUNDS / 2],
            costs[ROUNDS - 1]
        );
        costs[ROUNDS / 4]
    });
    let quarters: Vec<f64> = quarters.collect();
    // From one on all need the same of a request: who asks, and an estimate of its size.
    let slope = (quarters[3] - quarters[1]) / (LIMITS[3] - LIMITS[1]) as f64;
    println!("the first limit {:.2} µs, each further one {slope:.2} µs", quarters[1] - quarters[0]);
    gateways.iter().for_each(Gateway::assert_sound);
    assert!(slope <= ALLOWED, "more than {ALLOWED} µs for each limit: {slope:.2}");
}

/// With so many limits, the sorts of them in turn, none of which is reached.
fn config(mock: &Mock, limits: usize) -> String {
    let sorts = [
        "tokens: 9000000000, per: day",
        "requests: 9000000, per: hour",
        "usd: 9000000, per: month",
        "concurrent: 9000",
    ];
    let by = ["model", "user", "key", "team"];
    let limits = (0..limits).map(|number| format!("{{ {}, by: [{}] }}", sorts[number % 4], by[number / 4]));
    format!(
        r#"
workers: 1
log: "off"
providers:
  openai: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{}/openai/v1" }}
models:
  gpt-4o: {{ targets: [{{ provider: openai }}] }}
limits: [{}]
"#,
        mock.address,
        limits.collect::<Vec<_>>().join(", ")
    )
}
