//! Where the text of an answer is from.
//!
//! <https://platform.claude.com/docs/en/build-with-claude/citations>,
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool#citations>

use super::answer::text;
use crate::chat::{Citation, Place, Source, Unit};
use crate::json::Value;

/// What `citation` is, of a block of text whose characters are `range`; `None` for one that names nothing.
pub(super) fn read<'a>(citation: Value<'a>, range: (u64, u64)) -> Option<Citation<'a>> {
    let count = |name: &str| citation.get(name).and_then(Value::as_u64);
    let kind = text(citation, "type")?;
    let place = |unit, start: &str, end: &str| Some(Place { unit, start: count(start)?, end: count(end)? });
    let document = |place| Source::Document { id: text(citation, "file_id"), index: count("document_index"), place };
    let source = match &*kind.decode() {
        "char_location" => document(place(Unit::Character, "start_char_index", "end_char_index")),
        "page_location" => document(place(Unit::Page, "start_page_number", "end_page_number")),
        "content_block_location" => document(place(Unit::Block, "start_block_index", "end_block_index")),
        // What the client's own tool has found: the source is whatever it said.
        "search_result_location" => {
            let id = text(citation, "source");
            match id.filter(|source| source.decode().contains("://")) {
                Some(url) => Source::Url(url),
                None => Source::Document {
                    id: text(citation, "source"),
                    index: count("search_result_index"),
                    place: place(Unit::Block, "start_block_index", "end_block_index"),
                },
            }
        }
        // Pages of the web, and what may be added.
        _ => Source::Url(text(citation, "url")?),
    };
    let title = text(citation, "title").or_else(|| text(citation, "document_title"));
    Some(Citation { source, title, quote: text(citation, "cited_text"), range: Some(range) })
}
