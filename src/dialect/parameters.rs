//! Parameters by their neutral names, which are OpenAI's.

use crate::json::Value;

/// Parameters that a provider has no word for, by their path in a client's request: dropped, and named to the client.
pub type Dropped = Vec<String>;

/// Whether the parameter is what it would be without being said.
pub fn says_nothing(name: &str, value: Value<'_>) -> bool {
    match name {
        "n" | "stream_options" => true,
        "frequency_penalty" | "presence_penalty" | "top_logprobs" => value.as_f64() == Some(0.0),
        "logprobs" | "store" => value.as_bool() == Some(false),
        "logit_bias" => value.members().next().is_none(),
        "verbosity" => value.as_str().is_some_and(|word| word == "medium"),
        "modalities" => value.elements().all(|word| word.as_str().is_some_and(|word| word == "text")),
        _ => false,
    }
}
