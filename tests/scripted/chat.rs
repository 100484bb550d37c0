//! The configuration of all cases, and requests to it.

use serde_json::{Value, json};

use super::envoy::{Answer, End, Script};
use super::filters::Headers;

/// Models are named by the kinds of their targets, in order: `o-a` is OpenAI's kind, and then Anthropic's.
pub fn config() -> Value {
    let model = |provider: &str, name: &str, fallbacks: &[&str]| json!({"targets": [{"provider": provider, "model": name}], "fallbacks": fallbacks});
    let (o, a) = ("gpt-up", "claude-up");
    json!({
        "body_limit": "40MiB",
        "timeouts": {"first_token": "3s", "answer": "1m", "whole": "2m"},
        "providers": {
            "openai": {"kind": "openai", "api_key": "${KEY_O}", "base_url": "https://one.example/v1"},
            "openai-2": {"kind": "openai", "base_url": "http://10.0.0.7:8000/base/v1"},
            "anthropic": {"kind": "anthropic", "api_key": "${KEY_A}"},
            "groq": {"kind": "groq", "base_url": "https://one.example/v1"},
            "anthropic-2": {"kind": "anthropic", "api_key": "${KEY_A2}", "base_url": "https://two.example:8443/proxy"},
        },
        "models": {
            "o": model("openai", o, &[]), "o-o": model("openai", o, &["o2"]), "o-a": model("openai", o, &["a2"]),
            "a": model("anthropic", a, &[]), "a-a": model("anthropic", a, &["a2"]), "a-o": model("anthropic", a, &["o2"]),
            "o2": model("openai-2", "gpt-up-2", &[]), "a2": model("anthropic-2", "claude-up-2", &[]),
            "lab/q": model("openai", o, &[]),
            "strict": {"targets": [{"provider": "anthropic", "model": a, "strict": true}]},
            "edited": {"targets": [
                {"provider": "groq", "model": o, "drop": ["user", "stream_options"], "set": {"top_k": 5}, "strict": true},
            ], "fallbacks": ["edited-a"]},
            "edited-a": {"targets": [{"provider": "anthropic", "model": a, "default": {"max_tokens": 7}, "drop": ["seed"]}]},
        },
    })
}

/// Every secret's variable, and the secret.
pub const ENVIRONMENT: &[(&str, &str)] = &[("KEY_O", "key-o"), ("KEY_A", "key-a"), ("KEY_A2", "key-a2")];

/// What a client sends of its own credentials.
pub const CLIENT_KEY: &str = "key-of-the-client";

/// What reaches a provider.
pub struct Provider {
    pub name: &'static str,
    pub authority: &'static str,
    pub path: &'static str,
    pub credential: Option<(&'static str, &'static str)>,
    pub model: &'static str,
}

pub const PROVIDERS: [Provider; 4] = [
    Provider {
        name: "openai",
        authority: "one.example",
        path: "/v1/chat/completions",
        credential: Some(("authorization", "Bearer key-o")),
        model: "gpt-up",
    },
    Provider {
        name: "openai-2",
        authority: "10.0.0.7:8000",
        path: "/base/v1/chat/completions",
        credential: None,
        model: "gpt-up-2",
    },
    Provider {
        name: "anthropic",
        authority: "api.anthropic.com",
        path: "/v1/messages",
        credential: Some(("x-api-key", "key-a")),
        model: "claude-up",
    },
    Provider {
        name: "anthropic-2",
        authority: "two.example:8443",
        path: "/proxy/v1/messages",
        credential: Some(("x-api-key", "key-a2")),
        model: "claude-up-2",
    },
];

pub fn provider(name: &str) -> &'static Provider {
    PROVIDERS.iter().find(|provider| provider.name == name).expect("a configured provider")
}

impl Script {
    /// A request with this body.
    pub fn post(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let headers = Headers::of(&[
            (":method", "POST"),
            (":path", "/v1/chat/completions?x=1"),
            (":authority", "gateway.example"),
            (":scheme", "http"),
            ("content-type", "application/json"),
            ("content-length", &body.len().to_string()),
            ("accept-encoding", "gzip"),
            ("authorization", &format!("Bearer {CLIENT_KEY}")),
            ("x-api-key", CLIENT_KEY),
            ("api-key", CLIENT_KEY),
            ("x-goog-api-key", CLIENT_KEY),
            ("cookie", &format!("session={CLIENT_KEY}")),
            ("user-agent", "OpenAI/Python"),
        ]);
        let (body, end) = (Some(vec![body]), End::Last);
        Self {
            root: "gateway",
            headers,
            body,
            end,
            answers: Vec::new(),
            route: None,
            no_retries: false,
            limiter: None,
            client_leaves: false,
        }
    }

    /// A chat with `model`.
    pub fn chat(model: &str, stream: bool, usage: bool) -> Self {
        let stream = if stream { r#""stream":true,"# } else { "" };
        let usage = if usage { r#""stream_options":{"include_usage":true},"# } else { "" };
        let model = serde_json::to_string(model).unwrap();
        Self::post(format!(
            r#"{{ {stream}{usage}"model":{model}, "messages":[{{"role":"user","content":"H\u00e9 🦀"}}],"temperature":0.50}}"#
        ))
    }

    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.set(name, value.as_ref());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    pub fn answered(self, answers: impl Into<Vec<Answer>>) -> Self {
        Self { answers: answers.into(), ..self }
    }
}
