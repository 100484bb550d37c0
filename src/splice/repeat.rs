//! Events that differ from the one before in their texts alone, as nearly all of a streamed answer's do. What became of that
//! one becomes of them, and they need not be parsed: ARCHITECTURE.md, "Speed", has what that saves.

use super::patch::Patches;
use crate::json::{Kind, Value, literal_at};

/// What an event was like, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Pattern {
    /// What stood before, between and behind its texts: as it came, and as it went on.
    stretches: Vec<(Vec<u8>, String)>,
    /// How many events in a row were unlike the one before.
    misses: u8,
}

/// From then on events are not compared: the provider puts something new into each.
const MOST_MISSES: u8 = 32;

/// A text within an event.
pub(super) struct Text {
    /// Where it starts and ends as it came, and where it starts as it went on.
    came: (usize, usize),
    went: usize,
}

impl Pattern {
    /// Appends what becomes of an event to `out`, if it is like the one before. Else `out` stays as it is.
    pub fn apply(&mut self, event: &[u8], out: &mut String) -> bool {
        let length = out.len();
        let applied = self.stretches.split_first().and_then(|((came, went), others)| {
            let mut rest = after(event, came)?;
            out.push_str(went);
            for (came, went) in others {
                let (text, behind) = literal_at(rest)?;
                rest = after(behind, came)?;
                out.push_str(text);
                out.push_str(went);
            }
            rest.is_empty().then_some(())
        });
        if applied.is_none() {
            out.truncate(length);
            self.misses = self.misses.saturating_add(u8::from(!self.stretches.is_empty()));
        } else {
            self.misses = 0;
        }
        applied.is_some()
    }

    /// Keeps what became of an event with these texts, in their order; where there are none, nothing is like it.
    pub fn learn(&mut self, came: &[u8], went: &str, texts: &[Text]) {
        self.stretches.clear();
        if texts.is_empty() || self.misses > MOST_MISSES {
            return;
        }
        let ends = texts.iter().map(|text| (text.came.0, text.went)).chain([(came.len(), went.len())]);
        let starts = texts.iter().map(|text| (text.came.1, text.went + (text.came.1 - text.came.0)));
        for (start, end) in [(0, 0)].into_iter().chain(starts).zip(ends) {
            let (came, went) = (came.get(start.0..end.0), went.get(start.1..end.1));
            self.stretches.extend(came.zip(went).map(|(came, went)| (came.to_vec(), went.to_owned())));
        }
    }
}

/// The texts of an event that says nothing else that is new: where its text stood there can be another, and all that follows
/// from it but that text is the same. `at` is where the event's JSON starts, and `patches` what is changed in it.
pub(super) fn texts(root: Value<'_>, at: usize, patches: &Patches) -> Vec<Text> {
    let mut choices = root.get("choices").into_iter().flat_map(Value::elements);
    let (Some(choice), None) = (choices.next(), choices.next()) else { return Vec::new() };
    let delta = choice.get("delta");
    let says =
        |object: Option<Value<'_>>, name| object.and_then(|object| object.get(name)).is_some_and(|v| !v.is_null());
    let news = [(Some(root), "usage"), (Some(root), "x_groq"), (Some(choice), "finish_reason"), (delta, "tool_calls")];
    if news.into_iter().any(|(object, name)| says(object, name)) {
        return Vec::new();
    }
    let said = ["content", "reasoning_content", "reasoning"].iter().filter_map(|name| delta?.get(name));
    let said = said.chain(choice.get("text")).filter(|text| text.as_str().is_some_and(|text| !text.is_empty()));
    let mut values: Vec<Value<'_>> = said.collect();
    if values.is_empty() {
        return Vec::new();
    }
    // Of a random length, so that nobody learns from that of an encrypted event.
    values.extend(root.get("obfuscation").filter(|text| text.kind() == Kind::String));
    values.sort_by_key(|value| value.start());
    let text = |value: &Value<'_>| Text {
        came: (at + value.start(), at + value.end()),
        went: at + patches.moved(value.start()),
    };
    values.iter().map(text).collect()
}

/// What stands after `stretch`, if `text` begins with that.
fn after<'t>(text: &'t [u8], stretch: &[u8]) -> Option<&'t [u8]> {
    let (text, rest) = text.split_at_checked(stretch.len())?;
    let ((words, last), (others, other_last)) = (text.as_chunks(), stretch.as_chunks());
    let same = words.iter().zip(others).all(|(word, other)| u64::from_le_bytes(*word) == u64::from_le_bytes(*other));
    (same && last == other_last).then_some(rest)
}
