//! Replays `tests/vectors/<kind>/<case>/` through a client dialect and a provider, as the exchange does.
//!
//! | what goes in | what has to come out |
//! | --- | --- |
//! | `request.json`, an OpenAI client's | `upstream.json` and `dropped.txt` (absent: nothing), or `refused.json` |
//! | `response.json`, the provider's | `client.json`, or `refused.json` |
//! | `stream.in`, the provider's bytes (for Amazon's frames: lines of type, name and payload) | `stream.out`, however they are cut |
//! | `error.json`, status, body and `x-amzn-errortype` (`name`) of the provider | `error.out.json` |
//!
//! In folders that begin with `embed` it is requests for embeddings and their answers; `path.txt` has where the request goes.
//!
//! `request.json` names the provider's model; `SOURCE` says where the case is from. `UPDATE=1 cargo test --test vectors`
//! writes what comes out into the files: read the diff.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

use model_gateway::chat::Delta;
use model_gateway::clients::{Envelope, openai};
use model_gateway::dialect::Operation;
use model_gateway::embedding::Encoding;
use model_gateway::error::Error;
use model_gateway::frame::eventstream;
use model_gateway::json::{Document, Value as Node};
use model_gateway::providers::{self, Dropped, Kind, Settings, Speech, Target, Translator};
use model_gateway::splice::{self, Facts};
use serde_json::{Value, json};

const INPUTS: [&str; 4] = ["request.json", "response.json", "stream.in", "error.json"];

#[test]
fn every_vector_comes_out_as_expected() {
    let mut failures = Vec::new();
    let mut cases = 0;
    for kind in folders(&root()) {
        let name = kind.file_name().unwrap().to_str().unwrap();
        let Some(provider) = providers::find(name) else {
            failures.push(format!("{}: there is no such kind of provider", kind.display()));
            continue;
        };
        for folder in folders(&kind) {
            cases += 1;
            let mut case = Case { folder, failures: &mut failures };
            case.replay(provider);
        }
    }
    assert!(failures.is_empty(), "{} failures in {cases} cases\n\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn every_native_provider_has_vectors() {
    for kind in providers::KINDS {
        if matches!(kind.speech(), Speech::Native(_)) {
            let cases = folders(&root().join(kind.name()));
            for input in INPUTS {
                assert!(cases.iter().any(|case| case.join(input).exists()), "{} has no {input}", kind.name());
            }
        }
    }
}

#[test]
fn every_embedder_has_vectors() {
    for kind in providers::KINDS.iter().filter(|kind| kind.embedder().is_some()) {
        let cases = folders(&root().join(kind.name()));
        let embeds = |case: &PathBuf| case.file_name().unwrap().to_str().unwrap().starts_with("embed");
        let cases: Vec<_> = cases.into_iter().filter(embeds).collect();
        for file in ["upstream.json", "client.json", "refused.json"] {
            assert!(cases.iter().any(|case| case.join(file).exists()), "{} embeds, and has no {file}", kind.name());
        }
    }
}

struct Case<'f> {
    folder: PathBuf,
    failures: &'f mut Vec<String>,
}

impl Case<'_> {
    fn replay(&mut self, kind: &dyn Kind) {
        if self.read("SOURCE").is_none_or(|source| source.trim().is_empty()) {
            self.fail("SOURCE", "has to say where the case is from");
        }
        let [request, response, stream, error] = INPUTS.map(|input| self.read(input));
        if [&request, &response, &stream, &error].iter().all(|input| input.is_none()) {
            self.fail("", "nothing goes in");
        }
        let client: Value = request.as_deref().map(parse).unwrap_or_default();
        let include_usage = client.pointer("/stream_options/include_usage") != Some(&json!(false));
        let envelope = Envelope { id: "", model: "the-model", created: 1_700_000_000, include_usage, thoughts: "" };
        let model = client["model"].as_str().unwrap_or("upstream-model");
        let embeds = self.folder.file_name().unwrap().to_str().unwrap().starts_with("embed");
        if embeds {
            let base64 = client["encoding_format"] == "base64";
            let encoding = if base64 { Encoding::Base64 } else { Encoding::Float };
            request.iter().for_each(|request| self.replay_embeddings(kind, request, model));
            response.iter().for_each(|response| self.replay_vectors(kind, response, encoding));
            return;
        }
        let speech = kind.speech_to(model);
        if let Some(request) = request {
            self.replay_request(kind, &request, model);
        }
        if let Some(response) = response {
            self.replay_response(kind, speech, &response, &envelope);
        }
        if let Some(stream) = stream {
            let binary = |translator: &dyn Translator| translator.is_stream("application/vnd.amazon.eventstream");
            let framed = match speech {
                Speech::Native(translator) if binary(translator) => frames(&stream),
                _ => stream.into_bytes(),
            };
            self.replay_stream(kind, speech, &framed, &envelope);
        }
        if let Some(error) = error {
            let error = parse(&error);
            let body = error["body"].as_str().map_or_else(|| error["body"].to_string(), str::to_owned);
            let document = Document::parse(body.as_bytes()).ok();
            let status = error["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap();
            let (body, name) = (document.as_ref().map(Document::root), error["name"].as_str());
            let told = kind.error(&providers::Failure { status, body, name });
            self.expect_json("error.out.json", &reply(&told));
        }
    }

    fn replay_request(&mut self, kind: &dyn Kind, request: &str, model: &str) {
        let document = Document::parse(request.as_bytes()).unwrap();
        let mut out = String::new();
        match said(kind, &document, model, &mut out) {
            Ok(dropped) => {
                self.expect_json("upstream.json", &out);
                let dropped: String = dropped.iter().map(|path| format!("{path}\n")).collect();
                self.expect("dropped.txt", &dropped);
            }
            Err(error) => self.expect_json("refused.json", &reply(&error)),
        }
    }

    fn replay_embeddings(&mut self, kind: &dyn Kind, request: &str, model: &str) {
        let document = Document::parse(request.as_bytes()).unwrap();
        let settings = Settings { project: Some("p".to_owned()), region: Some("r".to_owned()), ..Settings::default() };
        let target = Target { operation: Operation::Embeddings, settings: &settings, ..Target::new(model) };
        let mut out = String::new();
        let said = match kind.embedder() {
            Some(embedder) => openai::embeddings_request(&document).and_then(|request| {
                let dropped = embedder.request(&request, &target, &mut out)?;
                Ok((embedder.path(&request, &target), dropped))
            }),
            None => Facts::of(Operation::Embeddings, &document).map(|facts| {
                (kind.path(&target), splice::request(&document, &facts, model, kind.differences(), &mut out))
            }),
        };
        match said {
            Ok((path, dropped)) => {
                self.expect("path.txt", &(path + "\n"));
                self.expect_json("upstream.json", &out);
                let dropped: String = dropped.iter().map(|path| format!("{path}\n")).collect();
                self.expect("dropped.txt", &dropped);
            }
            Err(error) => self.expect_json("refused.json", &reply(&error)),
        }
    }

    fn replay_vectors(&mut self, kind: &dyn Kind, response: &str, encoding: Encoding) {
        let document = Document::parse(response.as_bytes()).unwrap();
        let mut out = String::new();
        let result = match kind.embedder() {
            Some(embedder) => {
                embedder.answer(&document).map(|answer| openai::embeddings(&answer, encoding, "the-model", &mut out))
            }
            None => {
                let classify = |error: Node<'_>| inside(kind, error);
                splice::embeddings(response.as_bytes(), encoding, "the-model", classify, &mut out).map(|_| ())
            }
        };
        match result {
            Ok(()) => self.expect_json("client.json", &out),
            Err(error) => self.expect_json("refused.json", &reply(&error)),
        }
    }

    fn replay_response(&mut self, kind: &dyn Kind, speech: Speech, response: &str, envelope: &Envelope<'_>) {
        let document = Document::parse(response.as_bytes()).unwrap();
        let mut out = String::new();
        let result = match speech {
            Speech::Native(translator) => {
                translator.answer(&document).map(|answer| openai::answer(&answer, envelope, &mut out))
            }
            Speech::OpenAi => {
                let classify = |error: Node<'_>| inside(kind, error);
                splice::answer(response.as_bytes(), envelope.model, classify, &mut out).map(|_| ())
            }
        };
        match result {
            Ok(()) => self.expect_json("client.json", &out),
            Err(error) => self.expect_json("refused.json", &reply(&error)),
        }
    }

    fn replay_stream(&mut self, kind: &dyn Kind, speech: Speech, stream: &[u8], envelope: &Envelope<'_>) {
        let decode = |chunks: &mut dyn Iterator<Item = &[u8]>| decode(kind, speech, chunks, envelope);
        let whole = decode(&mut std::iter::once(stream));
        self.expect("stream.out", &whole);
        if let Err(what) = check_stream(&whole) {
            self.fail("stream.out", &what);
        }
        if decode(&mut stream.chunks(1)) != whole {
            self.fail("stream.in", "something else comes out byte by byte");
        }
        for at in 0..stream.len() {
            let (first, second) = stream.split_at(at);
            if decode(&mut [first, second].into_iter()) != whole {
                self.fail("stream.in", &format!("something else comes out when it is cut at byte {at}"));
                break;
            }
        }
    }

    /// JSON is kept in readable form, members in order.
    fn expect_json(&mut self, name: &str, actual: &str) {
        let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap() + "\n";
        let value = match serde_json::from_str(actual) {
            Ok(value) => value,
            Err(error) => return self.fail(name, &format!("not JSON: {error}\n{actual}")),
        };
        // What a provider gets may be in any order; what a client gets is to be the same to the byte.
        let expected = self.read(name);
        if name == "upstream.json" && expected.as_deref().map(parse).as_ref() == Some(&value) {
            return;
        }
        self.expect(name, &pretty(&value));
    }

    fn expect(&mut self, name: &str, actual: &str) {
        let expected = self.read(name).unwrap_or_default();
        if expected == actual {
            return;
        }
        if std::env::var_os("UPDATE").is_some() {
            let path = self.folder.join(name);
            if actual.is_empty() {
                fs::remove_file(path).unwrap()
            } else {
                fs::write(path, actual).unwrap()
            }
            return;
        }
        self.fail(name, &difference(&expected, actual));
    }

    fn fail(&mut self, name: &str, what: &str) {
        self.failures.push(format!("{}: {what}", self.folder.join(name).display()));
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(name)).ok()
    }
}

/// What the provider gets for a request.
fn said(kind: &dyn Kind, document: &Document<'_>, model: &str, out: &mut String) -> Result<Dropped, Error> {
    if let Some(writer) = kind.writer() {
        return writer.request(&openai::request(document)?, &Target::new(model), out);
    }
    match kind.speech_to(model) {
        Speech::Native(translator) => translator.request(&openai::request(document)?, &Target::new(model), out),
        Speech::OpenAi => Ok(splice::request(document, &Facts::read(document)?, model, kind.differences(), out)),
    }
}

/// An error inside a 200.
fn inside(kind: &dyn Kind, error: Node<'_>) -> Error {
    kind.error(&providers::Failure { status: 200, body: Some(error), name: None })
}

/// Amazon's frames: `event messageStart {"role": ...}` on each line.
fn frames(lines: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines.lines().filter(|line| !line.is_empty()) {
        let mut words = line.splitn(3, ' ');
        let [kind, name, payload] = [(); 3].map(|()| words.next().unwrap());
        let headers = [(&*format!(":{kind}-type"), name), (":message-type", kind)];
        eventstream::write(&headers, payload.as_bytes(), &mut bytes);
    }
    bytes
}

/// What the client sees of a stream whose bytes come in these chunks.
fn decode<'c>(
    kind: &dyn Kind,
    speech: Speech,
    chunks: impl Iterator<Item = &'c [u8]>,
    envelope: &Envelope<'_>,
) -> String {
    match speech {
        Speech::Native(translator) => translate(translator, chunks, envelope),
        Speech::OpenAi => follow(kind, chunks, envelope),
    }
}

fn translate<'c>(
    translator: &dyn Translator,
    mut chunks: impl Iterator<Item = &'c [u8]>,
    envelope: &Envelope<'_>,
) -> String {
    let mut out = String::new();
    let mut decoder = translator.stream();
    let mut encoder = openai::StreamEncoder::new(envelope);
    let mut sink = |choice: u32, delta: Delta<'_>| encoder.push(choice, delta, &mut out);
    let result = chunks.try_for_each(|chunk| decoder.push(chunk, &mut sink)).and_then(|()| decoder.end(&mut sink));
    match result {
        Ok(()) => encoder.end(&mut out),
        Err(error) => openai::error_event(&error, &mut out),
    }
    out
}

fn follow<'c>(kind: &dyn Kind, mut chunks: impl Iterator<Item = &'c [u8]>, envelope: &Envelope<'_>) -> String {
    let mut out = String::new();
    let classify = |error: Node<'_>| inside(kind, error);
    let mut stream = splice::Stream::new(envelope.model, envelope.include_usage);
    let result = chunks.try_for_each(|chunk| stream.push(chunk, classify, &mut out));
    if let Err(error) = result.and_then(|()| stream.end(classify, &mut out)) {
        openai::error_event(&error, &mut out);
    }
    out
}

/// What holds of every stream that a client sees, whatever the expectation says: names and ids once, arguments that add
/// up to JSON, an end only after a complete answer, and nothing after the end.
fn check_stream(stream: &str) -> Result<(), String> {
    let mut calls: Vec<(Value, Value, String)> = Vec::new();
    let (mut finishes, mut over) = (Vec::new(), false);
    for event in stream.split_terminator("\n\n").filter(|event| !event.starts_with(':')) {
        if over {
            return Err(format!("something comes after the end: {event}"));
        }
        let data = event.strip_prefix("data: ").ok_or_else(|| format!("no event: {event}"))?;
        if data == "[DONE]" {
            over = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(data).map_err(|error| format!("{error}: {data}"))?;
        if !chunk["error"].is_null() {
            return if stream.ends_with(&format!("{event}\n\n")) {
                Ok(())
            } else {
                Err("the error is not the end".into())
            };
        }
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            finishes.extend(choice["finish_reason"].as_str().map(str::to_owned));
            for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                let key = (&choice["index"], &call["index"]);
                let known = calls.iter_mut().find(|(choice, index, _)| *choice == *key.0 && *index == *key.1);
                let is_first = call["id"].is_string() && call["function"]["name"].is_string();
                let says_who = !call["id"].is_null() || !call["function"]["name"].is_null();
                let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
                match known {
                    None if is_first => calls.push((key.0.clone(), key.1.clone(), arguments.to_owned())),
                    Some((_, _, text)) if !says_who => text.push_str(arguments),
                    _ => return Err(format!("id and name have to come first, and once: {data}")),
                }
            }
        }
    }
    let cut = finishes.iter().any(|reason| reason == "length");
    match calls.iter().find(|(_, _, text)| !cut && serde_json::from_str::<Value>(text).is_err()) {
        Some((_, _, text)) => Err(format!("arguments that are not JSON: {text}")),
        None if !over || finishes.is_empty() => Err("neither complete nor an error".into()),
        None if !calls.is_empty() && !finishes.iter().any(|reason| reason == "tool_calls") && !cut => {
            Err("tools are called, and finish_reason does not say so".into())
        }
        None => Ok(()),
    }
}

fn reply(error: &Error) -> String {
    json!({"status": error.client_status(), "body": parse(&openai::error_body(error))}).to_string()
}

/// The lines that differ: what was expected after `-`, what came after `+`.
fn difference(expected: &str, actual: &str) -> String {
    let (expected, actual): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let same = |(a, b): &(&&str, &&str)| a == b;
    let before = expected.iter().zip(&actual).take_while(same).count();
    let rest = expected.len().min(actual.len()) - before;
    let after = expected.iter().rev().zip(actual.iter().rev()).take(rest).take_while(same).count();
    let lines = |mark: &'static str, lines: &[&str]| {
        let lines = lines[before..lines.len() - after].iter().map(|line| format!("\n{mark} {line}"));
        lines.collect::<String>()
    };
    format!("line {} differs{}{}", before + 1, lines("-", &expected), lines("+", &actual))
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}
