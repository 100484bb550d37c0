//! The `usage` object. Cached tokens are inside `prompt_tokens`, reasoning inside `completion_tokens`:
//! <https://platform.openai.com/docs/api-reference/chat/object>

use crate::chat::Usage;
use crate::json::{Kind, Value};

/// Reads a usage object; `None` if it is none.
pub(super) fn usage(value: Value<'_>) -> Option<Usage> {
    if value.kind() != Kind::Object {
        return None;
    }
    let count = |path: &[&str]| value.path(path).and_then(Value::as_u64).unwrap_or(0);
    Some(Usage {
        input: count(&["prompt_tokens"]),
        // DeepSeek: <https://api-docs.deepseek.com/guides/kv_cache>
        cached: count(&["prompt_tokens_details", "cached_tokens"]).max(count(&["prompt_cache_hit_tokens"])),
        input_audio: count(&["prompt_tokens_details", "audio_tokens"]),
        output: count(&["completion_tokens"]),
        reasoning: count(&["completion_tokens_details", "reasoning_tokens"]),
        output_audio: count(&["completion_tokens_details", "audio_tokens"]),
        ..Usage::default()
    })
}
