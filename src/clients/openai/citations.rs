//! Where the text of an answer is from: `annotations`, as OpenAI has them for pages on the web, and `citations` beside them
//! for documents, for which it has nothing in chat completions.
//!
//! In `annotations` stands nothing but `url_citation` with all of its members: Vercel's `ai` takes an answer for malformed
//! that has another type there, or a member less.
//! <https://github.com/vercel/ai/blob/main/packages/openai/src/chat/openai-chat-api.ts>. `content`, what the page says, is
//! OpenRouter's: <https://openrouter.ai/docs/guides/features/plugins/web-search#parsing-web-search-results>.

use crate::chat::{Citation, Source, Unit};
use crate::json::{Str, Writer};

/// Writes both members, as far as there is something to say. Texts of a range of 0 to 0 are the whole answer.
pub(super) fn write<'p, 'a: 'p>(citations: impl Iterator<Item = &'p Citation<'a>> + Clone, w: &mut Writer<'_>) {
    let is_page = |citation: &&Citation<'_>| matches!(citation.source, Source::Url(_));
    let mut pages = citations.clone().filter(is_page).peekable();
    let mut documents = citations.filter(|citation| !is_page(citation)).peekable();
    if pages.peek().is_some() {
        w.name("annotations").array(|w| pages.for_each(|page| write_page(page, w)));
    }
    if documents.peek().is_some() {
        w.name("citations").array(|w| documents.for_each(|document| write_document(document, w)));
    }
}

fn write_page(citation: &Citation<'_>, w: &mut Writer<'_>) {
    let Source::Url(url) = &citation.source else { return };
    let title = citation.title.as_ref().filter(|title| !title.is_empty()).unwrap_or(url);
    let (start, end) = citation.range.unwrap_or_default();
    w.object(|w| {
        w.field("type", "url_citation");
        w.name("url_citation").object(|w| {
            w.field("url", url);
            w.field("title", title);
            w.field("start_index", &start);
            w.field("end_index", &end);
            w.field_some("content", &said(&citation.quote));
        });
    });
}

/// The members are those of `file_citation` in OpenAI's other interfaces, as far as they go.
fn write_document(citation: &Citation<'_>, w: &mut Writer<'_>) {
    let Source::Document { id, index, place } = &citation.source else { return };
    w.object(|w| {
        w.field("type", "file_citation");
        w.name("file_citation").object(|w| {
            w.field_some("file_id", &said(id));
            w.field_some("document_index", index);
            w.field_some("title", &said(&citation.title));
            w.field_some("quote", &said(&citation.quote));
            if let Some(place) = place {
                w.name("location").object(|w| {
                    let unit = match place.unit {
                        Unit::Character => "character",
                        Unit::Page => "page",
                        Unit::Block => "block",
                    };
                    w.field("unit", unit);
                    w.field("start", &place.start);
                    w.field("end", &place.end);
                });
            }
            if let Some((start, end)) = &citation.range {
                w.field("start_index", start);
                w.field("end_index", end);
            }
        });
    });
}

fn said<'p, 'a>(text: &'p Option<Str<'a>>) -> Option<&'p Str<'a>> {
    text.as_ref().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::write;
    use crate::chat::{Citation, Place, Source, Unit};
    use crate::json::{Str, Writer};

    fn check(citations: &[Citation<'_>], expected: &str) {
        let mut out = String::new();
        Writer::new(&mut out).object(|w| write(citations.iter(), w));
        assert_eq!(out, expected);
    }

    #[test]
    fn pages_and_documents_are_apart() {
        let plain = |text| Some(Str::plain(text));
        let url = || Source::Url(Str::plain("https://a.example/"));
        let whole = Citation { source: url(), title: plain("A"), quote: plain("q"), range: Some((3, 9)) };
        let page = r#""type":"url_citation","url_citation":{"url":"https://a.example/","#;
        check(&[], "{}");
        check(
            std::slice::from_ref(&whole),
            &format!(r#"{{"annotations":[{{{page}"title":"A","start_index":3,"end_index":9,"content":"q"}}}}]}}"#),
        );
        let bare = Citation { title: plain(""), quote: None, range: None, ..whole.clone() };
        check(
            std::slice::from_ref(&bare),
            &format!(r#"{{"annotations":[{{{page}"title":"https://a.example/","start_index":0,"end_index":0}}}}]}}"#),
        );
        let place = Some(Place { unit: Unit::Page, start: 1, end: 2 });
        let document =
            Citation { source: Source::Document { id: plain("doc:0"), index: Some(2), place }, ..whole.clone() };
        let nothing = Citation { source: Source::Document { id: None, index: None, place: None }, ..bare };
        let citations = r#""citations":[{"type":"file_citation","file_citation":{"file_id":"doc:0","document_index":2,"title":"A","quote":"q","location":{"unit":"page","start":1,"end":2},"start_index":3,"end_index":9}},{"type":"file_citation","file_citation":{}}]"#;
        let annotations =
            format!(r#""annotations":[{{{page}"title":"A","start_index":3,"end_index":9,"content":"q"}}}}]"#);
        check(&[document, whole, nothing], &format!("{{{annotations},{citations}}}"));
    }
}
