//! How much a model is told to think, and what has to give way for it.
//!
//! <https://platform.claude.com/docs/en/build-with-claude/extended-thinking>,
//! <https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking>

use super::super::Dropped;
use super::messages::{are_ours, is_said, is_thought};
use super::models::{Model, Thinking};
use crate::chat::{Message, Part, Reasoning, Request, Role, ToolChoice};
use crate::json::Writer;

/// What is said about thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    field: Field,
    /// `output_config.effort`
    pub effort: Option<&'static str>,
    /// `max_tokens`, thinking included.
    pub max_tokens: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Absent,
    Disabled,
    Budget(u64),
    /// `shown`: newer models leave the thought out unless asked to sum it up.
    Adaptive {
        shown: bool,
    },
}

/// What OpenAI's words for effort come to: Anthropic's word, and LiteLLM's budget.
const EFFORTS: &[(&str, &str, u64)] = &[
    ("minimal", "low", 128),
    ("low", "low", 1024),
    ("medium", "medium", 2048),
    ("high", "high", 4096),
    ("xhigh", "xhigh", 8192),
    ("max", "max", 16_384),
];

/// Anthropic refuses less.
const LEAST_BUDGET: u64 = 1024;

/// Room for an answer after the thoughts, where the client leaves it to us.
const ROOM: u64 = 4096;

impl Plan {
    /// Decides for `request`, and names what cannot be had in `dropped`.
    pub(super) fn new(request: &Request<'_>, model: &Model, dropped: &mut Dropped) -> Self {
        let max_tokens = request.max_tokens.unwrap_or(model.max_tokens);
        let silent = Self { field: Field::Absent, effort: None, max_tokens };
        let (parameter, effort, budget) = match &request.reasoning {
            None => return silent,
            Some(Reasoning::Budget(0)) => ("thinking", None, 0),
            Some(Reasoning::Budget(budget)) => {
                let row = EFFORTS.iter().find(|(_, _, least)| least >= budget).or(EFFORTS.last());
                ("thinking", row.map(|(_, effort, _)| *effort), *budget)
            }
            Some(Reasoning::Effort(word)) if *word == "none" => ("reasoning_effort", None, 0),
            Some(Reasoning::Effort(word)) => match EFFORTS.iter().find(|(name, _, _)| *word == **name) {
                Some((_, effort, budget)) => ("reasoning_effort", Some(*effort), *budget),
                None => {
                    dropped.push("reasoning_effort".to_owned());
                    return silent;
                }
            },
        };
        let Some(effort) = effort else {
            return match model.thinking {
                Thinking::AdaptiveByDefault => Self { field: Field::Disabled, ..silent },
                Thinking::Always => {
                    dropped.push(parameter.to_owned());
                    Self { effort: Some("low"), ..silent }
                }
                _ => silent,
            };
        };
        let exact = parameter == "thinking";
        let impossible = is_forced(request) || has_lost_thoughts(&request.messages);
        let by_budget = match model.thinking {
            Thinking::No => None,
            Thinking::Budget if impossible => None,
            Thinking::Budget => fit(budget, request.max_tokens, model),
            Thinking::Both if exact && !impossible => fit(budget, request.max_tokens, model),
            _ => {
                // No exact budget can be had.
                if exact {
                    dropped.push(parameter.to_owned());
                }
                let effort = if model.efforts.contains(&effort) { effort } else { "high" };
                let shown = model.thinking != Thinking::Both;
                return Self { field: Field::Adaptive { shown }, effort: Some(effort), max_tokens };
            }
        };
        let Some((budget, max_tokens)) = by_budget else {
            dropped.push(parameter.to_owned());
            return silent;
        };
        Self { field: Field::Budget(budget), effort: None, max_tokens }
    }

    /// Whether the model is told to think: that rules out sampling parameters.
    pub(super) fn thinks(&self) -> bool {
        matches!(self.field, Field::Budget(_) | Field::Adaptive { .. })
    }

    /// Writes `thinking`.
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        let kind = match self.field {
            Field::Absent => return,
            Field::Disabled => "disabled",
            Field::Budget(_) => "enabled",
            Field::Adaptive { .. } => "adaptive",
        };
        w.name("thinking").object(|w| {
            w.field("type", kind);
            match self.field {
                Field::Budget(budget) => w.field("budget_tokens", &budget),
                Field::Adaptive { shown: true } => w.field("display", "summarized"),
                _ => {}
            }
        });
    }
}

/// `budget_tokens` and `max_tokens`, of which the first has to be less; `None` where there is no room to think.
fn fit(budget: u64, max_tokens: Option<u64>, model: &Model) -> Option<(u64, u64)> {
    let budget = budget.max(LEAST_BUDGET);
    let Some(max_tokens) = max_tokens else {
        return Some((budget, model.max_tokens.max(budget.saturating_add(ROOM))));
    };
    let budget = if budget < max_tokens { budget } else { LEAST_BUDGET.max(max_tokens / 2) };
    (budget < max_tokens).then_some((budget, max_tokens))
}

/// "Thinking may not be enabled when tool_choice forces tool use." The tool is what the client cannot do without.
fn is_forced(request: &Request<'_>) -> bool {
    !request.tools.is_empty() && matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Tool(_)))
}

/// "A final assistant message must start with a thinking block (preceeding the lastmost set of tool_use and tool_result
/// blocks)": whether the client dropped it, as most OpenAI clients do, while results of tools are being handed in.
fn has_lost_thoughts(messages: &[Message<'_>]) -> bool {
    let answers = |message: &&Message<'_>| {
        message.role == Role::Assistant || message.parts.iter().any(|part| matches!(part, Part::ToolResult { .. }))
    };
    // Back to the question: the turn that is going on begins right after it.
    let turn = messages.iter().rev().filter(|message| message.role != Role::System).take_while(answers);
    let first = turn.filter(|message| message.role == Role::Assistant).last();
    first.is_some_and(|message| {
        let ours = are_ours(message);
        !message.parts.iter().find(|part| is_said(part, ours)).is_some_and(is_thought)
    })
}
