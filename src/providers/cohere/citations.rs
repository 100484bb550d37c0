//! Where the text of an answer is from, and how probable its tokens were.
//!
//! <https://docs.cohere.com/docs/rag-citations>, <https://docs.cohere.com/reference/chat#response.body.logprobs>

use super::answer::text;
use crate::chat::{Citation, Logprob, Source};
use crate::json::{Kind, Str, Value};

/// What `citation` stands on, each source by itself; its text begins after `before` characters of the answer's. Citations of
/// a plan or a thought are none of the answer's text.
pub(super) fn read<'a>(citation: Value<'a>, before: u64) -> impl Iterator<Item = Citation<'a>> {
    let count = |name| citation.get(name).and_then(Value::as_u64);
    let is_text = text(citation, "type").is_none_or(|kind| kind == "TEXT_CONTENT");
    let range = count("start").zip(count("end")).filter(|_| is_text);
    let range = range.map(|(start, end)| (before.saturating_add(start), before.saturating_add(end)));
    let sources = citation.get("sources").into_iter().flat_map(Value::elements);
    sources.map(move |source| {
        // {"type": "document", "id", "document": {"id", "title", ...}} or {"type": "tool", "id", "tool_output": {...}}
        let content = source.get("document").or_else(|| source.get("tool_output")).unwrap_or(source);
        let url = text(content, "url").filter(|url| url.decode().contains("://"));
        let from = match url {
            Some(url) => Source::Url(url),
            None => Source::Document { id: text(source, "id"), index: None, place: None },
        };
        // Not all of its text, which the client gave.
        let (title, quote) = (text(content, "title"), text(content, "snippet"));
        Citation { source: from, title, quote, range }
    })
}

/// `{"text", "token_ids", "logprobs"}`, or a list of such. A piece of text is given whole for all of its tokens: it stands
/// with the first of them.
pub(super) fn logprobs(holder: Value<'_>) -> Vec<Logprob<'_>> {
    let Some(member) = holder.get("logprobs") else { return Vec::new() };
    let one = Some(member).filter(|member| member.kind() == Kind::Object);
    let mut read = Vec::new();
    for piece in one.into_iter().chain(member.elements()) {
        let mut token = text(piece, "text").unwrap_or(Str::EMPTY);
        for logprob in piece.get("logprobs").into_iter().flat_map(Value::elements).filter_map(Value::as_number) {
            read.push(Logprob { token: core::mem::take(&mut token), logprob, bytes: None, top: Vec::new() });
        }
    }
    read
}
