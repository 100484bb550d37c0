//! What records of requests have of answers.

use crate::chat::Usage;

/// What was found in an answer that is there as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answered {
    /// What it took; `None` if the provider did not say.
    pub usage: Option<Usage>,
    /// Why its choices ended.
    pub finishes: Finishes,
}

/// For which reasons the choices of an answer ended, those that have by now, in OpenAI's words:
/// <https://platform.openai.com/docs/api-reference/chat/object>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Finishes(u8);

/// The last is that of old requests with `functions`.
const WORDS: [&str; 5] = ["stop", "length", "tool_calls", "content_filter", "function_call"];

impl Finishes {
    /// Their names, in one order whatever choice was first: `stop`, or `stop, length`.
    pub fn names(self) -> String {
        let has = |number: usize| self.0 & 1 << number != 0;
        let names = WORDS.iter().enumerate().filter(|(number, _)| has(*number)).map(|(_, word)| *word);
        names.collect::<Vec<_>>().join(", ")
    }
}

/// Of words that are none of OpenAI's nothing is kept.
impl<'a> FromIterator<&'a str> for Finishes {
    fn from_iter<I: IntoIterator<Item = &'a str>>(words: I) -> Self {
        let places = words.into_iter().filter_map(|word| WORDS.iter().position(|known| *known == word));
        Self(places.fold(0, |all, place| all | 1 << place))
    }
}

#[cfg(test)]
mod tests {
    use super::Finishes;

    #[test]
    fn each_reason_is_told_once() {
        let names = |words: &[&str]| words.iter().copied().collect::<Finishes>().names();
        assert_eq!(names(&[]), "");
        assert_eq!(names(&["tool_calls"]), "tool_calls");
        assert_eq!(names(&["length", "stop", "length", "end_turn"]), "stop, length");
    }
}
