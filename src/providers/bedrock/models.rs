//! What each model accepts beyond what is the same for all.
//!
//! - Tool choice: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolChoice.html>
//! - Caching: <https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>
//! - Schemas: <https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html>
//! - Thinking: <https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html>,
//!   <https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html>

/// What a model accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Model {
    /// How it can be told to think.
    pub thinking: Thinking,
    /// How it can be made to call a tool.
    pub forced: Forced,
    /// Whether it can be held to a JSON Schema, in its answer and in arguments of tools.
    pub schemas: bool,
    /// What of the prompt it caches.
    pub caches: Caches,
    /// What it takes of sampling parameters.
    pub sampling: Sampling,
    /// Where `top_k` stands in `additionalModelRequestFields`, if it has one.
    pub top_k: &'static [&'static str],
    /// Whether it can search the web: <https://docs.aws.amazon.com/nova/latest/userguide/grounding.html>
    pub grounds: bool,
    /// Whether `additionalModelRequestFields.tool_choice` can forbid parallel calls.
    pub one_by_one: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinking {
    /// It does not, or cannot be told.
    No,
    /// Claude: `thinking.budget_tokens`.
    Budget,
    /// Claude: `thinking.type: adaptive` and `output_config.effort`; `shown`: newer ones leave the thought out unless asked.
    Adaptive {
        shown: bool,
        /// Unless it is told not to.
        by_default: bool,
    },
    /// Nova: `reasoningConfig.maxReasoningEffort`.
    Nova,
    /// `reasoning_effort`.
    Effort,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forced {
    No,
    /// To call some tool.
    Any,
    /// To call a certain one too.
    Tool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caches {
    No,
    /// System and messages.
    Messages,
    /// Tools too.
    Tools,
    /// For an hour too.
    Hour,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sampling {
    Free,
    /// `temperature` or `top_p`, not both.
    OneOf,
    No,
}

/// The first row whose name is in the model's holds. For Claude, that has to be no newer than the model.
const MODELS: &[(&str, (u32, u32), Model)] = &[
    ("claude", (5, 5), Model { forced: Forced::No, ..CLAUDE_5 }),
    ("claude", (5, 0), CLAUDE_5),
    ("claude", (4, 7), Model { thinking: Thinking::Adaptive { shown: true, by_default: false }, ..CLAUDE_5 }),
    ("claude", (4, 6), Model { thinking: Thinking::Adaptive { shown: false, by_default: false }, ..CLAUDE_4_5 }),
    ("claude", (4, 5), CLAUDE_4_5),
    ("claude", (4, 0), CLAUDE_4),
    ("claude", (3, 7), Model { sampling: Sampling::Free, ..CLAUDE_4 }),
    ("claude", (0, 0), Model { thinking: Thinking::No, sampling: Sampling::Free, ..CLAUDE_4 }),
    ("nova-2", (0, 0), Model { thinking: Thinking::Nova, grounds: true, ..NOVA }),
    ("nova-premier", (0, 0), Model { grounds: true, ..NOVA }),
    ("amazon.nova", (0, 0), NOVA),
    ("gpt-oss", (0, 0), Model { thinking: Thinking::Effort, schemas: true, ..OTHER }),
    ("mistral-large", (0, 0), Model { forced: Forced::Any, ..MISTRAL }),
    ("pixtral-large", (0, 0), Model { forced: Forced::Any, ..MISTRAL }),
    ("magistral", (0, 0), Model { schemas: true, ..MISTRAL }),
    ("ministral", (0, 0), Model { schemas: true, ..MISTRAL }),
    ("mistral.", (0, 0), MISTRAL),
    ("qwen3", (0, 0), SCHEMAS),
    ("deepseek.v3", (0, 0), SCHEMAS),
    ("gemma-3", (0, 0), SCHEMAS),
    ("minimax", (0, 0), SCHEMAS),
    ("kimi", (0, 0), SCHEMAS),
    ("nemotron", (0, 0), SCHEMAS),
    // These name a model that only the account knows: it is taken to be one that can do what is asked of it.
    ("inference-profile/", (0, 0), UNKNOWN),
    ("provisioned-model/", (0, 0), UNKNOWN),
    ("custom-model", (0, 0), UNKNOWN),
    ("imported-model/", (0, 0), UNKNOWN),
    ("prompt-router/", (0, 0), UNKNOWN),
];

/// What is known of the model with that id or ARN.
pub(super) fn find(name: &str) -> Model {
    let version = version(name).unwrap_or_default();
    let row = MODELS.iter().find(|(part, from, _)| version >= *from && name.contains(part));
    row.map_or(OTHER, |(_, _, model)| *model)
}

/// `us.anthropic.claude-sonnet-4-20250514-v1:0`: the first numbers after the name that are no date. `None` for what is not
/// Claude.
fn version(name: &str) -> Option<(u32, u32)> {
    let (_, rest) = name.split_once("claude-")?;
    let words = rest.split(|character: char| !character.is_ascii_alphanumeric());
    let mut numbers = words
        .take_while(|word| word.len() <= 2 || word.starts_with(|first: char| first.is_ascii_alphabetic()))
        .filter_map(|word| word.parse().ok());
    Some((numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)))
}

const CLAUDE_5: Model =
    Model { thinking: Thinking::Adaptive { shown: true, by_default: true }, sampling: Sampling::No, ..CLAUDE_4_5 };

const CLAUDE_4_5: Model = Model { schemas: true, caches: Caches::Hour, one_by_one: true, ..CLAUDE_4 };

const CLAUDE_4: Model = Model {
    thinking: Thinking::Budget,
    forced: Forced::Tool,
    schemas: false,
    caches: Caches::Tools,
    sampling: Sampling::OneOf,
    top_k: &["top_k"],
    one_by_one: false,
    grounds: false,
};

const NOVA: Model =
    Model { forced: Forced::Tool, caches: Caches::Messages, top_k: &["inferenceConfig", "topK"], ..OTHER };

const MISTRAL: Model = Model { top_k: &["top_k"], ..OTHER };

const SCHEMAS: Model = Model { schemas: true, ..OTHER };

const UNKNOWN: Model = Model { forced: Forced::Tool, caches: Caches::Hour, ..OTHER };

const OTHER: Model = Model {
    thinking: Thinking::No,
    forced: Forced::No,
    schemas: false,
    caches: Caches::No,
    sampling: Sampling::Free,
    top_k: &[],
    one_by_one: false,
    grounds: false,
};

#[cfg(test)]
mod tests {
    use super::{Caches, Forced, OTHER, Thinking, find, version};

    #[test]
    fn versions_are_read_from_ids_and_arns() {
        for (name, expected) in [
            ("anthropic.claude-v2:1", Some((1, 0))),
            ("anthropic.claude-3-haiku-20240307-v1:0", Some((3, 0))),
            ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", Some((3, 7))),
            ("us.anthropic.claude-sonnet-4-20250514-v1:0", Some((4, 0))),
            ("anthropic.claude-opus-4-6-v1", Some((4, 6))),
            ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-haiku-4-5-20251001-v1:0", Some((4, 5))),
            ("amazon.nova-lite-v1:0", None),
        ] {
            assert_eq!(version(name), expected, "{name}");
        }
    }

    #[test]
    fn models_are_found() {
        for (name, thinking, forced, caches, schemas) in [
            ("anthropic.claude-3-5-sonnet-20240620-v1:0", Thinking::No, Forced::Tool, Caches::Tools, false),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Thinking::Budget, Forced::Tool, Caches::Hour, true),
            ("us.amazon.nova-2-lite-v1:0", Thinking::Nova, Forced::Tool, Caches::Messages, false),
            ("amazon.nova-micro-v1:0", Thinking::No, Forced::Tool, Caches::Messages, false),
            ("openai.gpt-oss-120b-1:0", Thinking::Effort, Forced::No, Caches::No, true),
            ("mistral.mistral-large-2407-v1:0", Thinking::No, Forced::Any, Caches::No, false),
            ("arn:aws:bedrock:a:1:application-inference-profile/x", Thinking::No, Forced::Tool, Caches::Hour, false),
        ] {
            let model = find(name);
            assert_eq!(
                (model.thinking, model.forced, model.caches, model.schemas),
                (thinking, forced, caches, schemas),
                "{name}"
            );
        }
        assert_eq!(find("meta.llama3-70b-instruct-v1:0"), OTHER);
        assert!(matches!(find("anthropic.claude-opus-5").thinking, Thinking::Adaptive { shown: true, .. }));
    }
}
