//! How much a model is told to think: `think`.
//!
//! <https://docs.ollama.com/capabilities/thinking>: most models are told to think or not; GPT-OSS is told how much, by word,
//! cannot be told not to, and passes over `true` and `false`. Other models refuse words ("think value \"medium\" is not
//! supported for this model"), and models that cannot think refuse `true` ("does not support thinking"), which the client
//! has to know: <https://github.com/charmbracelet/crush/issues/2623>, <https://github.com/ollama/ollama/issues/11439>.

use super::super::Dropped;
use crate::chat::Reasoning;
use crate::json::Writer;

/// What OpenAI's words for effort come to in Ollama's, and up to which budget.
const EFFORTS: &[(&str, &str, u64)] = &[
    ("minimal", "low", 128),
    ("low", "low", 1024),
    ("medium", "medium", 2048),
    ("high", "high", 4096),
    ("xhigh", "high", 8192),
    ("max", "high", u64::MAX),
];

/// Writes `think`, and names what cannot be had in `dropped`.
pub(super) fn write(model: &str, reasoning: Option<&Reasoning<'_>>, dropped: &mut Dropped, w: &mut Writer<'_>) {
    let (parameter, row) = match reasoning {
        None => return,
        Some(Reasoning::Budget(budget)) => {
            ("thinking", EFFORTS.iter().find(|(_, _, most)| *budget > 0 && budget <= most))
        }
        Some(Reasoning::Effort(word)) => {
            let row = EFFORTS.iter().find(|(name, _, _)| *word == **name);
            if row.is_none() && *word != "none" {
                return dropped.push("reasoning_effort".to_owned());
            }
            ("reasoning_effort", row)
        }
    };
    let by_word = model.rsplit('/').next().is_some_and(|name| name.starts_with("gpt-oss"));
    let is_exact = match row {
        Some((word, _, _)) if parameter == "reasoning_effort" => by_word || *word == "medium",
        Some(_) => false,
        None => !by_word,
    };
    if !is_exact {
        dropped.push(parameter.to_owned());
    }
    match row {
        Some((_, level, _)) if by_word => w.field("think", *level),
        None if by_word => w.field("think", "low"),
        row => w.field("think", &row.is_some()),
    }
}
