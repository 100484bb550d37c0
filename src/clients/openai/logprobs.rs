//! How probable the tokens of an answer were: `logprobs`.
//!
//! <https://platform.openai.com/docs/api-reference/chat/object#chat-object-choices-logprobs>

use crate::chat::Logprob;
use crate::json::{Str, Write, Writer};

/// Writes the member `logprobs`.
pub(super) fn write(tokens: &[Logprob<'_>], w: &mut Writer<'_>) {
    if tokens.is_empty() {
        return w.field("logprobs", &None::<bool>);
    }
    w.name("logprobs").object(|w| {
        w.name("content").array(|w| {
            for token in tokens {
                w.object(|w| {
                    write_token(token, w);
                    w.name("top_logprobs").array(|w| {
                        token.top.iter().for_each(|top| w.object(|w| write_token(top, w)));
                    });
                });
            }
        });
        w.field("refusal", &None::<bool>);
    });
}

fn write_token(token: &Logprob<'_>, w: &mut Writer<'_>) {
    w.field("token", &token.token);
    w.field("logprob", &Raw(token.logprob));
    match token.bytes {
        Some(bytes) => w.field("bytes", &Raw(bytes)),
        None => w.field("bytes", &Bytes(&token.token)),
    }
}

/// JSON as it is.
struct Raw<'a>(&'a str);

impl Write for Raw<'_> {
    fn write(&self, out: &mut String) {
        out.push_str(self.0);
    }
}

/// The bytes of a text as numbers.
struct Bytes<'a>(&'a Str<'a>);

impl Write for Bytes<'_> {
    fn write(&self, out: &mut String) {
        let text = self.0.decode();
        Writer::new(out).array(|w| text.bytes().for_each(|byte| w.value(&u64::from(byte))));
    }
}

#[cfg(test)]
mod tests {
    use super::write;
    use crate::chat::Logprob;
    use crate::json::{Str, Writer};

    #[test]
    fn tokens_are_written_as_openai_has_them() {
        let token = |token, bytes, top| Logprob { token: Str::plain(token), logprob: "-1.5e-3", bytes, top };
        let mut out = String::new();
        let tokens = [token("é", None, vec![token("é", None, vec![]), token("\u{fffd}", Some("[195]"), vec![])])];
        Writer::new(&mut out).object(|w| write(&tokens, w));
        let one = r#""token":"é","logprob":-1.5e-3,"bytes":[195,169]"#;
        let other = "\"token\":\"\u{fffd}\",\"logprob\":-1.5e-3,\"bytes\":[195]";
        let expected = format!(
            r#"{{"logprobs":{{"content":[{{{one},"top_logprobs":[{{{one}}},{{{other}}}]}}],"refusal":null}}}}"#
        );
        assert_eq!(out, expected);
        let mut out = String::new();
        Writer::new(&mut out).object(|w| write(&[], w));
        assert_eq!(out, r#"{"logprobs":null}"#);
    }
}
