//! Bodies: read, estimated, spliced, said in every native dialect.

use divan::Bencher;
use divan::counter::BytesCount;
use model_gateway::clients::openai;
use model_gateway::dialect::Operation;
use model_gateway::json::Document;
use model_gateway::providers::{self, Kind, Speech, Target};
use model_gateway::splice::{self, Facts};
use model_gateway::tokens::{Rules, estimate};
use serde::de::IgnoredAny;

use crate::bodies::{Dialect, chat};

/// In bytes.
const SIZES: [usize; 2] = [2 << 10, 200 << 10];
/// Kinds for which requests are written anew, by name.
const KINDS: [&str; 6] = ["anthropic", "bedrock", "cohere", "gemini", "mistral", "ollama"];

fn body(bytes: usize) -> (String, BytesCount) {
    let body = chat("gpt-4o", bytes, true);
    let count = BytesCount::of_str(&body);
    (body, count)
}

#[divan::bench(args = SIZES)]
fn json_parse(bencher: Bencher<'_, '_>, bytes: usize) {
    let (body, count) = body(bytes);
    bencher.counter(count).bench_local(|| Document::parse(body.as_bytes()).unwrap());
}

/// The yardstick: what serde_json takes to find the same text good.
#[divan::bench(args = SIZES)]
fn json_parse_by_serde(bencher: Bencher<'_, '_>, bytes: usize) {
    let (body, count) = body(bytes);
    bencher.counter(count).bench_local(|| serde_json::from_slice::<IgnoredAny>(body.as_bytes()).unwrap());
}

#[divan::bench(args = SIZES)]
fn tokens_estimate(bencher: Bencher<'_, '_>, bytes: usize) {
    let (body, count) = body(bytes);
    let document = Document::parse(body.as_bytes()).unwrap();
    bencher.counter(count).bench_local(|| estimate(Operation::Chat, &document, Rules::of("gpt-4o")));
}

#[divan::bench(args = SIZES)]
fn request_splice(bencher: Bencher<'_, '_>, bytes: usize) {
    let (body, count) = body(bytes);
    let document = Document::parse(body.as_bytes()).unwrap();
    let differences = kind("openai").differences();
    bencher.counter(count).bench_local(|| {
        let mut out = String::new();
        let facts = Facts::read(&document).unwrap();
        let dropped = splice::request(&document, &facts, "gpt-4o-2024-08-06", differences, &mut out);
        (out, dropped)
    });
}

/// From the document to the provider's body.
#[divan::bench(args = KINDS, consts = SIZES)]
fn request_translate<const BYTES: usize>(bencher: Bencher<'_, '_>, name: &str) {
    let (body, count) = body(BYTES);
    let document = Document::parse(body.as_bytes()).unwrap();
    let (kind, target) = (kind(name), Target { stream: true, ..Target::new("model-1") });
    bencher.counter(count).bench_local(|| {
        let mut out = String::new();
        let request = openai::request(&document).unwrap();
        let dropped = match (kind.writer(), kind.speech_to(target.model)) {
            (Some(writer), _) => writer.request(&request, &target, &mut out),
            (None, Speech::Native(translator)) => translator.request(&request, &target, &mut out),
            (None, Speech::OpenAi) => panic!("{name} is spliced"),
        };
        (out, dropped.unwrap())
    });
}

/// A whole answer, from the provider's bytes to the client's.
#[divan::bench]
fn answer_splice(bencher: Bencher<'_, '_>) {
    let body = Dialect::OpenAi.answer();
    let classify = |_: model_gateway::json::Value<'_>| panic!("it is no error");
    bencher.counter(BytesCount::of_str(&body)).bench_local(|| {
        let mut out = String::new();
        let usage = splice::answer(body.as_bytes(), "gpt-4o", classify, &mut out).unwrap();
        (out, usage)
    });
}

pub fn kind(name: &str) -> &'static dyn Kind {
    providers::find(name).unwrap()
}
