//! Where the text of an answer is from.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CitationsContentBlock.html>,
//! <https://docs.aws.amazon.com/nova/latest/userguide/grounding.html>

use super::answer::text;
use crate::chat::{Citation, Place, Source, Unit};
use crate::json::{Str, Value};

/// What `citation` is, of the text whose characters are `range`; `None` for one that names nothing.
pub(super) fn read<'a>(citation: Value<'a>, range: (u64, u64)) -> Option<Citation<'a>> {
    let said = |name: &str| text(citation, name).filter(|text| !text.is_empty());
    let location = citation.get("location").and_then(|location| location.members().next());
    let source = match location {
        Some((kind, place)) => match &*kind.decode() {
            "web" => match text(place, "url").or_else(|| text(place, "domain")) {
                Some(url) => Source::Url(url),
                None => document(None, "", None),
            },
            "documentPage" => document(Some(place), "documentIndex", Some(Unit::Page)),
            "documentChunk" => document(Some(place), "documentIndex", Some(Unit::Block)),
            "searchResultLocation" => document(Some(place), "searchResultIndex", Some(Unit::Block)),
            _ => document(Some(place), "documentIndex", Some(Unit::Character)),
        },
        None => document(None, "", None),
    };
    // Of a search result, what the client said that it is from.
    let source = match (source, said("source")) {
        (Source::Document { .. }, Some(url)) if url.decode().contains("://") => Source::Url(url),
        (Source::Document { index, place, .. }, id) => Source::Document { id, index, place },
        (page, _) => page,
    };
    let quotes =
        citation.get("sourceContent").into_iter().flat_map(Value::elements).filter_map(|part| text(part, "text"));
    let quotes: Vec<Str<'a>> = quotes.collect();
    let quote = match <[Str<'a>; 1]>::try_from(quotes) {
        Ok([quote]) => Some(quote),
        Err(quotes) if quotes.is_empty() => None,
        Err(quotes) => Some(Str::join(&quotes, &Str::EMPTY)),
    };
    let title = said("title");
    let says_nothing = title.is_none() && quote.is_none();
    if says_nothing && source == (Source::Document { id: None, index: None, place: None }) {
        return None;
    }
    Some(Citation { source, title, quote, range: Some(range) })
}

fn document<'a>(holder: Option<Value<'a>>, index: &str, unit: Option<Unit>) -> Source<'a> {
    let count = |name: &str| holder.and_then(|holder| holder.get(name)).and_then(Value::as_u64);
    let place = unit.zip(count("start")).zip(count("end"));
    let place = place.map(|((unit, start), end)| Place { unit, start, end });
    Source::Document { id: None, index: count(index), place }
}
