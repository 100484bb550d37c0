//! What the two kinds of providers send, and what a client is to get for it, byte for byte.

use super::envoy::{Answer, End};
use super::filters::{Headers, NOW};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    OpenAi,
    Anthropic,
}

pub const KINDS: [Kind; 2] = [Kind::OpenAi, Kind::Anthropic];

/// Parts of a stream. Those of the client's are for model `M`, and come without usage unless that is asked for.
pub struct Parts {
    pub begin: &'static str,
    pub text: &'static str,
    pub more: &'static str,
    pub end: &'static str,
    pub usage: &'static str,
    pub done: &'static str,
}

const OPENAI: Parts = Parts {
    begin: "data: {\"id\":\"c-1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"up-9\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"finish_reason\":null}],\"usage\":null}\n\n",
    text: "data: {\"id\":\"c-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"H\\u00e9\"},\"finish_reason\":null}],\"model\":\"up-9\",\"usage\":null,\"obfuscation\":\"x\"}\n\n",
    more: "data: {\"id\":\"c-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" 🦀\"}}], \"model\" : \"up-9\"}\r\n\r\n",
    end: "data: {\"id\":\"c-1\",\"model\":\"up-9\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    usage: "data: {\"id\":\"c-1\",\"model\":\"up-9\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3,\"total_tokens\":12}}\n\n",
    done: "data: [DONE]\n\n",
};

const ANTHROPIC: Parts = Parts {
    begin: "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"up-9\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n",
    text: "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"H\\u00e9\"}   }\n\n",
    more: "event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" 🦀\"}}\r\n\r\n",
    end: "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":3}}\n\n",
    usage: "",
    done: "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
};

impl Kind {
    pub fn other(self) -> Self {
        if self == Self::OpenAi { Self::Anthropic } else { Self::OpenAi }
    }

    /// In the names of models and providers.
    pub fn letter(self) -> &'static str {
        if self == Self::OpenAi { "o" } else { "a" }
    }

    pub fn parts(self) -> &'static Parts {
        if self == Self::OpenAi { &OPENAI } else { &ANTHROPIC }
    }

    fn whole(self) -> &'static str {
        match self {
            Self::OpenAi => {
                r#" {"id":"c-1", "object":"chat.completion","created":7,"model":"up-9","choices":[{"index":0,"message":{"role":"assistant","content":"H\u00e9 🦀"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12},"x_new":{"n":[1, 2.50]}}"#
            }
            Self::Anthropic => {
                r#"{"id":"msg_1","type":"message","role":"assistant","model":"up-9","content":[{"type":"text","text":"H\u00e9 🦀"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":3}}"#
            }
        }
    }

    /// A good answer.
    pub fn good(self, stream: bool) -> Answer {
        if !stream {
            return json(200, self.whole());
        }
        let &Parts { begin, text, more, end, usage, done } = self.parts();
        events(&[begin, text, more, end, usage, done].concat())
    }

    /// What a client that asked for `model` gets of it.
    pub fn got(self, stream: bool, model: &str, usage: bool) -> String {
        match (self, stream) {
            (Self::OpenAi, false) => self.whole().replace("up-9", model),
            (Self::OpenAi, true) => {
                let &Parts { begin, text, more, end, usage: counts, done } = self.parts();
                let counts = if usage { counts } else { "" };
                [begin, text, more, end, counts, done].concat().replace("up-9", model)
            }
            (Self::Anthropic, false) => format!(
                r#"{{"id":"msg_1","object":"chat.completion","created":{NOW},"model":"{model}","choices":[{{"index":0,"message":{{"role":"assistant","content":"H\u00e9 🦀","refusal":null}},"logprobs":null,"finish_reason":"stop","native_finish_reason":"end_turn"}}],"usage":{USAGE}}}"#
            ),
            (Self::Anthropic, true) => {
                let [first, second, last] = [
                    r#""delta":{"role":"assistant","content":"H\u00e9"},"finish_reason":null"#,
                    r#""delta":{"content":" 🦀"},"finish_reason":null"#,
                    r#""delta":{},"finish_reason":"stop","native_finish_reason":"end_turn""#,
                ]
                .map(|choice| chunk(model, &format!(r#"{{"index":0,{choice}}}"#), usage.then_some("null")));
                let counts = if usage { chunk(model, "", Some(USAGE)) } else { String::new() };
                [&first, &second, &last, &counts, "data: [DONE]\n\n"].concat()
            }
        }
    }

    /// What the client has got when only the first text has come.
    pub fn got_text(self, model: &str) -> String {
        let whole = self.got(true, model, false);
        let events: usize = if self == Self::OpenAi { 2 } else { 1 };
        whole.split_inclusive("\n\n").take(events).collect()
    }

    /// The body of an error.
    pub fn error(self, kind: &str, message: &str, code: &str) -> String {
        let message = serde_json::to_string(message).unwrap();
        match self {
            Self::OpenAi => {
                format!(r#"{{"error":{{"message":{message},"type":"{kind}","param":null,"code":{code}}}}}"#)
            }
            Self::Anthropic => {
                format!(r#"{{"type":"error","error":{{"type":"{kind}","message":{message}}},"request_id":"req_1"}}"#)
            }
        }
    }

    /// The event of an error in a stream.
    pub fn error_event(self, kind: &str, message: &str) -> String {
        let error = self.error(kind, message, "null");
        if self == Self::OpenAi { format!("data: {error}\n\n") } else { format!("event: error\ndata: {error}\n\n") }
    }
}

const USAGE: &str = r#"{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}"#;

fn chunk(model: &str, choices: &str, usage: Option<&str>) -> String {
    let usage = usage.map(|usage| format!(",\"usage\":{usage}")).unwrap_or_default();
    format!(
        "data: {{\"id\":\"msg_1\",\"object\":\"chat.completion.chunk\",\"created\":{NOW},\"model\":\"{model}\",\"choices\":[{choices}]{usage}}}\n\n"
    )
}

/// An answer in JSON, or what is said to be JSON.
pub fn json(status: u16, body: &str) -> Answer {
    answer(status, "application/json", Some(body)).with("content-length", &body.len().to_string())
}

/// An answer that says it is a stream.
pub fn events(body: &str) -> Answer {
    answer(200, "text/event-stream; charset=utf-8", Some(body))
}

/// An answer without a body.
pub fn bare(status: u16) -> Answer {
    answer(status, "text/plain", None)
}

/// No answer.
pub fn reset() -> Answer {
    Answer { headers: None, body: None, end: End::Reset }
}

fn answer(status: u16, media_type: &str, body: Option<&str>) -> Answer {
    let headers = Headers::of(&[
        (":status", status.to_string().as_str()),
        ("content-type", media_type),
        ("x-request-id", "up-1"),
        ("request-id", "kept"),
        ("set-cookie", "secret"),
        ("openai-organization", "secret"),
        ("x-gateway-retry", "secret"),
    ]);
    Answer { headers: Some(headers), body: body.map(|body| vec![body.into()]), end: End::Last }
}

impl Answer {
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let Some(headers) = &mut self.headers {
            headers.set(name, value);
        }
        self
    }

    pub fn ending(self, end: End) -> Self {
        Self { end, ..self }
    }

    /// What came in one piece comes in two, the second from here on. [`Self::cut`] does not join them again.
    pub fn then(mut self, rest: &str) -> Self {
        self.body.get_or_insert_default().push(rest.into());
        self
    }

    /// The same bytes in pieces that end `at` these places, too.
    pub fn cut(mut self, at: impl Fn(usize) -> bool) -> Self {
        let mut index = 0;
        for piece in self.body.take().into_iter().flatten() {
            let pieces = self.body.get_or_insert_default();
            pieces.push(Vec::new());
            for byte in piece {
                if at(index) {
                    pieces.push(Vec::new());
                }
                index += 1;
                if let Some(last) = pieces.last_mut() {
                    last.push(byte);
                }
            }
        }
        self
    }
}
