//! Recorded traffic of Bedrock's Converse and ConverseStream, decoded and compared with what a plain reading of the recording
//! finds; and properties that hold for any traffic.
//!
//! The recordings are read in place; where there are none, the test says so and passes.

#![allow(missing_docs)]

mod recordings;

#[cfg(test)]
mod tests {
    use model_gateway::chat::{Answer, Arguments, Delta, FinishReason, Part, ServiceTier, Usage};
    use model_gateway::error::{Cause, Error};
    use model_gateway::frame::eventstream::write;
    use model_gateway::json::Document;
    use model_gateway::providers::{Failure, Kind, Speech, Translator, find};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::recordings::{Recording, cuts, load};

    fn kind() -> &'static dyn Kind {
        find("bedrock").unwrap()
    }

    fn translator() -> &'static dyn Translator {
        match kind().speech() {
            Speech::Native(translator) => translator,
            Speech::OpenAi => panic!("bedrock speaks its own language"),
        }
    }

    /// What an answer comes to, however it was sent.
    #[derive(Debug, Default, PartialEq)]
    struct Summary {
        text: String,
        /// Text and signature; redacted ones as signature only.
        thoughts: Vec<(String, Option<String>)>,
        /// Id, name, arguments.
        calls: Vec<(String, String, Value)>,
        native: String,
        reason: Option<FinishReason>,
        usage: Option<Usage>,
    }

    /// A plain reading of an answer.
    fn read(answer: &Value) -> Summary {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut summary = Summary { native: text(&answer["stopReason"]), ..Summary::default() };
        for block in answer["output"]["message"]["content"].as_array().unwrap() {
            summary.text += &text(&block["text"]);
            for cited in block["citationsContent"]["content"].as_array().into_iter().flatten() {
                summary.text += &text(&cited["text"]);
            }
            if let Some(thought) = block["reasoningContent"]["reasoningText"].as_object() {
                let signature = thought.get("signature").and_then(Value::as_str).map(str::to_owned);
                summary.thoughts.push((text(&thought["text"]), signature));
            }
            if let Some(data) = block["reasoningContent"]["redactedContent"].as_str() {
                summary.thoughts.push((String::new(), Some(data.to_owned())));
            }
            let call = &block["toolUse"];
            if call.is_object() && call["type"] != "server_tool_use" {
                summary.calls.push((text(&call["toolUseId"]), text(&call["name"]), call["input"].clone()));
            }
        }
        summary.reason = Some(match summary.native.as_str() {
            "end_turn" | "stop_sequence" => FinishReason::Stop,
            "tool_use" => FinishReason::ToolCalls,
            "guardrail_intervened" | "content_filtered" => FinishReason::ContentFilter,
            _ => FinishReason::Length,
        });
        let count = |name: &str| answer["usage"][name].as_u64().unwrap_or(0);
        summary.usage = answer["usage"].is_object().then(|| Usage {
            // All that is not output.
            input: count("totalTokens") - count("outputTokens"),
            cached: count("cacheReadInputTokens"),
            cache_write: count("cacheWriteInputTokens"),
            output: count("outputTokens"),
            tier: answer["serviceTier"]["type"].as_str().map(ServiceTier::named).unwrap_or_default(),
            ..Usage::default()
        });
        summary
    }

    /// Names and payloads of the messages in a stream, plainly read.
    fn events(mut stream: &[u8]) -> Vec<(String, Value)> {
        let mut events = Vec::new();
        while !stream.is_empty() {
            let number = |at: usize| u32::from_be_bytes(stream[at..at + 4].try_into().unwrap()) as usize;
            let (total, headers) = (number(0), number(4));
            let payload = serde_json::from_slice(&stream[12 + headers..total - 4]).unwrap();
            let header = String::from_utf8_lossy(&stream[12..12 + headers]).into_owned();
            let name = header.split(":event-type\u{7}\0").nth(1).unwrap();
            events.push((name.chars().skip(1).take_while(|c| c.is_ascii_alphabetic()).collect(), payload));
            stream = &stream[total..];
        }
        events
    }

    /// The answer that a stream adds up to, plainly read.
    fn add_up(stream: &[u8]) -> Value {
        let mut answer = json!({});
        let mut blocks: Vec<Value> = Vec::new();
        let append = |place: &mut Value, more: &Value| {
            *place = (place.as_str().unwrap_or_default().to_owned() + more.as_str().unwrap()).into();
        };
        for (name, event) in events(stream) {
            let index = event["contentBlockIndex"].as_u64().unwrap_or(0) as usize;
            if name.starts_with("contentBlock") && blocks.len() <= index {
                blocks.resize(index + 1, json!({}));
            }
            match name.as_str() {
                "contentBlockStart" => blocks[index] = event["start"].clone(),
                "contentBlockDelta" => {
                    let (block, delta) = (&mut blocks[index], &event["delta"]);
                    if !delta["text"].is_null() {
                        append(&mut block["text"], &delta["text"]);
                    }
                    if !delta["toolUse"].is_null() {
                        append(&mut block["json"], &delta["toolUse"]["input"]);
                    }
                    let thought = &delta["reasoningContent"];
                    for member in ["text", "signature"] {
                        if !thought[member].is_null() {
                            append(&mut block["reasoningContent"]["reasoningText"][member], &thought[member]);
                        }
                    }
                    if !thought["redactedContent"].is_null() {
                        block["reasoningContent"]["redactedContent"] = thought["redactedContent"].clone();
                    }
                }
                "messageStop" => answer["stopReason"] = event["stopReason"].clone(),
                "metadata" => answer["usage"] = event["usage"].clone(),
                _ => {}
            }
        }
        for block in blocks.iter_mut().filter(|block| block["toolUse"].is_object()) {
            let json = block["json"].as_str().filter(|json| !json.is_empty()).unwrap_or("{}");
            block["toolUse"]["input"] = serde_json::from_str(json).unwrap();
        }
        answer["output"]["message"]["content"] = blocks.into();
        answer
    }

    fn summarise(answer: &Answer<'_>) -> Summary {
        let [choice] = &answer.choices[..] else { panic!("{answer:?}") };
        let mut summary = Summary {
            native: choice.finish.native.decode().into_owned(),
            reason: Some(choice.finish.reason),
            usage: answer.usage,
            ..Summary::default()
        };
        for part in &choice.parts {
            match part {
                Part::Text(text) => summary.text += &text.text.decode(),
                Part::Thinking { text, signature } => {
                    let signature = signature.as_ref().map(|text| text.decode().into_owned());
                    summary.thoughts.push((text.decode().into_owned(), signature));
                }
                Part::RedactedThinking(data) => {
                    summary.thoughts.push((String::new(), Some(data.decode().into_owned())));
                }
                Part::ToolCall(call) => {
                    let Arguments::Object(arguments) = &call.arguments else { panic!("{call:?}") };
                    let arguments = serde_json::from_str(arguments.raw()).unwrap();
                    summary.calls.push((call.id.decode().into_owned(), call.name.decode().into_owned(), arguments));
                }
                // What they say of the text: `recordings_sources.rs`.
                Part::Citation(_) => {}
                other => panic!("{other:?}"),
            }
        }
        summary
    }

    /// What the deltas add up to, their order checked on the way, and how it went.
    fn decode<'c>(chunks: impl IntoIterator<Item = &'c [u8]>) -> (Summary, Vec<String>, Result<(), Error>) {
        let (mut summary, mut arguments, mut seen) = (Summary::default(), Vec::<String>::new(), Vec::new());
        let mut decoder = translator().stream();
        let mut sink = |choice: u32, delta: Delta<'_>| {
            assert_eq!(choice, 0);
            assert!(summary.usage.is_none(), "something after the usage: {delta:?}");
            assert!(summary.reason.is_none() || matches!(delta, Delta::Usage(_)), "after the finish: {delta:?}");
            seen.push(format!("{delta:?}"));
            match delta {
                Delta::Start(_) => assert_eq!(seen.len(), 1),
                Delta::Text(text) => summary.text += &text.decode(),
                Delta::Thinking { block, text } => thought(&mut summary, block).0 += &text.decode(),
                Delta::Signature { block, signature: secret } | Delta::RedactedThinking { block, data: secret } => {
                    assert_eq!(thought(&mut summary, block).1.replace(secret.decode().into_owned()), None);
                }
                Delta::ToolCall { call, id, name, .. } => {
                    assert_eq!(call as usize, arguments.len());
                    summary.calls.push((id.decode().into_owned(), name.decode().into_owned(), Value::Null));
                    arguments.push(String::new());
                }
                Delta::ToolArguments { call, json } => arguments[call as usize] += &json.decode(),
                Delta::Finish(finish) => {
                    summary.native = finish.native.decode().into_owned();
                    summary.reason = Some(finish.reason);
                }
                Delta::Usage(usage) => summary.usage = Some(usage),
                Delta::KeepAlive | Delta::Citation(_) => {}
                Delta::Refusal(_) | Delta::Logprobs(_) | Delta::Image(_) | Delta::Audio(_) => panic!("{delta:?}"),
            }
        };
        let result = chunks.into_iter().try_for_each(|chunk| decoder.push(chunk, &mut sink));
        let result = result.and_then(|()| decoder.end(&mut sink));
        for (call, json) in summary.calls.iter_mut().zip(&arguments) {
            call.2 = serde_json::from_str(json).unwrap_or_default();
        }
        (summary, seen, result)
    }

    fn thought(summary: &mut Summary, block: u32) -> &mut (String, Option<String>) {
        let block = block as usize;
        assert!(block <= summary.thoughts.len());
        summary.thoughts.resize(summary.thoughts.len().max(block + 1), (String::new(), None));
        &mut summary.thoughts[block]
    }

    /// Checks one recorded stream, at as many splits as there is time for.
    fn check_stream(name: &str, bytes: &[u8]) {
        let whole = decode([bytes]);
        assert_eq!(whole.2, Ok(()), "{name}");
        assert_eq!(whole.0, read(&add_up(bytes)), "{name}");
        assert_eq!(decode(bytes.chunks(1)), whole, "{name} byte by byte");
        for at in cuts(bytes.len()) {
            let (first, second) = bytes.split_at(at);
            assert_eq!(decode([first, second]), whole, "{name} cut at {at}");
            let cut = decode([first]);
            assert!(cut.2.is_err() || cut.0.reason.is_some(), "{name} ending at {at}");
        }
    }

    fn check_error(recording: &Recording) {
        let Recording { id, status, body, error_name, .. } = recording;
        let document = Document::parse(body.as_bytes()).unwrap();
        let failure = Failure { status: *status, body: Some(document.root()), name: error_name.as_deref() };
        let error = kind().error(&failure);
        let body: Value = serde_json::from_str(body).unwrap();
        let said = body["message"].as_str().unwrap();
        let cause = match status {
            400 if said.contains("too long") => Cause::ContextWindow,
            400 if said.contains("model identifier is invalid") => Cause::TargetNotFound,
            400 => Cause::BadRequest,
            403 => Cause::Authentication,
            404 => Cause::TargetNotFound,
            429 => Cause::RateLimited,
            _ => Cause::ServerError,
        };
        assert_eq!((error.cause, error.message.as_str(), error.status), (cause, said, Some(*status)), "{id}");
    }

    #[test]
    fn recordings_come_out_as_they_read() {
        let (mut answers, mut streams, mut errors) = (0, 0, 0);
        for endpoint in ["converse", "converse-stream"] {
            let Some(recordings) = load(endpoint, |provider| provider == "bedrock") else { return };
            for recording in &recordings {
                if recording.status != 200 {
                    errors += 1;
                    check_error(recording);
                } else if recording.bytes.is_empty() {
                    answers += 1;
                    let document = Document::parse(recording.body.as_bytes()).unwrap();
                    let answer = summarise(&translator().answer(&document).unwrap());
                    assert_eq!(answer, read(&serde_json::from_str(&recording.body).unwrap()), "{}", recording.id);
                } else {
                    streams += 1;
                    check_stream(&recording.id, &recording.bytes);
                }
            }
        }
        println!("{answers} answers, {streams} streams, {errors} errors");
    }

    /// A block of a stream: its start, if it has one, and its deltas.
    fn block() -> impl Strategy<Value = (Option<Value>, Vec<Value>)> {
        let pieces = || prop::collection::vec(any::<String>(), 1..4);
        prop_oneof![
            pieces().prop_map(|said| (None, said.into_iter().map(|text| json!({"text": text})).collect())),
            (pieces(), "[a-z]{1,9}").prop_map(|(said, signature)| {
                let said = said.into_iter().map(|text| json!({"reasoningContent": {"text": text}}));
                let signed = json!({"reasoningContent": {"signature": signature}});
                (None, said.chain([signed]).collect())
            }),
            "[a-z]{1,9}".prop_map(|data| (None, vec![json!({"reasoningContent": {"redactedContent": data}})])),
            (any::<String>(), any::<Option<u64>>()).prop_map(|(id, number)| {
                let json = number.map(|number| format!("{{\"n\": {number}}}")).unwrap_or_default();
                let pieces = json.chars().map(|piece| json!({"toolUse": {"input": piece.to_string()}}));
                (Some(json!({"toolUse": {"toolUseId": id, "name": "f"}})), pieces.collect())
            }),
        ]
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(block(), 0..5).prop_map(|blocks| {
            let mut bytes = Vec::new();
            let mut event = |name: &str, payload: Value| {
                let headers = [(":event-type", name), (":message-type", "event")];
                write(&headers, payload.to_string().as_bytes(), &mut bytes);
            };
            event("messageStart", json!({"role": "assistant", "p": "a"}));
            for (index, (start, deltas)) in blocks.into_iter().enumerate() {
                if let Some(start) = start {
                    event("contentBlockStart", json!({"contentBlockIndex": index, "start": start}));
                }
                for delta in deltas {
                    event("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta, "p": "abc"}));
                }
                event("contentBlockStop", json!({"contentBlockIndex": index}));
            }
            event("messageStop", json!({"stopReason": "max_tokens"}));
            event("metadata", json!({"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}}));
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_split_gives_the_same(stream in stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
            let whole = decode([stream.as_slice()]);
            prop_assert_eq!(&whole.2, &Ok(()));
            prop_assert_eq!(&whole.0, &read(&add_up(&stream)));
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            prop_assert_eq!(&decode(cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]])), &whole);
            prop_assert_eq!(&decode(stream.chunks(1)), &whole);
        }

        #[test]
        fn a_damaged_stream_is_an_error(stream in stream(), at in any::<prop::sample::Index>(), bit in 0..8) {
            let mut damaged = stream;
            let at = at.index(damaged.len());
            damaged[at] ^= 1_u8 << bit;
            prop_assert!(decode([damaged.as_slice()]).2.is_err());
        }

        #[test]
        fn nothing_makes_it_panic(bytes in any::<Vec<u8>>(), stream in stream(), at in any::<prop::sample::Index>()) {
            let mut broken = stream;
            let at = at.index(broken.len());
            broken.splice(at..at, bytes.iter().copied());
            let _ = decode([broken.as_slice()]);
            let mut framed = Vec::new();
            write(&[(":event-type", "contentBlockDelta"), (":message-type", "event")], &bytes, &mut framed);
            let _ = decode([framed.as_slice()]);
            if let Ok(document) = Document::parse(&bytes) {
                let _ = translator().answer(&document);
                let _ = kind().error(&Failure { status: 500, body: Some(document.root()), name: None });
            }
        }
    }
}
