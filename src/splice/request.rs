//! The request: what the gateway has to know of it, and what it changes.
//!
//! <https://platform.openai.com/docs/api-reference/chat/create>

use core::ops::Range;
use std::borrow::Cow;

use super::differ;
use super::patch::Patches;
use crate::dialect::{Differences, Dropped, Operation};
use crate::error::{Cause, Error};
use crate::json::{Document, Kind, Str, Value, Write, literal_at};
use crate::words::same;

/// What the gateway has to know of a request, whoever will answer it.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The model that is asked for.
    pub model: Str<'a>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the client wants the usage at the end of the stream.
    pub include_usage: bool,
    places: Places<'a>,
}

/// Where a chat request is to be changed for a provider whose dialect is OpenAI's own, so that it need not be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spans {
    /// How long the request is, in bytes.
    pub size: usize,
    model: Range<usize>,
    /// Whether the usage is to be asked for, and nothing else is yet.
    asks_for_usage: bool,
}

/// The members that may have to change.
#[derive(Debug, Clone, Copy, Default)]
struct Places<'a> {
    model: Option<Value<'a>>,
    messages: Option<Value<'a>>,
    stream: Option<Value<'a>>,
    stream_options: Option<Value<'a>>,
}

impl<'a> Facts<'a> {
    /// Reads a chat request.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn read(document: &'a Document<'a>) -> Result<Self, Error> {
        Self::of(Operation::Chat, document)
    }

    /// Reads a request for this operation.
    ///
    /// # Errors
    /// It is not one: always the client's fault. What is inside the messages is the provider's to judge.
    pub fn of(operation: Operation, document: &'a Document<'a>) -> Result<Self, Error> {
        let root = document.root();
        if root.kind() != Kind::Object {
            return Err(Error::new(Cause::BadRequest, "The body must be a JSON object."));
        }
        let places = Places::find(root)?;
        let model = places.model.ok_or_else(|| Error::bad_request("You must provide a model parameter.", "model"))?;
        let model = model.as_str().ok_or_else(|| wrong_type("model", "a string"))?;
        if operation == Operation::Chat {
            check_messages(places.messages.ok_or_else(|| missing("messages"))?)?;
        } else if root.get(operation.subject()).is_none_or(Value::is_null) {
            return Err(missing(operation.subject()));
        }
        let stream = match places.stream.filter(|_| operation.streams()) {
            Some(stream) if !stream.is_null() => stream.as_bool().ok_or_else(|| wrong_type("stream", "a boolean"))?,
            _ => false,
        };
        let include_usage = places.stream_options.and_then(|options| options.get("include_usage"));
        Ok(Self { model, stream, include_usage: include_usage.and_then(Value::as_bool).unwrap_or(false), places })
    }

    /// Where a chat request is to be changed; `None` if it has calls, whose ids may have to change, or something unusual.
    pub fn spans(&self, document: &Document<'_>) -> Option<Spans> {
        let has_ids = |message: Value<'_>| message.get("tool_calls").or(message.get("tool_call_id")).is_some();
        let asks_for_usage = self.stream && !self.include_usage;
        if self.places.messages?.elements().any(has_ids) || asks_for_usage && self.places.stream_options.is_some() {
            return None;
        }
        let model = self.places.model?;
        Some(Spans { size: document.text().len(), model: model.start()..model.end(), asks_for_usage })
    }
}

impl Spans {
    /// Where the last of them ends, in bytes: behind that nothing changes.
    pub fn end(&self) -> usize {
        self.model.end
    }

    /// What takes the place of the request's `beginning`, as far as [`Self::end`], so that it asks for `model`; `None` if it is
    /// not the request of which the spans are.
    pub fn request(&self, beginning: &[u8], model: &str) -> Option<String> {
        let (before, place) = beginning.split_at_checked(self.model.start)?;
        let (asked, rest) = literal_at(place)?;
        let before =
            core::str::from_utf8(before).ok().filter(|_| rest.is_empty() && asked.len() == self.model.len())?;
        let mut out = String::with_capacity(before.len() + model.len() + 64);
        out.push_str(before);
        model.write(&mut out);
        if self.asks_for_usage {
            out.push_str(ASKED);
        }
        Some(out)
    }
}

impl<'a> Places<'a> {
    /// A member that stands there twice is refused: the gateway would judge by one, and the provider by the other.
    fn find(root: Value<'a>) -> Result<Self, Error> {
        let mut places = Self::default();
        let mut seen: Vec<Cow<'_, str>> = Vec::with_capacity(16);
        for (name, value) in root.members() {
            let name = name.into_decoded();
            match name.as_ref() {
                "model" => places.model = Some(value),
                "messages" => places.messages = Some(value),
                "stream" => places.stream = Some(value),
                "stream_options" => places.stream_options = Some(value),
                _ => {}
            }
            if seen.iter().any(|other| same(other.as_bytes(), name.as_bytes())) {
                return Err(duplicate(&name));
            }
            if seen.len() >= MAX_MEMBERS {
                return Err(Error::new(Cause::BadRequest, format!("More than {MAX_MEMBERS} parameters.")));
            }
            seen.push(name);
        }
        let options = places.stream_options.into_iter().flat_map(Value::members);
        if options.filter(|(name, _)| *name == *"include_usage").count() > 1 {
            return Err(duplicate("stream_options.include_usage"));
        }
        Ok(places)
    }
}

fn check_messages(messages: Value<'_>) -> Result<(), Error> {
    if messages.kind() != Kind::Array {
        return Err(wrong_type("messages", "an array of objects"));
    }
    if let Some((index, _)) = messages.elements().enumerate().find(|(_, message)| message.kind() != Kind::Object) {
        return Err(wrong_type(&format!("messages[{index}]"), "an object"));
    }
    if messages.elements().next().is_none() {
        let message = "Invalid 'messages': empty array. Expected at least one message.";
        return Err(Error::bad_request(message, "messages"));
    }
    Ok(())
}

fn duplicate(name: &str) -> Error {
    let name: String = name.chars().take(64).collect();
    Error::bad_request(format!("Duplicate parameter: '{name}'."), name)
}

/// Appends the request to `out` as the provider is to get it: for `model`, with the usage at the end of a stream, and as
/// far as the provider's dialect goes. The parameters that it does not have are returned.
pub fn request(
    document: &Document<'_>,
    facts: &Facts<'_>,
    model: &str,
    differences: &Differences,
    out: &mut String,
) -> Dropped {
    let mut patches = Patches::default();
    let mut dropped = Dropped::new();
    if let Some(place) = facts.places.model {
        if facts.model != *model {
            patches.replace(place.start()..place.end(), literal(model));
        }
        if facts.stream && !facts.include_usage && !differences.refuses.contains(&"stream_options") {
            ask_for_usage(facts.places.stream_options, place, &mut patches);
        }
    }
    if differences.in_parameters() {
        differ::parameters(document, differences, &mut patches, &mut dropped);
    }
    for message in facts.places.messages.into_iter().flat_map(Value::elements) {
        differ::ids(message, &mut patches);
        if differences.in_messages() {
            differ::message(document, message, differences, &mut patches, &mut dropped);
        }
    }
    patches.apply(document.text(), out);
    dropped
}

fn ask_for_usage(options: Option<Value<'_>>, model: Value<'_>, patches: &mut Patches) {
    const ALL: &str = r#"{"include_usage":true}"#;
    let Some(options) = options else {
        patches.replace(model.end()..model.end(), ASKED);
        return;
    };
    match options.get("include_usage") {
        Some(flag) => patches.replace(flag.start()..flag.end(), "true"),
        None if options.members().next().is_some() => {
            patches.replace(options.start() + 1..options.start() + 1, r#""include_usage":true,"#);
        }
        None => patches.replace(options.start()..options.end(), ALL),
    }
}

/// What asks for it where there are no other options of streams.
const ASKED: &str = r#","stream_options":{"include_usage":true}"#;

/// `text` as a JSON string.
pub(super) fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    text.write(&mut literal);
    literal
}

fn missing(param: &str) -> Error {
    Error::bad_request(format!("Missing required parameter: '{param}'."), param)
}

fn wrong_type(param: &str, expected: &str) -> Error {
    Error::bad_request(format!("Invalid type for '{param}': expected {expected}."), param)
}

/// No dialect has half as many.
const MAX_MEMBERS: usize = 256;

#[cfg(test)]
mod tests {
    use super::{Facts, request};
    use crate::dialect::Differences;
    use crate::json::Document;

    fn check(body: &str, expected: &str) {
        check_differing(&Differences::NONE, body, expected, &[]);
    }

    fn check_differing(differences: &Differences, body: &str, expected: &str, dropped: &[&str]) {
        let document = Document::parse(body.as_bytes()).unwrap();
        let facts = Facts::read(&document).unwrap();
        let mut out = String::new();
        assert_eq!(request(&document, &facts, "up-1", differences, &mut out), dropped, "{body}");
        assert_eq!(out, expected);
    }

    #[test]
    fn only_what_must_differ_differs() {
        let messages = r#""messages":[{"role":"user","content":"\u00e9 model"}]"#;
        for (body, expected) in [
            (r#"{ "model" : "a", M ,"x":{"model":"b"}}"#, r#"{ "model" : "up-1", M ,"x":{"model":"b"}}"#),
            (r#"{"model":"up-1",M}"#, r#"{"model":"up-1",M}"#),
            (
                r#"{M,"stream":true,"model":"a"}"#,
                r#"{M,"stream":true,"model":"up-1","stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options":{"x":1},"model":"a","stream":true,M}"#,
                r#"{"stream_options":{"include_usage":true,"x":1},"model":"up-1","stream":true,M}"#,
            ),
            (
                r#"{"model":"a","stream":true,"stream_options":{"include_usage":false},M}"#,
                r#"{"model":"up-1","stream":true,"stream_options":{"include_usage":true},M}"#,
            ),
            (
                r#"{"model":"a","stream":true,"stream_options":null,M}"#,
                r#"{"model":"up-1","stream":true,"stream_options":{"include_usage":true},M}"#,
            ),
            (
                r#"{"model":"a","stream":true,"stream_options":{"include_usage":true},M}"#,
                r#"{"model":"up-1","stream":true,"stream_options":{"include_usage":true},M}"#,
            ),
            (r#"{"model":"a","stream":false,M}"#, r#"{"model":"up-1","stream":false,M}"#),
        ] {
            check(&body.replace('M', messages), &expected.replace('M', messages));
        }
    }

    #[test]
    fn ids_are_without_what_calls_of_others_carry_in_them() {
        let body = |id: &str| {
            format!(r#"{{"model":"up-1","messages":[{{"tool_calls":[{{"id":"{id}"}}]}},{{"tool_call_id":"{id}"}}]}}"#)
        };
        check(&body("call_1__thought__a+/="), &body("call_1"));
        check(&body("call_1"), &body("call_1"));
        let longest = "x".repeat(40);
        check(&body(&longest), &body(&longest));
        check(&body(&format!("{longest}y")), &body("OwyARmg1m"));
    }

    #[test]
    fn parameters_go_and_are_renamed() {
        let differences = Differences {
            refuses: &["stream_options", "logprobs", "user"],
            renames: &[("max_completion_tokens", "max_tokens"), ("seed", "random_seed")],
            ..Differences::NONE
        };
        for (body, expected, dropped) in [
            (r#"{"user":"u","model":"a",M,"seed":1}"#, r#"{"model":"up-1",M,"random_seed":1}"#, &["user"][..]),
            (r#"{"model":"a","logprobs":true,"n":2,M}"#, r#"{"model":"up-1","n":2,M}"#, &["logprobs"]),
            (r#"{M,"model":"a","logprobs":false,"user":null}"#, r#"{M,"model":"up-1"}"#, &[]),
            (
                r#"{"model":"a","stream_options":{"include_usage":true},"stream":true,M}"#,
                r#"{"model":"up-1","stream":true,M}"#,
                &[],
            ),
            (r#"{"stream":true,"model":"a",M}"#, r#"{"stream":true,"model":"up-1",M}"#, &[]),
            (
                r#"{"max_tokens":9,M,"model":"a","max_completion_tokens":5}"#,
                r#"{M,"model":"up-1","max_tokens":5}"#,
                &["max_tokens"],
            ),
            (
                r#"{"max_tokens":9,M,"model":"a","max_completion_tokens":null}"#,
                r#"{"max_tokens":9,M,"model":"up-1"}"#,
                &[],
            ),
        ] {
            let messages = r#""messages":[{"role":"developer","content":"c","name":"n"}]"#;
            check_differing(&differences, &body.replace('M', messages), &expected.replace('M', messages), dropped);
        }
    }

    #[test]
    fn messages_are_put_as_the_provider_takes_them() {
        let differences = Differences {
            message_refuses: &["name", "refusal", "annotations", "reasoning_content"],
            knows_developer: false,
            ..Differences::NONE
        };
        for (message, expected, dropped) in [
            (
                r#""name":"x","role":"developer","content":"c""#,
                r#""role":"system","content":"c""#,
                &["messages[].name"][..],
            ),
            (r#""role":"assistant","refusal":null,"annotations":[]"#, r#""role":"assistant""#, &[]),
            (r#""reasoning_content":"t","content":"c""#, r#""content":"c""#, &["messages[].reasoning_content"]),
        ] {
            let body = |message: &str| format!(r#"{{"model":"up-1","messages":[{{{message}}},{{{message}}}]}}"#);
            check_differing(&differences, &body(message), &body(expected), dropped);
        }
    }

    #[test]
    fn what_is_no_request_is_refused_by_name() {
        for (body, param, message) in [
            ("[]", None, "JSON object"),
            ("{}", Some("model"), "provide a model"),
            (r#"{"model":1,"messages":[]}"#, Some("model"), "a string"),
            (r#"{"model":"a"}"#, Some("messages"), "Missing"),
            (r#"{"model":"a","messages":"hi"}"#, Some("messages"), "an array"),
            (r#"{"model":"a","messages":[]}"#, Some("messages"), "empty array"),
            (r#"{"model":"a","messages":[{},"x"]}"#, Some("messages[1]"), "an object"),
            (r#"{"model":"a","messages":[{}],"stream":"yes"}"#, Some("stream"), "a boolean"),
            (r#"{"model":"a","messages":[{}],"mod\u0065l":"b"}"#, Some("model"), "Duplicate"),
            (r#"{"model":"a","messages":[{}],"n":1,"n":2}"#, Some("n"), "Duplicate"),
            (
                r#"{"model":"a","messages":[{}],"stream_options":{"include_usage":true,"include_usage":false}}"#,
                Some("stream_options.include_usage"),
                "Duplicate",
            ),
        ] {
            let document = Document::parse(body.as_bytes()).unwrap();
            let error = Facts::read(&document).unwrap_err();
            assert_eq!(error.param.as_deref(), param, "{body}");
            assert!(error.message.contains(message), "{body}: {}", error.message);
        }
    }
}
