//! What each Gemini model accepts.
//!
//! - Thinking: <https://ai.google.dev/gemini-api/docs/thinking>, <https://ai.google.dev/gemini-api/docs/gemini-3>
//! - Schemas beside tools: <https://ai.google.dev/gemini-api/docs/structured-output>

/// What a model accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Model {
    /// How it can be told to think.
    pub thinking: Thinking,
    /// Whether it is of the third generation or later: these refuse calls of functions that come back without the
    /// signature of a thought, and answer in JSON beside tools.
    pub third: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinking {
    /// It does not.
    No,
    /// By a number of tokens, within these; `off`: also by none.
    Budget { least: u64, most: u64, off: bool },
    /// By a word, one of these, from least to most.
    Level(&'static [&'static str]),
}

/// What is known of the model with that name.
pub(super) fn find(name: &str) -> Model {
    let name = name.rsplit('/').next().unwrap_or(name);
    let Some(rest) = name.strip_prefix("gemini-") else {
        return Model { thinking: Thinking::No, third: false };
    };
    let has = |word: &str| name.contains(word);
    let version = version(rest).unwrap_or(if has("latest") { (3, 1) } else { (1, 0) });
    let thinking = match version {
        (..3, _) if has("image") || has("tts") => Thinking::No,
        (3.., _) if has("image") => Thinking::Level(&["minimal", "high"]),
        (3, 0) if has("pro") => Thinking::Level(&["low", "high"]),
        (3.., _) if has("pro") => Thinking::Level(&["low", "medium", "high"]),
        (3.., _) => Thinking::Level(&["minimal", "low", "medium", "high"]),
        (2, 5..) if has("pro") => Thinking::Budget { least: 128, most: 32_768, off: false },
        (2, 5..) if has("lite") => Thinking::Budget { least: 512, most: 24_576, off: true },
        (2, 5..) => Thinking::Budget { least: 1, most: 24_576, off: true },
        _ => Thinking::No,
    };
    Model { thinking, third: version >= (3, 0) }
}

/// `2.5-flash`, `3-pro-preview`: the numbers that a name begins with.
fn version(rest: &str) -> Option<(u32, u32)> {
    let number = rest.split('-').next()?;
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Model, Thinking, find};

    #[test]
    fn models_are_known_by_name() {
        let flash = Thinking::Budget { least: 1, most: 24_576, off: true };
        let levels = Thinking::Level(&["minimal", "low", "medium", "high"]);
        for (name, thinking, third) in [
            ("gemini-2.5-flash", flash, false),
            ("publishers/google/models/gemini-2.5-flash-preview-05-20", flash, false),
            ("gemini-2.5-flash-lite", Thinking::Budget { least: 512, most: 24_576, off: true }, false),
            ("gemini-2.5-pro", Thinking::Budget { least: 128, most: 32_768, off: false }, false),
            ("gemini-2.5-flash-image", Thinking::No, false),
            ("gemini-2.0-flash-001", Thinking::No, false),
            ("gemini-pro", Thinking::No, false),
            ("gemini-3-pro-preview", Thinking::Level(&["low", "high"]), true),
            ("gemini-3.1-pro-preview", Thinking::Level(&["low", "medium", "high"]), true),
            ("gemini-3-flash-preview", levels, true),
            ("gemini-flash-latest", levels, true),
            ("gemma-3-27b-it", Thinking::No, false),
        ] {
            assert_eq!(find(name), Model { thinking, third }, "{name}");
        }
    }
}
