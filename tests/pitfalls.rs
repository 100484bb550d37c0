//! What breaks gateways, one test for each item of the list of pitfalls that is about translation and streams, numbered as
//! there; in parentheses who met it. Item 11 is about the Responses API, which is not there yet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![cfg(not(target_family = "wasm"))]

#[path = "exchange/native.rs"]
mod native;
mod scripted;
#[path = "pitfalls/streams.rs"]
mod streams;
#[path = "pitfalls/translation.rs"]
mod translation;

use model_gateway::chat::Delta;
use model_gateway::clients::{Envelope, openai};
use model_gateway::error::Error;
use model_gateway::json::Document;
use model_gateway::providers::{Failure, Speech, Target, find};
use model_gateway::splice::{self, Facts};
use serde_json::{Value, json};

const ENVELOPE: Envelope<'_> = Envelope { id: "", model: "m", created: 1, include_usage: false, thoughts: "" };

/// What the provider gets for a request, and what is named as dropped.
fn said(kind: &str, model: &str, request: &Value) -> Result<(Value, Vec<String>), Error> {
    let (kind, text, mut out) = (find(kind).unwrap(), request.to_string(), String::new());
    let document = Document::parse(text.as_bytes()).unwrap();
    let dropped = match (kind.writer(), kind.speech_to(model)) {
        (Some(writer), _) => writer.request(&openai::request(&document)?, &Target::new(model), &mut out)?,
        (None, Speech::Native(translator)) => {
            translator.request(&openai::request(&document)?, &Target::new(model), &mut out)?
        }
        (None, Speech::OpenAi) => {
            splice::request(&document, &Facts::read(&document)?, model, kind.differences(), &mut out)
        }
    };
    Ok((serde_json::from_str(&out).unwrap(), dropped))
}

/// What the client gets of an answer.
fn answered(kind: &str, model: &str, answer: &Value) -> Value {
    let (kind, text, mut out) = (find(kind).unwrap(), answer.to_string(), String::new());
    match kind.speech_to(model) {
        Speech::Native(translator) => {
            let document = Document::parse(text.as_bytes()).unwrap();
            let envelope = Envelope { thoughts: translator.thoughts(), ..ENVELOPE };
            openai::answer(&translator.answer(&document).unwrap(), &envelope, &mut out);
        }
        Speech::OpenAi => drop(splice::answer(text.as_bytes(), "m", |_| panic!(), &mut out).unwrap()),
    }
    serde_json::from_str(&out).unwrap()
}

/// What the client gets of a stream that comes in these pieces.
fn streamed<'b>(kind: &str, model: &str, pieces: impl Iterator<Item = &'b [u8]>) -> String {
    let (kind, mut out) = (find(kind).unwrap(), String::new());
    let mut pieces = pieces;
    match kind.speech_to(model) {
        Speech::Native(translator) => {
            let envelope = Envelope { thoughts: translator.thoughts(), ..ENVELOPE };
            let (mut decoder, mut encoder) = (translator.stream(), openai::StreamEncoder::new(&envelope));
            let mut sink = |choice: u32, delta: Delta<'_>| encoder.push(choice, delta, &mut out);
            let end = pieces.try_for_each(|piece| decoder.push(piece, &mut sink)).and_then(|()| decoder.end(&mut sink));
            match end {
                Ok(()) => encoder.end(&mut out),
                Err(error) => openai::error_event(&error, &mut out),
            }
        }
        Speech::OpenAi => {
            let classify = |error: model_gateway::json::Value<'_>| {
                kind.error(&Failure { status: 200, body: Some(error), name: None })
            };
            let mut stream = splice::Stream::new("m", false);
            let end = pieces.try_for_each(|piece| stream.push(piece, classify, &mut out));
            if let Err(error) = end.and_then(|()| stream.end(classify, &mut out)) {
                openai::error_event(&error, &mut out);
            }
        }
    }
    out
}

/// The chunks of a stream that the client got.
fn chunks(stream: &str) -> Vec<Value> {
    let lines = stream.replace("\r\n", "\n");
    let data = lines.split("\n\n").map(|event| -> String {
        event.lines().filter_map(|line| line.trim_start_matches('\u{feff}').strip_prefix("data: ")).collect()
    });
    let data = data.filter(|data| !data.is_empty() && data != "[DONE]");
    data.map(|data| serde_json::from_str(&data).unwrap()).collect()
}

/// Server-sent events, with the name that Anthropic gives them.
fn events(events: &[Value]) -> String {
    let name = |event: &Value| event["type"].as_str().map(|name| format!("event: {name}\n")).unwrap_or_default();
    events.iter().map(|event| format!("{}data: {event}\n\n", name(event))).collect()
}

/// What Anthropic streams of these blocks: each with its beginning and its deltas.
fn blocks(blocks: &[(Value, Vec<Value>)], reason: &str) -> String {
    let mut all = vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 3, "output_tokens": 1}}}),
    ];
    for (index, (block, deltas)) in blocks.iter().enumerate() {
        all.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        all.extend(deltas.iter().map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})));
        all.push(json!({"type": "content_block_stop", "index": index}));
    }
    all.push(json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 5}}));
    all.push(json!({"type": "message_stop"}));
    events(&all)
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

/// A tool with this schema.
fn tool(name: &str, parameters: Value) -> Value {
    json!({"type": "function", "function": {"name": name, "parameters": parameters}})
}

/// A call as clients send it back: they drop what OpenAI's interface does not have.
fn called(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

#[test]
fn every_item_has_a_test() {
    let sources = [include_str!("pitfalls/translation.rs"), include_str!("pitfalls/streams.rs")].concat();
    let mut numbers = Vec::new();
    for part in sources.split("\n#[test]\n").collect::<Vec<_>>().windows(2) {
        let doc: Vec<_> = part[0].lines().rev().take_while(|line| line.starts_with("///")).collect();
        let number =
            doc.last().and_then(|line| line.strip_prefix("/// Item ")?.split_once(": ")?.0.parse::<u32>().ok());
        numbers.push(number.unwrap_or_else(|| panic!("no number before {}", &part[1][..60])));
        assert!(part[1].starts_with("fn "));
    }
    assert_eq!(numbers, (1..=20).filter(|number| *number != 11).collect::<Vec<_>>());
}
