//! Amazon's event stream, `application/vnd.amazon.eventstream`:
//! <https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html>
//!
//! ```text
//! message = total-length headers-length prelude-crc *header *payload-byte message-crc
//! header  = name-length name type value
//! value   = nothing (0 true, 1 false) / 1 byte (2) / 2 bytes (3) / 4 bytes (4) / 8 bytes (5 long, 8 timestamp)
//!         / 2-byte-length bytes (6 bytes, 7 string) / 16 bytes (9 UUID)
//! ```
//!
//! Lengths and checksums take four bytes, names' lengths and types one, all big-endian. `total-length` counts everything,
//! itself and the checksums too. The prelude's checksum is of the eight bytes before it, the message's of all before it: the
//! CRC-32 of gzip. It is computed here: 1 KiB of table, where `crc32fast` would bring one of 16 KiB into every worker's VM for
//! frames of a few hundred bytes.

/// The most that one message may take, in bytes. Amazon's own limit is 16 MiB of payload.
pub const MAX_MESSAGE: usize = (16 << 20) + MAX_HEADERS + OVERHEAD;

/// The most that its headers may take: Amazon's limit.
const MAX_HEADERS: usize = 128 << 10;

/// Lengths and the checksum of the prelude.
const PRELUDE: usize = 12;

/// Prelude and checksum of the message.
const OVERHEAD: usize = PRELUDE + 4;

/// Cuts a stream into messages, however its bytes arrive.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Everything before was given out.
    taken: usize,
}

/// A message, whole and with the right checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    headers: &'a [u8],
    /// What it carries.
    pub payload: &'a [u8],
}

/// The value of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header<'a> {
    /// `true` or `false`
    Bool(bool),
    /// A whole number of one, two, four or eight bytes.
    Integer(i64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Text.
    Text(&'a str),
    /// A moment, in milliseconds since 1970.
    Timestamp(i64),
    /// A UUID.
    Uuid([u8; 16]),
}

/// What is wrong with a stream. Nothing in it can be found any more after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The lengths are not what their checksum says.
    Prelude,
    /// The lengths are impossible, or larger than [`MAX_MESSAGE`].
    Length,
    /// The message is not what its checksum says.
    Message,
    /// The headers are not as they should be.
    Headers,
}

impl core::fmt::Display for Broken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Prelude => "the checksum of a prelude is wrong",
            Self::Length => "the length of a message is impossible",
            Self::Message => "the checksum of a message is wrong",
            Self::Headers => "the headers of a message are broken",
        })
    }
}

impl Decoder {
    /// Takes the next bytes of the stream. Frames are taken out between two pushes.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole message, or `None` until more bytes come. What a message says of its length is checked before its
    /// bytes are waited for.
    ///
    /// # Errors
    /// The stream is broken.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, Broken> {
        let rest = self.buffer.get(self.taken..).unwrap_or_default();
        let Some((prelude, crc)) = rest.get(..PRELUDE).and_then(|prelude| prelude.split_at_checked(8)) else {
            return Ok(None);
        };
        let sum = checksum(0, prelude);
        if number(crc) != sum {
            return Err(Broken::Prelude);
        }
        let length = |at: usize| prelude.get(at..at + 4).map_or(0, number) as usize;
        let (total, headers) = (length(0), length(4));
        if total > MAX_MESSAGE || headers > MAX_HEADERS || total < OVERHEAD + headers {
            return Err(Broken::Length);
        }
        let Some(message) = rest.get(..total) else { return Ok(None) };
        let (checked, crc) = message.split_at_checked(total - 4).ok_or(Broken::Length)?;
        if number(crc) != checksum(sum, checked.get(8..).unwrap_or_default()) {
            return Err(Broken::Message);
        }
        let contents = checked.get(PRELUDE..).unwrap_or_default();
        let (headers, payload) = contents.split_at_checked(headers).ok_or(Broken::Length)?;
        let frame = Frame { headers, payload };
        if frame.headers().any(|header| header.is_none()) {
            return Err(Broken::Headers);
        }
        self.taken += total;
        Ok(Some(frame))
    }

    /// Whether the stream may end here: no message has begun.
    pub fn is_between(&self) -> bool {
        self.taken == self.buffer.len()
    }
}

impl<'a> Frame<'a> {
    /// The header with that name.
    pub fn header(&self, name: &str) -> Option<Header<'a>> {
        self.headers().flatten().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// The text of the header with that name.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        match self.header(name)? {
            Header::Text(text) => Some(text),
            _ => None,
        }
    }

    /// All headers; `None` at one that is broken, and then no more.
    fn headers(&self) -> impl Iterator<Item = Option<(&'a str, Header<'a>)>> + use<'a> {
        let mut rest = self.headers;
        core::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let read = header(rest);
            rest = read.map_or(&[], |(_, _, rest)| rest);
            Some(read.map(|(name, value, _)| (name, value)))
        })
    }
}

/// Appends a message with these headers, all of them texts, and this payload to `out`. What is longer than a message can be
/// is cut.
pub fn write(headers: &[(&str, &str)], payload: &[u8], out: &mut Vec<u8>) {
    let mut written = Vec::new();
    for (name, value) in headers {
        let name = name.as_bytes();
        let (name, value) = (name.get(..255).unwrap_or(name), value.as_bytes());
        let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
        written.push(name.len() as u8);
        written.extend_from_slice(name);
        written.push(7);
        written.extend_from_slice(&(value.len() as u16).to_be_bytes());
        written.extend_from_slice(value);
    }
    let payload = payload.get(..MAX_MESSAGE - MAX_HEADERS - OVERHEAD).unwrap_or(payload);
    let prelude =
        [(OVERHEAD + written.len() + payload.len()) as u32, written.len() as u32].map(u32::to_be_bytes).concat();
    let sum = checksum(0, &prelude);
    let message = [&prelude, &sum.to_be_bytes()[..], &written, payload].concat();
    out.extend_from_slice(&message);
    out.extend_from_slice(&checksum(0, &message).to_be_bytes());
}

/// The first header in `bytes`: its name, its value, and what follows it.
fn header(bytes: &[u8]) -> Option<(&str, Header<'_>, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked((*length).into())?;
    let (kind, rest) = rest.split_first()?;
    let (value, rest) = match kind {
        0 => (Header::Bool(true), rest),
        1 => (Header::Bool(false), rest),
        2 => integer::<1>(rest, |bytes| i8::from_be_bytes(bytes).into())?,
        3 => integer::<2>(rest, |bytes| i16::from_be_bytes(bytes).into())?,
        4 => integer::<4>(rest, |bytes| i32::from_be_bytes(bytes).into())?,
        5 => integer::<8>(rest, i64::from_be_bytes)?,
        6 | 7 => {
            let (length, rest) = rest.split_first_chunk()?;
            let (bytes, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
            let text = *kind == 7;
            (if text { Header::Text(core::str::from_utf8(bytes).ok()?) } else { Header::Bytes(bytes) }, rest)
        }
        8 => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (Header::Timestamp(i64::from_be_bytes(*bytes)), rest)
        }
        9 => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (Header::Uuid(*bytes), rest)
        }
        _ => return None,
    };
    Some((core::str::from_utf8(name).ok()?, value, rest))
}

fn integer<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> i64) -> Option<(Header<'_>, &[u8])> {
    let (bytes, rest) = bytes.split_first_chunk::<N>()?;
    Some((Header::Integer(read(*bytes)), rest))
}

/// Four bytes as a number.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// The CRC-32 of what `before` is the CRC-32 of (0 for nothing) with `bytes` after it.
fn checksum(before: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!before, |crc, byte| {
        let index = (crc ^ u32::from(*byte)) & 0xff;
        TABLE.get(index as usize).copied().unwrap_or_default() ^ crc >> 8
    })
}

/// What each byte does to the checksum: <https://www.rfc-editor.org/rfc/rfc1952#section-8>
static TABLE: [u32; 256] = table();

#[allow(clippy::indexing_slicing)] // Checked when it is compiled: iterators are not for constants yet.
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ crc >> 1 } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests;
