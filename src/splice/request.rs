//! The request: what the gateway has to know of it, and what it changes.
//!
//! <https://platform.openai.com/docs/api-reference/chat/create>

use hashbrown::HashSet;

use super::patch::Patches;
use crate::error::{Cause, Error};
use crate::json::{Document, Kind, Str, Value, Write};

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
    /// It is not one: always the client's fault. What is inside the messages is the provider's to judge.
    pub fn read(document: &'a Document<'a>) -> Result<Self, Error> {
        let root = document.root();
        if root.kind() != Kind::Object {
            return Err(Error::new(Cause::BadRequest, "The body must be a JSON object."));
        }
        let places = Places::find(root)?;
        let model = places.model.ok_or_else(|| Error::bad_request("You must provide a model parameter.", "model"))?;
        let model = model.as_str().ok_or_else(|| wrong_type("model", "a string"))?;
        let messages = places.messages.ok_or_else(|| missing("messages"))?;
        if messages.kind() != Kind::Array {
            return Err(wrong_type("messages", "an array of objects"));
        }
        if let Some((index, _)) = messages.elements().enumerate().find(|(_, message)| message.kind() != Kind::Object) {
            return Err(wrong_type(&format!("messages[{index}]"), "an object"));
        }
        if messages.elements().next().is_none() {
            return Err(Error::bad_request(
                "Invalid 'messages': empty array. Expected at least one message.",
                "messages",
            ));
        }
        let stream = match places.stream {
            Some(stream) if !stream.is_null() => stream.as_bool().ok_or_else(|| wrong_type("stream", "a boolean"))?,
            _ => false,
        };
        let include_usage = places.stream_options.and_then(|options| options.get("include_usage"));
        Ok(Self { model, stream, include_usage: include_usage.and_then(Value::as_bool).unwrap_or(false), places })
    }
}

impl<'a> Places<'a> {
    /// A member that stands there twice is refused: the gateway would judge by one, and the provider by the other.
    fn find(root: Value<'a>) -> Result<Self, Error> {
        let mut places = Self::default();
        let mut seen: HashSet<String> = HashSet::new();
        for (name, value) in root.members() {
            let name = name.decode();
            match name.as_ref() {
                "model" => places.model = Some(value),
                "messages" => places.messages = Some(value),
                "stream" => places.stream = Some(value),
                "stream_options" => places.stream_options = Some(value),
                _ => {}
            }
            if seen.contains(name.as_ref()) {
                return Err(duplicate(&name));
            }
            if seen.len() >= MAX_MEMBERS {
                return Err(Error::new(Cause::BadRequest, format!("More than {MAX_MEMBERS} parameters.")));
            }
            seen.insert(name.into_owned());
        }
        let options = places.stream_options.into_iter().flat_map(Value::members);
        if options.filter(|(name, _)| *name == *"include_usage").count() > 1 {
            return Err(duplicate("stream_options.include_usage"));
        }
        Ok(places)
    }
}

fn duplicate(name: &str) -> Error {
    let name: String = name.chars().take(64).collect();
    Error::bad_request(format!("Duplicate parameter: '{name}'."), name)
}

/// Appends the request to `out` as the provider is to get it: for `model`, and with the usage at the end of a stream.
pub fn request(body: &str, facts: &Facts<'_>, model: &str, out: &mut String) {
    let mut patches = Patches::default();
    if let Some(place) = facts.places.model {
        if facts.model != *model {
            patches.replace(place.start()..place.end(), literal(model));
        }
        if facts.stream && !facts.include_usage {
            ask_for_usage(facts.places.stream_options, place, &mut patches);
        }
    }
    patches.apply(body, out);
}

fn ask_for_usage(options: Option<Value<'_>>, model: Value<'_>, patches: &mut Patches) {
    const ALL: &str = r#"{"include_usage":true}"#;
    let Some(options) = options else {
        patches.replace(model.end()..model.end(), format!(r#","stream_options":{ALL}"#));
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
    use crate::json::Document;

    fn check(body: &str, expected: &str) {
        let document = Document::parse(body.as_bytes()).unwrap();
        let facts = Facts::read(&document).unwrap();
        let mut out = String::new();
        request(body, &facts, "up-1", &mut out);
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
