//! Replacing spans of a text.

use core::ops::Range;

/// Spans to replace, in the order of the text, without overlap.
#[derive(Debug, Default)]
pub(super) struct Patches {
    patches: Vec<(Range<usize>, String)>,
}

impl Patches {
    /// Puts `text` in place of `span`. An empty span inserts.
    pub fn replace(&mut self, span: Range<usize>, text: impl Into<String>) {
        self.patches.push((span, text.into()));
    }

    /// Where what stands at `place`, outside all spans, comes to stand.
    pub fn moved(&self, place: usize) -> usize {
        let before = self.patches.iter().filter(|(span, _)| span.end <= place);
        before.fold(place, |place, (span, text)| (place + text.len()).saturating_sub(span.len()))
    }

    /// Appends `text` with its spans replaced to `out`.
    pub fn apply(mut self, text: &str, out: &mut String) {
        // What is inserted comes before what is taken out at the same place.
        self.patches.sort_by_key(|(span, _)| (span.start, span.end));
        let added: usize = self.patches.iter().map(|(_, text)| text.len()).sum();
        out.reserve(text.len() + added);
        let mut at = 0;
        for (span, replacement) in self.patches {
            out.push_str(text.get(at..span.start).unwrap_or_default());
            out.push_str(&replacement);
            at = span.end;
        }
        out.push_str(text.get(at..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::Patches;

    #[test]
    fn what_is_not_replaced_stays() {
        let mut patches = Patches::default();
        patches.replace(6..7, "two");
        patches.replace(2..3, "");
        patches.replace(0..0, ">");
        let mut out = String::from("=");
        patches.apply("a b c d", &mut out);
        assert_eq!(out, "=>a  c two");
    }
}
