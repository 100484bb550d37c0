//! How much a model is told to think: `reasoning_effort`.
//!
//! <https://docs.mistral.ai/capabilities/reasoning/adjustable>: "reasoning_effort='medium' is not supported for this model.
//! Must be one of none, high" (<https://github.com/architects-toolkit/SmartHopper/issues/647>), and "not enabled for this
//! model" from those that always think and from those that never do
//! (<https://github.com/withceleste/celeste-python/pull/311>). What else Mistral serves has words of its own
//! (<https://github.com/mistralai/mistral-vibe/issues/1117>): there its own error is the better word.

use super::super::Dropped;
use crate::chat::Reasoning;
use crate::json::Writer;

/// What a model can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Efforts {
    /// Nothing.
    None,
    /// `none` and `high`.
    Switch,
    /// Any word, as far as is known.
    Words,
}

/// Families of models, and what can be told those of 2026 on: their names end with year and month, or with `latest`.
const FAMILIES: &[(&str, Efforts)] = &[
    ("mistral-small", Efforts::Switch),
    ("mistral-medium", Efforts::Switch),
    ("mistral-large", Efforts::Words),
    ("magistral-small", Efforts::Switch),
    ("magistral", Efforts::None),
    ("ministral", Efforts::None),
    ("codestral", Efforts::None),
    ("devstral", Efforts::None),
    ("pixtral", Efforts::None),
    ("voxtral", Efforts::None),
    ("open-", Efforts::None),
];

/// Mistral Small 4, of March 2026, was the first: <https://mistral.ai/news/mistral-small-4>
const FIRST: u32 = 2603;

fn efforts(model: &str) -> Efforts {
    let Some((_, efforts)) = FAMILIES.iter().find(|(family, _)| model.starts_with(family)) else {
        return Efforts::Words;
    };
    let date = model.rsplit('-').next().filter(|end| end.len() == 4).and_then(|end| end.parse::<u32>().ok());
    if date.is_some_and(|date| date < FIRST) { Efforts::None } else { *efforts }
}

/// What OpenAI's words for effort come to: LiteLLM's budgets, each the most that the word stands for.
const BUDGETS: &[(u64, &str)] = &[
    (0, "none"),
    (128, "minimal"),
    (1024, "low"),
    (2048, "medium"),
    (4096, "high"),
    (8192, "xhigh"),
    (u64::MAX, "max"),
];

/// Writes `reasoning_effort`, and names what cannot be had in `dropped`.
pub(super) fn write(model: &str, reasoning: Option<&Reasoning<'_>>, dropped: &mut Dropped, w: &mut Writer<'_>) {
    let (parameter, word) = match reasoning {
        None => return,
        Some(Reasoning::Effort(word)) => ("reasoning_effort", word.decode()),
        Some(Reasoning::Budget(budget)) => {
            let row = BUDGETS.iter().find(|(most, _)| budget <= most);
            ("thinking", row.map_or("max", |(_, word)| *word).into())
        }
    };
    let said = match efforts(model) {
        Efforts::None => None,
        Efforts::Switch if matches!(&*word, "none" | "minimal") => Some("none"),
        Efforts::Switch => Some("high"),
        Efforts::Words => Some(&*word),
    };
    // What does not think unless it is told to need not be told not to.
    let is_silence = said.is_none() && word == "none" && !model.starts_with("magistral");
    let is_exact = parameter == "reasoning_effort" && said == Some(&*word) || is_silence;
    if !is_exact {
        dropped.push(parameter.to_owned());
    }
    if let Some(said) = said {
        w.field("reasoning_effort", said);
    }
}

#[cfg(test)]
mod tests {
    use super::write;
    use crate::chat::Reasoning;
    use crate::json::{Str, Writer};

    fn check(model: &str, reasoning: Reasoning<'_>, expected: &str, named: &[&str]) {
        let (mut out, mut dropped) = (String::new(), Vec::new());
        Writer::new(&mut out).object(|w| write(model, Some(&reasoning), &mut dropped, w));
        let expected =
            if expected.is_empty() { "{}".to_owned() } else { format!(r#"{{"reasoning_effort":"{expected}"}}"#) };
        assert_eq!(
            (out, dropped.iter().map(String::as_str).collect::<Vec<_>>()),
            (expected, named.to_vec()),
            "{model}"
        );
    }

    #[test]
    fn models_are_told_what_they_take() {
        let effort = |word| Reasoning::Effort(Str::plain(word));
        for model in ["mistral-small-latest", "mistral-small-2603", "mistral-medium-3-5", "magistral-small-latest"] {
            check(model, effort("high"), "high", &[]);
            check(model, effort("none"), "none", &[]);
            check(model, effort("minimal"), "none", &["reasoning_effort"]);
            check(model, effort("medium"), "high", &["reasoning_effort"]);
            check(model, Reasoning::Budget(2000), "high", &["thinking"]);
            check(model, Reasoning::Budget(0), "none", &["thinking"]);
        }
        for model in ["mistral-small-2506", "mistral-large-2512", "magistral-medium-latest", "codestral-latest"] {
            check(model, effort("high"), "", &["reasoning_effort"]);
        }
        check("mistral-small-2506", effort("none"), "", &[]);
        check("magistral-medium-latest", effort("none"), "", &["reasoning_effort"]);
        for model in ["mistral-large-latest", "zai-glm-5-3"] {
            check(model, effort("low"), "low", &[]);
            check(model, Reasoning::Budget(1025), "medium", &["thinking"]);
            check(model, Reasoning::Budget(u64::MAX), "max", &["thinking"]);
        }
    }
}
