//! What the gateway adds: latencies through the real Envoy against the simulated provider alone, taken in turn in one run.
//!
//! `make bench`. One client on one connection: these are latencies, not capacities.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use serde_json::json;
use support::load::{Ask, Client, median};
use support::{Gateway, Mock};

const ROUNDS: usize = 500;
const HUNG: usize = 100;

fn main() {
    let mock = Mock::start();
    let at = &mock.address;
    let gateway = Gateway::start(&format!(
        r#"
workers: 1
forward_headers: ["x-mock*"]
log: "off"
cooldown: 0s
providers:
  openai: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/openai/v1" }}
  anthropic: {{ kind: anthropic, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/anthropic" }}
models:
  openai: {{ targets: [{{ provider: openai, model: gpt-4o }}], fallbacks: [anthropic] }}
  anthropic: {{ targets: [{{ provider: anthropic, model: claude-sonnet-4-5 }}] }}
  hung: {{ targets: [{{ provider: openai, model: gpt-4o }}], fallbacks: [anthropic], timeouts: {{ first_token: 200ms }} }}
"#
    ));
    let text = "word ".repeat(400);
    let ask = |address: &str, path: &str, headers: &[(&'static str, &str)], model: &str, stream: bool| Ask {
        address: address.to_owned(),
        path: path.to_owned(),
        headers: headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        body: json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}),
    };
    let (key, short, failing) =
        (("authorization", "Bearer any"), ("x-mock", "text=good day"), ("x-mock-openai", "status=503"));
    let path = "/v1/chat/completions";
    let mut scenarios = Vec::new();
    for stream in [false, true] {
        scenarios.push((
            "provider alone",
            stream,
            ask(at, "/openai/v1/chat/completions", &[key, short], "gpt-4o", stream),
        ));
        scenarios.push(("OpenAI", stream, ask(&gateway.address, path, &[short], "openai", stream)));
        scenarios.push(("Anthropic", stream, ask(&gateway.address, path, &[short], "anthropic", stream)));
        scenarios.push((
            "503, then Anthropic",
            stream,
            ask(&gateway.address, path, &[short, failing], "openai", stream),
        ));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut clients: Vec<Client> = scenarios.iter().map(|(_, _, ask)| Client::new(&ask.address)).collect();
    let mut times: Vec<(Vec<Duration>, Vec<Duration>)> = scenarios.iter().map(|_| Default::default()).collect();
    for round in 0..ROUNDS + ROUNDS / 10 {
        for (index, (name, _, ask)) in scenarios.iter().enumerate() {
            let outcome = runtime.block_on(clients[index].send(ask)).unwrap();
            assert_eq!((outcome.status, &outcome.broken), (200, &None), "{name}");
            if round >= ROUNDS / 10 {
                times[index].0.push(outcome.first);
                times[index].1.push(outcome.whole);
            }
        }
    }
    println!("{ROUNDS} rounds, 2 KB requests; medians in ms");
    println!("{:<22} {:>8} {:>12} {:>8}", "", "stream", "first byte", "whole");
    for ((name, stream, _), (first, whole)) in scenarios.iter().zip(&mut times) {
        println!("{name:<22} {stream:>8} {:>12.3} {:>8.3}", median(first), median(whole));
    }
    for stream in 0..2 {
        let of =
            |index: usize, times: &mut Vec<(Vec<Duration>, Vec<Duration>)>| median(&mut times[stream * 4 + index].0);
        let added = of(3, &mut times) - of(2, &mut times);
        println!(
            "a fallback adds {added:.3} ms to the first byte ({})",
            if stream == 1 { "streamed" } else { "not streamed" }
        );
    }
    let mut client = Client::new(&gateway.address);
    // A provider that says nothing, or nothing of its answer: how long after its time is up the next one's is there.
    for directive in ["hang", "headers-then-wait=60000"] {
        let ask = ask(&gateway.address, path, &[short, ("x-mock-openai", directive)], "hung", true);
        let mut late: Vec<Duration> = (0..HUNG)
            .map(|_| {
                let outcome = runtime.block_on(client.send(&ask)).unwrap();
                assert_eq!((outcome.status, outcome.attempts.as_deref()), (200, Some("2")), "{outcome:?}");
                outcome.first.saturating_sub(Duration::from_millis(200))
            })
            .collect();
        let middle = median(&mut late);
        let [most, last] = [late[HUNG * 95 / 100], late[HUNG - 1]].map(|late| late.as_secs_f64() * 1000.0);
        println!(
            "{directive}: the next target's first byte {middle:.1} ms after the deadline, {most:.1} at the 95th of a hundred, {last:.1} at most"
        );
    }
}
