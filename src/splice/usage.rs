//! The `usage` object. Cached tokens are inside `prompt_tokens`, reasoning inside `completion_tokens`:
//! <https://platform.openai.com/docs/api-reference/chat/object>
//!
//! Not everybody keeps to that. What stands outside is told by the total, or by a part that is greater than its whole:
//! xAI and Vercel's Gemini count reasoning beside `completion_tokens`, Mistral's Voxtral sound beside `prompt_tokens`;
//! Gemini's own OpenAI-compatible interface leaves thoughts out of everything but the total.

use crate::chat::{ServiceTier, Usage};
use crate::json::Value;

/// The usage of a whole answer, with the service tier that stands beside it.
pub(super) fn usage_of(root: Value<'_>) -> Option<Usage> {
    Some(Usage { tier: root.get("service_tier").map(tier).unwrap_or_default(), ..root.get("usage").and_then(usage)? })
}

/// The value of `service_tier`.
pub(super) fn tier(value: Value<'_>) -> ServiceTier {
    value.as_str().map(|name| ServiceTier::named(&name.decode())).unwrap_or_default()
}

/// What a usage object says, by whatever names.
#[derive(Debug, Default)]
struct Told {
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
    input_audio: Option<u64>,
    output_audio: Option<u64>,
    reasoning: u64,
    cached: u64,
    written: u64,
}

impl Told {
    /// One pass: there are a dozen names to look for.
    ///
    /// Cached tokens by OpenAI, DeepSeek, Together, Mistral and Databricks.
    fn read(usage: Value<'_>) -> Self {
        let mut told = Self::default();
        for (name, value) in usage.members() {
            match &*name.decode() {
                "prompt_tokens" => first(&mut told.input, value),
                "completion_tokens" => first(&mut told.output, value),
                "total_tokens" => first(&mut told.total, value),
                "prompt_tokens_details" => told.input_details(value),
                "completion_tokens_details" => told.output_details(value),
                "reasoning_tokens" => most(&mut told.reasoning, value),
                "prompt_cache_hit_tokens" | "cached_tokens" | "num_cached_tokens" | "cache_read_input_tokens" => {
                    most(&mut told.cached, value);
                }
                "cache_creation_input_tokens" => most(&mut told.written, value),
                _ => {}
            }
        }
        told
    }

    fn input_details(&mut self, details: Value<'_>) {
        for (name, value) in details.members() {
            match &*name.decode() {
                "audio_tokens" => first(&mut self.input_audio, value),
                "cached_tokens" => most(&mut self.cached, value),
                "cache_write_tokens" | "cache_creation_tokens" => most(&mut self.written, value),
                _ => {}
            }
        }
    }

    fn output_details(&mut self, details: Value<'_>) {
        for (name, value) in details.members() {
            match &*name.decode() {
                "audio_tokens" => first(&mut self.output_audio, value),
                "reasoning_tokens" => most(&mut self.reasoning, value),
                _ => {}
            }
        }
    }
}

fn first(told: &mut Option<u64>, value: Value<'_>) {
    *told = told.or_else(|| value.as_u64());
}

fn most(told: &mut u64, value: Value<'_>) {
    *told = value.as_u64().unwrap_or(0).max(*told);
}

/// Reads a usage object; `None` if it is none, or has no number in it yet.
pub(super) fn usage(value: Value<'_>) -> Option<Usage> {
    let told = Told::read(value);
    if told.input.is_none() && told.output.is_none() {
        return None;
    }
    let (mut input, mut output) = (told.input.unwrap_or(0), told.output.unwrap_or(0));
    let (input_audio, mut reasoning) = (told.input_audio.unwrap_or(0), told.reasoning);

    let mut beside = told.total.unwrap_or(0).saturating_sub(input.saturating_add(output));
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

    // Azure's Grok counts its own preamble as cached, but not as prompt.
    let cached = told.cached.min(input);
    Some(Usage {
        input,
        cached,
        cache_write: told.written.min(input.saturating_sub(cached)),
        cache_write_1h: 0,
        input_audio: input_audio.min(input),
        output,
        reasoning: reasoning.min(output),
        output_audio: told.output_audio.unwrap_or(0).min(output),
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
