//! Where the text of an answer is from: `groundingMetadata` of what Google's tools have found, `citationMetadata` of what the
//! model knows by heart.
//!
//! <https://ai.google.dev/gemini-api/docs/google-search#attributing_sources_with_inline_citations>,
//! <https://ai.google.dev/api/generate-content#GroundingMetadata>, <https://ai.google.dev/api/generate-content#citationmetadata>

use super::answer::text;
use crate::chat::{Citation, Source};
use crate::json::Value;

/// The citations in `candidate`, of whose text `said` is all that is known. Places are given in bytes of UTF-8.
pub(super) fn read<'a>(candidate: Value<'a>, said: &str) -> Vec<Citation<'a>> {
    let mut found = Vec::new();
    if let Some(grounding) = candidate.get("groundingMetadata") {
        read_grounding(grounding, said, &mut found);
    }
    // Google AI calls them one way, Vertex the other.
    for name in ["citationSources", "citations"] {
        let list = candidate.path(&["citationMetadata", name]).into_iter().flat_map(Value::elements);
        found.extend(list.filter_map(|citation| {
            let url = text(citation, "uri").filter(|uri| !uri.is_empty())?;
            let title = text(citation, "title").filter(|title| !title.is_empty());
            Some(Citation { source: Source::Url(url), title, quote: None, range: range(citation, said) })
        }));
    }
    found
}

/// Each piece of the text with each of its sources, and then the sources of no piece.
fn read_grounding<'a>(grounding: Value<'a>, said: &str, found: &mut Vec<Citation<'a>>) {
    let list = |name| grounding.get(name).into_iter().flat_map(Value::elements);
    let chunks: Vec<Value<'a>> = list("groundingChunks").collect();
    let mut used = vec![false; chunks.len()];
    for support in list("groundingSupports") {
        let range = support.get("segment").and_then(|segment| range(segment, said));
        let numbers = support.get("groundingChunkIndices").into_iter().flat_map(Value::elements);
        for number in numbers.filter_map(Value::as_u64).filter_map(|number| usize::try_from(number).ok()) {
            if let Some(used) = used.get_mut(number) {
                *used = true;
            }
            let citation = chunks.get(number).and_then(|chunk| source(*chunk));
            found.extend(citation.map(|citation| Citation { range, ..citation }));
        }
    }
    let unused = chunks.iter().zip(used).filter(|(_, used)| !used);
    found.extend(unused.filter_map(|(chunk, _)| source(*chunk)));
}

/// Each chunk has one member, whose name says what it is: `web`, `maps`, `retrievedContext`, `image`.
fn source(chunk: Value<'_>) -> Option<Citation<'_>> {
    let (kind, chunk) = chunk.members().next()?;
    let said = |name: &str| text(chunk, name).filter(|text| !text.is_empty());
    let url = if kind == "image" { said("sourceUri").or_else(|| said("imageUri")) } else { said("uri") };
    let is_page =
        |url: &crate::json::Str<'_>| ["http://", "https://"].iter().any(|start| url.decode().starts_with(start));
    let source = match url {
        Some(url) if is_page(&url) => Source::Url(url),
        url => {
            let id = url.or_else(|| said("documentName")).or_else(|| said("fileSearchStore"));
            Source::Document { id, index: None, place: None }
        }
    };
    Some(Citation { source, title: said("title"), quote: said("text"), range: None })
}

/// The characters that the bytes from `startIndex` to `endIndex` are. A segment's own text tells whether these count from the
/// beginning of all that was said: if they do not, the text is looked for.
fn range(segment: Value<'_>, said: &str) -> Option<(u64, u64)> {
    let count = |name: &str| segment.get(name).and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok());
    let (start, end) = (count("startIndex").unwrap_or(0), count("endIndex")?);
    let own = text(segment, "text").filter(|own| !own.is_empty());
    let own = own.as_ref().map(|own| own.decode());
    let is_it = |piece: &&str| own.as_ref().is_none_or(|own| *piece == own);
    let (start, piece) = match said.get(start..end).filter(is_it) {
        Some(piece) => (start, piece),
        None => {
            let own = own.as_ref()?;
            let start = said.find(&**own)?;
            (start, said.get(start..start + own.len())?)
        }
    };
    let characters = |text: &str| text.chars().count() as u64;
    let before = characters(said.get(..start)?);
    Some((before, before + characters(piece)))
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::chat::Source;
    use crate::json::Document;

    fn check(candidate: &str, said: &str, expected: &[&str]) {
        let document = Document::parse(candidate.as_bytes()).unwrap();
        let found: Vec<String> = read(document.root(), said)
            .iter()
            .map(|citation| {
                let source = match &citation.source {
                    Source::Url(url) => url.decode().into_owned(),
                    Source::Document { id, .. } => format!("document {:?}", id.as_ref().map(|id| id.decode())),
                };
                let title = citation.title.as_ref().map(|title| title.decode().into_owned()).unwrap_or_default();
                format!("{source} {title} {:?}", citation.range)
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn bytes_become_characters() {
        let chunks = r#""groundingChunks":[{"web":{"uri":"https://a.example","title":"A"}},
            {"retrievedContext":{"uri":"gs://bucket/b.pdf","title":"B","text":"b"}},{"web":{"uri":"https://c.example"}},{}]"#;
        let supports = r#""groundingSupports":[
            {"segment":{"endIndex":7,"text":"Zoë 7"},"groundingChunkIndices":[0]},
            {"segment":{"startIndex":6,"endIndex":10,"text":"7€"},"groundingChunkIndices":[0,1,9]},
            {"segment":{"startIndex":1,"endIndex":3,"text":"ends"},"groundingChunkIndices":[1]},
            {"segment":{"startIndex":3,"endIndex":99},"groundingChunkIndices":[1]},{"groundingChunkIndices":[0]}]"#;
        check(
            &format!(r#"{{"groundingMetadata":{{{chunks},{supports}}}}}"#),
            "Zoë, 7€ ends",
            &[
                "https://a.example A None",
                "https://a.example A Some((5, 7))",
                "document Some(\"gs://bucket/b.pdf\") B Some((5, 7))",
                "document Some(\"gs://bucket/b.pdf\") B Some((8, 12))",
                "document Some(\"gs://bucket/b.pdf\") B None",
                "https://a.example A None",
                "https://c.example  None",
            ],
        );
        let known = r#"{"startIndex":0,"endIndex":2,"uri":"https://d.example","license":"mit"},{"startIndex":1,"endIndex":2,"uri":"https://e.example"},{"endIndex":1}"#;
        for name in ["citationSources", "citations"] {
            check(
                &format!(r#"{{"citationMetadata":{{"{name}":[{known}]}}}}"#),
                "ë",
                &["https://d.example  Some((0, 1))", "https://e.example  None"],
            );
        }
        check(r#"{"groundingMetadata":{"webSearchQueries":["q"]},"citationMetadata":null}"#, "", &[]);
        check(r#"{"groundingMetadata":{"groundingChunks":null,"groundingSupports":3}}"#, "", &[]);
    }
}
