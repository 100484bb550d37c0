//! What vendors do that is in few recordings or in none: each leaves what the client sees the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Event, FOREIGN, changed, each_object};

/// The stream with one quirk each.
pub fn variants(kind: &str, events: &[Event]) -> Vec<(&'static str, Vec<Event>)> {
    let mut all =
        vec![("null in place of what is absent", nulled(events)), ("counts as floating point", floats(events))];
    match kind {
        "openai" | "mistral" => all.extend(openai(events)),
        "anthropic" => all.extend(anthropic(events)),
        "gemini" | "vertex" => all.extend(gemini(events)),
        "bedrock" => all.push(("no ends of blocks", without(events, "contentBlockStop"))),
        "cohere" => {
            let ends = ["content-end", "tool-call-end", "citation-end"];
            all.push(("no ends of blocks", ends.iter().fold(events.to_vec(), |events, name| without(&events, name))));
        }
        "ollama" => all.push(("calls with ids", calls_with_ids(events))),
        kind => panic!("{kind} has no quirks"),
    }
    all
}

/// Every member that an object has somewhere in the stream, as null where the same object has none.
fn nulled(events: &[Event]) -> Vec<Event> {
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in events {
        if let Ok(value) = serde_json::from_str(&event.data) {
            visit(&value, "", &mut |path, members| {
                known.entry(path.to_owned()).or_default().extend(members.keys().cloned());
            });
        }
    }
    known.entry(String::new()).or_default().insert("error".to_owned());
    changed(events, |value| fill(value, "", &known))
}

fn visit(value: &Value, path: &str, see: &mut dyn FnMut(&str, &Map<String, Value>)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| visit(item, path, see)),
        Value::Object(members) => {
            see(path, members);
            for (name, value) in members.iter().filter(|(name, _)| !FOREIGN.contains(&name.as_str())) {
                visit(value, &format!("{path}/{name}"), see);
            }
        }
        _ => {}
    }
}

fn fill(value: &mut Value, path: &str, known: &BTreeMap<String, BTreeSet<String>>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, path, known)),
        Value::Object(members) => {
            for (name, value) in members.iter_mut().filter(|(name, _)| !FOREIGN.contains(&name.as_str())) {
                fill(value, &format!("{path}/{name}"), known);
            }
            // What an event or a block is, is told by which of its members is there.
            for name in known.get(path).into_iter().flatten() {
                members.entry(name.clone()).or_insert(Value::Null);
            }
        }
        _ => {}
    }
}

/// `12.0` for `12`, as Cohere has it.
fn floats(events: &[Event]) -> Vec<Event> {
    changed(events, |value| {
        each_object(value, &|members| {
            for (_, value) in members.iter_mut().filter(|(name, _)| name.to_lowercase().contains("token")) {
                if let Some(count) = value.as_u64() {
                    *value = json!(count as f64);
                }
            }
        });
    })
}

fn without(events: &[Event], name: &str) -> Vec<Event> {
    events.iter().filter(|event| event.name.as_deref() != Some(name)).cloned().collect()
}

fn openai(events: &[Event]) -> Vec<(&'static str, Vec<Event>)> {
    let event = |data: Value| Event { name: None, data: data.to_string() };
    let parsed: Vec<Value> = events.iter().map(|event| serde_json::from_str(&event.data).unwrap_or_default()).collect();
    let is_last = |value: &Value| {
        let mut choices = value["choices"].as_array().into_iter().flatten();
        choices.any(|choice| choice["finish_reason"].as_str().is_some_and(|reason| !reason.is_empty()))
    };
    let mut all =
        vec![("no [DONE]", events.iter().filter(|event| event.data != "[DONE]").cloned().collect::<Vec<_>>())];
    let has_end = parsed.iter().any(is_last);
    if !has_end {
        all.clear();
    }
    // After the end of a choice: the same end again, and nothing.
    let mut again = Vec::new();
    for (sent, value) in events.iter().zip(&parsed) {
        again.push(sent.clone());
        if is_last(value) {
            let mut end = value.clone();
            end.as_object_mut().unwrap().remove("usage");
            let choices = end["choices"].as_array_mut().unwrap();
            choices.iter_mut().for_each(|choice| choice["delta"] = json!({}));
            again.push(event(end.clone()));
            let choices = end["choices"].as_array_mut().unwrap();
            choices.iter_mut().for_each(|choice| choice["finish_reason"] = Value::Null);
            again.push(event(end));
        }
    }
    all.push(("the end twice, and nothing after it", again));
    // Usage so far with every chunk: the last one counts.
    let mut usage =
        parsed.iter().filter_map(|value| value.get("usage").filter(|usage| usage.is_object())).next_back().cloned();
    if let Some(usage) = usage.take() {
        let everywhere = changed(events, |value| {
            if value["choices"].as_array().is_some_and(|choices| !choices.is_empty()) {
                value.as_object_mut().unwrap().insert("usage".to_owned(), usage.clone());
            }
        });
        all.push(("usage with every chunk", everywhere));
    }
    all.push((
        "the role with every chunk",
        changed(events, |value| {
            for delta in value["choices"]
                .as_array_mut()
                .into_iter()
                .flatten()
                .filter_map(|choice| choice["delta"].as_object_mut())
            {
                delta.insert("role".to_owned(), "assistant".into());
            }
        }),
    ));
    // Where one call comes after the other it is known by its place.
    let calls = |value: &Value| value["choices"][0]["delta"]["tool_calls"].as_array().map_or(0, Vec::len);
    if parsed
        .iter()
        .all(|value| calls(value) <= 1 && value["choices"].as_array().is_none_or(|choices| choices.len() <= 1))
    {
        all.push((
            "calls without index and type",
            changed(events, |value| {
                for choice in value["choices"].as_array_mut().into_iter().flatten() {
                    for call in choice["delta"]["tool_calls"]
                        .as_array_mut()
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_object_mut)
                    {
                        call.remove("index");
                        call.remove("type");
                    }
                }
            }),
        ));
    }
    all
}

fn anthropic(events: &[Event]) -> Vec<(&'static str, Vec<Event>)> {
    let ping = Event { name: Some("ping".to_owned()), data: json!({"type": "ping"}).to_string() };
    let pinged = events.iter().flat_map(|event| [ping.clone(), event.clone()]).collect();
    let mut doubled = Vec::new();
    for event in events {
        doubled.push(event.clone());
        doubled.extend((event.name.as_deref() == Some("message_delta")).then(|| event.clone()));
    }
    vec![
        ("pings first", pinged),
        ("the end of the message told twice", doubled),
        ("no ends of blocks", without(events, "content_block_stop")),
    ]
}

fn gemini(events: &[Event]) -> Vec<(&'static str, Vec<Event>)> {
    let parsed: Vec<Value> = events.iter().map(|event| serde_json::from_str(&event.data).unwrap_or_default()).collect();
    let event = |value: &Value| Event { name: None, data: value.to_string() };
    // The end comes by itself, then usage without any candidate.
    let (mut apart, mut usage) = (Vec::new(), None);
    let is_single = parsed.iter().all(|value| value["candidates"].as_array().is_none_or(|all| all.len() <= 1));
    for value in &parsed {
        let mut said = value.clone();
        usage = said.as_object_mut().unwrap().remove("usageMetadata").or(usage);
        let end = said.pointer_mut("/candidates/0").and_then(Value::as_object_mut).map(|candidate| {
            let names = ["finishReason", "finishMessage"];
            names.iter().filter_map(|name| Some(((*name).to_owned(), candidate.remove(*name)?))).collect::<Map<_, _>>()
        });
        apart.push(event(&said));
        if let Some(mut end) = end.filter(|end| !end.is_empty()) {
            end.insert("index".to_owned(), json!(0));
            apart.push(event(&json!({"candidates": [end]})));
        }
    }
    apart.extend(usage.map(|usage| event(&json!({"usageMetadata": usage}))));
    let empty = json!({"candidates": [{"content": {"role": "model", "parts": []}, "index": 0}]});
    let hollow = events.iter().flat_map(|sent| [event(&empty), sent.clone()]).collect();
    let mut all = vec![("candidates without parts", hollow)];
    if is_single {
        all.push(("the end apart", apart));
    }
    all
}

fn calls_with_ids(events: &[Event]) -> Vec<Event> {
    changed(events, |value| {
        for call in value["message"]["tool_calls"].as_array_mut().into_iter().flatten() {
            call["id"] = "call_1".into();
        }
    })
}
