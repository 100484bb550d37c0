//! What the first bytes of media tell of their size. Base64 is read in place, a few bytes of it.

/// Base64, perhaps after `data:...;base64,`. With an escape in it (`\/`) only its length is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Data<'a> {
    media_type: &'a str,
    base64: &'a [u8],
}

impl<'a> Data<'a> {
    pub(super) fn new(base64: &'a str) -> Self {
        Self { media_type: "", base64: base64.as_bytes() }
    }

    /// `None`: a URL of somewhere else.
    pub(super) fn of_url(url: &'a str) -> Option<Self> {
        let (head, base64) = url.strip_prefix("data:")?.split_once(',')?;
        let media_type = head.split(';').next().unwrap_or_default();
        Some(Self { media_type, base64: base64.as_bytes() })
    }

    /// In bytes.
    pub(super) fn length(&self) -> u64 {
        self.base64.len() as u64 * 3 / 4
    }

    pub(super) fn is_pdf(&self) -> bool {
        self.media_type.ends_with("pdf") || self.starts(0, b"%PDF")
    }

    /// Width and height of an image.
    pub(super) fn size(&self) -> Option<(u32, u32)> {
        if self.starts(0, b"\x89PNG") {
            // https://www.w3.org/TR/png/#11IHDR
            return Some((self.number(16, 4)?, self.number(20, 4)?));
        }
        if self.starts(0, b"GIF8") {
            return Some((self.little(6, 2)?, self.little(8, 2)?));
        }
        if self.starts(0, b"RIFF") && self.starts(8, b"WEBP") {
            return self.webp();
        }
        if self.starts(0, &[0xFF, 0xD8]) { self.jpeg() } else { None }
    }

    /// How long it sounds: what a WAV says of itself, else at 128 kbit/s.
    pub(super) fn milliseconds(&self) -> u64 {
        let is_wave = self.starts(0, b"RIFF") && self.starts(8, b"WAVE");
        let rate = if is_wave { self.little(28, 4).filter(|rate| *rate > 0) } else { None };
        self.length().saturating_mul(1000) / u64::from(rate.unwrap_or(16_000))
    }

    /// <https://developers.google.com/speed/webp/docs/riff_container>
    fn webp(&self) -> Option<(u32, u32)> {
        if self.starts(12, b"VP8X") {
            return Some((self.little(24, 3)? + 1, self.little(27, 3)? + 1));
        }
        if self.starts(12, b"VP8L") {
            let bits = self.little(21, 4)?;
            return Some(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1));
        }
        Some((self.little(26, 2)? & 0x3FFF, self.little(28, 2)? & 0x3FFF))
    }

    /// From segment to segment, to the one that begins the frame: <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, B.2.
    fn jpeg(&self) -> Option<(u32, u32)> {
        let mut at = 2;
        for _ in 0..MOST_SEGMENTS {
            match (self.byte(at)?, self.byte(at + 1)?) {
                (0xFF, 0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF) => {
                    return Some((self.number(at + 7, 2)?, self.number(at + 5, 2)?));
                }
                (0xFF, 0xFF) => at += 1,
                (0xFF, _) => at += 2 + usize::try_from(self.number(at + 2, 2)?).ok()?,
                _ => return None,
            }
        }
        None
    }

    fn starts(&self, at: usize, with: &[u8]) -> bool {
        with.iter().enumerate().all(|(index, byte)| self.byte(at + index) == Some(*byte))
    }

    /// The most significant byte first.
    fn number(&self, at: usize, bytes: usize) -> Option<u32> {
        (at..at + bytes).try_fold(0_u32, |number, at| Some(number << 8 | u32::from(self.byte(at)?)))
    }

    /// The least significant byte first.
    fn little(&self, at: usize, bytes: usize) -> Option<u32> {
        (at..at + bytes).rev().try_fold(0_u32, |number, at| Some(number << 8 | u32::from(self.byte(at)?)))
    }

    /// One byte of what the base64 stands for.
    fn byte(&self, at: usize) -> Option<u8> {
        let from = at / 3 * 4 + at % 3;
        let (high, low) = (six(*self.base64.get(from)?)?, six(*self.base64.get(from + 1)?)?);
        let shift = 2 * (at % 3 + 1);
        Some(high << shift | low >> (6 - shift))
    }
}

/// JPEGs of cameras have some ten before the frame.
const MOST_SEGMENTS: usize = 64;

fn six(letter: u8) -> Option<u8> {
    match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Data;

    fn base64(bytes: &[u8]) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for three in bytes.chunks(3) {
            let number = (0..3).fold(0_u32, |number, at| number << 8 | u32::from(*three.get(at).unwrap_or(&0)));
            for at in 0..=three.len() {
                text.push(char::from(LETTERS[(number >> (18 - 6 * at) & 63) as usize]));
            }
        }
        text
    }

    fn size(bytes: &[u8]) -> Option<(u32, u32)> {
        let url = format!("data:image/x;base64,{}", base64(bytes));
        Data::of_url(&url).unwrap().size()
    }

    #[test]
    fn images_tell_their_size() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend([0, 0, 4, 0, 0, 0, 3, 1, 8]);
        assert_eq!(size(&png), Some((1024, 769)));
        assert_eq!(size(b"GIF89a\x10\x01\x20\x00..."), Some((272, 32)));
        let mut jpeg = vec![0xFF, 0xD8, 0xFF, 0xE0, 0, 6, 1, 2, 3, 4, 0xFF, 0xFF, 0xDB, 0, 3, 0];
        jpeg.extend([0xFF, 0xC2, 0, 17, 8, 3, 32, 4, 176, 3, 1]);
        assert_eq!(size(&jpeg), Some((1200, 800)));
        let mut webp = b"RIFF....WEBPVP8X....\0\0\0\0".to_vec();
        webp.extend([0xFF, 3, 0, 0xFF, 1, 0]);
        assert_eq!(size(&webp), Some((1024, 512)));
        assert_eq!(size(b"RIFF....WEBPVP8 ....123456\x40\x01\xF0\x00."), Some((320, 240)));
        for broken in [&jpeg[..12], &png[..18], b"BM..", b"", &[0xFF, 0xD8, 0xFF, 0xE0, 0, 0, 0, 0]] {
            assert_eq!(size(broken), None);
        }
        assert!(Data::of_url("https://example.com/cat.png").is_none());
    }

    #[test]
    fn sound_tells_its_length() {
        let mut wave = b"RIFF....WAVEfmt ................".to_vec();
        wave[28..32].copy_from_slice(&32_000_u32.to_le_bytes());
        wave.resize(96_000, 0);
        assert_eq!(Data::new(&base64(&wave)).milliseconds(), 3000);
        assert_eq!(Data::new(&base64(&[0; 48_000])).milliseconds(), 3000);
    }

    #[test]
    fn a_pdf_is_told_by_its_type_or_its_first_bytes() {
        let text = base64(b"%PDF-1.7");
        for (url, expected) in [
            (format!("data:application/pdf;base64,{text}"), true),
            (format!("data:;base64,{text}"), true),
            ("data:text/plain;base64,aGk=".to_owned(), false),
        ] {
            assert_eq!(Data::of_url(&url).unwrap().is_pdf(), expected, "{url}");
        }
    }
}
