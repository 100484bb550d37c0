//! Images and documents.
//!
//! <https://platform.claude.com/docs/en/build-with-claude/vision>,
//! <https://platform.claude.com/docs/en/build-with-claude/pdf-support>

use super::super::pieces::utf8;
use crate::chat::Media;
use crate::error::Error;
use crate::json::{Str, Writer};

/// Whether Anthropic reads the document.
///
/// # Errors
/// It does not.
pub(super) fn check(document: &Media<'_>) -> Result<(), Error> {
    match document {
        Media::Base64 { media_type, data } if is_text(media_type) && utf8(data).is_none() => {
            Err(Error::bad_request("a text document is not base64 of UTF-8 text", "messages"))
        }
        Media::Base64 { media_type, .. } if !(is_text(media_type) || is_pdf(media_type) || is_image(media_type)) => {
            let message = format!("Anthropic reads PDF and text documents, not {}", media_type.decode());
            Err(Error::bad_request(message, "messages"))
        }
        _ => Ok(()),
    }
}

/// Writes an image block.
pub(super) fn image(image: &Media<'_>, w: &mut Writer<'_>) {
    w.object(|w| {
        w.field("type", "image");
        w.name("source").object(|w| source(image, w));
    });
}

/// Writes a document block, or an image block for an image that came as a file.
pub(super) fn document(media: &Media<'_>, name: &Option<Str<'_>>, cited: bool, w: &mut Writer<'_>) {
    if matches!(media, Media::Base64 { media_type, .. } if is_image(media_type)) {
        return image(media, w);
    }
    w.object(|w| {
        w.field("type", "document");
        w.name("source").object(|w| match media {
            Media::Base64 { media_type, data } if is_text(media_type) => {
                w.field("type", "text");
                w.field("media_type", "text/plain");
                w.field("data", &utf8(data).unwrap_or_default());
            }
            media => source(media, w),
        });
        w.field_some("title", name);
        if cited {
            w.name("citations").object(|w| w.field("enabled", &true));
        }
    });
}

/// Writes a document block for a file that Anthropic has: <https://platform.claude.com/docs/en/build-with-claude/files>
pub(super) fn file(id: &Str<'_>, w: &mut Writer<'_>) {
    w.object(|w| {
        w.field("type", "document");
        w.name("source").object(|w| {
            w.field("type", "file");
            w.field("file_id", id);
        });
    });
}

fn source(media: &Media<'_>, w: &mut Writer<'_>) {
    match media {
        Media::Url(url) => {
            w.field("type", "url");
            w.field("url", url);
        }
        Media::Base64 { media_type, data } => {
            w.field("type", "base64");
            match sniff(data.escaped()) {
                Some(found) => w.field("media_type", found),
                None => w.field("media_type", media_type),
            }
            w.field("data", data);
        }
    }
}

/// Anthropic refuses an image whose type is not what was said, and `image/jpg`:
/// <https://github.com/BerriAI/litellm/issues/21746>
fn sniff(base64: &str) -> Option<&'static str> {
    const STARTS: &[(&str, &str)] = &[
        ("/9j/", "image/jpeg"),
        ("\\/9j\\/", "image/jpeg"),
        ("iVBORw0KGgo", "image/png"),
        ("R0lGOD", "image/gif"),
        ("UklGR", "image/webp"),
        ("JVBERi", "application/pdf"),
    ];
    STARTS.iter().find(|(start, _)| base64.starts_with(start)).map(|(_, media_type)| *media_type)
}

fn is_pdf(media_type: &Str<'_>) -> bool {
    *media_type == "application/pdf"
}

fn is_image(media_type: &Str<'_>) -> bool {
    media_type.decode().starts_with("image/")
}

fn is_text(media_type: &Str<'_>) -> bool {
    let media_type = media_type.decode();
    media_type.starts_with("text/") || matches!(&*media_type, "application/json" | "application/xml")
}
