//! How much a model is told to think, and which thoughts it is shown again.
//!
//! <https://ai.google.dev/gemini-api/docs/thinking>, <https://ai.google.dev/gemini-api/docs/thought-signatures>

use super::super::Dropped;
use super::models::{Model, Thinking};
use crate::chat::{Message, Part, Reasoning};
use crate::json::{Str, Writer};

/// By what name these thoughts are known: OpenRouter's.
pub(super) const FORMAT: &str = "google-gemini-v1";

/// "you can set the following dummy signatures": what a call of a function is signed with that another provider's model
/// made, or whose signature a client lost, since the third generation refuses calls without one.
/// <https://ai.google.dev/gemini-api/docs/thought-signatures#faqs>
pub(super) const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Whether the thoughts in `message` may be Gemini's.
pub(super) fn are_ours(message: &Message<'_>) -> bool {
    message.thoughts_by.as_ref().is_none_or(|by| by.is_empty() || *by == FORMAT)
}

/// Whether it can be a signature at all: "thoughtSignature: A base64-encoded string"
/// (<https://ai.google.dev/api/caching#Part>). What is none makes the request no JSON of Google's.
pub(super) fn is_signature(text: &Str<'_>) -> bool {
    let text = text.decode();
    let letters = text.trim_end_matches('=');
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte);
    !letters.is_empty() && letters.len() % 4 != 1 && text.len() - letters.len() <= 2 && letters.bytes().all(is_letter)
}

/// Whether there is one that is none among those that may be Gemini's.
pub(super) fn has_strange_signature(messages: &[Message<'_>]) -> bool {
    let parts = messages.iter().filter(|message| are_ours(message)).flat_map(|message| &message.parts);
    let mut signatures = parts.filter_map(|part| match part {
        Part::Thinking { signature, .. } => signature.as_ref(),
        Part::ToolCall(call) => call.signature.as_ref(),
        _ => None,
    });
    signatures.any(|signature| !signature.is_empty() && !is_signature(signature))
}

/// `generationConfig.thinkingConfig`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    Silent,
    Budget(u64),
    Level(&'static str),
}

/// OpenAI's words for effort, as a budget: LiteLLM's.
const EFFORTS: &[(&str, u64)] =
    &[("minimal", 128), ("low", 1024), ("medium", 2048), ("high", 4096), ("xhigh", 8192), ("max", 16_384)];

/// What is asked for.
enum Wanted {
    None,
    Effort(&'static str, u64),
    Budget(u64),
}

impl Plan {
    /// Decides, and names what cannot be had in `dropped`.
    pub(super) fn new(reasoning: Option<&Reasoning<'_>>, model: &Model, dropped: &mut Dropped) -> Self {
        let (parameter, wanted) = match reasoning {
            None => return Self::Silent,
            Some(Reasoning::Budget(0)) => ("thinking", Wanted::None),
            Some(Reasoning::Budget(budget)) => ("thinking", Wanted::Budget(*budget)),
            Some(Reasoning::Effort(word)) if *word == "none" => ("reasoning_effort", Wanted::None),
            Some(Reasoning::Effort(word)) => match EFFORTS.iter().find(|(name, _)| *word == **name) {
                Some((name, budget)) => ("reasoning_effort", Wanted::Effort(name, *budget)),
                None => {
                    dropped.push("reasoning_effort".to_owned());
                    return Self::Silent;
                }
            },
        };
        let (plan, exact) = match (wanted, model.thinking) {
            (Wanted::None, Thinking::No) => (Self::Silent, true),
            (_, Thinking::No) => (Self::Silent, false),
            (Wanted::None, Thinking::Budget { off: true, .. }) => (Self::Budget(0), true),
            // "You cannot disable thinking": the least there is.
            (Wanted::None, Thinking::Budget { least, .. }) => (Self::Budget(least), false),
            (Wanted::None, Thinking::Level(levels)) => {
                (levels.first().map_or(Self::Silent, |word| Self::Level(word)), false)
            }
            (Wanted::Effort(_, budget), Thinking::Budget { least, most, .. }) => {
                (Self::Budget(budget.clamp(least, most)), true)
            }
            (Wanted::Budget(budget), Thinking::Budget { least, most, .. }) => {
                (Self::Budget(budget.clamp(least, most)), (least..=most).contains(&budget))
            }
            // "thinkingBudget is accepted for backwards compatibility", and it is what was asked for.
            (Wanted::Budget(budget), Thinking::Level(_)) => (Self::Budget(budget), true),
            (Wanted::Effort(word, _), Thinking::Level(levels)) => (nearest(word, levels), true),
        };
        if !exact {
            dropped.push(parameter.to_owned());
        }
        plan
    }

    /// Writes `thinkingConfig`. Who asks for thoughts wants to see them.
    pub(super) fn write(self, w: &mut Writer<'_>) {
        match self {
            Self::Silent => {}
            Self::Budget(budget) => w.name("thinkingConfig").object(|w| {
                w.field("thinkingBudget", &budget);
                w.field("includeThoughts", &(budget > 0));
            }),
            Self::Level(level) => w.name("thinkingConfig").object(|w| {
                w.field("thinkingLevel", level);
                w.field("includeThoughts", &true);
            }),
        }
    }
}

/// The model's own word, or the next that asks for more, or its last: "Thinking level MEDIUM is not supported for this model".
fn nearest(word: &str, levels: &'static [&'static str]) -> Plan {
    let place = |word: &str| EFFORTS.iter().position(|(name, _)| *name == word);
    let level = levels.iter().find(|level| place(level) >= place(word)).or(levels.last());
    level.map_or(Plan::Silent, |level| Plan::Level(level))
}

#[cfg(test)]
mod tests {
    use super::Plan;
    use crate::chat::Reasoning;
    use crate::json::Str;
    use crate::providers::gemini::models;

    #[test]
    fn thinking_is_said_in_the_words_of_the_model() {
        use Plan::{Budget, Level, Silent};
        let effort = |word| Some(Reasoning::Effort(Str::plain(word)));
        for (model, reasoning, plan, dropped) in [
            ("gemini-2.5-flash", None, Silent, None),
            ("gemini-2.5-flash", effort("none"), Budget(0), None),
            ("gemini-2.5-flash", effort("minimal"), Budget(128), None),
            ("gemini-2.5-flash", effort("max"), Budget(16_384), None),
            ("gemini-2.5-flash", Some(Reasoning::Budget(30_000)), Budget(24_576), Some("thinking")),
            ("gemini-2.5-flash-lite", effort("minimal"), Budget(512), None),
            ("gemini-2.5-pro", effort("none"), Budget(128), Some("reasoning_effort")),
            ("gemini-2.5-pro", Some(Reasoning::Budget(0)), Budget(128), Some("thinking")),
            ("gemini-2.0-flash", effort("none"), Silent, None),
            ("gemini-2.0-flash", effort("low"), Silent, Some("reasoning_effort")),
            ("gemini-3-pro-preview", effort("minimal"), Level("low"), None),
            ("gemini-3-pro-preview", effort("medium"), Level("high"), None),
            ("gemini-3.1-pro-preview", effort("medium"), Level("medium"), None),
            ("gemini-3-flash-preview", effort("xhigh"), Level("high"), None),
            ("gemini-3-flash-preview", effort("none"), Level("minimal"), Some("reasoning_effort")),
            ("gemini-3-flash-preview", effort("eager"), Silent, Some("reasoning_effort")),
            ("gemini-3-flash-preview", Some(Reasoning::Budget(700)), Budget(700), None),
        ] {
            let mut seen = Vec::new();
            assert_eq!(Plan::new(reasoning.as_ref(), &models::find(model), &mut seen), plan, "{model} {reasoning:?}");
            assert_eq!(seen.first().map(String::as_str), dropped, "{model} {reasoning:?}");
        }
    }
}
