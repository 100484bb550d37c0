//! OpenAI's chat completions, as clients write and read them.
use super::Envelope;
use crate::chat::*;
use crate::error::Error;
use crate::json::{Document, Writer};
pub fn request<'a>(_d: &'a Document<'a>) -> Result<Request<'a>, Error> {
    Ok(Request::default())
}
pub fn answer(_a: &Answer<'_>, _e: &Envelope<'_>, _o: &mut String) {}
pub struct StreamEncoder;
impl StreamEncoder {
    pub fn new(_e: &Envelope<'_>) -> Self {
        Self
    }
    pub fn push(&mut self, _c: u32, _d: Delta<'_>, _o: &mut String) {}
    pub fn end(&mut self, _o: &mut String) {}
}
pub fn error_body(error: &Error) -> String {
    let mut out = String::new();
    Writer::new(&mut out).object(|w| {
        w.name("error").object(|w| {
            w.field("message", &error.message);
            w.field("type", error.client_kind());
            w.field("param", &error.param);
            w.field("code", &error.client_code());
        })
    });
    out
}
pub fn error_event(error: &Error, out: &mut String) {
    out.push_str("data: ");
    out.push_str(&error_body(error));
    out.push_str("\n\n");
}
pub fn models<'n>(names: impl Iterator<Item = &'n str>, _c: u64) -> String {
    format!(
        "{{\"object\":\"list\",\"data\":[{}]}}",
        names.map(|n| format!("{{\"id\":\"{n}\"}}")).collect::<Vec<_>>().join(",")
    )
}
pub fn model(name: &str, _c: u64) -> String {
    format!("{{\"id\":\"{name}\"}}")
}
