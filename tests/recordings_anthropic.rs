//! Recorded traffic of Anthropic (and of Vertex, which speaks the same), decoded and compared with what a plain reading
//! of the recording finds; and properties that hold for any traffic.
//!
//! The recordings are read in place; where there are none, the test says so and passes.

mod recordings;

#[cfg(test)]
mod tests {
    use model_gateway::chat::{Answer, Arguments, Delta, FinishReason, Message, Part, Request, Role, ToolCall, Usage};
    use model_gateway::error::{Cause, Error};
    use model_gateway::json::{Document, Str};
    use model_gateway::providers::{Failure, Kind, Speech, Target, Translator, find};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::recordings::{Recording, cuts, load};

    fn kind() -> &'static dyn Kind {
        find("anthropic").unwrap()
    }

    fn translator() -> &'static dyn Translator {
        match kind().speech() {
            Speech::Native(translator) => translator,
            Speech::OpenAi => panic!("anthropic speaks its own language"),
        }
    }

    /// What an answer comes to, however it was sent.
    #[derive(Debug, Default, PartialEq)]
    struct Summary {
        id: String,
        text: String,
        /// Text and signature; redacted ones as signature only.
        thoughts: Vec<(String, Option<String>)>,
        /// Id, name, arguments.
        calls: Vec<(String, String, Value)>,
        native: String,
        reason: Option<FinishReason>,
        usage: Option<Usage>,
    }

    /// A plain reading of a message.
    fn read(message: &Value) -> Summary {
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let mut summary =
            Summary { id: text(message, "id"), native: text(message, "stop_reason"), ..Summary::default() };
        for block in message["content"].as_array().unwrap() {
            match block["type"].as_str().unwrap() {
                "text" => summary.text += &text(block, "text"),
                "thinking" => {
                    let signature = Some(text(block, "signature")).filter(|signature| !signature.is_empty());
                    summary.thoughts.push((text(block, "thinking"), signature));
                }
                "redacted_thinking" => summary.thoughts.push((String::new(), Some(text(block, "data")))),
                "tool_use" => summary.calls.push((text(block, "id"), text(block, "name"), block["input"].clone())),
                _ => {}
            }
        }
        summary.reason = Some(match summary.native.as_str() {
            "end_turn" | "stop_sequence" => FinishReason::Stop,
            "tool_use" => FinishReason::ToolCalls,
            "refusal" => FinishReason::ContentFilter,
            _ => FinishReason::Length,
        });
        let count = |pointer: &str| message["usage"].pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        let written_1h = count("/cache_creation/ephemeral_1h_input_tokens");
        summary.usage = Some(Usage {
            input: count("/input_tokens") + count("/cache_read_input_tokens") + count("/cache_creation_input_tokens"),
            cached: count("/cache_read_input_tokens"),
            cache_write: count("/cache_creation_input_tokens") - written_1h,
            cache_write_1h: written_1h,
            output: count("/output_tokens"),
            reasoning: count("/output_tokens_details/thinking_tokens"),
            ..Usage::default()
        });
        summary
    }

    /// The message that a stream adds up to, plainly read.
    fn add_up(stream: &str) -> Value {
        let is_nothing =
            |block: &Value| block["type"] == "thinking" && block["thinking"] == "" && block["signature"] == "";
        let mut message = json!({});
        for data in stream.lines().filter_map(|line| line.strip_prefix("data:")) {
            let event: Value = serde_json::from_str(data).unwrap();
            let index = event["index"].as_u64().unwrap_or(0) as usize;
            match event["type"].as_str().unwrap() {
                "message_start" => message = event["message"].clone(),
                "content_block_start" => {
                    message["content"].as_array_mut().unwrap().push(event["content_block"].clone())
                }
                "content_block_delta" => {
                    let block = &mut message["content"][index];
                    for name in ["text", "thinking", "signature", "partial_json"] {
                        if let Some(more) = event["delta"][name].as_str() {
                            block[name] = (block[name].as_str().unwrap_or_default().to_owned() + more).into();
                        }
                    }
                }
                "content_block_stop" => {
                    let block = &mut message["content"][index];
                    let input = block["partial_json"].as_str().filter(|json| !json.is_empty());
                    if let Some(input) = input.filter(|_| block["type"] == "tool_use") {
                        block["input"] = serde_json::from_str(input).unwrap();
                    }
                }
                "message_delta" => {
                    message["stop_reason"] = event["delta"]["stop_reason"].clone();
                    for (name, count) in
                        event["usage"].as_object().unwrap().iter().filter(|(_, count)| !count.is_null())
                    {
                        message["usage"][name] = count.clone();
                    }
                }
                _ => {}
            }
        }
        // Thoughts that are neither said nor signed leave nothing to see.
        message["content"].as_array_mut().unwrap().retain(|block| !is_nothing(block));
        message
    }

    fn summarise(answer: &Answer<'_>) -> Summary {
        let [choice] = &answer.choices[..] else { panic!("{answer:?}") };
        let mut summary = Summary {
            id: answer.id.decode().into_owned(),
            native: choice.finish.native.decode().into_owned(),
            reason: Some(choice.finish.reason),
            usage: answer.usage,
            ..Summary::default()
        };
        let own = |text: &Str<'_>| text.decode().into_owned();
        for part in &choice.parts {
            match part {
                Part::Text(text) => summary.text += &text.text.decode(),
                Part::Thinking { text, signature } => summary.thoughts.push((own(text), signature.as_ref().map(own))),
                Part::RedactedThinking(data) => summary.thoughts.push((String::new(), Some(own(data)))),
                Part::ToolCall(call) => {
                    let Arguments::Object(arguments) = &call.arguments else { panic!("{call:?}") };
                    summary.calls.push((
                        own(&call.id),
                        own(&call.name),
                        serde_json::from_str(arguments.raw()).unwrap(),
                    ));
                }
                // What they say of the text: `recordings_sources.rs`.
                Part::Citation(_) => {}
                other => panic!("{other:?}"),
            }
        }
        summary
    }

    /// The deltas, and how it went.
    fn decode<'c>(chunks: impl IntoIterator<Item = &'c [u8]>) -> (Vec<Delta<'static>>, Result<(), Error>) {
        let mut deltas = Vec::new();
        let mut decoder = translator().stream();
        let mut sink = |choice: u32, delta: Delta<'_>| {
            assert_eq!(choice, 0);
            deltas.push(own(delta));
        };
        let result = chunks.into_iter().try_for_each(|chunk| decoder.push(chunk, &mut sink));
        let result = result.and_then(|()| decoder.end(&mut sink));
        (deltas, result)
    }

    fn own(delta: Delta<'_>) -> Delta<'static> {
        match delta {
            Delta::Start(id) => Delta::Start(id.into_owned()),
            Delta::Text(text) => Delta::Text(text.into_owned()),
            Delta::Thinking { block, text } => Delta::Thinking { block, text: text.into_owned() },
            Delta::Signature { block, signature } => Delta::Signature { block, signature: signature.into_owned() },
            Delta::RedactedThinking { block, data } => Delta::RedactedThinking { block, data: data.into_owned() },
            Delta::ToolCall { call, id, name, .. } => {
                Delta::ToolCall { call, id: id.into_owned(), name: name.into_owned(), signature: None }
            }
            Delta::ToolArguments { call, json } => Delta::ToolArguments { call, json: json.into_owned() },
            Delta::Refusal(text) => Delta::Refusal(text.into_owned()),
            Delta::Finish(finish) => {
                Delta::Finish(model_gateway::chat::Finish { reason: finish.reason, native: finish.native.into_owned() })
            }
            Delta::Usage(usage) => Delta::Usage(usage),
            Delta::KeepAlive => Delta::KeepAlive,
            Delta::Citation(citation) => Delta::Citation(citation.into_owned()),
            Delta::Logprobs(_) | Delta::Image(_) | Delta::Audio(_) => panic!("{delta:?}"),
        }
    }

    /// What the deltas of a whole answer add up to, checking their order on the way.
    fn fold(deltas: &[Delta<'_>]) -> Summary {
        let mut summary = Summary::default();
        let mut arguments: Vec<String> = Vec::new();
        for delta in deltas.iter().filter(|delta| **delta != Delta::KeepAlive) {
            assert!(summary.usage.is_none(), "something after the usage: {delta:?}");
            assert!(
                summary.reason.is_none() || matches!(delta, Delta::Usage(_)),
                "something after the finish: {delta:?}"
            );
            match delta {
                Delta::Start(id) => summary.id = id.decode().into_owned(),
                Delta::Text(text) => summary.text += &text.decode(),
                Delta::Thinking { block, text } => thought(&mut summary, *block).0 += &text.decode(),
                Delta::Signature { block, signature: secret } | Delta::RedactedThinking { block, data: secret } => {
                    assert_eq!(thought(&mut summary, *block).1.replace(secret.decode().into_owned()), None);
                }
                Delta::ToolCall { call, id, name, .. } => {
                    assert_eq!(*call as usize, arguments.len());
                    summary.calls.push((id.decode().into_owned(), name.decode().into_owned(), Value::Null));
                    arguments.push(String::new());
                }
                Delta::ToolArguments { call, json } => arguments[*call as usize] += &json.decode(),
                Delta::Finish(finish) => {
                    summary.native = finish.native.decode().into_owned();
                    summary.reason = Some(finish.reason);
                }
                Delta::Usage(usage) => summary.usage = Some(*usage),
                Delta::Citation(_) => {}
                other => panic!("{other:?}"),
            }
        }
        for (call, json) in summary.calls.iter_mut().zip(&arguments) {
            call.2 = serde_json::from_str(json).unwrap();
        }
        summary
    }

    fn thought(summary: &mut Summary, block: u32) -> &mut (String, Option<String>) {
        let block = block as usize;
        assert!(block <= summary.thoughts.len());
        summary.thoughts.resize(summary.thoughts.len().max(block + 1), (String::new(), None));
        &mut summary.thoughts[block]
    }

    /// Checks one recorded stream, at as many splits as there is time for.
    fn check_stream(name: &str, body: &str) {
        let bytes = body.as_bytes();
        let whole = decode([bytes]);
        assert_eq!(whole.1, Ok(()), "{name}");
        assert_eq!(fold(&whole.0), read(&add_up(body)), "{name}");
        assert_eq!(decode(bytes.chunks(1)), whole, "{name} byte by byte");
        let complete = body.rfind("message_stop").unwrap() + "message_stop\"}".len();
        for at in cuts(bytes.len()) {
            let (first, second) = bytes.split_at(at);
            assert_eq!(decode([first, second]), whole, "{name} cut at {at}");
            if at < complete {
                assert!(decode([first]).1.is_err(), "{name} ending at {at}");
            }
        }
    }

    fn check_error(name: &str, status: u16, body: &str) {
        let document = Document::parse(body.as_bytes()).unwrap();
        let error = kind().error(&Failure { status, body: Some(document.root()), name: None });
        let body: Value = serde_json::from_str(body).unwrap();
        let said = body["error"]["message"].as_str().unwrap();
        let cause = match body["error"]["type"].as_str().unwrap() {
            "invalid_request_error" if said.contains("too long") => Cause::ContextWindow,
            "invalid_request_error" => Cause::BadRequest,
            "authentication_error" | "permission_error" => Cause::Authentication,
            "not_found_error" => Cause::TargetNotFound,
            "rate_limit_error" => Cause::RateLimited,
            "overloaded_error" => Cause::Overloaded,
            _ => Cause::ServerError,
        };
        assert_eq!((error.cause, error.message.as_str(), error.status), (cause, said, Some(status)), "{name}");
    }

    #[test]
    fn recordings_come_out_as_they_read() {
        let speaks = |provider: &str| ["anthropic", "vertex"].contains(&provider);
        let Some(recordings) = load("messages", speaks) else { return };
        let (mut answers, mut streams, mut errors) = (0, 0, 0);
        for Recording { id: name, status, body, .. } in &recordings {
            if *status != 200 {
                errors += 1;
                check_error(name, *status, body);
            } else if let Ok(message) = serde_json::from_str(body) {
                answers += 1;
                let document = Document::parse(body.as_bytes()).unwrap();
                assert_eq!(summarise(&translator().answer(&document).unwrap()), read(&message), "{name}");
            } else {
                streams += 1;
                check_stream(name, body);
            }
        }
        println!("{answers} answers, {streams} streams, {errors} errors");
    }

    /// A block of a stream: its start, its deltas.
    fn block() -> impl Strategy<Value = (Value, Vec<Value>)> {
        let pieces = || prop::collection::vec(any::<String>(), 0..4);
        let deltas =
            |name: &'static str, pieces: Vec<String>| pieces.into_iter().map(|piece| json!({name: piece})).collect();
        prop_oneof![
            pieces().prop_map(move |said| (json!({"type":"text","text":""}), deltas("text", said))),
            (pieces(), pieces()).prop_map(move |(said, signed)| {
                let said: Vec<Value> = deltas("thinking", said);
                (json!({"type":"thinking","thinking":"","signature":""}), [said, deltas("signature", signed)].concat())
            }),
            any::<String>().prop_map(|data| (json!({"type":"redacted_thinking","data":data}), vec![])),
            (any::<String>(), any::<Option<u64>>()).prop_map(move |(id, number)| {
                let pieces = number.map(|number| format!("{{\"n\": {number}}}")).into_iter();
                let pieces = pieces.flat_map(|json| json.chars().map(String::from).collect::<Vec<_>>()).collect();
                (json!({"type":"tool_use","id":id,"name":"f","input":{}}), deltas("partial_json", pieces))
            }),
            pieces().prop_map(move |said| (json!({"type":"server_tool_use","id":"s"}), deltas("partial_json", said))),
        ]
    }

    fn stream() -> impl Strategy<Value = String> {
        (prop::collection::vec(block(), 0..5), any::<bool>()).prop_map(|(blocks, carriage)| {
            let mut events =
                vec![json!({"type":"message_start","message":{"id":"m","content":[],"usage":{"input_tokens":1}}})];
            for (index, (start, deltas)) in blocks.into_iter().enumerate() {
                events.push(json!({"type":"content_block_start","index":index,"content_block":start}));
                events.extend(
                    deltas.iter().map(|delta| json!({"type":"content_block_delta","index":index,"delta":delta})),
                );
                events.push(json!({"type":"content_block_stop","index":index}));
            }
            let end = json!({"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{"output_tokens":2}});
            events.extend([json!({"type":"ping"}), end, json!({"type":"message_stop"})]);
            let line = if carriage { "\r\n" } else { "\n" };
            events.iter().map(|event| format!("event: {}{line}data: {event}{line}{line}", event["type"])).collect()
        })
    }

    fn part() -> impl Strategy<Value = Part<'static>> {
        let text = || prop_oneof![any::<String>(), "[ \n]{0,2}"].prop_map(|text| Str::plain(text.leak()));
        prop_oneof![
            text().prop_map(|text| Part::Text(text.into())),
            (text(), prop::option::of(text())).prop_map(|(text, signature)| Part::Thinking { text, signature }),
            (text(), text()).prop_map(|(id, json)| {
                Part::ToolCall(ToolCall {
                    id,
                    name: Str::plain("f"),
                    arguments: Arguments::Text(json),
                    signature: None,
                })
            }),
            (text(), text()).prop_map(|(id, text)| Part::ToolResult {
                id,
                parts: vec![Part::Text(text.into())],
                is_error: false
            }),
        ]
    }

    fn message() -> impl Strategy<Value = Message<'static>> {
        let role = prop::sample::select(vec![Role::System, Role::User, Role::Assistant]);
        (role, prop::collection::vec(part(), 0..4)).prop_map(|(role, parts)| Message { role, parts, thoughts_by: None })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_split_gives_the_same(stream in stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
            let bytes = stream.as_bytes();
            let whole = decode([bytes]);
            prop_assert_eq!(&whole.1, &Ok(()));
            prop_assert_eq!(fold(&whole.0), read(&add_up(&stream)));
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            prop_assert_eq!(&decode(cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]])), &whole);
            prop_assert_eq!(&decode(bytes.chunks(1)), &whole);
        }

        #[test]
        fn a_truncated_stream_is_an_error(stream in stream(), at in any::<prop::sample::Index>()) {
            let at = at.index(stream.trim_end().len());
            prop_assert!(decode([&stream.as_bytes()[..at]]).1.is_err());
        }

        #[test]
        fn nothing_makes_it_panic(bytes in any::<Vec<u8>>(), stream in stream(), at in any::<prop::sample::Index>()) {
            let mut broken = stream.into_bytes();
            let at = at.index(broken.len());
            broken.splice(at..at, bytes.iter().copied());
            let _ = decode([broken.as_slice()]);
            let _ = decode([b"data: ", bytes.as_slice(), b"\n\n"]);
            if let Ok(document) = Document::parse(&bytes) {
                let _ = translator().answer(&document);
                let _ = kind().error(&Failure { status: 500, body: Some(document.root()), name: None });
            }
        }

        #[test]
        fn every_conversation_is_one_that_anthropic_takes(messages in prop::collection::vec(message(), 0..6)) {
            let mut out = String::new();
            let request = Request { messages, ..Request::default() };
            translator().request(&request, &Target::new("claude-sonnet-4-5"), &mut out).unwrap();
            let body: Value = serde_json::from_str(&out).unwrap();
            let turns = body["messages"].as_array().unwrap();
            for (index, turn) in turns.iter().enumerate() {
                prop_assert_eq!(&turn["role"], if index % 2 == 0 { "user" } else { "assistant" });
                let Some(blocks) = turn["content"].as_array() else { continue };
                let is_thought = |block: &Value| ["thinking", "redacted_thinking"].map(Value::from).contains(&block["type"]);
                prop_assert!(!blocks.last().is_none_or(is_thought));
                prop_assert!(blocks.first().is_some_and(is_thought) || !blocks.iter().any(is_thought));
                for block in blocks {
                    prop_assert!(block["type"] != "text" || !block["text"].as_str().unwrap().trim().is_empty());
                    prop_assert!(block["type"] != "tool_use" || block["input"].is_object());
                    let ids = [&block["id"], &block["tool_use_id"]].into_iter().filter_map(Value::as_str);
                    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
                    ids.for_each(|id| assert!(!id.is_empty() && id.bytes().all(is_plain)));
                }
                let results = blocks.iter().map(|block| block["type"] == "tool_result");
                prop_assert!(turn["role"] == "assistant" || results.is_sorted_by(|one, next| one >= next));
            }
        }
    }
}
