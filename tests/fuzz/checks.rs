//! What has to hold for any bytes at all. Each function panics where it does not: fuzz targets call them with a fuzzer's
//! bytes, `tests/properties.rs` with generated ones.

use model_gateway::chance::Random;
use model_gateway::chat::Delta;
use model_gateway::clients::{Envelope, openai};
use model_gateway::dialect::{Differences, Operation};
use model_gateway::embedding::Encoding;
use model_gateway::error::Error;
use model_gateway::frame::sse::Decoder;
use model_gateway::headers::Headers;
use model_gateway::json::{Document, Invalid, Kind, MAX_DEPTH, Quoted, Str, Value as Node, Write};
use model_gateway::providers::openai::OpenAi;
use model_gateway::providers::{Failure, KINDS, Kind as _, Speech, Target, Translator, find};
use model_gateway::splice::{self, Facts, Stream};
use model_gateway::tokens::{self, Rules};
use serde::de::IgnoredAny;
use serde_json::Value;

/// `json` accepts what serde_json does, and finds the same in it.
pub fn json(bytes: &[u8]) {
    let valid = core::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    let document = match Document::parse(bytes) {
        Ok(document) => document,
        Err(Invalid { reason: "nested too deeply" | "too many values", .. }) => return,
        Err(invalid) => return assert!(!valid, "{invalid}"),
    };
    assert!(valid, "accepted {}", document.text());
    if let Ok(value) = serde_json::from_slice(bytes) {
        agree(document.root(), &value);
        let mut quoted = String::new();
        Quoted(document.root()).write(&mut quoted);
        let inside: String = serde_json::from_str(&quoted).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&inside).unwrap(), value);
    }
}

/// [`json`] for a string of plain text and escapes of any kind, longer than what is looked at at once; some are wrong.
pub fn json_string(chance: &mut Random) {
    const PIECES: &[&str] = &[
        "a", " ", "\\n", "\\\"", "\\\\", "\\u0041", "\\/", "\\t", "\\r", "\\b", "\\f", "é", "“", "🦀", "\u{7f}", "n",
        "/", "r",
    ];
    const WRONG: &[&str] = &["\\x", "\n", "\0", "\u{1f}", "\\u00g0", "\\", "\"", "\\é"];
    let mut text = String::from("{\"");
    for string in 0..2 {
        for _ in 0..chance.below(12) {
            text.push_str(&"plain text ".repeat(8)[..chance.below(80) as usize]);
            let pieces = if chance.below(60) == 0 { WRONG } else { PIECES };
            for _ in 0..chance.below(6) {
                text.push_str(pieces[chance.below(pieces.len() as u64) as usize]);
            }
        }
        text.push_str(if string == 0 { "\":\"" } else { "\"}" });
    }
    json(text.as_bytes());
}

/// A text's estimate is that of its characters, one by one.
pub fn estimate(chance: &mut Random) {
    const PIECES: &[&str] = &[
        "a", "Z", "7", " ", ".", "ä", "“", "中", "\\n", "\\t", "\\r", "\\\"", "\\\\", "\\/", "\\b", "\\u0041",
        "\\u00e9", "u", "t", "n", "\u{7f}",
    ];
    let (mut text, mut parts) = (String::new(), Vec::new());
    while text.len() < 400 {
        let piece = PIECES[chance.below(PIECES.len() as u64) as usize];
        // Mostly ASCII, and runs of what is alike.
        let times = if piece.len() == 1 { 1 + chance.below(20) } else { 1 };
        for _ in 0..times {
            text.push_str(piece);
            parts.push(format!(r#"{{"type":"text","text":"{piece}"}}"#));
        }
    }
    let of = |content: &str| {
        let body = format!(r#"{{"messages":[{{"content":{content}}}]}}"#);
        tokens::estimate(Operation::Chat, &Document::parse(body.as_bytes()).unwrap(), Rules::of("gpt-4o"))
    };
    assert_eq!(of(&format!("\"{text}\"")), of(&format!("[{}]", parts.join(","))), "{text}");
}

fn agree(node: Node<'_>, value: &Value) {
    match value {
        Value::Null => assert!(node.is_null()),
        Value::Bool(truth) => assert_eq!(node.as_bool(), Some(*truth)),
        Value::Number(number) => {
            // serde_json's last digit is not exact, unless it is built to be.
            let (found, expected) = (node.as_f64().unwrap(), number.as_f64().unwrap());
            assert!((found - expected).abs() <= expected.abs() * 1e-15, "{found} {expected}");
            assert!(number.as_u64().is_none_or(|number| node.as_u64() == Some(number)));
        }
        Value::String(text) => {
            let found = node.as_str().unwrap();
            assert_eq!((&*found.decode(), found.is_empty()), (text.as_str(), text.is_empty()));
            assert!(found == *text.as_str() && *Str::plain(text).decode() == **text);
        }
        Value::Array(values) => {
            assert_eq!((node.kind(), node.elements().count()), (Kind::Array, values.len()));
            node.elements().zip(values).for_each(|(node, value)| agree(node, value));
        }
        Value::Object(values) => {
            assert_eq!(node.kind(), Kind::Object);
            // serde_json keeps the last of several members with one name.
            let mut members: Vec<_> = node.members().collect();
            members.reverse();
            for (name, value) in values {
                let (_, found) = members.iter().find(|(known, _)| *known == *name.as_str()).unwrap();
                agree(*found, value);
            }
            assert!(members.iter().all(|(name, _)| values.contains_key(&*name.decode())));
            assert!(values.keys().all(|name| node.get(name).is_some()));
        }
    }
}

/// A map of headers is read whole or not at all, and what is read is what is there.
pub fn headers(bytes: &[u8]) {
    let Some(read) = Headers::read(bytes.to_vec()) else { return };
    let count = bytes.first_chunk().map_or(0, |count| u32::from_le_bytes(*count) as usize);
    let all: Vec<(Vec<u8>, Vec<u8>)> = read.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    assert_eq!(all.len(), count);
    let again: Headers = all.iter().map(|(name, value)| (name, value)).collect();
    assert!(again.iter().eq(read.iter()));
    for (name, _) in &all {
        let Ok(text) = core::str::from_utf8(name) else { continue };
        let values: Vec<_> = all.iter().filter(|(it, _)| it == name).map(|(_, value)| value.as_slice()).collect();
        assert_eq!(read.get(text).unwrap(), String::from_utf8_lossy(&values.join(&b',')));
        assert_eq!(read.first(text).unwrap(), String::from_utf8_lossy(values[0]));
    }
    let (even, odd) = (read.clone().into_names(|it, _| it.len() % 2 == 0), read.into_names(|it, _| it.len() % 2 == 1));
    assert_eq!(even.iter().count() + odd.iter().count(), count);
}

/// Frames are the same however the bytes come, and none of these is lost, but for a byte order mark.
pub fn sse(bytes: &[u8]) {
    let whole = frames([bytes]);
    assert_eq!(frames(pieces(bytes)), whole);
    assert_eq!(frames(bytes.chunks(1)), whole);
    let raw: Vec<u8> = whole.iter().flat_map(|(raw, ..)| raw.iter().copied()).collect();
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let rest = bytes.strip_prefix(raw.as_slice()).expect("frames are what came, in order");
    assert!(rest.iter().all(u8::is_ascii_whitespace), "{rest:?} was lost");
}

/// As they came, name, data.
type Frame = (Vec<u8>, Vec<u8>, Option<Vec<u8>>);

fn frames<'c>(chunks: impl IntoIterator<Item = &'c [u8]>) -> Vec<Frame> {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    let mut see = |frame: model_gateway::frame::sse::Frame<'_>| {
        if let (Some(at), Some(data)) = (frame.data_at, frame.data) {
            assert_eq!(frame.raw.get(at..at + data.len()), Some(data));
        }
        frames.push((frame.raw.to_vec(), frame.name.to_vec(), frame.data.map(<[u8]>::to_vec)));
    };
    for chunk in chunks {
        decoder.push(chunk).unwrap();
        while let Some(frame) = decoder.next_frame() {
            see(frame);
        }
    }
    decoder.rest().into_iter().for_each(see);
    frames
}

/// A spliced stream is the same however the bytes come, and has one end or none.
pub fn splice_stream(bytes: &[u8]) {
    for include_usage in [true, false] {
        let whole = spliced([bytes], include_usage);
        assert_eq!(spliced(pieces(bytes), include_usage), whole);
        assert_eq!(spliced(bytes.chunks(1), include_usage), whole);
        let (out, result, content) = whole;
        assert!(result.is_err() || (content && out.ends_with("data: [DONE]\n\n")), "{out}");
        // Whatever goes out can be read again, and is whole where it came whole.
        let (again, ended, _) = spliced([out.as_bytes()], include_usage);
        assert!(result.is_err() || (ended.is_ok() && again == out), "{again}\n--- is not\n{out}");
    }
}

fn spliced<'c>(chunks: impl IntoIterator<Item = &'c [u8]>, include_usage: bool) -> (String, Result<(), Error>, bool) {
    let mut stream = Stream::new("asked", include_usage);
    let mut out = String::new();
    let result = chunks.into_iter().try_for_each(|chunk| stream.push(chunk, classify, &mut out));
    let result = result.and_then(|()| stream.end(classify, &mut out));
    (out, result, stream.has_content())
}

fn classify(error: Node<'_>) -> Error {
    OpenAi.error(&Failure { status: 200, body: Some(error), name: None })
}

/// A spliced answer is JSON, with what was there before.
pub fn splice_answer(bytes: &[u8]) {
    let mut out = String::new();
    let answered = splice::answer(bytes, "asked", classify, &mut out);
    let Ok(answered) = answered else { return };
    let document = Document::parse(out.as_bytes()).unwrap();
    assert!(document.root().get("model").and_then(Node::as_str).is_none_or(|model| model == "asked"));
    let parts = answered.usage.unwrap_or_default();
    assert!(parts.cached <= parts.input && parts.reasoning <= parts.output);
}

/// A spliced request is the same but for the model and the usage that is asked for.
pub fn splice_request(bytes: &[u8]) {
    let Ok(document) = Document::parse(bytes) else { return };
    let Ok(facts) = Facts::read(&document) else { return };
    let mut out = String::new();
    splice::request(&document, &facts, "up \"1\"", &Differences::NONE, &mut out);
    let sent = Document::parse(out.as_bytes()).unwrap();
    let told = Facts::read(&sent).unwrap();
    assert!(told.model == *"up \"1\"");
    assert_eq!((told.stream, told.include_usage), (facts.stream, facts.stream || facts.include_usage));
    let others = |root: Node<'_>| -> Vec<String> {
        let others = root.members().filter(|(name, _)| *name != *"model" && *name != *"stream_options");
        others.map(|(name, value)| format!("{}:{}", name.escaped(), value.raw())).collect()
    };
    // Signatures of other providers are taken out of ids.
    if !document.text().contains("__thought__") {
        assert_eq!(others(sent.root()), others(document.root()));
    }
    for kind in KINDS {
        out.clear();
        let dropped = splice::request(&document, &facts, "up \"1\"", kind.differences(), &mut out);
        let sent = Document::parse(out.as_bytes()).unwrap_or_else(|invalid| panic!("{}: {invalid}", kind.name()));
        assert!(dropped.iter().all(
            |name| sent.root().get(name).is_none() || kind.differences().renames.iter().any(|(_, new)| new == name)
        ));
    }
}

/// Anthropic's stream says the same however the bytes come, and an OpenAI client can read it.
pub fn anthropic_stream(bytes: &[u8]) {
    let whole = translated([bytes]);
    assert_eq!(translated(pieces(bytes)), whole);
    assert_eq!(translated(bytes.chunks(1)), whole);
    readable(&whole.0);
    // What was written is what the other half of the gateway takes for a complete stream.
    let (_, result, _) = spliced([whole.0.as_bytes()], true);
    assert!(whole.1.is_err() || result.is_ok() || !whole.0.contains("finish_reason\":\""), "{}", whole.0);
}

/// Gemini's stream likewise, which may be events or one array.
pub fn gemini_stream(bytes: &[u8]) {
    let whole = said_by(native("gemini"), [bytes]);
    assert_eq!(said_by(native("gemini"), pieces(bytes)), whole);
    assert_eq!(said_by(native("gemini"), bytes.chunks(1)), whole);
    readable(&whole.0);
}

fn translated<'c>(chunks: impl IntoIterator<Item = &'c [u8]>) -> (String, Result<(), Error>) {
    said_by(anthropic(), chunks)
}

fn said_by<'c>(translator: &dyn Translator, chunks: impl IntoIterator<Item = &'c [u8]>) -> (String, Result<(), Error>) {
    let mut decoder = translator.stream();
    let mut encoder =
        openai::StreamEncoder::new(&Envelope { id: "", model: "asked", created: 7, include_usage: true, thoughts: "" });
    let mut out = String::new();
    let mut sink = |choice: u32, delta: Delta<'_>| encoder.push(choice, delta, &mut out);
    let result = chunks.into_iter().try_for_each(|chunk| decoder.push(chunk, &mut sink));
    let result = result.and_then(|()| decoder.end(&mut sink));
    if result.is_ok() {
        encoder.end(&mut out);
    }
    (out, result)
}

/// Every event is a comment or JSON.
pub fn readable(stream: &str) {
    for event in stream.split_terminator("\n\n").filter(|event| !event.starts_with(':')) {
        let data = event.strip_prefix("data: ").expect(event);
        assert!(data == "[DONE]" || serde_json::from_str::<Value>(data).is_ok(), "{event}");
    }
}

/// An OpenAI client's request is refused as the client's own mistake, or becomes one that Anthropic can read.
pub fn client_request(bytes: &[u8]) {
    let Ok(document) = Document::parse(bytes) else { return };
    let mut out = String::new();
    let target = Target::new("claude-sonnet-4-5");
    let read = openai::request(&document);
    match read.and_then(|request| anthropic().request(&request, &target, &mut out)) {
        Ok(_) => {
            // Schemas go on as they stand, a little deeper than they stood.
            let sent = serde_json::from_str::<IgnoredAny>(&out);
            assert!(sent.is_ok(), "{out}");
            let sent = Document::parse(out.as_bytes());
            assert!(sent.is_ok() || depth(bytes) + 8 > MAX_DEPTH, "{out}");
        }
        Err(error) => assert!((400..500).contains(&error.client_status()), "{error:?}"),
    }
}

fn depth(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| matches!(byte, b'{' | b'[')).count()
}

/// The same for Gemini, whose schemas are written anew.
pub fn gemini_request(bytes: &[u8]) {
    let Ok(document) = Document::parse(bytes) else { return };
    let Ok(request) = openai::request(&document) else { return };
    for (kind, model) in [("gemini", "gemini-3-flash-preview"), ("vertex", "gemini-2.5-flash")] {
        let mut out = String::new();
        native(kind).request(&request, &Target::new(model), &mut out).unwrap();
        assert!(serde_json::from_str::<IgnoredAny>(&out).is_ok(), "{out}");
    }
}

/// A request for embeddings is refused as the client's own mistake, or becomes one that every provider can read; an answer
/// is vectors in either encoding, or none.
pub fn embeddings(bytes: &[u8]) {
    let Ok(document) = Document::parse(bytes) else { return };
    for kind in KINDS {
        let Some(embedder) = kind.embedder() else { continue };
        for model in
            ["embed-v4.0", "embed-english-v3.0", "gemini-embedding-2", "cohere.embed-v4:0", "titan-embed-text-v2"]
        {
            let (mut out, target) = (String::new(), Target::new(model));
            let read = openai::embeddings_request(&document);
            match read.and_then(|request| embedder.request(&request, &target, &mut out)) {
                Ok(_) => assert!(serde_json::from_str::<IgnoredAny>(&out).is_ok(), "{out}"),
                Err(error) => assert!((400..500).contains(&error.client_status()), "{error:?}"),
            }
        }
        if let Ok(answer) = embedder.answer(&document) {
            for encoding in [Encoding::Float, Encoding::Base64] {
                let mut out = String::new();
                openai::embeddings(&answer, encoding, "m", &mut out);
                let told: Value = serde_json::from_str(&out).unwrap();
                assert_eq!(told["data"].as_array().unwrap().len(), answer.vectors.len());
            }
        }
    }
    let mut out = String::new();
    let classify = |_: Node<'_>| Error::bad_answer("");
    if splice::embeddings(bytes, Encoding::Base64, "m", classify, &mut out).is_ok() {
        assert!(Document::parse(out.as_bytes()).is_ok(), "{out}");
    }
}

fn anthropic() -> &'static dyn Translator {
    native("anthropic")
}

fn native(kind: &str) -> &'static dyn Translator {
    match find(kind).map(|kind| kind.speech()) {
        Some(Speech::Native(translator)) => translator,
        _ => panic!("{kind} has a language of its own"),
    }
}

/// `bytes` cut in pieces of lengths that follow from them, so that a fuzzer finds the cuts too.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut state = bytes.iter().fold(bytes.len() as u32, |state, byte| state.rotate_left(5) ^ u32::from(*byte));
    let mut rest = bytes;
    core::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = ((state >> 24) as usize % 24 + 1).min(rest.len());
        let (piece, after) = rest.split_at(length);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}
