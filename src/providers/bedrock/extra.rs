//! `additionalModelRequestFields`: how much to think, and what else each maker's models call their own.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html>,
//! <https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html>

use super::super::Dropped;
use super::messages::{is_own, is_said, is_thought};
use super::models::{Model, Thinking};
use crate::chat::{Message, Part, Reasoning, Request, Role, ToolChoice};
use crate::json::{Value, Writer};

/// What is said about thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    field: Field,
    /// `maxTokens`, thinking included.
    pub max_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Absent,
    Disabled,
    Budget(u64),
    Adaptive { effort: &'static str, shown: bool },
    Nova(&'static str),
    Effort(&'static str),
}

/// What OpenAI's words for effort come to: Claude's word, the word of models that have three, and LiteLLM's budget.
const EFFORTS: &[(&str, &str, &str, u64)] = &[
    ("minimal", "low", "low", 128),
    ("low", "low", "low", 1024),
    ("medium", "medium", "medium", 2048),
    ("high", "high", "high", 4096),
    ("xhigh", "high", "high", 8192),
    ("max", "max", "high", 16_384),
];

/// Claude refuses less.
const LEAST_BUDGET: u64 = 1024;

/// Room for thoughts and an answer, where the client leaves it to us: all models that think have as much.
const ROOM: u64 = 16_000;

impl Plan {
    /// Decides for `request`, and names what cannot be had in `dropped`.
    pub(super) fn new(request: &Request<'_>, model: &Model, dropped: &mut Dropped) -> Self {
        let silent = Self { field: Field::Absent, max_tokens: request.max_tokens };
        let (parameter, row, budget) = match &request.reasoning {
            None => return silent,
            Some(Reasoning::Budget(0)) => ("thinking", None, 0),
            Some(Reasoning::Budget(budget)) => {
                let row = EFFORTS.iter().find(|(.., least)| least >= budget).or(EFFORTS.last());
                ("thinking", row, *budget)
            }
            Some(Reasoning::Effort(word)) if *word == "none" => ("reasoning_effort", None, 0),
            Some(Reasoning::Effort(word)) => match EFFORTS.iter().find(|(name, ..)| *word == **name) {
                Some(row) => ("reasoning_effort", Some(row), row.3),
                None => {
                    dropped.push("reasoning_effort".to_owned());
                    return silent;
                }
            },
        };
        let Some((_, claude, other, _)) = row else {
            return match model.thinking {
                Thinking::Adaptive { by_default: true, .. } => Self { field: Field::Disabled, ..silent },
                Thinking::Effort => {
                    dropped.push(parameter.to_owned());
                    Self { field: Field::Effort("low"), ..silent }
                }
                _ => silent,
            };
        };
        let impossible = is_forced(request) || has_lost_thoughts(&request.messages);
        let planned = match model.thinking {
            Thinking::No => None,
            Thinking::Budget if impossible => None,
            Thinking::Budget => fit(budget, request.max_tokens)
                .map(|(budget, max_tokens)| Self { field: Field::Budget(budget), max_tokens: Some(max_tokens) }),
            Thinking::Adaptive { shown, .. } => {
                Some(Self { field: Field::Adaptive { effort: claude, shown }, ..silent })
            }
            Thinking::Nova => Some(Self { field: Field::Nova(other), ..silent }),
            Thinking::Effort => Some(Self { field: Field::Effort(other), ..silent }),
        };
        // No exact budget can be had but where it is a budget.
        if planned.is_none() || parameter == "thinking" && model.thinking != Thinking::Budget {
            dropped.push(parameter.to_owned());
        }
        planned.unwrap_or(silent)
    }

    /// Whether Claude is told to think: that rules out sampling parameters, and tools that it is made to call.
    pub(super) fn thinks(&self) -> bool {
        matches!(self.field, Field::Budget(_) | Field::Adaptive { .. })
    }

    /// "When maxReasoningEffort is high, temperature, topP and maxTokens must be unset."
    pub(super) fn is_unbounded(&self) -> bool {
        self.field == Field::Nova("high")
    }
}

/// All that stands in `additionalModelRequestFields`.
pub(super) struct Extra<'a> {
    pub plan: Plan,
    pub top_k: Option<Value<'a>>,
    /// Parallel calls are forbidden.
    pub one_by_one: bool,
}

impl Extra<'_> {
    /// Writes them, if there are any.
    pub(super) fn write(&self, model: &Model, w: &mut Writer<'_>) {
        if self.plan.field == Field::Absent && self.top_k.is_none() && !self.one_by_one {
            return;
        }
        w.name("additionalModelRequestFields").object(|w| {
            self.write_thinking(w);
            match (self.top_k, model.top_k) {
                (Some(top_k), [name]) => w.field(name, &top_k),
                (Some(top_k), [outer, name]) => w.name(outer).object(|w| w.field(name, &top_k)),
                _ => {}
            }
            if self.one_by_one {
                w.name("tool_choice").object(|w| {
                    w.field("type", "auto");
                    w.field("disable_parallel_tool_use", &true);
                });
            }
        });
    }

    fn write_thinking(&self, w: &mut Writer<'_>) {
        let thinking = |w: &mut Writer<'_>, kind: &str, more: &dyn Fn(&mut Writer<'_>)| {
            w.name("thinking").object(|w| {
                w.field("type", kind);
                more(w);
            });
        };
        match self.plan.field {
            Field::Absent => {}
            Field::Disabled => thinking(w, "disabled", &|_| ()),
            Field::Budget(budget) => thinking(w, "enabled", &|w| w.field("budget_tokens", &budget)),
            Field::Adaptive { effort, shown } => {
                thinking(w, "adaptive", &|w| w.field_some("display", &shown.then_some("summarized")));
                w.name("output_config").object(|w| w.field("effort", effort));
            }
            Field::Nova(effort) => w.name("reasoningConfig").object(|w| {
                w.field("type", "enabled");
                w.field("maxReasoningEffort", effort);
            }),
            Field::Effort(effort) => w.field("reasoning_effort", effort),
        }
    }
}

/// `budget_tokens` and `max_tokens`, of which the first has to be less; `None` where there is no room to think.
fn fit(budget: u64, max_tokens: Option<u64>) -> Option<(u64, u64)> {
    let budget = budget.max(LEAST_BUDGET);
    let Some(max_tokens) = max_tokens else {
        return Some((budget, ROOM.max(budget.saturating_add(ROOM / 4))));
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
        let own = is_own(message);
        !message.parts.iter().find(|part| is_said(part, own)).is_some_and(is_thought)
    })
}
