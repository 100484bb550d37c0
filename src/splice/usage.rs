//! The `usage` object. Cached tokens are inside `prompt_tokens`, reasoning inside `completion_tokens`:
//! <https://platform.openai.com/docs/api-reference/chat/object>
//!
//! Not everybody keeps to that. What stands outside is told by the total, or by a part that is greater than its whole:
//! xAI and Vercel's Gemini count reasoning beside `completion_tokens`, Mistral's Voxtral sound beside `prompt_tokens`;
//! Gemini's own OpenAI-compatible interface leaves thoughts out of everything but the total.

use crate::chat::{ServiceTier, Usage};
use crate::json::{Kind, Value};

/// The usage of a whole answer, with the service tier that stands beside it.
pub(super) fn usage_of(root: Value<'_>) -> Option<Usage> {
    Some(Usage { tier: root.get("service_tier").map(tier).unwrap_or_default(), ..root.get("usage").and_then(usage)? })
}

/// The value of `service_tier`.
pub(super) fn tier(value: Value<'_>) -> ServiceTier {
    value.as_str().map(|name| ServiceTier::named(&name.decode())).unwrap_or_default()
}

/// Reads a usage object; `None` if it is none, or has no number in it yet.
pub(super) fn usage(value: Value<'_>) -> Option<Usage> {
    let known = |path: &[&str]| value.path(path).and_then(Value::as_u64);
    let count = |path: &[&str]| known(path).unwrap_or(0);
    let most = |paths: &[&[&str]]| paths.iter().map(|path| count(path)).max().unwrap_or(0);
    let (input, output) = (known(&["prompt_tokens"]), known(&["completion_tokens"]));
    if value.kind() != Kind::Object || (input.is_none() && output.is_none()) {
        return None;
    }
    let (mut input, mut output) = (input.unwrap_or(0), output.unwrap_or(0));
    let input_audio = count(&["prompt_tokens_details", "audio_tokens"]);
    let mut reasoning = most(&[&["completion_tokens_details", "reasoning_tokens"], &["reasoning_tokens"]]);

    let mut beside = count(&["total_tokens"]).saturating_sub(input.saturating_add(output));
    let mut add = |whole: &mut u64, part: u64| {
        if part > *whole || (part > 0 && part <= beside) {
            *whole = whole.saturating_add(part);
            beside = beside.saturating_sub(part);
        }
    };
    add(&mut output, reasoning);
    add(&mut input, input_audio);
    output = output.saturating_add(beside);
    reasoning = reasoning.saturating_add(beside);

    // By OpenAI, DeepSeek, Together, Mistral and Databricks. Azure's Grok counts its own preamble as cached, but not as
    // prompt.
    const CACHED: &[&[&str]] = &[
        &["prompt_tokens_details", "cached_tokens"],
        &["prompt_cache_hit_tokens"],
        &["cached_tokens"],
        &["num_cached_tokens"],
        &["cache_read_input_tokens"],
    ];
    const WRITTEN: &[&[&str]] = &[
        &["prompt_tokens_details", "cache_write_tokens"],
        &["prompt_tokens_details", "cache_creation_tokens"],
        &["cache_creation_input_tokens"],
    ];
    let cached = most(CACHED).min(input);
    Some(Usage {
        input,
        cached,
        cache_write: most(WRITTEN).min(input.saturating_sub(cached)),
        cache_write_1h: 0,
        input_audio: input_audio.min(input),
        output,
        reasoning: reasoning.min(output),
        output_audio: count(&["completion_tokens_details", "audio_tokens"]).min(output),
        tier: ServiceTier::Standard,
    })
}

#[cfg(test)]
mod tests {
    use super::usage;
    use crate::chat::Usage;
    use crate::json::Document;

    fn check(body: &str, expected: Option<Usage>) {
        let document = Document::parse(body.as_bytes()).unwrap();
        assert_eq!(usage(document.root()), expected, "{body}");
    }

    #[test]
    fn parts_are_inside_their_wholes() {
        let none = Usage::default();
        check(
            r#"{"prompt_tokens":3,"completion_tokens":9,"total_tokens":12,"completion_tokens_details":{"reasoning_tokens":4}}"#,
            Some(Usage { input: 3, output: 9, reasoning: 4, ..none }),
        );
        // xAI
        check(
            r#"{"prompt_tokens":493,"completion_tokens":35,"total_tokens":582,"completion_tokens_details":{"reasoning_tokens":54}}"#,
            Some(Usage { input: 493, output: 89, reasoning: 54, ..none }),
        );
        check(
            r#"{"prompt_tokens":3,"completion_tokens":35,"total_tokens":48,"completion_tokens_details":{"reasoning_tokens":10}}"#,
            Some(Usage { input: 3, output: 45, reasoning: 10, ..none }),
        );
        // Gemini by Vercel
        check(
            r#"{"prompt_tokens":28,"completion_tokens":9,"total_tokens":37,"completion_tokens_details":{"reasoning_tokens":61}}"#,
            Some(Usage { input: 28, output: 70, reasoning: 61, ..none }),
        );
        // Gemini by Google
        check(
            r#"{"prompt_tokens":5,"completion_tokens":2,"total_tokens":107}"#,
            Some(Usage { input: 5, output: 102, reasoning: 100, ..none }),
        );
        // Voxtral
        check(
            r#"{"prompt_tokens":9,"total_tokens":632,"completion_tokens":248,"prompt_tokens_details":{"audio_tokens":375}}"#,
            Some(Usage { input: 384, input_audio: 375, output: 248, ..none }),
        );
        // Grok by Azure
        check(
            r#"{"prompt_tokens":78,"completion_tokens":9,"total_tokens":87,"prompt_tokens_details":{"cached_tokens":158}}"#,
            Some(Usage { input: 78, cached: 78, output: 9, ..none }),
        );
    }

    #[test]
    fn cached_tokens_have_many_names() {
        for name in ["prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens"] {
            check(
                &format!(r#"{{"prompt_tokens":5,"{name}":4,"cache_creation_input_tokens":3}}"#),
                Some(Usage { input: 5, cached: 4, cache_write: 1, ..Usage::default() }),
            );
        }
    }

    #[test]
    fn what_says_nothing_is_no_usage() {
        check("null", None);
        check("{}", None);
        check(r#"{"prompt_tokens":null,"total_tokens":null}"#, None);
        check(r#"{"prompt_tokens":22,"completion_tokens":null}"#, Some(Usage { input: 22, ..Usage::default() }));
    }
}
