//! The estimate of prompts against what providers billed for recorded ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod recordings;

use std::ops::Range;

use model_gateway::dialect::Operation;
use model_gateway::json::Document;
use model_gateway::tokens::{Rules, estimate};
use recordings::{Recording, load};
use serde_json::Value;

/// The tokens of the prompt by the provider's count, if its answer has one.
fn billed(body: &str) -> Option<u64> {
    let lines = body.lines().filter_map(|line| line.strip_prefix("data:").map(str::trim));
    let chunks: Vec<Value> = match serde_json::from_str(body) {
        Ok(whole) => vec![whole],
        Err(_) => lines.filter_map(|line| serde_json::from_str(line).ok()).collect(),
    };
    let places = ["/usage/prompt_tokens", "/x_groq/usage/prompt_tokens"];
    let counts = chunks.iter().flat_map(|chunk| places.iter().filter_map(|place| chunk.pointer(place)?.as_u64()));
    counts.max().filter(|tokens| *tokens > 0)
}

#[test]
fn estimates_are_near_what_was_billed() {
    let endpoints = [
        ("chat_completions", Operation::Chat),
        ("completions", Operation::Completions),
        ("embeddings", Operation::Embeddings),
    ];
    let mut counted = Vec::new();
    for (endpoint, operation) in endpoints {
        let Some(recordings) = load(endpoint, |_| true) else { return };
        for Recording { id, status, request, body, model, edited, .. } in &recordings {
            let Some(truth) = billed(body).filter(|_| *status == 200) else { continue };
            let text = request.to_string();
            let document = Document::parse(text.as_bytes()).unwrap();
            // An image that is another than was billed.
            if edited.iter().any(|edit| edit == "request_media_replaced") {
                continue;
            }
            let name = request["model"].as_str().unwrap_or(model);
            let estimated = estimate(operation, &document, Rules::of(name)).input;
            counted.push((estimated as f64 / truth as f64, truth, id.clone()));
        }
    }
    counted.sort_by(|one, other| one.0.total_cmp(&other.0));
    report("all", &counted, [0.9..1.1, 0.5..1.75]);
    counted.retain(|(_, truth, _)| *truth >= 100);
    report("of 100 tokens and more", &counted, [0.9..1.1, 0.5..1.5]);
}

/// Tells how far off they are, and that the median and all but a tenth, in equal parts at both ends, are inside these bounds.
fn report(what: &str, sorted: &[(f64, u64, String)], [middle, most]: [Range<f64>; 2]) {
    let at = |part: f64| sorted[(part * (sorted.len() - 1) as f64).round() as usize].0;
    let off = |(ratio, ..): &(f64, u64, String)| ratio.max(1.0 / ratio);
    let mut distances: Vec<_> = sorted.iter().map(off).collect();
    distances.sort_by(f64::total_cmp);
    let distance = |part: f64| distances[(part * (distances.len() - 1) as f64).round() as usize];
    println!(
        "{what}: {} prompts; estimate by truth: median {:.2}, 5% {:.2}, 95% {:.2}; off by a factor of {:.2} (median), {:.2} (95%)",
        sorted.len(),
        at(0.5),
        at(0.05),
        at(0.95),
        distance(0.5),
        distance(0.95),
    );
    for (ratio, truth, id) in sorted.iter().filter(|counted| off(counted) > 2.5) {
        println!("  {ratio:.2} of {truth}: {id}");
    }
    assert!(sorted.len() > 50);
    assert!(middle.contains(&at(0.5)), "{what}: {}", at(0.5));
    assert!(most.start <= at(0.05) && at(0.95) <= most.end, "{what}: {} to {}", at(0.05), at(0.95));
}
