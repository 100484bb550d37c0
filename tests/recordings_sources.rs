//! Where recorded answers say that their text is from, and what clients are told of it: every piece that a provider names with
//! its own words is found at the place that the client is given.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod recordings;

use model_gateway::chat::Delta;
use model_gateway::clients::{Envelope, openai};
use model_gateway::json::Document;
use model_gateway::providers::{self, Speech, Translator};
use recordings::Recording;
use serde_json::Value;

/// Kind, endpoint, provider of the recordings, and the least number of pieces that are known to be among them.
const ROWS: &[(&str, &str, &str, usize)] = &[
    ("anthropic", "messages", "anthropic", 13),
    ("bedrock", "converse", "bedrock", 4),
    ("cohere", "chat_v2", "cohere", 7),
    ("gemini", "generateContent", "gemini", 1),
    ("gemini", "streamGenerateContent", "gemini", 1),
    ("vertex", "generateContent", "vertex", 2),
];

/// A piece of the answer's text, and what it is from; the text is empty where the provider does not name it.
type Piece = (String, String);

#[test]
fn pieces_stand_where_clients_are_told() {
    for (kind, endpoint, provider, least) in ROWS {
        let Some(recordings) = recordings::load(endpoint, |other| other == *provider) else { return };
        let Speech::Native(translator) = providers::find(kind).unwrap().speech() else { panic!("{kind}") };
        let mut found = 0;
        for recording in recordings.iter().filter(|recording| recording.status == 200 && recording.bytes.is_empty()) {
            let expected = named(kind, recording);
            if expected.is_empty() {
                continue;
            }
            let (message, text) = told(translator, recording);
            let mut seen = pieces(&message, &text);
            for (index, (said, source)) in expected.iter().enumerate() {
                let at =
                    seen.iter().position(|(text, from)| from.contains(source) && (said.is_empty() || text == said));
                let at =
                    at.unwrap_or_else(|| panic!("{} {index}: {said:?} from {source:?} of {seen:#?}", recording.id));
                seen.remove(at);
                found += 1;
            }
            assert!(message["tool_calls"].is_null() || *kind != "gemini", "{}", recording.id);
        }
        println!("{kind} {endpoint}: {found}");
        assert!(found >= *least, "{kind} {endpoint}: {found}");
    }
}

/// What the provider names, found in its answer by hand.
fn named(kind: &str, recording: &Recording) -> Vec<Piece> {
    let whole = serde_json::from_str::<Value>(&recording.body).ok();
    let events: Vec<Value> = match whole {
        Some(body) => vec![body],
        None => {
            recording.body.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?).ok()).collect()
        }
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut pieces = Vec::new();
    for event in &events {
        match kind {
            "anthropic" => {
                let from = |citation: &Value| {
                    let names = ["url", "source", "document_title", "title"].map(|name| text(&citation[name]));
                    names.into_iter().find(|name| !name.is_empty()).unwrap_or_default()
                };
                for block in list(&event["content"]) {
                    pieces.extend(
                        list(&block["citations"]).iter().map(|citation| (text(&block["text"]), from(citation))),
                    );
                }
                if event["delta"]["type"] == "citations_delta" {
                    pieces.push((String::new(), from(&event["delta"]["citation"])));
                }
            }
            "bedrock" => {
                for block in list(&event["output"]["message"]["content"]) {
                    let cited = &block["citationsContent"];
                    let said: String = list(&cited["content"]).iter().map(|part| text(&part["text"])).collect();
                    let from = |citation: &Value| {
                        text(&citation["title"]) + citation["location"]["web"]["url"].as_str().unwrap_or_default()
                    };
                    pieces.extend(list(&cited["citations"]).iter().map(|citation| (said.clone(), from(citation))));
                }
            }
            "cohere" => {
                let (whole, delta) = (&event["message"]["citations"], &event["delta"]["message"]["citations"]);
                for citation in list(whole).iter().chain([delta].into_iter().filter(|delta| delta.is_object())) {
                    let is_text = citation["type"].as_str().is_none_or(|kind| kind == "TEXT_CONTENT");
                    let said = if is_text { text(&citation["text"]) } else { String::new() };
                    pieces.extend(list(&citation["sources"]).iter().map(|source| (said.clone(), text(&source["id"]))));
                }
            }
            _ => {
                let grounding = &event["candidates"][0]["groundingMetadata"];
                for support in list(&grounding["groundingSupports"]) {
                    for number in list(&support["groundingChunkIndices"]) {
                        let chunk = &grounding["groundingChunks"][usize::try_from(number.as_u64().unwrap()).unwrap()];
                        let from = [&chunk["web"]["uri"], &chunk["retrievedContext"]["fileSearchStore"]];
                        let from = from.into_iter().map(text).find(|text| !text.is_empty()).unwrap();
                        pieces.push((text(&support["segment"]["text"]), from));
                    }
                }
            }
        }
    }
    pieces
}

/// The message that a client gets, and its text.
fn told(translator: &dyn Translator, recording: &Recording) -> (Value, String) {
    let envelope = Envelope { id: "", model: "m", created: 0, include_usage: true, thoughts: "" };
    let mut out = String::new();
    if let Ok(document) = Document::parse(recording.body.as_bytes()) {
        let answer = translator.answer(&document).expect(&recording.id);
        openai::answer(&answer, &envelope, &mut out);
        let mut body: Value = serde_json::from_str(&out).unwrap();
        let message = body["choices"][0]["message"].take();
        let text = message["content"].as_str().unwrap_or_default().to_owned();
        return (message, text);
    }
    let mut encoder = openai::StreamEncoder::new(&envelope);
    let mut decoder = translator.stream();
    let mut sink = |choice: u32, delta: Delta<'_>| encoder.push(choice, delta, &mut out);
    let bytes = recording.body.as_bytes();
    bytes.chunks(7).try_for_each(|chunk| decoder.push(chunk, &mut sink)).and_then(|()| decoder.end(&mut sink)).unwrap();
    let (mut text, mut message) = (String::new(), serde_json::json!({"annotations": [], "citations": []}));
    for data in out.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let Ok(chunk) = serde_json::from_str::<Value>(data) else { continue };
        let delta = &chunk["choices"][0]["delta"];
        text += delta["content"].as_str().unwrap_or_default();
        for name in ["annotations", "citations"] {
            message[name].as_array_mut().unwrap().extend(delta[name].as_array().cloned().unwrap_or_default());
        }
    }
    (message, text)
}

/// What a client reads: the text at each place, and what is said of its source.
fn pieces(message: &Value, text: &str) -> Vec<Piece> {
    let characters: Vec<char> = text.chars().collect();
    let annotations = message["annotations"].as_array().into_iter().flatten().map(|entry| &entry["url_citation"]);
    let citations = message["citations"].as_array().into_iter().flatten().map(|entry| &entry["file_citation"]);
    let read = |entry: &Value| {
        let at = |name: &str| entry[name].as_u64().map(|at| usize::try_from(at).unwrap());
        let (start, end) = (at("start_index").unwrap_or(0), at("end_index").unwrap_or(0));
        let piece = characters.get(start..end).unwrap_or_else(|| panic!("{entry} of {}", characters.len()));
        (piece.iter().collect(), entry.to_string())
    };
    annotations.chain(citations).map(read).collect()
}
