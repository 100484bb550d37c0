//! What benchmarks send: conversations as clients have them, of any size, and what providers answer.

use serde_json::{Value, json};

/// A chat with `model` of about so many bytes: turns of up to 4 KB of prose and code, with the escapes that these have.
pub fn chat(model: &str, bytes: usize, stream: bool) -> String {
    const TEXT: &str = "Look at this function once more, please:\n\n\tlet name = \"value\";\n\nIt is called for every item \
        of a list that may be long, and what it returns is “nearly always” the same. What would you change, and why? ";
    let mut messages = vec![json!({"role": "system", "content": "You are a careful reviewer. Answer in a few words."})];
    let mut left = bytes.saturating_sub(150);
    while left > 0 {
        let role = if messages.len() % 2 == 1 { "user" } else { "assistant" };
        let content: String = TEXT.chars().cycle().take(left.min(4096) * TEXT.chars().count() / 250).collect();
        left = left.saturating_sub(4096);
        messages.push(json!({"role": role, "content": content}));
    }
    if messages.len() % 2 == 1 {
        messages.push(json!({"role": "user", "content": "Go on."}));
    }
    let mut body = json!({"model": model, "messages": messages, "temperature": 0.5, "max_completion_tokens": 400});
    if stream {
        body["stream"] = Value::Bool(true);
    }
    body.to_string()
}

/// A provider's dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    OpenAi,
    Anthropic,
}

impl Dialect {
    /// A whole answer.
    pub fn answer(self) -> String {
        let text = "Nothing, but for the name. ".repeat(20);
        match self {
            Self::OpenAi => json!({
                "id": "chatcmpl-9f2c", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-4o-2024-08-06",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []},
                    "logprobs": null, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 512, "completion_tokens": 120, "total_tokens": 632,
                    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}},
                "service_tier": "default", "system_fingerprint": "fp_1",
            }),
            Self::Anthropic => json!({
                "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
                "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": 512, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
                    "output_tokens": 120, "service_tier": "standard"},
            }),
        }
        .to_string()
    }

    /// A streamed answer: what comes before the text, one piece of the text, and the end.
    pub fn stream(self) -> [&'static str; 3] {
        match self {
            Self::OpenAi => [
                "data: {\"id\":\"chatcmpl-9f2c\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-4o-2024-08-06\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n",
                "data: {\"id\":\"chatcmpl-9f2c\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-4o-2024-08-06\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" nothing\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n",
                "data: {\"id\":\"chatcmpl-9f2c\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-4o-2024-08-06\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_1\",\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":null}\n\ndata: {\"id\":\"chatcmpl-9f2c\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-4o-2024-08-06\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_1\",\"choices\":[],\"usage\":{\"prompt_tokens\":512,\"completion_tokens\":120,\"total_tokens\":632,\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0}}}\n\ndata: [DONE]\n\n",
            ],
            Self::Anthropic => [
                "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-sonnet-4-5-20250929\",\"id\":\"msg_01\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":512,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":1,\"service_tier\":\"standard\"}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n",
                "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" nothing\"}}\n\n",
                "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"input_tokens\":512,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":120}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            ],
        }
    }
}
