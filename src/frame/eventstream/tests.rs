//! Messages as the documentation has them, cut and damaged in every way.

use super::{Broken, Decoder, Header, MAX_MESSAGE, checksum, write};

/// A message with these header bytes and this payload.
fn message(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = 16 + headers.len() + payload.len();
    let mut message = [(total as u32).to_be_bytes(), (headers.len() as u32).to_be_bytes()].concat();
    message.extend(checksum(0, &message).to_be_bytes());
    message.extend([headers, payload].concat());
    message.extend(checksum(0, &message).to_be_bytes());
    message
}

fn text(name: &str, value: &str) -> Vec<u8> {
    let length = (value.len() as u16).to_be_bytes();
    [&[name.len() as u8], name.as_bytes(), &[7], &length, value.as_bytes()].concat()
}

/// Names and payloads, and how it went; `Ok(true)`: to the end of a message.
type Seen = (Vec<(String, Vec<u8>)>, Result<bool, Broken>);

fn decode<'c>(chunks: impl IntoIterator<Item = &'c [u8]>) -> Seen {
    let mut decoder = Decoder::default();
    let mut seen = Vec::new();
    for chunk in chunks {
        decoder.push(chunk);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => seen.push((frame.text(":event-type").unwrap_or("").into(), frame.payload.to_vec())),
                Ok(None) => break,
                Err(broken) => return (seen, Err(broken)),
            }
        }
    }
    (seen, Ok(decoder.is_between()))
}

fn stream() -> Vec<u8> {
    [
        message(&text(":event-type", "messageStart"), b"{\"role\":\"assistant\"}"),
        message(b"", b""),
        message(&[text("a", "é"), text(":event-type", "messageStop")].concat(), &[0, 255, 10, 13]),
    ]
    .concat()
}

#[test]
fn checksums_are_those_of_gzip() {
    assert_eq!(checksum(0, b""), 0);
    assert_eq!(checksum(0, b"123456789"), 0xcbf4_3926);
    assert_eq!(checksum(checksum(0, b"1234"), b"56789"), 0xcbf4_3926);
    // https://github.com/awslabs/aws-c-event-stream: a message of nothing but a payload.
    let known = [
        0, 0, 0, 30, 0, 0, 0, 0, 186, 242, 246, 138, 123, 34, 102, 111, 111, 34, 58, 32, 34, 98, 97, 114, 34, 125, 174,
        114, 88, 228,
    ];
    assert_eq!(message(b"", b"{\"foo\": \"bar\"}"), known);
    assert_eq!(decode([&known[..]]), (vec![(String::new(), b"{\"foo\": \"bar\"}".to_vec())], Ok(true)));
}

#[test]
fn messages_are_the_same_however_the_bytes_are_cut() {
    let stream = stream();
    let whole = decode([stream.as_slice()]);
    let names: Vec<_> = whole.0.iter().map(|(name, payload)| (name.as_str(), payload.len())).collect();
    assert_eq!((names, whole.1), (vec![("messageStart", 20), ("", 0), ("messageStop", 4)], Ok(true)));
    assert_eq!(decode(stream.chunks(1)), whole);
    for at in 0..stream.len() {
        let (first, second) = stream.split_at(at);
        assert_eq!(decode([first, second]), whole, "cut at {at}");
    }
}

#[test]
fn a_stream_that_ends_within_a_message_is_known() {
    let stream = stream();
    let ends = [0, 16 + 27 + 20, 16 + 27 + 20 + 16, stream.len()];
    for at in 0..=stream.len() {
        assert_eq!(decode([&stream[..at]]).1, Ok(ends.contains(&at)), "{at} of {ends:?}");
    }
}

#[test]
fn every_damaged_bit_is_found() {
    let stream = message(&text(":event-type", "a"), b"{}");
    for at in 0..stream.len() {
        for bit in 0..8 {
            let mut damaged = stream.clone();
            damaged[at] ^= 1 << bit;
            let expected = if at < 12 { Broken::Prelude } else { Broken::Message };
            assert_eq!(decode([damaged.as_slice()]), (vec![], Err(expected)), "{at}.{bit}");
        }
    }
}

#[test]
fn lengths_are_bounded() {
    for (total, headers) in
        [(0, 0), (15, 0), (16, 1), (MAX_MESSAGE as u32 + 1, 0), (u32::MAX, u32::MAX), (1 << 20, 1 << 19)]
    {
        let mut prelude = [total.to_be_bytes(), headers.to_be_bytes()].concat();
        prelude.extend(checksum(0, &prelude).to_be_bytes());
        assert_eq!(decode([prelude.as_slice()]).1, Err(Broken::Length), "{total} {headers}");
    }
}

#[test]
fn what_is_written_is_read() {
    let mut written = Vec::new();
    write(&[(":event-type", "messageStart")], b"{}", &mut written);
    write(&[], b"", &mut written);
    assert_eq!(written, [message(&text(":event-type", "messageStart"), b"{}"), message(b"", b"")].concat());
}

#[test]
fn headers_of_all_types_are_read() {
    let mut headers = Vec::new();
    for (name, kind, value) in [
        ("t", 0, &[][..]),
        ("f", 1, &[]),
        ("byte", 2, &[0xff]),
        ("short", 3, &[1, 0]),
        ("int", 4, &[0xff, 0xff, 0xff, 0xfe]),
        ("long", 5, &[0, 0, 0, 1, 0, 0, 0, 0]),
        ("bytes", 6, &[0, 2, 1, 2]),
        ("text", 7, &[0, 2, 0xc3, 0xa9]),
        ("time", 8, &[0, 0, 0, 0, 0, 0, 0, 9]),
        ("uuid", 9, &[7; 16]),
    ] {
        headers.push(name.len() as u8);
        headers.extend(name.as_bytes());
        headers.push(kind);
        headers.extend(value);
    }
    let mut decoder = Decoder::default();
    decoder.push(&message(&headers, b""));
    let frame = decoder.next_frame().unwrap().unwrap();
    for (name, value) in [
        ("t", Header::Bool(true)),
        ("f", Header::Bool(false)),
        ("byte", Header::Integer(-1)),
        ("short", Header::Integer(256)),
        ("int", Header::Integer(-2)),
        ("long", Header::Integer(1 << 32)),
        ("bytes", Header::Bytes(&[1, 2])),
        ("text", Header::Text("é")),
        ("time", Header::Timestamp(9)),
        ("uuid", Header::Uuid([7; 16])),
    ] {
        assert_eq!(frame.header(name), Some(value), "{name}");
    }
    assert_eq!((frame.text("t"), frame.header("none")), (None, None));
    for at in 1..headers.len() {
        let cut = message(&headers[..at], b"");
        assert!(matches!(decode([cut.as_slice()]).1, Ok(true) | Err(Broken::Headers)));
    }
    for broken in [&[1, b'a'][..], &[1, b'a', 10], &[1, b'a', 7, 0, 2, b'b'], &[1, 0xff, 0], &[1, b'a', 7, 0, 1, 0xff]]
    {
        assert_eq!(decode([message(broken, b"").as_slice()]).1, Err(Broken::Headers), "{broken:?}");
    }
}
