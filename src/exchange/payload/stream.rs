//! A stream put together as the answer that it would have been without streaming.

use crate::frame::sse::Decoder;
use crate::json::{Document, Value, Writer};

/// A stream of OpenAI's dialect, as far as it has come.
#[derive(Debug)]
pub(super) struct Assembly {
    decoder: Decoder,
    /// Room for texts, in bytes.
    room: usize,
    id: String,
    object: &'static str,
    model: String,
    choices: Vec<Choice>,
    /// As it came.
    usage: Option<String>,
    /// As it came.
    error: Option<String>,
    /// It came to its end.
    complete: bool,
    /// Some of it was more than there is room for.
    cut: bool,
    seen: bool,
}

#[derive(Debug, Default)]
struct Choice {
    index: u64,
    /// What it says, by the members of deltas that say it.
    texts: Vec<(String, String)>,
    calls: Vec<Call>,
    finish: String,
}

#[derive(Debug, Default)]
struct Call {
    index: u64,
    id: String,
    name: String,
    arguments: String,
}

/// The most choices, and calls in one.
const MOST: usize = 128;
/// The most members of deltas that say something.
const MOST_TEXTS: usize = 8;
/// The longest of usage and errors, in bytes.
const MOST_RAW: usize = 4096;
/// Beside texts there are names and the like.
const SLACK: usize = 1024;

impl Assembly {
    /// Of texts of at most about so many bytes.
    pub fn new(most: usize) -> Self {
        Self {
            decoder: Decoder::default(),
            room: most + SLACK,
            id: String::new(),
            object: "chat.completion",
            model: String::new(),
            choices: Vec::new(),
            usage: None,
            error: None,
            complete: false,
            cut: false,
            seen: false,
        }
    }

    /// Whether nothing has come yet.
    pub fn is_empty(&self) -> bool {
        !self.seen
    }

    /// The next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.seen = true;
        let mut decoder = core::mem::take(&mut self.decoder);
        if decoder.push(bytes).is_err() {
            // It is no stream any more; what came before stays.
            self.cut = true;
            return;
        }
        while let Some(frame) = decoder.next_frame() {
            if let Some(data) = frame.data {
                self.event(data);
            }
        }
        self.decoder = decoder;
    }

    fn event(&mut self, data: &[u8]) {
        if data.trim_ascii() == b"[DONE]" {
            self.complete = true;
            return;
        }
        let Ok(document) = Document::parse(data) else { return };
        let root = document.root();
        let raw = |name| {
            let value = root.get(name).filter(|value| !value.is_null())?;
            (value.raw().len() <= MOST_RAW).then(|| value.raw().to_owned())
        };
        self.usage = raw("usage").or(self.usage.take());
        self.error = raw("error").or(self.error.take());
        if self.id.is_empty() {
            self.id = self.take(root.get("id"));
            self.model = self.take(root.get("model"));
        }
        for choice in root.get("choices").into_iter().flat_map(Value::elements) {
            self.choice(choice);
        }
    }

    fn choice(&mut self, value: Value<'_>) {
        let index = value.get("index").and_then(Value::as_u64).unwrap_or_default();
        let mut choices = core::mem::take(&mut self.choices);
        if let Some(choice) = entry(&mut choices, |choice: &mut Choice| &mut choice.index, index) {
            if let Some(text) = value.get("text") {
                self.object = "text_completion";
                self.say(choice, "text", text);
            }
            for (name, delta) in value.get("delta").into_iter().flat_map(Value::members) {
                match &*name.decode() {
                    "role" => {}
                    "tool_calls" => delta.elements().for_each(|call| self.call(choice, call)),
                    name => self.say(choice, name, delta),
                }
            }
            if let Some(finish) = value.get("finish_reason").filter(|finish| !finish.is_null()) {
                choice.finish = self.take(Some(finish));
            }
        } else {
            self.cut = true;
        }
        self.choices = choices;
    }

    fn say(&mut self, choice: &mut Choice, name: &str, value: Value<'_>) {
        let text = self.take(Some(value));
        let is_full = choice.texts.len() >= MOST_TEXTS;
        match choice.texts.iter_mut().find(|(other, _)| other == name) {
            _ if text.is_empty() => {}
            Some((_, said)) => said.push_str(&text),
            None if is_full => self.cut = true,
            None => choice.texts.push((name.to_owned(), text)),
        }
    }

    fn call(&mut self, choice: &mut Choice, value: Value<'_>) {
        let index = value.get("index").and_then(Value::as_u64).unwrap_or_default();
        let Some(call) = entry(&mut choice.calls, |call: &mut Call| &mut call.index, index) else {
            self.cut = true;
            return;
        };
        call.id += &self.take(value.get("id"));
        call.name += &self.take(value.path(&["function", "name"]));
        call.arguments += &self.take(value.path(&["function", "arguments"]));
    }

    /// A text, as far as there is room for it.
    fn take(&mut self, value: Option<Value<'_>>) -> String {
        let text = value.and_then(Value::as_str).map(|text| text.decode().into_owned()).unwrap_or_default();
        if text.len() > self.room {
            self.cut = true;
            self.room = 0;
            return String::new();
        }
        self.room -= text.len();
        text
    }

    /// The answer.
    pub fn finish(self) -> String {
        let mut out = String::new();
        let mut writer = Writer::new(&mut out);
        writer.object(|answer| {
            answer.field("id", &self.id);
            answer.field("object", self.object);
            answer.field("model", &self.model);
            answer.name("choices").array(|choices| {
                for choice in &self.choices {
                    choices.object(|object| choice.write(object));
                }
            });
            for (name, raw) in [("usage", &self.usage), ("error", &self.error)] {
                let document = raw.as_ref().and_then(|raw| Document::parse(raw.as_bytes()).ok());
                if let Some(document) = &document {
                    answer.field(name, &document.root());
                }
            }
            if !self.complete {
                answer.field("complete", &false);
            }
            if self.cut {
                answer.field("cut", &true);
            }
        });
        out
    }
}

impl Choice {
    fn write(&self, object: &mut Writer<'_>) {
        object.field("index", &self.index);
        let is_text = |name: &str| name == "text";
        for (_, text) in self.texts.iter().filter(|(name, _)| is_text(name)) {
            object.field("text", text);
        }
        object.name("message").object(|message| {
            message.field("role", "assistant");
            for (name, text) in self.texts.iter().filter(|(name, _)| !is_text(name)) {
                message.field(name, text);
            }
            if !self.calls.is_empty() {
                message.name("tool_calls").array(|calls| {
                    for call in &self.calls {
                        calls.object(|object| call.write(object));
                    }
                });
            }
        });
        object.field("finish_reason", &self.finish);
    }
}

impl Call {
    fn write(&self, object: &mut Writer<'_>) {
        object.field("id", &self.id);
        object.field("type", "function");
        object.name("function").object(|function| {
            function.field("name", &self.name);
            function.field("arguments", &self.arguments);
        });
    }
}

/// The entry with that number, made if it is not there and there are not too many.
fn entry<T: Default>(entries: &mut Vec<T>, number: impl Fn(&mut T) -> &mut u64, wanted: u64) -> Option<&mut T> {
    let found = entries.iter_mut().position(|entry| *number(entry) == wanted);
    let at = match found {
        Some(at) => at,
        None if entries.len() < MOST => {
            let mut entry = T::default();
            *number(&mut entry) = wanted;
            entries.push(entry);
            entries.len() - 1
        }
        None => return None,
    };
    entries.get_mut(at)
}

#[cfg(test)]
mod tests {
    use super::Assembly;

    fn assemble(most: usize, events: &[&str]) -> serde_json::Value {
        let mut assembly = Assembly::new(most);
        let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        // However it is cut.
        stream.as_bytes().chunks(7).for_each(|bytes| assembly.push(bytes));
        serde_json::from_str(&assembly.finish()).unwrap()
    }

    #[test]
    fn a_stream_becomes_an_answer() {
        let answer = assemble(
            1000,
            &[
                r#"{"id":"a","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
                r#"{"id":"a","model":"m","choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}"#,
                r#"{"id":"a","model":"m","choices":[{"index":1,"delta":{"content":"b"}},{"index":0,"delta":{"content":"G\u00fc"}}]}"#,
                r#"{"choices":[{"index":0,"delta":{"content":"n","tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"a"}}]}}]}"#,
                r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\":1}"}}]},"finish_reason":"tool_calls"}]}"#,
                r#"{"choices":[],"usage":{"prompt_tokens":2}}"#,
                "[DONE]",
            ],
        );
        let expected = serde_json::json!({
            "id": "a", "object": "chat.completion", "model": "m",
            "choices": [
                {"index": 0, "message": {
                    "role": "assistant", "reasoning_content": "hm", "content": "Gün",
                    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}],
                }, "finish_reason": "tool_calls"},
                {"index": 1, "message": {"role": "assistant", "content": "b"}, "finish_reason": ""},
            ],
            "usage": {"prompt_tokens": 2},
        });
        assert_eq!(answer, expected);
    }

    #[test]
    fn what_breaks_off_says_so() {
        let answer = assemble(
            100,
            &[r#"{"choices":[{"text":"a"}]}"#, r#"{"error":{"message":"overloaded"}}"#, "no JSON at all"],
        );
        assert_eq!(answer["complete"], false);
        assert_eq!(answer["error"]["message"], "overloaded");
        assert_eq!(answer["choices"][0]["text"], "a");
    }

    #[test]
    fn a_long_stream_is_bounded() {
        let event = format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{}"}}}}]}}"#, "x".repeat(100));
        let events = vec![event.as_str(); 1000];
        let answer = assemble(500, &events);
        assert_eq!(answer["cut"], true);
        assert!(answer.to_string().len() < 4000);
        let many: Vec<String> = (0..1000).map(|index| format!(r#"{{"choices":[{{"index":{index}}}]}}"#)).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(assemble(500, &many)["choices"].as_array().unwrap().len(), super::MOST);
    }
}
