//! Recorded streams, changed in ways that change nothing of what they say: other line ends and framing, what nobody has heard of
//! added, members in another order, letters escaped, nothings left out or put in, texts in other pieces. Each has to come to
//! the same for the client. A decoder that fits the recordings only to the letter fails here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "recordings_mutated/quirks.rs"]
mod quirks;
mod recordings;

use std::collections::BTreeMap;

use model_gateway::chat::Delta;
use model_gateway::clients::{Envelope, openai};
use model_gateway::frame::eventstream;
use model_gateway::json::Value as Node;
use model_gateway::providers::{Failure, Kind, Speech, find};
use model_gateway::splice;
use recordings::{Recording, load_any};
use serde_json::{Map, Value, json};

/// How a provider's stream is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Sse,
    Lines,
    Amazon,
}

/// One event: its name, where it has one, and its data.
#[derive(Debug, Clone)]
struct Event {
    name: Option<String>,
    data: String,
}

/// Endpoint of the recordings, the recordings' providers (none: all others), kind, and framing.
const SOURCES: &[(&str, &[&str], &str, Framing)] = &[
    ("messages", &["anthropic", "vertex"], "anthropic", Framing::Sse),
    ("streamGenerateContent", &["gemini"], "gemini", Framing::Sse),
    ("streamGenerateContent", &["vertex"], "vertex", Framing::Sse),
    ("converse-stream", &["bedrock"], "bedrock", Framing::Amazon),
    ("chat_v2", &["cohere"], "cohere", Framing::Sse),
    ("chat", &["ollama"], "ollama", Framing::Lines),
    ("chat_completions", &["mistral"], "mistral", Framing::Sse),
    ("chat_completions", &[], "openai", Framing::Sse),
];

fn events(recording: &Recording, framing: Framing) -> Option<Vec<Event>> {
    let named = |name: &str, data: &str| Event { name: Some(name.to_owned()), data: data.to_owned() };
    let body = recording.body.replace("\r\n", "\n");
    let events: Vec<Event> = match framing {
        Framing::Sse => {
            let field = |event: &str, name: &str| -> Option<String> {
                let lines: Vec<_> =
                    event.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':')).collect();
                (!lines.is_empty())
                    .then(|| lines.iter().map(|line| line.trim_start_matches(' ')).collect::<Vec<_>>().join("\n"))
            };
            let events = body
                .split("\n\n")
                .filter_map(|event| Some(Event { name: field(event, "event"), data: field(event, "data")? }));
            events.collect()
        }
        Framing::Lines => body
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| Event { name: None, data: line.to_owned() })
            .collect(),
        Framing::Amazon => {
            let mut decoder = eventstream::Decoder::default();
            decoder.push(&recording.bytes);
            let mut events = Vec::new();
            while let Some(frame) = decoder.next_frame().ok()? {
                // Exceptions are no events, and are left to the other tests.
                events.push(named(frame.text(":event-type")?, std::str::from_utf8(frame.payload).ok()?));
            }
            events
        }
    };
    let parsed =
        events.iter().all(|event| event.data == "[DONE]" || serde_json::from_str::<Value>(&event.data).is_ok());
    (events.len() > 1 && parsed).then_some(events)
}

fn framed(events: &[Event], framing: Framing) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Event { name, data } in events {
        match framing {
            Framing::Sse => {
                let name = name.as_ref().map(|name| format!("event: {name}\n")).unwrap_or_default();
                bytes.extend(format!("{name}data: {}\n\n", data.replace('\n', "\ndata: ")).bytes());
            }
            Framing::Lines => bytes.extend(format!("{data}\n").bytes()),
            Framing::Amazon => {
                let name = name.as_deref().unwrap_or_default();
                eventstream::write(&[(":event-type", name), (":message-type", "event")], data.as_bytes(), &mut bytes);
            }
        }
    }
    bytes
}

/// What a client makes of a stream.
#[derive(Debug, Default, Clone, PartialEq)]
struct Summary {
    choices: BTreeMap<u64, Choice>,
    usage: Value,
    error: Value,
    is_done: bool,
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Choice {
    text: String,
    reasoning: String,
    signatures: String,
    /// Names and arguments.
    calls: BTreeMap<u64, (String, String)>,
    finish: Value,
}

fn outcome<'b>(kind: &dyn Kind, pieces: impl Iterator<Item = &'b [u8]>) -> Summary {
    let (mut out, mut pieces) = (String::new(), pieces);
    match kind.speech_to("m") {
        Speech::Native(translator) => {
            let thoughts = translator.thoughts();
            let envelope = Envelope { id: "", model: "m", created: 1, include_usage: true, thoughts };
            let (mut decoder, mut encoder) = (translator.stream(), openai::StreamEncoder::new(&envelope));
            let mut sink = |choice: u32, delta: Delta<'_>| encoder.push(choice, delta, &mut out);
            let end = pieces.try_for_each(|piece| decoder.push(piece, &mut sink)).and_then(|()| decoder.end(&mut sink));
            match end {
                Ok(()) => encoder.end(&mut out),
                Err(error) => openai::error_event(&error, &mut out),
            }
        }
        Speech::OpenAi => {
            let classify = |error: Node<'_>| kind.error(&Failure { status: 200, body: Some(error), name: None });
            let mut stream = splice::Stream::new("m", true);
            let end = pieces.try_for_each(|piece| stream.push(piece, classify, &mut out));
            if let Err(error) = end.and_then(|()| stream.end(classify, &mut out)) {
                openai::error_event(&error, &mut out);
            }
        }
    }
    summarise(&out)
}

fn summarise(out: &str) -> Summary {
    let mut summary = Summary::default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for event in out.replace("\r\n", "\n").replace('\r', "\n").split("\n\n") {
        let data: String = event
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .map(str::trim_start)
            .collect::<Vec<_>>()
            .join("\n");
        if data.is_empty() || data == "[DONE]" {
            summary.is_done |= data == "[DONE]";
            continue;
        }
        let chunk: Value = serde_json::from_str(&data).expect(&data);
        if chunk["error"].is_object() {
            summary.error = chunk["error"].clone();
        }
        if chunk["usage"].is_object() {
            // As numbers, however they are written.
            summary.usage = json!([
                chunk["usage"]["prompt_tokens"].as_f64(),
                chunk["usage"]["completion_tokens"].as_f64(),
                chunk["usage"]["prompt_tokens_details"]["cached_tokens"].as_f64()
            ]);
        }
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            let known = summary.choices.entry(choice["index"].as_u64().unwrap_or(0)).or_default();
            let delta = &choice["delta"];
            known.text += &text(&delta["content"]);
            known.reasoning += &(text(&delta["reasoning_content"]) + &text(&delta["reasoning"]));
            for detail in delta["reasoning_details"].as_array().into_iter().flatten() {
                known.signatures += &(text(&detail["signature"]) + &text(&detail["data"]));
            }
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                let at = known.calls.entry(call["index"].as_u64().unwrap_or(0)).or_default();
                at.0 += &text(&call["function"]["name"]);
                at.1 += &text(&call["function"]["arguments"]);
            }
            if !choice["finish_reason"].is_null() {
                known.finish = json!([choice["finish_reason"], choice["native_finish_reason"]]);
            }
        }
    }
    // What is an object within the provider's event may come in another order.
    let calls = summary.choices.values_mut().flat_map(|choice| choice.calls.values_mut());
    for (_, arguments) in calls {
        *arguments = serde_json::from_str::<Value>(arguments).map_or(arguments.clone(), |value| value.to_string());
    }
    summary
}

/// How JSON is written anew.
#[derive(Debug, Clone, Copy)]
enum Style {
    Reversed,
    Escaped,
    Pretty,
}

fn write(value: &Value, style: Style, out: &mut String) {
    let string = |text: &str, out: &mut String| match style {
        Style::Escaped => {
            let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
            *out += &format!("\"{units}\"");
        }
        Style::Reversed | Style::Pretty => *out += &Value::from(text).to_string(),
    };
    let gap = if matches!(style, Style::Pretty) { "\n " } else { "" };
    match value {
        Value::String(text) => string(text, out),
        Value::Array(items) => {
            *out += "[";
            for (at, item) in items.iter().enumerate() {
                *out += if at > 0 { "," } else { "" };
                *out += gap;
                write(item, style, out);
            }
            *out += gap;
            *out += "]";
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.reverse();
            *out += "{";
            for (at, (name, value)) in members.into_iter().enumerate() {
                *out += if at > 0 { "," } else { "" };
                *out += gap;
                string(name, out);
                *out += gap;
                *out += ":";
                *out += gap;
                write(value, style, out);
            }
            *out += gap;
            *out += "}";
        }
        plain => *out += &plain.to_string(),
    }
}

/// What is a client's or a model's own, and not the provider's to change.
const FOREIGN: &[&str] = &["input", "args", "arguments", "parameters", "logprobs", "annotations", "citations"];

/// Does `change` to every object that is the provider's.
fn each_object(value: &mut Value, change: &dyn Fn(&mut Map<String, Value>)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each_object(item, change)),
        Value::Object(members) => {
            members
                .iter_mut()
                .filter(|(name, _)| !FOREIGN.contains(&name.as_str()))
                .for_each(|(_, value)| each_object(value, change));
            change(members);
        }
        _ => {}
    }
}

/// Where deltas have their text, by kind of provider.
fn texts(kind: &str) -> &'static [&'static str] {
    match kind {
        "anthropic" => &["/delta/text", "/delta/thinking", "/delta/partial_json"],
        "gemini" | "vertex" => &["/candidates/0/content/parts/0/text"],
        "bedrock" => &["/delta/text", "/delta/toolUse/input", "/delta/reasoningContent/text"],
        "cohere" => &[
            "/delta/message/content/text",
            "/delta/message/content/thinking",
            "/delta/message/tool_calls/function/arguments",
        ],
        "ollama" => &["/message/content", "/message/thinking"],
        _ => &["/choices/0/delta/content", "/choices/0/delta/reasoning_content", "/choices/0/delta/reasoning"],
    }
}

/// Whether an event says a text and nothing else of weight.
fn is_plain(event: &Value) -> bool {
    let is_single =
        |pointer: &str| event.pointer(pointer).and_then(Value::as_array).is_none_or(|items| items.len() == 1);
    let nothing = [
        "/candidates/0/finishReason",
        "/choices/0/finish_reason",
        "/choices/0/logprobs",
        "/usage",
        "/choices/0/delta/tool_calls",
        "/choices/0/delta/reasoning_details",
        "/message/tool_calls",
        "/candidates/0/content/parts/0/thoughtSignature",
        "/candidates/0/groundingMetadata",
    ];
    is_single("/candidates")
        && is_single("/candidates/0/content/parts")
        && is_single("/choices")
        && nothing.iter().all(|pointer| event.pointer(pointer).is_none_or(Value::is_null))
        && event["done"] != true
}

/// The one text that an event has, if there is one.
fn text_of(kind: &str, event: &Value) -> Option<(&'static str, String)> {
    let mut found = texts(kind)
        .iter()
        .filter_map(|at| Some((*at, event.pointer(at)?.as_str()?.to_owned())))
        .filter(|(_, text)| !text.is_empty());
    found.next().filter(|_| found.next().is_none() && is_plain(event))
}

fn with_text(event: &Value, at: &str, text: &str) -> Value {
    let mut event = event.clone();
    *event.pointer_mut(at).unwrap() = text.into();
    event
}

fn split(kind: &str, events: &[Event]) -> Vec<Event> {
    let mut all = Vec::new();
    for event in events {
        let value: Value = serde_json::from_str(&event.data).unwrap_or_default();
        match text_of(kind, &value) {
            Some((at, text)) => {
                let half = text.char_indices().map(|(index, _)| index).nth(text.chars().count() / 2).unwrap();
                let parts = [&text[..half], &text[half..]].map(|part| with_text(&value, at, part).to_string());
                all.extend(parts.map(|data| Event { name: event.name.clone(), data }));
            }
            None => all.push(event.clone()),
        }
    }
    all
}

fn merged(kind: &str, events: &[Event]) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    for event in events {
        let value: Value = serde_json::from_str(&event.data).unwrap_or_default();
        let before: Value = all.last().and_then(|last| serde_json::from_str(&last.data).ok()).unwrap_or_default();
        match (text_of(kind, &before), text_of(kind, &value)) {
            // The same but for their text and what numbers them.
            (Some((at, one)), Some((other_at, other))) if at == other_at && shape(&before, at) == shape(&value, at) => {
                all.last_mut().unwrap().data = with_text(&value, at, &(one + &other)).to_string();
            }
            _ => all.push(event.clone()),
        }
    }
    all
}

fn shape(event: &Value, at: &str) -> Value {
    let mut event = with_text(event, at, "");
    for name in ["usageMetadata", "obfuscation", "p", "created_at", "created", "system_fingerprint"] {
        event.as_object_mut().unwrap().remove(name);
    }
    event
}

fn changed(events: &[Event], change: impl Fn(&mut Value)) -> Vec<Event> {
    let mut events = events.to_vec();
    for event in events.iter_mut().filter(|event| event.data != "[DONE]") {
        let mut value = serde_json::from_str(&event.data).unwrap();
        change(&mut value);
        event.data = value.to_string();
    }
    events
}

fn styled(events: &[Event], style: Style) -> Vec<Event> {
    let mut events = events.to_vec();
    for event in events.iter_mut().filter(|event| event.data != "[DONE]") {
        let value: Value = serde_json::from_str(&event.data).unwrap();
        event.data.clear();
        write(&value, style, &mut event.data);
    }
    events
}

/// What nobody has heard of yet, after each event but the last.
fn strange(kind: &str, events: &[Event]) -> Vec<Event> {
    let event = |name: Option<&str>, data: Value| Event { name: name.map(str::to_owned), data: data.to_string() };
    let new = match kind {
        "anthropic" => {
            event(Some("new_thing"), json!({"type": "new_thing", "index": 0, "delta": {"type": "new", "text": "x"}}))
        }
        "cohere" => event(Some("new-thing"), json!({"type": "new-thing", "delta": {"new": "x"}})),
        "bedrock" => event(Some("newThing"), json!({"newThing": {"text": "x"}})),
        "gemini" | "vertex" => event(None, json!({"newThing": {"text": "x"}, "candidates": []})),
        "ollama" => {
            event(None, json!({"model": "m", "message": {"role": "assistant", "content": ""}, "done": false, "new": 1}))
        }
        _ => event(None, json!({"id": "c", "object": "new.thing", "choices": [], "new": 1})),
    };
    let mut all = Vec::new();
    for (at, event) in events.iter().enumerate() {
        all.push(event.clone());
        all.extend((at + 1 < events.len() && event.data != "[DONE]").then(|| new.clone()));
    }
    all
}

/// The stream in other words, each with a name.
fn variants(kind: &str, events: &[Event], framing: Framing) -> Vec<(&'static str, Vec<u8>)> {
    let frame = |events: &[Event]| framed(events, framing);
    let text = String::from_utf8(frame(events)).unwrap_or_default();
    let is_foreign = |name: &str| FOREIGN.contains(&name);
    let mut all = vec![
        ("split", frame(&split(kind, events))),
        ("split twice", frame(&split(kind, &split(kind, events)))),
        ("merged", frame(&merged(kind, events))),
        ("reversed members", frame(&styled(events, Style::Reversed))),
        ("escaped letters", frame(&styled(events, Style::Escaped))),
        (
            "unknown members",
            frame(&changed(events, |value| {
                each_object(value, &|members| {
                    members.insert("a_new".to_owned(), json!({"text": "x", "content": [1, null]}));
                    members.insert("zz_new".to_owned(), json!("é\"x"));
                })
            })),
        ),
        (
            "no nulls",
            frame(&changed(events, |value| {
                each_object(value, &|members| {
                    members.retain(|name, value| !value.is_null() || is_foreign(name));
                })
            })),
        ),
        (
            "what has no weight left out",
            frame(&changed(events, |value| {
                let members = value.as_object_mut().unwrap();
                for name in [
                    "id",
                    "object",
                    "created",
                    "system_fingerprint",
                    "service_tier",
                    "obfuscation",
                    "p",
                    "provider",
                    "modelVersion",
                    "responseId",
                    "createTime",
                    "created_at",
                    "x_groq",
                    "logprobs",
                    "prompt_filter_results",
                ] {
                    members.remove(name);
                }
            })),
        ),
        ("unknown events", frame(&strange(kind, events))),
    ];
    all.extend(quirks::variants(kind, events).into_iter().map(|(what, events)| (what, frame(&events))));
    if texts(kind)[0].starts_with("/choices") {
        all.push((
            "nulls",
            frame(&changed(events, |value| {
                let deltas = value["choices"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut);
                for choice in deltas {
                    for name in ["finish_reason", "logprobs"] {
                        choice.entry(name).or_insert(Value::Null);
                    }
                    if let Some(Value::Object(delta)) = choice.get_mut("delta") {
                        for name in
                            ["role", "content", "refusal", "tool_calls", "function_call", "reasoning_content", "audio"]
                        {
                            delta.entry(name).or_insert(Value::Null);
                        }
                    }
                }
                value.as_object_mut().unwrap().entry("usage").or_insert(Value::Null);
            })),
        ));
    }
    match framing {
        Framing::Sse => all.extend([
            ("CR", text.replace('\n', "\r").into_bytes()),
            ("ends of lines of every form", text.replace("\n\n", "\r\n\n").into_bytes()),
            ("pings", text.replace("\n\n", "\n\nevent: ping\n\nevent: keep-alive\ndata:\n\n").into_bytes()),
            ("CRLF", text.replace('\n', "\r\n").into_bytes()),
            ("LF", text.clone().into_bytes()),
            ("no blank after the colon", text.replace("data: ", "data:").replace("event: ", "event:").into_bytes()),
            ("comments", text.replace("\n\n", "\n\n: a comment\n\n:\n\n").into_bytes()),
            ("other fields", text.replace("data: ", "id: 7\nretry: 10\nnew: x\ndata: ").into_bytes()),
            ("several lines of data", frame(&styled(events, Style::Pretty))),
            ("no last blank line", text.trim_end().as_bytes().to_vec()),
            ("a mark of the order of bytes", format!("\u{feff}{text}").into_bytes()),
            (
                "no names",
                text.lines()
                    .filter(|line| !line.starts_with("event:"))
                    .map(|line| format!("{line}\n"))
                    .collect::<String>()
                    .into_bytes(),
            ),
        ]),
        Framing::Lines => all.extend([
            ("CRLF", text.replace('\n', "\r\n").into_bytes()),
            ("empty lines", text.replace('\n', "\n\n").into_bytes()),
            ("no last end of line", text.trim_end().as_bytes().to_vec()),
        ]),
        Framing::Amazon => {}
    }
    all
}

#[test]
fn what_is_said_otherwise_comes_to_the_same() {
    let named: Vec<&str> = SOURCES.iter().flat_map(|(_, providers, ..)| *providers).copied().collect();
    let (mut streams, mut runs, mut wrong) = (0, 0, Vec::new());
    for (endpoint, providers, name, framing) in SOURCES {
        let is_wanted = |provider: &str| {
            if providers.is_empty() { !named.contains(&provider) } else { providers.contains(&provider) }
        };
        let Some(recordings) = load_any(endpoint, is_wanted) else { return };
        let kind = find(name).unwrap();
        let streamed = recordings.iter().filter(|recording| recording.status == 200);
        for (recording, events) in streamed.filter_map(|recording| Some((recording, events(recording, *framing)?))) {
            streams += 1;
            let raw = if *framing == Framing::Amazon { &recording.bytes[..] } else { recording.body.as_bytes() };
            let expected = outcome(kind, std::iter::once(raw));
            for (what, bytes) in variants(name, &events, *framing) {
                runs += 2;
                for (how, found) in [
                    ("whole", outcome(kind, std::iter::once(&bytes[..]))),
                    ("in sevens", outcome(kind, bytes.chunks(7))),
                ] {
                    if found != expected {
                        wrong.push(format!("{}, {what}, {how}:\n  {found:?}\n  {expected:?}", recording.id));
                    }
                }
            }
        }
    }
    println!("{streams} recorded streams in {runs} other forms");
    assert!(wrong.is_empty(), "{} of {runs}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(streams >= 40, "{streams}");
}
