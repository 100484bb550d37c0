//! Recorded traffic of Gemini, from Google AI and from Vertex, decoded and compared with what a plain reading of the
//! recording finds.
//!
//! The recordings are read in place; where there are none, the test says so and passes.

mod recordings;

#[cfg(test)]
mod tests {
    use model_gateway::chat::{Arguments, Delta, FinishReason, Media, Part, Usage};
    use model_gateway::clients::openai;
    use model_gateway::error::{Cause, Error};
    use model_gateway::json::{Document, Str};
    use model_gateway::providers::{Failure, Kind, Speech, Target, Translator, find};
    use serde_json::{Value, json};

    use super::recordings::{Recording, cuts, load};

    fn translator(kind: &dyn Kind) -> &'static dyn Translator {
        match kind.speech() {
            Speech::Native(translator) => translator,
            Speech::OpenAi => panic!("it speaks its own language"),
        }
    }

    /// What one alternative comes to, however it was sent.
    #[derive(Debug, Default, PartialEq)]
    struct Choice {
        text: String,
        /// Text and signature; those of texts without text.
        thoughts: Vec<(String, Option<String>)>,
        /// Id if Google gave one, name, arguments, signature.
        calls: Vec<(Option<String>, String, Value, Option<String>)>,
        /// Type and base64 of each picture and sound.
        media: Vec<(String, String)>,
        native: String,
        reason: Option<FinishReason>,
    }

    #[derive(Debug, Default, PartialEq)]
    struct Summary {
        id: String,
        choices: Vec<Choice>,
        usage: Option<Usage>,
    }

    /// A plain reading of the chunks of a stream, or of an answer, which is one.
    fn read(chunks: &[Value]) -> Summary {
        let mut summary =
            Summary { id: chunks[0]["responseId"].as_str().unwrap_or_default().to_owned(), ..Summary::default() };
        let mut open: Option<usize> = None;
        for chunk in chunks {
            for (position, candidate) in chunk["candidates"].as_array().unwrap().iter().enumerate() {
                let index = candidate["index"].as_u64().map_or(position, |index| index as usize);
                if summary.choices.len() <= index {
                    summary.choices.resize_with(index + 1, Choice::default);
                }
                let choice = &mut summary.choices[index];
                for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
                    let signature = part["thoughtSignature"].as_str().map(str::to_owned);
                    let goes_on = open.take() == Some(index);
                    if let Some(call) = part["functionCall"].as_object() {
                        let args = call.get("args").cloned().unwrap_or(json!({}));
                        let id = call.get("id").and_then(Value::as_str).map(str::to_owned);
                        choice.calls.push((id, call["name"].as_str().unwrap().to_owned(), args, signature));
                    } else if part["thought"] == true {
                        if !goes_on || chunks.len() == 1 {
                            choice.thoughts.push((String::new(), None));
                        }
                        let thought = choice.thoughts.last_mut().unwrap();
                        thought.0 += part["text"].as_str().unwrap();
                        thought.1 = signature;
                        open = Some(index).filter(|_| thought.1.is_none());
                    } else if let Some(text) = part["text"].as_str() {
                        choice.text += text;
                        choice.thoughts.extend(signature.map(|signature| (String::new(), Some(signature))));
                    } else if part["inlineData"].is_object() {
                        let text = |name| part["inlineData"][name].as_str().unwrap().to_owned();
                        choice.media.push((text("mimeType"), text("data")));
                        choice.thoughts.extend(signature.map(|signature| (String::new(), Some(signature))));
                    }
                }
                let words = ["", "STOP", "MAX_TOKENS", "SAFETY"];
                if let Some(word) = candidate["finishReason"].as_u64() {
                    choice.native = words[word as usize].to_owned();
                } else if let Some(word) = candidate["finishReason"].as_str() {
                    choice.native = word.to_owned();
                }
            }
        }
        for choice in &mut summary.choices {
            choice.reason = Some(match choice.native.as_str() {
                "STOP" if choice.calls.is_empty() => FinishReason::Stop,
                "STOP" => FinishReason::ToolCalls,
                "MAX_TOKENS" => FinishReason::Length,
                _ => FinishReason::ContentFilter,
            });
        }
        let metadata = &chunks.last().unwrap()["usageMetadata"];
        let count = |name: &str| metadata[name].as_u64().unwrap_or(0);
        let audio = |name: &str| -> u64 {
            let details = metadata[name].as_array().into_iter().flatten();
            details
                .filter(|detail| detail["modality"] == "AUDIO")
                .map(|detail| detail["tokenCount"].as_u64().unwrap())
                .sum()
        };
        summary.usage = Some(Usage {
            input: count("promptTokenCount") + count("toolUsePromptTokenCount"),
            cached: count("cachedContentTokenCount"),
            input_audio: audio("promptTokensDetails"),
            output: count("candidatesTokenCount") + count("thoughtsTokenCount"),
            reasoning: count("thoughtsTokenCount"),
            output_audio: audio("candidatesTokensDetails"),
            ..Usage::default()
        });
        summary
    }

    fn own(text: &Str<'_>) -> String {
        text.decode().into_owned()
    }

    /// Ids that were made up are checked here, and left out.
    fn given(id: &Str<'_>, ids: &mut Vec<String>) -> Option<String> {
        let id = own(id);
        assert!(!ids.contains(&id), "{id} comes twice");
        ids.push(id.clone());
        assert!(id.len() <= 40 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)), "{id}");
        Some(id).filter(|id| !id.starts_with("call_"))
    }

    fn summarise(kind: &dyn Kind, body: &str) -> Result<Summary, Error> {
        let document = Document::parse(body.as_bytes()).unwrap();
        let answer = translator(kind).answer(&document)?;
        let mut summary = Summary { id: own(&answer.id), usage: answer.usage, ..Summary::default() };
        let mut ids = Vec::new();
        for choice in &answer.choices {
            let mut seen =
                Choice { native: own(&choice.finish.native), reason: Some(choice.finish.reason), ..Choice::default() };
            for part in &choice.parts {
                match part {
                    Part::Text(text) => seen.text += &text.text.decode(),
                    Part::Thinking { text, signature } => seen.thoughts.push((own(text), signature.as_ref().map(own))),
                    Part::ToolCall(call) => {
                        let arguments = match &call.arguments {
                            Arguments::Object(value) => serde_json::from_str(value.raw()).unwrap(),
                            Arguments::Text(text) => serde_json::from_str(&text.decode()).unwrap(),
                        };
                        let id = given(&call.id, &mut ids);
                        seen.calls.push((id, own(&call.name), arguments, call.signature.as_ref().map(own)));
                    }
                    // What they say of the text: `recordings_sources.rs`.
                    Part::Citation(_) => {}
                    Part::Image { media: Media::Base64 { media_type, data }, .. }
                    | Part::Audio(Media::Base64 { media_type, data }) => {
                        seen.media.push((own(media_type), own(data)));
                    }
                    other => panic!("{other:?}"),
                }
            }
            summary.choices.push(seen);
        }
        Ok(summary)
    }

    /// What the deltas add up to, checking their order on the way; and how often the usage came.
    #[derive(Debug, Default, PartialEq)]
    struct Fold {
        summary: Summary,
        ids: Vec<String>,
        starts: u32,
    }

    impl Fold {
        fn push(&mut self, index: u32, delta: Delta<'_>) {
            let index = index as usize;
            if matches!(delta, Delta::KeepAlive) {
                return;
            }
            assert!(self.summary.usage.is_none(), "something after the usage: {delta:?}");
            let choices = &mut self.summary.choices;
            choices.resize_with(choices.len().max(index + 1), Choice::default);
            let choice = &mut choices[index];
            assert!(choice.reason.is_none() || matches!(delta, Delta::Usage(_)), "after the finish: {delta:?}");
            match delta {
                Delta::Start(id) => {
                    self.starts += 1;
                    self.summary.id = own(&id);
                }
                Delta::Text(text) => choice.text += &text.decode(),
                Delta::Thinking { block, text } => thought(choice, block).0 += &text.decode(),
                Delta::Signature { block, signature } => {
                    assert_eq!(thought(choice, block).1.replace(own(&signature)), None);
                }
                Delta::ToolCall { call, id, name, signature } => {
                    assert_eq!(call as usize, choice.calls.len());
                    let id = given(&id, &mut self.ids);
                    choice.calls.push((id, own(&name), json!({}), signature.as_ref().map(own)));
                }
                Delta::ToolArguments { call, json } => {
                    choice.calls[call as usize].2 = serde_json::from_str(&json.decode()).unwrap();
                }
                Delta::Finish(finish) => {
                    choice.native = own(&finish.native);
                    choice.reason = Some(finish.reason);
                }
                Delta::Usage(usage) => self.summary.usage = Some(usage),
                Delta::Citation(_) => {}
                Delta::Image(Media::Base64 { media_type, data }) | Delta::Audio(Media::Base64 { media_type, data }) => {
                    choice.media.push((own(&media_type), own(&data)));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn thought(choice: &mut Choice, block: u32) -> &mut (String, Option<String>) {
        let block = block as usize;
        assert!(block <= choice.thoughts.len());
        choice.thoughts.resize(choice.thoughts.len().max(block + 1), (String::new(), None));
        &mut choice.thoughts[block]
    }

    fn decode<'c>(kind: &dyn Kind, chunks: impl IntoIterator<Item = &'c [u8]>) -> (Summary, Result<(), Error>) {
        let mut fold = Fold::default();
        let mut decoder = translator(kind).stream();
        let mut sink = |choice: u32, delta: Delta<'_>| fold.push(choice, delta);
        let result = chunks.into_iter().try_for_each(|chunk| decoder.push(chunk, &mut sink));
        let result = result.and_then(|()| decoder.end(&mut sink));
        assert!(result.is_err() || fold.starts == 1);
        (fold.summary, result)
    }

    /// Checks one recorded stream, at as many splits as there is time for.
    fn check_stream(name: &str, kind: &dyn Kind, body: &str) {
        let chunks: Vec<Value> = match serde_json::from_str(body) {
            Ok(chunks) => chunks,
            Err(_) => {
                let data = body.lines().filter_map(|line| line.strip_prefix("data:"));
                data.map(|data| serde_json::from_str(data).unwrap()).collect()
            }
        };
        let bytes = body.as_bytes();
        let whole = decode(kind, [bytes]);
        assert_eq!(whole, (read(&chunks), Ok(())), "{name}");
        assert_eq!(decode(kind, bytes.chunks(1)), whole, "{name} byte by byte");
        let complete = body.rfind("\"finishReason\"").unwrap();
        for at in cuts(bytes.len()) {
            let (first, second) = bytes.split_at(at);
            assert_eq!(decode(kind, [first, second]), whole, "{name} cut at {at}");
            if at < complete {
                assert!(decode(kind, [first]).1.is_err(), "{name} ending at {at}");
            }
        }
    }

    fn check_error(name: &str, kind: &dyn Kind, status: u16, body: &str) {
        let document = Document::parse(body.as_bytes()).unwrap();
        let error = kind.error(&Failure { status, body: Some(document.root()), name: None });
        let body: Value = serde_json::from_str(body).unwrap();
        let said = body["error"]["message"].as_str().unwrap();
        let cause = match body["error"]["status"].as_str().unwrap() {
            "INVALID_ARGUMENT" if said.contains("exceeds the maximum number of tokens") => Cause::ContextWindow,
            "INVALID_ARGUMENT" if said.contains("API key") => Cause::Authentication,
            "INVALID_ARGUMENT" => Cause::BadRequest,
            "UNAUTHENTICATED" | "PERMISSION_DENIED" => Cause::Authentication,
            "NOT_FOUND" => Cause::TargetNotFound,
            "RESOURCE_EXHAUSTED" => Cause::RateLimited,
            "UNAVAILABLE" => Cause::Overloaded,
            _ => Cause::ServerError,
        };
        assert_eq!((error.cause, error.message.as_str(), error.status), (cause, said, Some(status)), "{name}");
        let details = body["error"]["details"].as_array().into_iter().flatten();
        let delay =
            details.filter_map(|detail| detail["retryDelay"].as_str()?.strip_suffix('s')?.parse::<f64>().ok()).next();
        assert_eq!(error.retry_after, delay.map(|seconds| (seconds * 1000.0) as u64), "{name}");
    }

    /// An answer without an answer: why.
    fn failure(answer: &Value) -> Option<Cause> {
        if answer["promptFeedback"]["blockReason"].is_string() && answer["candidates"].is_null() {
            return Some(Cause::ContentPolicy);
        }
        let words = ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER"];
        let broken = |candidate: &Value| words.iter().any(|word| candidate["finishReason"] == *word);
        answer["candidates"].as_array().unwrap().iter().any(broken).then_some(Cause::BadAnswer)
    }

    #[test]
    fn recordings_come_out_as_they_read() {
        let speaks = |provider: &str| ["gemini", "vertex"].contains(&provider);
        let (mut answers, mut streams, mut failures, mut errors) = (0, 0, 0, 0);
        for endpoint in ["generateContent", "streamGenerateContent"] {
            let Some(recordings) = load(endpoint, speaks) else { return };
            for Recording { id: name, provider, status, body, .. } in &recordings {
                let kind = find(provider).unwrap();
                if *status != 200 {
                    errors += 1;
                    check_error(name, kind, *status, body);
                } else if endpoint == "streamGenerateContent" {
                    streams += 1;
                    check_stream(name, kind, body);
                } else {
                    let answer: Value = serde_json::from_str(body).unwrap();
                    match failure(&answer) {
                        Some(cause) => {
                            failures += 1;
                            assert_eq!(summarise(kind, body).unwrap_err().cause, cause, "{name}");
                        }
                        None => {
                            answers += 1;
                            assert_eq!(summarise(kind, body), Ok(read(&[answer])), "{name}");
                        }
                    }
                }
            }
        }
        println!("{answers} answers, {streams} streams, {failures} failed answers, {errors} errors");
    }

    /// Every string under one of these names.
    fn strings<'v>(value: &'v Value, names: &[&str], seen: &mut Vec<&'v str>) {
        for (name, member) in value.as_object().into_iter().flatten() {
            match member.as_str() {
                Some(text) if names.contains(&name.as_str()) => seen.push(text),
                _ => strings(member, names, seen),
            }
        }
        value.as_array().into_iter().flatten().for_each(|element| strings(element, names, seen));
    }

    /// What clients of OpenAI's interface have sent, whoever answered it, can be said to Gemini with all that is in it.
    #[test]
    fn every_recorded_request_of_openais_dialect_can_be_said() {
        let Some(recordings) = load("chat_completions", |_| true) else { return };
        let mut said = 0;
        for Recording { id: name, request, .. } in &recordings {
            let text = request.to_string();
            let document = Document::parse(text.as_bytes()).unwrap();
            let Ok(neutral) = openai::request(&document) else { continue };
            for (kind, model) in [("gemini", "gemini-3-flash-preview"), ("vertex", "gemini-2.5-flash")] {
                let mut out = String::new();
                let translator = translator(find(kind).unwrap());
                translator.request(&neutral, &Target::new(model), &mut out).unwrap();
                let body: Value = serde_json::from_str(&out).unwrap();
                let roles: Vec<_> = body["contents"].as_array().unwrap().iter().map(|turn| &turn["role"]).collect();
                assert!(
                    roles.iter().zip(["user", "model"].iter().cycle()).all(|(role, expected)| *role == expected),
                    "{name}"
                );
                let mut sent = Vec::new();
                for message in request["messages"].as_array().unwrap() {
                    strings(&message["content"], &["text"], &mut sent);
                    sent.extend(message["content"].as_str());
                    strings(&message["tool_calls"], &["name"], &mut sent);
                }
                strings(&request["tools"], &["description"], &mut sent);
                let mut seen = Vec::new();
                strings(&body, &["text", "name", "result", "description"], &mut seen);
                for text in sent.iter().filter(|text| !text.trim().is_empty()) {
                    let is_object = serde_json::from_str(text).is_ok_and(|value: Value| value.is_object());
                    assert!(is_object || seen.iter().any(|seen| seen.contains(text)), "{name}: {text}");
                }
                said += 1;
            }
        }
        println!("{said} requests");
    }
}
