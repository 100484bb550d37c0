//! Recorded chat completions of every provider that speaks OpenAI's dialect, spliced: what the client gets is compared
//! with what a plain reading of the recording finds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod recordings;

use std::collections::BTreeMap;

use model_gateway::chat::Usage;
use model_gateway::error::{Cause, Error};
use model_gateway::json::{Document, Value as Node};
use model_gateway::providers::openai::OpenAi;
use model_gateway::providers::{Failure, KINDS, Kind, Speech, find};
use model_gateway::splice::{self, Facts, Stream};
use recordings::{Recording, cuts, load};
use serde_json::{Value, json};

const ASKED: &str = "the \"asked\" model";

/// What an answer comes to, choice by choice.
type Summary = BTreeMap<u64, Choice>;

#[derive(Debug, Default, Clone, PartialEq)]
struct Choice {
    text: String,
    reasoning: String,
    calls: BTreeMap<u64, Call>,
    finish: Option<String>,
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Call {
    id: String,
    name: String,
    arguments: String,
}

/// Adds a whole answer or a chunk. `exact`: as official clients do, who add all texts up; else an id counts once.
fn add(summary: &mut Summary, answer: &Value, exact: bool) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for choice in answer["choices"].as_array().into_iter().flatten() {
        let known = summary.entry(choice["index"].as_u64().unwrap_or(0)).or_default();
        let said = if answer["object"] == "chat.completion" { &choice["message"] } else { &choice["delta"] };
        known.text += &text(&said["content"]);
        // Mistral's list of thoughts and texts.
        for part in said["content"].as_array().into_iter().flatten() {
            known.text += &text(&part["text"]);
            known.reasoning +=
                &part["thinking"].as_array().into_iter().flatten().map(|part| text(&part["text"])).collect::<String>();
        }
        known.reasoning += &(text(&said["reasoning"]) + &text(&said["reasoning_content"]));
        for (position, call) in said["tool_calls"].as_array().into_iter().flatten().enumerate() {
            let call_at = known.calls.entry(call["index"].as_u64().unwrap_or(position as u64)).or_default();
            for (known, text) in
                [(&mut call_at.id, text(&call["id"])), (&mut call_at.name, text(&call["function"]["name"]))]
            {
                if exact || known.is_empty() {
                    *known += &text;
                }
            }
            call_at.arguments += &text(&call["function"]["arguments"]);
        }
        let finish = choice["finish_reason"].as_str();
        known.finish = finish.filter(|finish| exact || !finish.is_empty()).map(str::to_owned).or(known.finish.take());
    }
}

/// What the client is to see of an answer that reads so.
fn told(mut read: Summary) -> Summary {
    for choice in read.values_mut() {
        for call in choice.calls.values_mut().filter(|call| call.arguments.is_empty() && !call.name.is_empty()) {
            call.arguments = "{}".to_owned();
        }
        let finish = choice.finish.take().unwrap_or_else(|| "stop".to_owned());
        choice.finish =
            Some(if finish == "stop" && !choice.calls.is_empty() { "tool_calls".to_owned() } else { finish });
    }
    read
}

/// What is counted of an object `usage`.
fn tokens(usage: &Value) -> Option<(u64, u64, u64)> {
    let count = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64);
    let (input, output) = (count("/prompt_tokens")?, count("/completion_tokens").unwrap_or(0));
    let reasoning = count("/completion_tokens_details/reasoning_tokens").unwrap_or(0);
    let audio = count("/prompt_tokens_details/audio_tokens").unwrap_or(0);
    let cached = count("/prompt_tokens_details/cached_tokens").or(count("/num_cached_tokens")).unwrap_or(0);
    let input = if audio > input { input + audio } else { input };
    let total = count("/total_tokens").unwrap_or(0);
    let output = if reasoning > output { output + reasoning } else { output.max(total.saturating_sub(input)) };
    Some((input, cached.min(input), output))
}

fn counted(usage: Option<Usage>) -> Option<(u64, u64, u64)> {
    usage.map(|usage| (usage.input, usage.cached, usage.output))
}

/// The events of a stream, without comments and `[DONE]`.
fn events(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).expect(data)).collect()
}

/// The kind that an operator would write for a provider of the recordings.
fn kind_of(provider: &str) -> &'static dyn Kind {
    let name = match provider {
        "azure" => "azure-openai",
        "zai" => "zhipu",
        name => name,
    };
    find(name).filter(|kind| matches!(kind.speech(), Speech::OpenAi)).unwrap_or(&OpenAi)
}

fn classify(error: Node<'_>) -> Error {
    OpenAi.error(&Failure { status: 200, body: Some(error), name: None })
}

/// The client's bytes, how it ended, the usage, and whether there was content.
type Outcome = (String, Result<(), Error>, Option<Usage>, bool);

fn run<'c>(chunks: impl IntoIterator<Item = &'c [u8]>, include_usage: bool) -> Outcome {
    let mut stream = Stream::new(ASKED, include_usage);
    let mut out = String::new();
    let result = chunks.into_iter().try_for_each(|chunk| stream.push(chunk, classify, &mut out));
    let result = result.and_then(|()| stream.end(classify, &mut out));
    // Of a stream that broke off in the midst of an event there is no more.
    let data = out.lines().filter_map(|line| line.strip_prefix("data:"));
    let events: Vec<Value> = data.filter_map(|data| serde_json::from_str(data).ok()).collect();
    let choices = events.iter().filter_map(|event| event["choices"].as_array()).flatten();
    assert_eq!(stream.finishes(), choices.filter_map(|choice| choice["finish_reason"].as_str()).collect(), "{out}");
    (out, result, stream.usage(), stream.has_content())
}

/// `event` as the client is to get it, but for what has to be mended.
fn renamed(event: &Value) -> Value {
    let mut event = event.clone();
    if let Some(model @ Value::String(_)) = event.get_mut("model") {
        *model = ASKED.into();
    }
    event
}

/// `event` without what may be mended: everything else has to be the same.
fn bare(event: &Value) -> Value {
    let mut event = renamed(event);
    for choice in event["choices"].as_array_mut().into_iter().flatten() {
        choice.as_object_mut().unwrap().retain(|name, _| name != "finish_reason" && name != "native_finish_reason");
        if choice.get("message").is_none() && choice.get("delta").is_none() {
            choice["delta"] = json!({});
        }
        for said in ["message", "delta"] {
            if let Some(said) = choice.get_mut(said).and_then(Value::as_object_mut) {
                flatten(said);
            }
            for call in
                choice.pointer_mut(&format!("/{said}/tool_calls")).and_then(Value::as_array_mut).into_iter().flatten()
            {
                call.as_object_mut().unwrap().retain(|name, _| name == "custom");
            }
        }
    }
    event
}

/// Makes texts of Mistral's list of thoughts and texts.
fn flatten(said: &mut serde_json::Map<String, Value>) {
    let Some(parts) = said.get("content").and_then(Value::as_array).cloned() else { return };
    let joined = |texts: Vec<&Value>| {
        (!texts.is_empty()).then(|| texts.into_iter().map(|text| text.as_str().unwrap()).collect::<String>())
    };
    let texts = parts.iter().filter_map(|part| part.get("text")).collect();
    let thoughts = parts.iter().filter_map(|part| part["thinking"].as_array()).flatten().map(|part| &part["text"]);
    said.insert("content".to_owned(), json!(joined(texts)));
    if let Some(thought) = joined(thoughts.collect()) {
        let detail = json!({"type": "reasoning.text", "text": thought, "format": "mistral-v1", "index": 0});
        said.insert("reasoning_details".to_owned(), json!([detail]));
        said.insert("reasoning_content".to_owned(), thought.into());
    }
}

/// How many events were mended, and how many added.
fn compare(name: &str, sent: &[Value], got: &[Value]) -> (usize, usize) {
    let mut sent = sent.iter().peekable();
    let (mut mended, mut added) = (0, 0);
    for event in got {
        match sent.next_if(|sent| bare(sent) == bare(event)) {
            Some(sent) => mended += usize::from(renamed(sent) != *event),
            None => added += 1,
        }
    }
    assert_eq!(sent.next(), None, "{name}: an event is missing");
    (mended, added)
}

/// Checks a stream; whether something in it was mended.
fn check_stream(name: &str, body: &str) -> bool {
    let bytes = body.as_bytes();
    let whole = run([bytes], true);
    let sent = events(body);
    assert_eq!((&whole.1, whole.3), (&Ok(()), true), "{name}");
    assert!(whole.0.ends_with("\ndata: [DONE]\n\n") && whole.0.matches("data: [DONE]").count() == 1, "{name}");

    let got = events(&whole.0);
    let (mut read, mut seen) = (Summary::new(), Summary::new());
    sent.iter().for_each(|event| add(&mut read, event, false));
    got.iter().for_each(|event| add(&mut seen, event, true));
    let unsaid = read.values().filter(|choice| choice.finish.is_none()).count();
    let uncalled =
        read.values().flat_map(|choice| choice.calls.values()).filter(|call| call.arguments.is_empty()).count();
    let (mended, added) = compare(name, &sent, &got);
    assert_eq!(added, unsaid + uncalled, "{name}");
    assert_eq!(seen, told(read), "{name}");

    let groqs = sent.iter().filter_map(|event| tokens(&event["x_groq"]["usage"])).next_back();
    let usage = sent.iter().filter_map(|event| tokens(&event["usage"])).next_back().or(groqs);
    assert_eq!(counted(whole.2), usage, "{name}");
    let unasked = run([bytes], false);
    assert_eq!((&unasked.1, counted(unasked.2)), (&Ok(()), usage), "{name}");
    let mut without = Summary::new();
    for event in events(&unasked.0) {
        assert!(event.get("usage").is_none_or(Value::is_null), "{name}: {event}");
        add(&mut without, &event, true);
    }
    assert_eq!(without, seen, "{name}");

    assert_eq!(run(bytes.chunks(1), true), whole, "{name} byte by byte");
    let finished = r#""finish_reason":""#;
    let complete = body.replace("\": \"", "\":\"").find(finished).or(body.find("[DONE]")).unwrap();
    for at in cuts(bytes.len()) {
        let (first, second) = bytes.split_at(at);
        assert_eq!(run([first, second], true), whole, "{name} cut at {at}");
        if at < complete {
            let (out, result, ..) = run([first], true);
            assert!(result.is_err() && !out.contains("[DONE]"), "{name} ending at {at}");
        }
    }
    mended + added > 0
}

/// Checks a complete answer; whether something in it was mended.
fn check_answer(name: &str, body: &str) -> bool {
    let mut out = String::new();
    let answered = splice::answer(body.as_bytes(), ASKED, classify, &mut out).expect(name);
    let (sent, got): (Value, Value) = (serde_json::from_str(body).unwrap(), serde_json::from_str(&out).expect(name));
    let (mut read, mut seen) = (Summary::new(), Summary::new());
    add(&mut read, &sent, false);
    add(&mut seen, &got, true);
    if sent.pointer("/choices/0/finish_reason").is_some() {
        read = told(read);
    }
    assert_eq!(seen, read, "{name}");
    assert_eq!(bare(&got), bare(&sent), "{name}");
    assert_eq!(counted(answered.usage), tokens(&sent["usage"]), "{name}");
    let ends = got["choices"].as_array().unwrap().iter().filter_map(|choice| choice["finish_reason"].as_str());
    assert_eq!(answered.finishes, ends.collect(), "{name}");
    renamed(&sent) != got
}

/// Checks an error with its own status, or inside a 200.
fn check_error(name: &str, kind: &dyn Kind, status: u16, body: &str) {
    let error = if status == 200 {
        let (out, result, _, content) = run([body.as_bytes()], true);
        assert!(out.is_empty() && !content, "{name}: another target can still take over");
        assert_eq!(run(body.as_bytes().chunks(1), true).1, result, "{name}");
        result.unwrap_err()
    } else {
        kind.error(&Failure { status, body: Some(Document::parse(body.as_bytes()).unwrap().root()), name: None })
    };
    let body = if status == 200 { events(body).pop().unwrap() } else { serde_json::from_str(body).unwrap() };
    let places = [&body["error"]["message"], &body["error"], &body["message"]];
    let said = places.into_iter().find_map(Value::as_str).unwrap();
    let whole = body.to_string();
    let cause = match status {
        200 => Cause::ServerError,
        400 if whole.contains("maximum context length") => Cause::ContextWindow,
        400 if whole.contains("model_decommissioned") => Cause::TargetNotFound,
        400 => Cause::BadRequest,
        403 if whole.contains("violates") => Cause::ContentPolicy,
        401 | 403 => Cause::Authentication,
        404 => Cause::TargetNotFound,
        429 => Cause::RateLimited,
        other => panic!("{name}: what is {other}?"),
    };
    assert_eq!((error.cause, error.status), (cause, Some(status)), "{name}");
    assert!(error.message.starts_with(said), "{name}: {}", error.message);
    assert_eq!(error.cause.falls_back(), ![400, 403].contains(&error.client_status()), "{name}");
}

/// Changes a request as the provider's row says, plainly. What is lost of it and matters.
fn differ(request: &mut Value, kind: &dyn Kind) -> Vec<String> {
    let differences = kind.differences();
    let members = request.as_object_mut().unwrap();
    let mut lost = Vec::new();
    for name in differences.refuses {
        let value = members.remove(*name).unwrap_or_default();
        let matters =
            [json!(null), json!(false), json!(0), json!(0.0), json!({})].iter().all(|nothing| value != *nothing);
        if matters && !["stream_options", "modalities", "verbosity"].contains(name) {
            lost.push((*name).to_owned());
        }
    }
    for (old, new) in differences.renames {
        if let Some(value) = members.remove(*old).filter(|value| !value.is_null()) {
            members.insert((*new).to_owned(), value);
        }
    }
    for message in request["messages"].as_array_mut().unwrap() {
        let message = message.as_object_mut().unwrap();
        message.retain(|name, _| !differences.message_refuses.contains(&name.as_str()));
        if !differences.knows_developer && message["role"] == "developer" {
            message["role"] = "system".into();
        }
    }
    lost
}

/// A request as far as ids of calls go: only that they fit each other.
fn ids(request: &Value) -> (Value, Vec<String>) {
    let mut request = request.clone();
    let mut ids = Vec::new();
    let mut take = |id: &mut Value| {
        ids.extend(id.as_str().map(str::to_owned));
        *id = "ID".into();
    };
    for message in request["messages"].as_array_mut().into_iter().flatten() {
        for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            call.get_mut("id").map(&mut take);
        }
        message.get_mut("tool_call_id").map(&mut take);
    }
    (request, ids)
}

/// Which of them are the same.
fn places(ids: &[String]) -> Vec<Option<usize>> {
    ids.iter().map(|id| ids.iter().position(|other| other == id)).collect()
}

/// Sends the request on, unless it names its model in the path.
fn check_request(name: &str, request: &Value) -> bool {
    for text in [request.to_string(), serde_json::to_string_pretty(request).unwrap()] {
        let document = Document::parse(text.as_bytes()).expect(name);
        let facts = match Facts::read(&document) {
            Ok(facts) => facts,
            Err(error) => {
                assert_eq!((error.param.as_deref(), request.get("model")), (Some("model"), None), "{name}");
                return false;
            }
        };
        assert_eq!(*facts.model.decode(), *request["model"].as_str().unwrap(), "{name}");
        assert_eq!(facts.stream, request["stream"] == true, "{name}");
        for kind in KINDS.iter().filter(|kind| matches!(kind.speech(), Speech::OpenAi) && kind.writer().is_none()) {
            let mut out = String::new();
            let dropped = splice::request(&document, &facts, ASKED, kind.differences(), &mut out);
            let mut expected = renamed(request);
            let refuses = kind.differences().refuses;
            if facts.stream && !refuses.contains(&"stream_options") {
                let options = &mut expected["stream_options"];
                assert_eq!(facts.include_usage, options["include_usage"] == true, "{name}");
                options["include_usage"] = json!(true);
            }
            let lost = differ(&mut expected, *kind);
            let (sent, sent_ids) = ids(&serde_json::from_str(&out).expect(name));
            let (expected, old_ids) = ids(&expected);
            assert_eq!(sent, expected, "{name} to {}", kind.name());
            assert_eq!(places(&sent_ids), places(&old_ids), "{name} to {}", kind.name());
            assert_eq!(sent_ids, old_ids, "{name}");
            assert!(lost.iter().all(|lost| dropped.contains(lost)), "{name} to {}: {lost:?} {dropped:?}", kind.name());
        }
    }
    true
}

#[test]
fn recordings_come_out_as_they_read() {
    let Some(recordings) = load("chat_completions", |_| true) else { return };
    let mut counts: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for Recording { id, provider, status, body, .. } in &recordings {
        let count = counts.entry(provider).or_default();
        let is_stream = serde_json::from_str::<Value>(body).is_err();
        let [what, mended] = match *status {
            200 if is_stream && !body.contains("data: {\"error\"") => [0, usize::from(check_stream(id, body))],
            200 if !is_stream => [1, usize::from(check_answer(id, body))],
            status => {
                check_error(id, kind_of(provider), status, body);
                [2, 0]
            }
        };
        count[what] += 1;
        count[3] += mended;
    }
    for (provider, [streams, answers, errors, mended]) in &counts {
        println!("{provider}: {streams} streams, {answers} answers, {errors} errors; {mended} mended");
    }
    println!("{} recordings", recordings.len());
}

#[test]
fn requests_go_on_as_they_came() {
    let Some(recordings) = load("chat_completions", |_| true) else { return };
    let sent = recordings.iter().filter(|recording| check_request(&recording.id, &recording.request)).count();
    println!("{sent} of {} requests, the others name their model in the path", recordings.len());
    assert!(sent * 10 > recordings.len() * 9);
}
