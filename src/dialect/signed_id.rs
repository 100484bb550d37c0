//! The signature of a tool call, in the call's id.
//!
//! Gemini wants the signature of a call back with the next turn, and refuses the request without it, but clients send back
//! only what OpenAI's interface has: of a call its id, name and arguments. So the signature goes into the id, and the id
//! with the result; both come apart again here, and no provider sees the id with its tail.

use crate::json::{Str, Writer};

/// Stands between a call's own id and its signature.
const SEPARATOR: &str = "__thought__";

/// The id of a call as the client gets it.
pub fn write(w: &mut Writer<'_>, id: &Str<'_>, signature: Option<&Str<'_>>) {
    match signature {
        Some(signature) => w.field("id", &Str::join([id, signature], &Str::plain(SEPARATOR))),
        None => w.field("id", id),
    }
}

/// The id of a call, and its signature, of what a client sent back.
pub fn split<'a>(id: Str<'a>) -> (Str<'a>, Option<Str<'a>>) {
    match id.split_at_text(SEPARATOR) {
        Some((id, signature)) => (id, Some(signature)),
        None => (id, None),
    }
}

#[cfg(test)]
mod tests {
    use super::{split, write};
    use crate::json::{Str, Writer};

    #[test]
    fn what_was_put_together_comes_apart() {
        let mut out = String::new();
        Writer::new(&mut out).object(|w| write(w, &Str::plain("call_1"), Some(&Str::plain("a+/="))));
        assert_eq!(out, r#"{"id":"call_1__thought__a+/="}"#);
        let (id, signature) = split(Str::plain("call_1__thought__a+/="));
        assert!(id == "call_1" && signature.is_some_and(|signature| signature == "a+/="));
        assert_eq!(split(Str::plain("call_1")), (Str::plain("call_1"), None));
    }
}
