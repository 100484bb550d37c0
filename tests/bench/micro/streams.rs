//! Streams as providers send them, to what the client gets: an event a piece, and sixteen kilobytes a piece.

use core::fmt;

use divan::Bencher;
use divan::counter::ItemsCount;
use model_gateway::chat::Delta;
use model_gateway::clients::{Envelope, openai};
use model_gateway::frame::eventstream;
use model_gateway::providers::{Speech, Translator};
use model_gateway::splice;

use super::requests::kind;
use crate::bodies::Dialect;

/// Pieces of text in a stream.
const EVENTS: usize = 1000;

/// How a kind streams: its name, what comes before the text, one piece of text, and what comes after it.
struct Sample(&'static str, [&'static str; 3]);

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

fn samples() -> [Sample; 6] {
    [
        Sample("openai", Dialect::OpenAi.stream()),
        Sample("anthropic", Dialect::Anthropic.stream()),
        Sample("gemini", GEMINI),
        Sample("cohere", COHERE),
        Sample("ollama", OLLAMA),
        Sample("bedrock", BEDROCK),
    ]
}

const GEMINI: [&str; 3] = [
    "",
    "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \" nothing\"}],\"role\": \"model\"},\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 512,\"candidatesTokenCount\": 4,\"totalTokenCount\": 516,\"promptTokensDetails\": [{\"modality\": \"TEXT\",\"tokenCount\": 512}]},\"modelVersion\": \"gemini-2.5-flash\",\"responseId\": \"rFvgaPzTC_i0-uMP0Z7YuAE\"}\r\n\r\n",
    "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \".\"}],\"role\": \"model\"},\"finishReason\": \"STOP\",\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 512,\"candidatesTokenCount\": 120,\"totalTokenCount\": 632},\"modelVersion\": \"gemini-2.5-flash\",\"responseId\": \"rFvgaPzTC_i0-uMP0Z7YuAE\"}\r\n\r\n",
];
const COHERE: [&str; 3] = [
    "event: message-start\ndata: {\"id\":\"29f14a5a\",\"type\":\"message-start\",\"delta\":{\"message\":{\"role\":\"assistant\",\"content\":[],\"tool_plan\":\"\",\"tool_calls\":[],\"citations\":[]}}}\n\nevent: content-start\ndata: {\"type\":\"content-start\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"type\":\"text\",\"text\":\"\"}}}}\n\n",
    "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\" nothing\"}}}}\n\n",
    "event: content-end\ndata: {\"type\":\"content-end\",\"index\":0}\n\nevent: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"COMPLETE\",\"usage\":{\"billed_units\":{\"input_tokens\":500,\"output_tokens\":120},\"tokens\":{\"input_tokens\":512,\"output_tokens\":120}}}}\n\ndata: [DONE]\n\n",
];
const OLLAMA: [&str; 3] = [
    "",
    "{\"model\":\"qwen3:8b\",\"created_at\":\"2026-08-07T06:08:01.523414Z\",\"message\":{\"role\":\"assistant\",\"content\":\" nothing\"},\"done\":false}\n",
    "{\"model\":\"qwen3:8b\",\"created_at\":\"2026-08-07T06:08:09.523414Z\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"total_duration\":9000000000,\"prompt_eval_count\":512,\"eval_count\":120}\n",
];
/// Names and payloads of Amazon's frames.
const BEDROCK: [&str; 3] = [
    "messageStart {\"p\":\"abcdefghijk\",\"role\":\"assistant\"}",
    "contentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"text\":\" nothing\"},\"p\":\"abcdefghijklmn\"}",
    "contentBlockStop {\"contentBlockIndex\":0,\"p\":\"abcdef\"}\nmessageStop {\"p\":\"abc\",\"stopReason\":\"end_turn\"}\nmetadata {\"metrics\":{\"latencyMs\":512},\"p\":\"abc\",\"usage\":{\"inputTokens\":512,\"outputTokens\":120,\"totalTokens\":632}}",
];

#[divan::bench(args = samples())]
fn stream_by_events(bencher: Bencher<'_, '_>, sample: &Sample) {
    let [begin, text, end] = pieces(sample);
    let mut pieces = vec![begin];
    pieces.resize(EVENTS + 1, text);
    pieces.push(end);
    measure(bencher, sample.0, &pieces);
}

#[divan::bench(args = samples())]
fn stream_in_bursts(bencher: Bencher<'_, '_>, sample: &Sample) {
    let [begin, text, end] = pieces(sample);
    let whole = [begin, text.repeat(EVENTS), end].concat();
    let pieces: Vec<_> = whole.chunks(16 << 10).map(<[u8]>::to_vec).collect();
    measure(bencher, sample.0, &pieces);
}

fn pieces(Sample(name, pieces): &Sample) -> [Vec<u8>; 3] {
    let framed = |text: &str| match *name {
        "bedrock" => text.lines().flat_map(frame).collect(),
        _ => text.as_bytes().to_vec(),
    };
    pieces.map(framed)
}

fn frame(line: &str) -> Vec<u8> {
    let (name, payload) = line.split_once(' ').unwrap();
    let headers = [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
    let mut frame = Vec::new();
    eventstream::write(&headers, payload.as_bytes(), &mut frame);
    frame
}

fn measure(bencher: Bencher<'_, '_>, name: &str, pieces: &[Vec<u8>]) {
    let speech = kind(name).speech_to("model-1");
    let client = |out: &mut String| match speech {
        Speech::Native(translator) => translate(translator, pieces, out),
        Speech::OpenAi => follow(pieces, out),
    };
    let mut out = String::new();
    client(&mut out);
    assert!(out.matches(" nothing").count() == EVENTS && out.ends_with("data: [DONE]\n\n"), "{name}: {out}");
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        out.clear();
        client(&mut out);
    });
}

fn translate(translator: &dyn Translator, pieces: &[Vec<u8>], out: &mut String) {
    let envelope = Envelope { id: "", model: "model-1", created: 1_700_000_000, include_usage: true, thoughts: "" };
    let mut decoder = translator.stream();
    let mut encoder = openai::StreamEncoder::new(&envelope);
    let mut sink = |choice: u32, delta: Delta<'_>| encoder.push(choice, delta, out);
    pieces.iter().for_each(|piece| decoder.push(piece, &mut sink).unwrap());
    decoder.end(&mut sink).unwrap();
    encoder.end(out);
}

fn follow(pieces: &[Vec<u8>], out: &mut String) {
    let classify = |_: model_gateway::json::Value<'_>| panic!("it is no error");
    let mut stream = splice::Stream::new("gpt-4o", true);
    pieces.iter().for_each(|piece| stream.push(piece, classify, out).unwrap());
    stream.end(classify, out).unwrap();
}
