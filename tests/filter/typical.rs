//! Requests as they usually are: by a key, within limits, with the headers that SDKs send, and answers as providers give them.

use serde_json::{Value, json};

use crate::bodies::{self, Dialect};
use crate::scripted::envoy::{Answer, End, Script};
use crate::scripted::filters::Headers;
use crate::scripted::keys::hash;

pub fn config() -> Value {
    let target = |provider: &str, model: &str| json!({"targets": [{"provider": provider, "model": model}]});
    json!({
        "providers": {
            "openai": {"kind": "openai", "api_key": "${KEY_O}", "base_url": "https://one.example/v1"},
            "anthropic": {"kind": "anthropic", "api_key": "${KEY_A}", "base_url": "https://two.example"},
        },
        "models": {"gpt-4o": target("openai", "gpt-4o-2024-08-06"), "claude": target("anthropic", "claude-sonnet-4-5")},
        "keys": [{"name": "bench", "sha256": hash("key"), "team": "t", "limits": [
            {"requests": 1_000_000_000, "per": "minute"}, {"tokens": 1_000_000_000_000_u64, "per": "day"},
        ]}],
        "limits": [{"usd": 1_000_000, "per": "month", "by": ["team"]}],
    })
}

/// A request with a body of about so many bytes; with `chunks` it is streamed, and that is how many pieces of text there are.
pub fn script(dialect: Dialect, bytes: usize, chunks: Option<usize>) -> Script {
    let model = if dialect == Dialect::OpenAi { "gpt-4o" } else { "claude" };
    let body = bodies::chat(model, bytes, chunks.is_some());
    let media_type = if chunks.is_some() { "text/event-stream; charset=utf-8" } else { "application/json" };
    // As many as providers send; one in four is of those that are looked at.
    let headers = Headers::of(&[
        (":status", "200"),
        ("content-type", media_type),
        ("date", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ("server", "cloudflare"),
        ("x-request-id", "req_0123456789abcdef"),
        ("openai-processing-ms", "512"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-limit-tokens", "30000000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-remaining-tokens", "29999000"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-reset-tokens", "2ms"),
        ("strict-transport-security", "max-age=31536000"),
        ("cf-ray", "0123456789abcdef-FRA"),
        ("x-envoy-upstream-service-time", "512"),
    ]);
    let [begin, text, end] = dialect.stream();
    let pieces = match chunks {
        Some(chunks) => [begin].into_iter().chain((0..chunks).map(|_| text)).chain([end]).map(Vec::from).collect(),
        None => vec![dialect.answer().into_bytes()],
    };
    let mut script =
        Script::post(body).answered([Answer { headers: Some(headers), body: Some(pieces), end: End::Last }]);
    script.headers = Headers::of(&[
        (":method", "POST"),
        (":path", "/v1/chat/completions"),
        (":authority", "gateway.example"),
        (":scheme", "http"),
        ("content-type", "application/json"),
        ("content-length", &bytes.to_string()),
        ("accept", "application/json"),
        ("accept-encoding", "gzip, deflate"),
        ("authorization", "Bearer key"),
        ("user-agent", "OpenAI/Python 2.8.0"),
        ("x-stainless-lang", "python"),
        ("x-stainless-package-version", "2.8.0"),
        ("x-stainless-os", "Linux"),
        ("x-stainless-arch", "x64"),
        ("x-stainless-runtime", "CPython"),
        ("x-stainless-retry-count", "0"),
        ("x-forwarded-proto", "http"),
        ("x-request-id", "0b6e1a52-8a0f-4f4e-9d7b-0c2f5a0e9a11"),
    ]);
    script
}
