//! Recorded traffic of Ollama's own API and of Cohere's, decoded and compared with what a plain reading of the recording
//! finds; and properties that hold for any bytes.
//!
//! The recordings are read in place; where there are none, the test says so and passes.

mod recordings;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use model_gateway::chat::{Answer, Arguments, Delta, FinishReason, Part, Usage};
    use model_gateway::clients::openai;
    use model_gateway::error::{Cause, Error};
    use model_gateway::json::Document;
    use model_gateway::providers::{Failure, Kind, Speech, Target, Translator, find};
    use proptest::prelude::*;
    use serde_json::Value;

    use super::recordings::{Recording, cuts, load};

    fn translator(kind: &dyn Kind) -> &'static dyn Translator {
        match kind.speech() {
            Speech::Native(translator) => translator,
            Speech::OpenAi => panic!("{} speaks its own language", kind.name()),
        }
    }

    /// What an answer comes to, however it was sent.
    #[derive(Debug, Default, PartialEq)]
    struct Summary {
        text: String,
        thoughts: Vec<String>,
        /// Id, name, arguments. The ids that Ollama did not give are left out.
        calls: Vec<(String, String, Value)>,
        reason: Option<FinishReason>,
        usage: Option<Usage>,
        /// The provider's message, if it is an error in truth.
        error: Option<String>,
    }

    fn own(value: &Value) -> String {
        value.as_str().unwrap_or_default().to_owned()
    }

    /// The objects of a body: one, or those of its lines, with or without `data:`.
    fn objects(body: &str) -> Vec<Value> {
        let one = serde_json::from_str(body).map(|object| vec![object]);
        one.unwrap_or_else(|_| {
            let lines = body.lines().map(|line| line.strip_prefix("data:").unwrap_or(line).trim());
            lines.filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect()
        })
    }

    /// A plain reading of an answer of Ollama's, whole or in lines.
    fn read_ollama(body: &str) -> Summary {
        let mut summary = Summary::default();
        let mut thought = String::new();
        for object in objects(body) {
            let message = &object["message"];
            thought += message["thinking"].as_str().unwrap_or_default();
            summary.text += message["content"].as_str().unwrap_or_default();
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                let function = &call["function"];
                summary.calls.push((own(&call["id"]), own(&function["name"]), function["arguments"].clone()));
            }
            summary.error = object["error"].as_str().map(str::to_owned);
            if object["done"] == true {
                summary.reason = Some(match object["done_reason"].as_str() {
                    Some("length") => FinishReason::Length,
                    _ if summary.calls.is_empty() => FinishReason::Stop,
                    _ => FinishReason::ToolCalls,
                });
                let count = |name: &str| object[name].as_u64();
                if let (input, Some(output)) = (count("prompt_eval_count"), count("eval_count")) {
                    summary.usage = Some(Usage { input: input.unwrap_or(0), output, ..Usage::default() });
                }
            }
        }
        summary.thoughts.extend(Some(thought).filter(|thought| !thought.is_empty()));
        summary
    }

    /// A plain reading of an answer of Cohere's, whole or in events.
    fn read_cohere(body: &str) -> Summary {
        let mut summary = Summary::default();
        let mut arguments: Vec<String> = Vec::new();
        let mut plan = String::new();
        let mut blocks: Vec<String> = Vec::new();
        for object in objects(body) {
            let is_event = object["type"].is_string();
            let holder = if is_event { &object["delta"] } else { &object };
            let message = &holder["message"];
            plan += message["tool_plan"].as_str().unwrap_or_default();
            let content = &message["content"];
            for block in content.as_array().into_iter().flatten().chain(content.is_object().then_some(content)) {
                summary.text += block["text"].as_str().unwrap_or_default();
                if let Some(thought) = block["thinking"].as_str() {
                    let index = object["index"].as_u64().map_or(blocks.len(), |index| index as usize);
                    blocks.resize(blocks.len().max(index + 1), String::new());
                    blocks[index] += thought;
                }
            }
            let calls = &message["tool_calls"];
            for call in calls.as_array().into_iter().flatten().chain(calls.is_object().then_some(calls)) {
                let function = &call["function"];
                if call["id"].is_string() {
                    summary.calls.push((own(&call["id"]), own(&function["name"]), Value::Null));
                    arguments.push(String::new());
                }
                *arguments.last_mut().unwrap() += function["arguments"].as_str().unwrap_or_default();
            }
            let count = |pointer: &str| holder["usage"].pointer(pointer).and_then(Value::as_u64);
            if let Some(input) = count("/tokens/input_tokens") {
                summary.usage = Some(Usage {
                    input,
                    cached: count("/cached_tokens").unwrap_or(0),
                    output: count("/tokens/output_tokens").unwrap(),
                    reasoning: count("/tokens/reasoning_tokens").unwrap_or(0),
                    ..Usage::default()
                });
            }
            summary.reason = match holder["finish_reason"].as_str() {
                None => summary.reason,
                Some("COMPLETE" | "STOP_SEQUENCE") => Some(FinishReason::Stop),
                Some("TOOL_CALL") => Some(FinishReason::ToolCalls),
                Some("MAX_TOKENS") => Some(FinishReason::Length),
                Some(_) => {
                    summary.error = Some(own(&holder["error"]));
                    None
                }
            };
        }
        for (call, json) in summary.calls.iter_mut().zip(&arguments) {
            call.2 = serde_json::from_str(if json.is_empty() { "{}" } else { json }).unwrap();
        }
        summary.thoughts.extend([plan].into_iter().chain(blocks).filter(|thought| !thought.is_empty()));
        summary
    }

    fn summarise(answer: &Answer<'_>) -> Summary {
        let [choice] = &answer.choices[..] else { panic!("{answer:?}") };
        let mut summary = Summary { reason: Some(choice.finish.reason), usage: answer.usage, ..Summary::default() };
        for part in &choice.parts {
            match part {
                Part::Text(text) => summary.text += &text.text.decode(),
                Part::Thinking { text, signature: None } => summary.thoughts.push(text.decode().into_owned()),
                Part::ToolCall(call) => {
                    let arguments = match &call.arguments {
                        Arguments::Object(value) => serde_json::from_str(value.raw()).unwrap(),
                        Arguments::Text(text) => serde_json::from_str(&text.decode()).unwrap(),
                    };
                    summary.calls.push((call.id.decode().into_owned(), call.name.decode().into_owned(), arguments));
                }
                // What they say of the text: `recordings_sources.rs`.
                Part::Citation(_) => {}
                other => panic!("{other:?}"),
            }
        }
        summary
    }

    /// What the deltas of a stream add up to, and how it ended; and each delta, to compare splits by.
    fn decode<'c>(
        translator: &dyn Translator,
        chunks: impl IntoIterator<Item = &'c [u8]>,
    ) -> (Summary, Vec<String>, Result<(), Error>) {
        let (mut summary, mut seen) = (Summary::default(), Vec::new());
        let mut arguments: Vec<String> = Vec::new();
        let mut sink = |choice: u32, delta: Delta<'_>| {
            assert_eq!(choice, 0);
            if delta == Delta::KeepAlive {
                return;
            }
            assert!(summary.usage.is_none(), "something after the usage: {delta:?}");
            assert!(summary.reason.is_none() || matches!(delta, Delta::Usage(_)), "after the finish: {delta:?}");
            assert_eq!(seen.is_empty(), matches!(delta, Delta::Start(_)), "{delta:?}");
            seen.push(format!("{delta:?}").replace("Borrowed", "Owned"));
            match delta {
                Delta::Start(_) => {}
                Delta::Text(text) => summary.text += &text.decode(),
                Delta::Thinking { block, text } => {
                    assert!(block as usize <= summary.thoughts.len());
                    summary.thoughts.resize(summary.thoughts.len().max(block as usize + 1), String::new());
                    summary.thoughts[block as usize] += &text.decode();
                }
                Delta::ToolCall { call, id, name, .. } => {
                    assert_eq!(call as usize, arguments.len());
                    summary.calls.push((id.decode().into_owned(), name.decode().into_owned(), Value::Null));
                    arguments.push(String::new());
                }
                Delta::ToolArguments { call, json } => arguments[call as usize] += &json.decode(),
                Delta::Finish(finish) => summary.reason = Some(finish.reason),
                Delta::Usage(usage) => summary.usage = Some(usage),
                Delta::Citation(_) => {}
                other => panic!("{other:?}"),
            }
        };
        let mut decoder = translator.stream();
        let result = chunks.into_iter().try_for_each(|chunk| decoder.push(chunk, &mut sink));
        let result = result.and_then(|()| decoder.end(&mut sink));
        for (call, json) in summary.calls.iter_mut().zip(&arguments) {
            call.2 = serde_json::from_str(json).unwrap_or(Value::Null);
        }
        summary.error = result.as_ref().err().map(|error| error.message.clone());
        (summary, seen, result)
    }

    /// Checks one recorded stream, at as many splits as there is time for.
    fn check_stream(name: &str, translator: &dyn Translator, body: &str, expected: Summary) {
        let bytes = body.as_bytes();
        let whole = decode(translator, [bytes]);
        same(name, whole.0, expected);
        let whole = (whole.1, whole.2);
        let splits = |chunks: &[&[u8]]| {
            let (_, seen, result) = decode(translator, chunks.iter().copied());
            (seen, result)
        };
        assert_eq!(splits(&bytes.chunks(1).collect::<Vec<_>>()), whole, "{name} byte by byte");
        let complete = body.rfind("\"done\":true").or(body.rfind("\"finish_reason\"")).unwrap();
        for at in cuts(bytes.len()) {
            let (first, second) = bytes.split_at(at);
            assert_eq!(splits(&[first, second]), whole, "{name} cut at {at}");
            assert!(at > complete || splits(&[first]).1.is_err(), "{name} ending at {at}");
        }
    }

    /// Ids that were not given are made up: different ones, of plain characters.
    fn same(name: &str, mut seen: Summary, expected: Summary) {
        let ids: HashSet<_> = seen.calls.iter().map(|(id, _, _)| id.clone()).collect();
        assert_eq!(ids.len(), seen.calls.len(), "{name}");
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        assert!(ids.iter().all(|id| !id.is_empty() && id.len() <= 64 && id.bytes().all(is_plain)), "{name}: {ids:?}");
        for (call, expected) in seen.calls.iter_mut().zip(&expected.calls) {
            if expected.0.is_empty() {
                call.0.clear();
            }
        }
        assert_eq!(seen, expected, "{name}");
    }

    fn check_error(name: &str, kind: &dyn Kind, status: u16, body: &str) {
        let document = Document::parse(body.as_bytes()).unwrap();
        let error = kind.error(&Failure { status, body: Some(document.root()), name: None });
        let body: Value = serde_json::from_str(body).unwrap();
        let said = body["error"].as_str().or(body["message"].as_str()).unwrap();
        let cause = match status {
            400 if said.contains("too many tokens") => Cause::ContextWindow,
            401 | 403 => Cause::Authentication,
            402 => Cause::QuotaExhausted,
            404 => Cause::TargetNotFound,
            429 => Cause::RateLimited,
            503 => Cause::Overloaded,
            400..500 => Cause::BadRequest,
            _ => Cause::ServerError,
        };
        assert_eq!((error.cause, error.message.as_str(), error.status), (cause, said, Some(status)), "{name}");
    }

    fn check(kind: &str, endpoint: &str, read: impl Fn(&str) -> Summary) {
        let Some(recordings) = load(endpoint, |provider| provider == kind) else { return };
        let kind = find(kind).unwrap();
        let translator = translator(kind);
        let (mut answers, mut streams, mut errors) = (0, 0, 0);
        for Recording { id: name, status, body, .. } in &recordings {
            if *status != 200 {
                errors += 1;
                check_error(name, kind, *status, body);
            } else if let Ok(document) = Document::parse(body.as_bytes()) {
                answers += 1;
                let expected = read(body);
                match translator.answer(&document) {
                    Ok(answer) => same(name, summarise(&answer), expected),
                    Err(error) => assert_eq!(Some(error.message), expected.error, "{name}"),
                }
            } else {
                streams += 1;
                check_stream(name, translator, body, read(body));
            }
        }
        println!("{}: {answers} answers, {streams} streams, {errors} errors", kind.name());
    }

    #[test]
    fn recordings_of_ollama_come_out_as_they_read() {
        check("ollama", "chat", read_ollama);
    }

    #[test]
    fn recordings_of_cohere_come_out_as_they_read() {
        check("cohere", "chat_v2", read_cohere);
    }

    /// Every text in the messages that an OpenAI client sent.
    fn texts(request: &Value) -> Vec<String> {
        let messages = request["messages"].as_array().into_iter().flatten();
        let texts = messages.flat_map(|message| match &message["content"] {
            Value::String(text) => vec![text.clone()],
            Value::Array(parts) => parts.iter().map(|part| own(&part["text"])).collect(),
            _ => Vec::new(),
        });
        texts.filter(|text| !text.trim().is_empty()).collect()
    }

    /// Every string in it, one after the other.
    fn strings(value: &Value, out: &mut String) {
        match value {
            Value::String(text) => *out += &format!("{text}\n"),
            Value::Array(values) => values.iter().for_each(|value| strings(value, out)),
            Value::Object(members) => members.values().for_each(|value| strings(value, out)),
            _ => {}
        }
    }

    #[test]
    fn recorded_requests_keep_what_they_say() {
        let Some(recordings) = load("chat_completions", |_| true) else { return };
        for kind in ["ollama", "cohere"].map(|name| find(name).unwrap()) {
            let (mut taken, mut refused) = (0, 0);
            for Recording { id: name, request, .. } in &recordings {
                let body = request.to_string();
                let document = Document::parse(body.as_bytes()).unwrap();
                let Ok(read) = openai::request(&document) else { continue };
                let mut out = String::new();
                match translator(kind).request(&read, &Target::new("m"), &mut out) {
                    Ok(_) => {
                        taken += 1;
                        let mut said = String::new();
                        strings(&serde_json::from_str(&out).unwrap(), &mut said);
                        for text in texts(request) {
                            assert!(said.contains(&text), "{name} lost {text:?}");
                        }
                    }
                    Err(error) => {
                        refused += 1;
                        let reasons = ["\"input_audio\"", "\"file\"", "\"image_url\"", "\"n\""];
                        assert!(reasons.iter().any(|reason| body.contains(reason)), "{name}: {error:?}");
                    }
                }
            }
            println!("{}: {taken} requests said, {refused} refused", kind.name());
            assert!(taken > refused);
        }
    }

    /// Streams that may be anything, made of what real ones are made of.
    fn streams() -> impl Strategy<Value = Vec<u8>> {
        let pieces = [
            "{\"message\":{\"content\":\"a\",\"thinking\":\"t\",\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]}}\n",
            "{\"done\":true}\n",
            "data: {\"type\":\"content-delta\",\"index\":1,\"delta\":{\"message\":{\"content\":{\"text\":\"a\"}}}}\n\n",
            "data: {\"type\":\"tool-call-start\",\"index\":18446744073709551615,\"delta\":{\"message\":{\"tool_calls\":{\"id\":\"i\",\"function\":{\"name\":\"f\"}}}}}\n\n",
            "data: {\"type\":\"tool-call-delta\",\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":\"{\"}}}}}\n\n",
            "data: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"COMPLETE\"}}\n\n",
            "data: [DONE]\n\n",
            "{\"error\":1}\n",
            "data:",
            "\n",
            "[]",
        ];
        let piece = prop_oneof![
            prop::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..8),
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_makes_them_panic_and_any_split_gives_the_same(bytes in streams(), at in any::<prop::sample::Index>()) {
            for kind in ["ollama", "cohere"].map(|name| find(name).unwrap()) {
                let translator = translator(kind);
                let run = |chunks: &[&[u8]]| {
                    let mut seen = Vec::new();
                    let mut sink = |_: u32, delta: Delta<'_>| seen.push(format!("{delta:?}").replace("Borrowed", "Owned"));
                    let mut decoder = translator.stream();
                    let result = chunks.iter().try_for_each(|chunk| decoder.push(chunk, &mut sink));
                    (result.and_then(|()| decoder.end(&mut sink)), seen)
                };
                let (first, second) = bytes.split_at(at.index(bytes.len() + 1));
                prop_assert_eq!(run(&[first, second]), run(&[&bytes]));
                if let Ok(document) = Document::parse(&bytes) {
                    let _ = translator.answer(&document);
                    let _ = kind.error(&Failure { status: 500, body: Some(document.root()), name: None });
                }
            }
        }
    }
}
