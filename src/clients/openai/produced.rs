//! Images and sound that a model made.
//!
//! OpenAI's chat completions have no images in answers; `images` is what OpenRouter and LiteLLM have there:
//! <https://openrouter.ai/docs/guides/overview/multimodal/image-generation>. Sound is OpenAI's `audio`:
//! <https://platform.openai.com/docs/guides/audio>. In a stream that is bare samples, `pcm16`; in a complete answer they get the
//! head of a WAV file, since players know that, and clients ask for `wav`.

use crate::chat::Media;
use crate::json::{Write, Writer};

/// Writes the elements of `images`, of which there were `before` so many.
pub(super) fn images<'p, 'a: 'p>(images: impl Iterator<Item = &'p Media<'a>>, before: u64, w: &mut Writer<'_>) {
    w.name("images").array(|w| {
        for (index, image) in (before..).zip(images) {
            w.object(|w| {
                w.field("type", "image_url");
                w.name("image_url").object(|w| w.field("url", &Url(image)));
                w.field("index", &index);
            });
        }
    });
}

/// Writes the `audio` of a complete answer, known by the answer's `id`. Nothing is kept: it has expired when it is there.
pub(super) fn audio(media: &Media<'_>, id: &(impl Write + ?Sized), created: u64, w: &mut Writer<'_>) {
    w.name("audio").object(|w| {
        w.field("id", id);
        match media {
            Media::Url(url) => w.field("url", url),
            Media::Base64 { media_type, data } => match rate(&media_type.decode()) {
                Some(rate) => w.field("data", &Wav { rate, base64: data.escaped() }),
                None => w.field("data", data),
            },
        }
        w.field("expires_at", &created);
        w.field("transcript", "");
    });
}

/// Writes the `audio` of a delta.
pub(super) fn audio_delta(media: &Media<'_>, w: &mut Writer<'_>) {
    w.name("audio").object(|w| match media {
        Media::Url(url) => w.field("url", url),
        Media::Base64 { data, .. } => w.field("data", data),
    });
}

/// The `data:` URL of what is in the answer, or the address of what is not.
struct Url<'a>(&'a Media<'a>);

impl Write for Url<'_> {
    fn write(&self, out: &mut String) {
        match self.0 {
            Media::Url(url) => url.write(out),
            Media::Base64 { media_type, data } => {
                for piece in ["\"data:", media_type.escaped(), ";base64,", data.escaped(), "\""] {
                    out.push_str(piece);
                }
            }
        }
    }
}

/// Samples a second of `audio/L16;codec=pcm;rate=24000` and the like; `None` for what is no bare samples.
fn rate(media_type: &str) -> Option<u32> {
    let mut words = media_type.split(';').map(str::trim);
    let kind = words.next()?.to_ascii_lowercase();
    let rate = words.find_map(|word| word.strip_prefix("rate=")?.parse().ok());
    matches!(kind.as_str(), "audio/l16" | "audio/pcm").then_some(rate.unwrap_or(24_000))
}

/// Samples of 16 bits, one channel, as a WAV file: a head, and then the base64 as it is. That the two fit together, the
/// head's bytes have to be a multiple of three, for which an empty place (`JUNK`) of two bytes is in it.
struct Wav<'a> {
    rate: u32,
    base64: &'a str,
}

impl Write for Wav<'_> {
    fn write(&self, out: &mut String) {
        let digits = self.base64.bytes().filter(|byte| *byte != b'=' && *byte != b'\\').count();
        let size = u32::try_from(digits.saturating_mul(3) / 4).unwrap_or(u32::MAX);
        let mut head = Vec::with_capacity(54);
        let number = |head: &mut Vec<u8>, number: u32| head.extend(number.to_le_bytes());
        head.extend(b"RIFF");
        number(&mut head, size.saturating_add(46));
        head.extend(b"WAVEfmt ");
        number(&mut head, 16);
        // PCM, one channel.
        head.extend([1, 0, 1, 0]);
        number(&mut head, self.rate);
        number(&mut head, self.rate.saturating_mul(2));
        // Bytes and bits of a sample.
        head.extend([2, 0, 16, 0]);
        head.extend(b"JUNK");
        number(&mut head, 2);
        head.extend([0, 0]);
        head.extend(b"data");
        number(&mut head, size);
        out.push('"');
        base64(&head, out);
        out.push_str(self.base64);
        out.push('"');
    }
}

/// Appends the base64 of whole groups of three `bytes`.
fn base64(bytes: &[u8], out: &mut String) {
    let digit = |six: u32| match six as u8 & 63 {
        upper @ 0..=25 => char::from(b'A' + upper),
        lower @ 26..=51 => char::from(b'a' + lower - 26),
        number @ 52..=61 => char::from(b'0' + number - 52),
        62 => '+',
        _ => '/',
    };
    for group in bytes.chunks_exact(3) {
        let bits = group.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte));
        out.extend([18, 12, 6, 0].map(|shift| digit(bits >> shift)));
    }
}

#[cfg(test)]
mod tests {
    use super::{audio, audio_delta, images};
    use crate::chat::Media;
    use crate::json::{Str, Writer};

    fn media<'a>(media_type: &'a str, data: &'a str) -> Media<'a> {
        Media::Base64 { media_type: Str::plain(media_type), data: Str::plain(data) }
    }

    #[test]
    fn images_are_data_urls() {
        let mut out = String::new();
        let all = [media("image/png", "iVBO"), Media::Url(Str::plain("https://a.example/b.png"))];
        Writer::new(&mut out).object(|w| images(all.iter(), 3, w));
        let expected = r#"{"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO"},"index":3},{"type":"image_url","image_url":{"url":"https://a.example/b.png"},"index":4}]}"#;
        assert_eq!(out, expected);
    }

    #[test]
    fn samples_become_a_wav_file() {
        let mut out = String::new();
        Writer::new(&mut out).object(|w| audio(&media("audio/L16;codec=pcm;rate=24000", "AQACAA=="), "a", 7, w));
        // 54 bytes of head, then the four of the two samples 1 and 2: checked with Python's `wave`.
        let head = "UklGRjIAAABXQVZFZm10IBAAAAABAAEAwF0AAIC7AAACABAASlVOSwIAAAAAAGRhdGEEAAAA";
        let expected = format!(r#"{{"audio":{{"id":"a","data":"{head}AQACAA==","expires_at":7,"transcript":""}}}}"#);
        assert_eq!(out, expected);
        let mut out = String::new();
        Writer::new(&mut out).object(|w| audio(&media("audio/mpeg", "SUQz"), "a", 7, w));
        assert_eq!(out, r#"{"audio":{"id":"a","data":"SUQz","expires_at":7,"transcript":""}}"#);
        let mut out = String::new();
        Writer::new(&mut out).object(|w| audio_delta(&media("audio/L16", "AQA="), w));
        assert_eq!(out, r#"{"audio":{"data":"AQA="}}"#);
    }
}
