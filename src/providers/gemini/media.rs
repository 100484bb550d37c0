//! Images, documents and sound.
//!
//! <https://ai.google.dev/gemini-api/docs/file-input-methods>

use crate::chat::Media;
use crate::json::{Str, Writer};

/// Writes a part for `media`; `usual` is the media type of what has none. A remote file is Google's to fetch. `signature`: that
/// of a file which the model has made itself.
pub(super) fn write(media: &Media<'_>, usual: &str, signature: Option<&Str<'_>>, w: &mut Writer<'_>) {
    w.object(|w| members(media, usual, signature, w));
}

/// Writes a part for an image, to be looked at as closely as `level` says.
pub(super) fn write_image(
    media: &Media<'_>,
    level: Option<&'static str>,
    signature: Option<&Str<'_>>,
    w: &mut Writer<'_>,
) {
    w.object(|w| {
        members(media, "image/jpeg", signature, w);
        if let Some(level) = level {
            w.name("mediaResolution").object(|w| w.field("level", level));
        }
    });
}

fn members(media: &Media<'_>, usual: &str, signature: Option<&Str<'_>>, w: &mut Writer<'_>) {
    match media {
        Media::Url(uri) => w.name("fileData").object(|w| {
            w.field("mimeType", guess(uri).unwrap_or(usual));
            w.field("fileUri", uri);
        }),
        Media::Base64 { .. } => write_inline(media, w),
    }
    w.field_some("thoughtSignature", &signature);
}

/// How closely an image is to be looked at, in Google's words: of single parts since the third generation.
/// <https://ai.google.dev/gemini-api/docs/media-resolution>
pub(super) fn level(detail: &str) -> Option<&'static str> {
    match detail {
        "low" => Some("MEDIA_RESOLUTION_LOW"),
        "high" => Some("MEDIA_RESOLUTION_HIGH"),
        _ => None,
    }
}

/// Writes the member `inlineData`.
pub(super) fn write_inline(media: &Media<'_>, w: &mut Writer<'_>) {
    if let Media::Base64 { media_type, data } = media {
        w.name("inlineData").object(|w| {
            match known(media_type) {
                Some(media_type) => w.field("mimeType", media_type),
                None => w.field("mimeType", media_type),
            }
            w.field("data", data);
        });
    }
}

/// What others call by another name: <https://ai.google.dev/gemini-api/docs/image-understanding>,
/// <https://ai.google.dev/gemini-api/docs/audio>
fn known(media_type: &Str<'_>) -> Option<&'static str> {
    match &*media_type.decode() {
        "image/jpg" => Some("image/jpeg"),
        "audio/mpeg" => Some("audio/mp3"),
        "audio/x-wav" | "audio/wave" => Some("audio/wav"),
        _ => None,
    }
}

/// The media type that the extension of the address stands for. A query and a fragment are no part of it.
fn guess(uri: &Str<'_>) -> Option<&'static str> {
    const EXTENSIONS: &[(&str, &str)] = &[
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("webp", "image/webp"),
        ("gif", "image/gif"),
        ("heic", "image/heic"),
        ("heif", "image/heif"),
        ("pdf", "application/pdf"),
        ("txt", "text/plain"),
        ("md", "text/markdown"),
        ("csv", "text/csv"),
        ("html", "text/html"),
        ("json", "application/json"),
        ("wav", "audio/wav"),
        ("mp3", "audio/mp3"),
        ("ogg", "audio/ogg"),
        ("flac", "audio/flac"),
        ("aac", "audio/aac"),
        ("mp4", "video/mp4"),
        ("webm", "video/webm"),
        ("mov", "video/quicktime"),
    ];
    let uri = uri.decode();
    if uri.contains("youtube.com/watch") || uri.contains("youtu.be/") {
        return Some("video/mp4");
    }
    let path = uri.split(['?', '#']).next()?;
    let (_, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    EXTENSIONS.iter().find(|(known, _)| extension.eq_ignore_ascii_case(known)).map(|(_, media_type)| *media_type)
}

#[cfg(test)]
mod tests {
    use super::{level, write, write_image};
    use crate::chat::Media;
    use crate::json::{Str, Writer};

    #[test]
    fn media_become_parts() {
        let data = |media_type| Media::Base64 { media_type: Str::plain(media_type), data: Str::plain("aGk=") };
        let url = |uri| Media::Url(Str::plain(uri));
        for (media, expected) in [
            (data("image/jpg"), r#"{"inlineData":{"mimeType":"image/jpeg","data":"aGk="}}"#),
            (data("image/png"), r#"{"inlineData":{"mimeType":"image/png","data":"aGk="}}"#),
            (
                url("https://a.b/c.PNG?d=e.pdf"),
                r#"{"fileData":{"mimeType":"image/png","fileUri":"https://a.b/c.PNG?d=e.pdf"}}"#,
            ),
            (url("https://a.b/c"), r#"{"fileData":{"mimeType":"usual/one","fileUri":"https://a.b/c"}}"#),
            (url("gs://a/b.pdf"), r#"{"fileData":{"mimeType":"application/pdf","fileUri":"gs://a/b.pdf"}}"#),
            (url("https://youtu.be/x"), r#"{"fileData":{"mimeType":"video/mp4","fileUri":"https://youtu.be/x"}}"#),
        ] {
            let mut out = String::new();
            write(&media, "usual/one", None, &mut Writer::new(&mut out));
            assert_eq!(out, expected);
        }
        for (detail, expected) in
            [("low", Some("MEDIA_RESOLUTION_LOW")), ("high", Some("MEDIA_RESOLUTION_HIGH")), ("x", None)]
        {
            assert_eq!(level(detail), expected);
        }
        let mut out = String::new();
        write_image(&data("image/png"), level("low"), None, &mut Writer::new(&mut out));
        assert!(out.ends_with(r#","mediaResolution":{"level":"MEDIA_RESOLUTION_LOW"}}"#), "{out}");
    }
}
