//! What each Claude model accepts.
//!
//! - Thinking: <https://platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting>
//! - Effort: <https://platform.claude.com/docs/en/build-with-claude/effort>
//! - Sampling, forced tools, limits: <https://platform.claude.com/docs/en/about-claude/models/migration-guide>
//! - Schemas: <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>

/// What a model accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Model {
    /// `max_tokens` where the client sets none, since Anthropic demands one: ample, but within the model's limit. Models
    /// before 4.5 refuse a prompt that leaves no room for it in their window of 200 000, so theirs is smaller.
    /// <https://platform.claude.com/docs/en/build-with-claude/context-windows>
    pub max_tokens: u64,
    /// How it can be told to think.
    pub thinking: Thinking,
    /// Words for `output_config.effort`.
    pub efforts: &'static [&'static str],
    /// Whether `temperature` and its like are accepted.
    pub sampling: Sampling,
    /// Whether it can be made to call a tool.
    pub forced_tools: bool,
    /// Whether it can be held to a JSON Schema, in its answer and in arguments of tools.
    pub schemas: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinking {
    /// It does not.
    No,
    /// `enabled` with a budget.
    Budget,
    /// Both ways; `adaptive` is preferred.
    Both,
    /// `adaptive`.
    Adaptive,
    /// `adaptive`, and that is the default: to be without, `disabled`.
    AdaptiveByDefault,
    /// `adaptive`, always.
    Always,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sampling {
    /// `temperature`, `top_p` and `top_k`.
    Free,
    /// `temperature` or `top_p`, not both.
    OneOf,
    /// None of them.
    No,
}

/// The first row whose name is in the model's, and whose version is not newer, holds.
const MODELS: &[(&str, (u32, u32), Model)] = &[
    ("opus", (5, 5), ALWAYS),
    ("mythos", (5, 1), ALWAYS),
    ("fable", (5, 1), ALWAYS),
    ("mythos", (5, 0), Model { forced_tools: true, ..ALWAYS }),
    ("fable", (5, 0), Model { forced_tools: true, ..ALWAYS }),
    ("mythos", (0, 0), ALWAYS),
    ("", (5, 5), Model { thinking: Thinking::AdaptiveByDefault, ..ALWAYS }),
    ("", (5, 0), Model { thinking: Thinking::AdaptiveByDefault, forced_tools: true, ..ALWAYS }),
    ("", (4, 7), Model { thinking: Thinking::Adaptive, forced_tools: true, ..ALWAYS }),
    ("", (4, 6), Model { thinking: Thinking::Both, efforts: &["low", "medium", "high", "max"], ..SONNET_4_5 }),
    ("", (4, 5), SONNET_4_5),
    ("", (4, 0), Model { max_tokens: 16_000, schemas: false, ..SONNET_4_5 }),
    ("", (3, 7), Model { max_tokens: 16_000, schemas: false, sampling: Sampling::Free, ..SONNET_4_5 }),
    ("", (1, 0), Model { thinking: Thinking::No, ..OTHER }),
];

/// What is known of the model with that name, which may be Bedrock's or Vertex's.
pub(super) fn find(name: &str) -> Model {
    let version = version(name);
    let row = MODELS.iter().find(|(part, from, _)| version >= Some(*from) && name.contains(part));
    row.map_or(OTHER, |(_, _, model)| *model)
}

/// `claude-3-7-sonnet-20250219`, `claude-opus-4-6`, `us.anthropic.claude-sonnet-4-20250514-v1:0`: the first numbers after
/// the name that are no date. `None` for what is not Claude.
fn version(name: &str) -> Option<(u32, u32)> {
    let (_, rest) = name.split_once("claude-")?;
    let words = rest.split(|character: char| !character.is_ascii_alphanumeric());
    let mut numbers = words
        .take_while(|word| word.len() <= 2 || word.starts_with(|first: char| first.is_ascii_alphabetic()))
        .filter_map(|word| word.parse().ok());
    Some((numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)))
}

const ALWAYS: Model = Model {
    max_tokens: 64_000,
    thinking: Thinking::Always,
    efforts: &["low", "medium", "high", "xhigh", "max"],
    sampling: Sampling::No,
    forced_tools: false,
    schemas: true,
};

const SONNET_4_5: Model = Model {
    max_tokens: 64_000,
    thinking: Thinking::Budget,
    efforts: &[],
    sampling: Sampling::OneOf,
    forced_tools: true,
    schemas: true,
};

/// Models of others who speak like Anthropic.
const OTHER: Model = Model {
    max_tokens: 4096,
    thinking: Thinking::Budget,
    efforts: &[],
    sampling: Sampling::Free,
    forced_tools: true,
    schemas: false,
};

#[cfg(test)]
mod tests {
    use super::{OTHER, Thinking, find, version};

    #[test]
    fn versions_are_read_from_every_spelling() {
        for (name, expected) in [
            ("claude-2.1", Some((2, 1))),
            ("claude-3-opus-20240229", Some((3, 0))),
            ("claude-3-7-sonnet@20250219", Some((3, 7))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-opus-4-1-20250805", Some((4, 1))),
            ("us.anthropic.claude-sonnet-4-20250514-v1:0", Some((4, 0))),
            ("anthropic.claude-opus-4-6-v1", Some((4, 6))),
            ("anthropic/claude-opus-4.8", Some((4, 8))),
            ("claude-sonnet-5", Some((5, 0))),
            ("claude-mythos-preview", Some((0, 0))),
            ("deepseek-chat", None),
        ] {
            assert_eq!(version(name), expected, "{name}");
        }
    }

    #[test]
    fn models_are_found_by_name_and_version() {
        for (name, thinking, max_tokens) in [
            ("claude-3-5-haiku-20241022", Thinking::No, 4096),
            ("claude-3-7-sonnet-latest", Thinking::Budget, 16_000),
            ("claude-haiku-4-5", Thinking::Budget, 64_000),
            ("claude-sonnet-4-6", Thinking::Both, 64_000),
            ("claude-opus-4-8", Thinking::Adaptive, 64_000),
            ("claude-opus-5", Thinking::AdaptiveByDefault, 64_000),
            ("claude-opus-5-5", Thinking::Always, 64_000),
            ("claude-fable-5", Thinking::Always, 64_000),
            ("claude-mythos-preview", Thinking::Always, 64_000),
            ("kimi-k2", Thinking::Budget, 4096),
        ] {
            let model = find(name);
            assert_eq!((model.thinking, model.max_tokens), (thinking, max_tokens), "{name}");
        }
        assert_eq!(find("claude-unversioned"), OTHER);
        assert!(find("claude-fable-5").forced_tools && !find("claude-fable-5-1").forced_tools);
    }
}
