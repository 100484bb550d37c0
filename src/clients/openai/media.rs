//! Images and files: `data:` URLs and others.

use super::field::Field;
use crate::chat::Media;
use crate::error::Error;
use crate::json::Str;

/// What the URL `url` stands for.
///
/// `dataurl = "data:" [ mediatype ] [ ";base64" ] "," data` (RFC 2397)
pub(super) fn media<'a>(url: &Field<'_, 'a>) -> Result<Media<'a>, Error> {
    let text = url.text()?;
    let is_data = text.escaped().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
    if !is_data {
        return if text.is_empty() { Err(url.invalid("expected a URL")) } else { Ok(Media::Url(text)) };
    }
    let (head, data) = text.split_once(',').ok_or_else(|| malformed(url))?;
    // Parameters such as `;charset=utf-8` or `;name=a.pdf` may stand between the type and `base64`.
    let head = head.decode().to_ascii_lowercase();
    let parameters = head.strip_prefix("data:").and_then(|head| head.strip_suffix(";base64"));
    let media_type = parameters.and_then(|parameters| parameters.split(';').next()).map(str::trim);
    match media_type {
        Some(media_type) if media_type.contains('/') => {
            Ok(Media::Base64 { media_type: Str::plain(media_type).into_owned(), data })
        }
        _ => Err(malformed(url)),
    }
}

fn malformed(url: &Field<'_, '_>) -> Error {
    url.invalid("expected a base64-encoded data URL with a media type (e.g. 'data:image/png;base64,...')")
}

#[cfg(test)]
mod tests {
    use super::media;
    use crate::chat::Media;
    use crate::clients::openai::field::Field;
    use crate::json::Document;

    fn check(url: &str, expected: Option<(&str, &str)>) {
        let url = format!("\"{url}\"");
        let document = Document::parse(url.as_bytes()).unwrap();
        let seen = media(&Field::top("url", document.root())).ok();
        let seen = seen.as_ref().map(|media| match media {
            Media::Url(url) => ("", url.escaped()),
            Media::Base64 { media_type, data } => (media_type.escaped(), data.escaped()),
        });
        assert_eq!(seen, expected, "{url}");
    }

    #[test]
    fn data_urls_are_taken_apart() {
        check("https://example.com/a.png", Some(("", "https://example.com/a.png")));
        check("data:image/png;base64,iVBO/w==", Some(("image/png", "iVBO/w==")));
        check(r"DATA:Image\/PNG;charset=utf-8;base64,iVBO\/w==", Some(("image/png", r"iVBO\/w==")));
        check("data:application/pdf;name=a.pdf;base64,", Some(("application/pdf", "")));
        for wrong in ["", "data:image/png;base64", "data:,hello", "data:;base64,aGk=", "data:text/plain,hello"] {
            check(wrong, None);
        }
    }
}
