//! Images, documents, videos and sound. Bedrock takes bytes, or an address in S3; nothing is fetched for it.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlock.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_VideoBlock.html>

use crate::chat::Media;
use crate::error::Error;
use crate::json::{Str, Writer};

/// What a part is to Bedrock: the block's name and its `format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block(&'static str, &'static str);

const BLOCKS: &[(&str, Block)] = &[
    ("image/png", Block("image", "png")),
    ("image/jpeg", Block("image", "jpeg")),
    ("image/jpg", Block("image", "jpeg")),
    ("image/gif", Block("image", "gif")),
    ("image/webp", Block("image", "webp")),
    ("application/pdf", Block("document", "pdf")),
    ("text/csv", Block("document", "csv")),
    ("application/csv", Block("document", "csv")),
    ("application/msword", Block("document", "doc")),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", Block("document", "docx")),
    ("application/vnd.ms-excel", Block("document", "xls")),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Block("document", "xlsx")),
    ("text/html", Block("document", "html")),
    ("text/markdown", Block("document", "md")),
    ("application/json", Block("document", "txt")),
    ("application/xml", Block("document", "txt")),
    ("text/", Block("document", "txt")),
    ("video/mp4", Block("video", "mp4")),
    ("video/quicktime", Block("video", "mov")),
    ("video/x-matroska", Block("video", "mkv")),
    ("video/matroska", Block("video", "mkv")),
    ("video/webm", Block("video", "webm")),
    ("video/x-flv", Block("video", "flv")),
    ("video/mpeg", Block("video", "mpeg")),
    ("video/x-ms-wmv", Block("video", "wmv")),
    ("video/3gpp", Block("video", "three_gp")),
    ("audio/wav", Block("audio", "wav")),
    ("audio/mpeg", Block("audio", "mp3")),
    ("audio/mp3", Block("audio", "mp3")),
    ("audio/flac", Block("audio", "flac")),
    ("audio/ogg", Block("audio", "ogg")),
    ("audio/opus", Block("audio", "opus")),
    ("audio/aac", Block("audio", "aac")),
    ("audio/mp4", Block("audio", "mp4")),
    ("audio/webm", Block("audio", "webm")),
    ("audio/pcm", Block("audio", "pcm")),
];

/// What base64 of some kinds begins with: a type that is not what was said is refused.
const STARTS: &[(&str, &str)] = &[
    ("/9j/", "image/jpeg"),
    ("\\/9j\\/", "image/jpeg"),
    ("iVBORw0KGgo", "image/png"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"),
];

/// What `media` is to Bedrock.
///
/// # Errors
/// Nothing: Bedrock does not read it, or it is somewhere else.
pub(super) fn block(media: &Media<'_>) -> Result<Block, Error> {
    let (media_type, found) = match media {
        Media::Base64 { media_type, data } => {
            let start = STARTS.iter().find(|(start, _)| data.escaped().starts_with(start));
            let media_type = media_type.decode();
            // A sound in WAV begins like an image in WebP.
            let sniffed = start.map(|(_, sniffed)| *sniffed).filter(|_| !media_type.starts_with("audio/"));
            let known = |media_type: &str| BLOCKS.iter().find(|(prefix, _)| media_type.starts_with(prefix));
            (media_type.clone().into_owned(), known(sniffed.unwrap_or(&media_type)))
        }
        Media::Url(url) if url.decode().starts_with("s3://") => {
            let url = url.decode();
            let end = url.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
            let end = if end == "jpg" { "jpeg" } else { &end };
            (url.clone().into_owned(), BLOCKS.iter().find(|(_, Block(_, format))| *format == end))
        }
        Media::Url(_) => {
            let message = "Bedrock takes files in the request itself (a data URL) or from S3, not from other addresses";
            return Err(Error::bad_request(message, "messages"));
        }
    };
    let message = || format!("Bedrock does not read files of the type {media_type}");
    found.map(|(_, block)| *block).ok_or_else(|| Error::bad_request(message(), "messages"))
}

/// Writes the block; `names` are those of the documents before it.
pub(super) fn write(media: &Media<'_>, (name, cited): (Option<&Str<'_>>, bool), names: &mut Names, w: &mut Writer<'_>) {
    let Ok(Block(kind, format)) = block(media) else { return };
    w.object(|w| {
        w.name(kind).object(|w| {
            w.field("format", format);
            if kind == "document" {
                w.field("name", &names.take(name, format));
            }
            w.name("source").object(|w| match media {
                Media::Base64 { data, .. } => w.field("bytes", data),
                Media::Url(uri) => w.name("s3Location").object(|w| w.field("uri", uri)),
            });
            if kind == "document" && cited {
                w.name("citations").object(|w| w.field("enabled", &true));
            }
        });
    });
}

/// Whether it is a document, which has to have a text beside it.
pub(super) fn is_document(media: &Media<'_>) -> bool {
    matches!(block(media), Ok(Block("document", _)))
}

/// Names of documents: each has to have one of its own.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<String>);

impl Names {
    /// "The name can only contain the following characters: alphanumeric characters, whitespace characters (no more than one
    /// in a row), hyphens, parentheses, square brackets", at most 200. What the format says already is left out.
    fn take(&mut self, name: Option<&Str<'_>>, format: &str) -> String {
        let given = name.map(|name| name.decode().into_owned()).unwrap_or_default();
        let stem = given.strip_suffix(format).and_then(|stem| stem.strip_suffix('.')).unwrap_or(&given);
        let mut plain = String::new();
        for character in stem.chars().take(180) {
            match character {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '(' | ')' | '[' | ']' => plain.push(character),
                _ if character.is_whitespace() && plain.ends_with(' ') => {}
                _ if character.is_whitespace() => plain.push(' '),
                _ => plain.push('-'),
            }
        }
        let plain = plain.trim();
        let plain = if plain.is_empty() { "document" } else { plain };
        let mut own = plain.to_owned();
        let mut number = 1_u32;
        while self.0.contains(&own) {
            number += 1;
            own = format!("{plain} ({number})");
        }
        self.0.push(own.clone());
        own
    }
}

#[cfg(test)]
mod tests {
    use super::{Block, Names, block};
    use crate::chat::Media;
    use crate::json::Str;

    #[test]
    fn types_are_known_by_what_is_said_and_what_is_there() {
        for (media_type, data, expected) in [
            ("image/png", "iVBORw0KGgoAAAA", Some(Block("image", "png"))),
            ("image/png", "/9j/4AAQ", Some(Block("image", "jpeg"))),
            ("image/jpg", "AAAA", Some(Block("image", "jpeg"))),
            ("application/octet-stream", "JVBERi0x", Some(Block("document", "pdf"))),
            ("text/x-python", "AAAA", Some(Block("document", "txt"))),
            ("text/markdown", "AAAA", Some(Block("document", "md"))),
            ("audio/wav", "UklGRgAA", Some(Block("audio", "wav"))),
            ("image/tiff", "AAAA", None),
            ("video/mp4", "AAAA", Some(Block("video", "mp4"))),
            ("model/step", "AAAA", None),
        ] {
            let media = Media::Base64 { media_type: Str::plain(media_type), data: Str::plain(data) };
            assert_eq!(block(&media).ok(), expected, "{media_type} {data}");
        }
        for (url, expected) in [
            ("s3://bucket/a/b.JPG", Some(Block("image", "jpeg"))),
            ("s3://bucket/a.pdf", Some(Block("document", "pdf"))),
            ("s3://bucket/a", None),
            ("https://example.com/a.png", None),
        ] {
            assert_eq!(block(&Media::Url(Str::plain(url))).ok(), expected, "{url}");
        }
    }

    #[test]
    fn names_are_plain_and_no_two_are_the_same() {
        let mut names = Names::default();
        for (name, expected) in [
            (Some("report.pdf"), "report"),
            (Some("report.pdf"), "report (2)"),
            (Some("a_b/c.d  e\tf.txt"), "a-b-c-d e f-txt"),
            (Some(" \n"), "document"),
            (None, "document (2)"),
            (Some("[x] (y)-é"), "[x] (y)--"),
        ] {
            assert_eq!(names.take(name.map(Str::plain).as_ref(), "pdf"), expected);
        }
        assert!(names.take(Some(&Str::plain(&"x".repeat(500))), "pdf").len() <= 200);
    }
}
