//! A streamed answer: watched event by event, changed where it must be.
//!
//! <https://platform.openai.com/docs/api-reference/chat-streaming>

use super::patch::Patches;
use super::request::literal;
use super::usage::usage;
use crate::chat::Usage;
use crate::error::Error;
use crate::frame::sse::{Decoder, Frame};
use crate::json::{Document, Kind, Value};

/// One streamed answer on its way from an OpenAI-compatible provider to an OpenAI client.
#[derive(Debug)]
pub struct Stream {
    decoder: Decoder,
    /// The name that the client asked for, as a JSON string.
    model: String,
    include_usage: bool,
    watched: Watched,
}

/// What has been seen so far.
#[derive(Debug, Default)]
struct Watched {
    content: bool,
    finished: bool,
    done: bool,
    usage: Option<Usage>,
}

/// What is to become of an event.
enum Verdict {
    Pass(Patches),
    Drop,
}

impl Stream {
    /// A stream for a client that asked for `model`, with the usage at its end or without.
    pub fn new(model: &str, include_usage: bool) -> Self {
        let (decoder, watched) = (Decoder::default(), Watched::default());
        Self { decoder, model: literal(model), include_usage, watched }
    }

    /// Takes the provider's next bytes and appends what the client gets for them to `out`.
    ///
    /// # Errors
    /// The provider sent an error, which `classify` was shown, or nonsense. What was appended before stays good.
    pub fn push(&mut self, chunk: &[u8], classify: impl Fn(Value<'_>) -> Error, out: &mut String) -> Result<(), Error> {
        if self.watched.done {
            // Nothing of it is for the client: not even kept.
            return Ok(());
        }
        self.decoder.push(chunk).map_err(|_| Error::bad_answer("the provider sent an event without an end"))?;
        while let Some(frame) = self.decoder.next_frame() {
            self.watched.frame(&frame, &self.model, self.include_usage, &classify, out)?;
        }
        Ok(())
    }

    /// The provider ended the stream. Appends what is missing at its end.
    ///
    /// # Errors
    /// It ended before the answer was complete.
    pub fn end(&mut self, classify: impl Fn(Value<'_>) -> Error, out: &mut String) -> Result<(), Error> {
        if let Some(frame) = self.decoder.rest().filter(|_| !self.watched.done) {
            self.watched.frame(&frame, &self.model, self.include_usage, &classify, out)?;
            // The frame came without its blank line.
            if !out.is_empty() && !out.ends_with("\n\n") {
                out.push_str(if out.ends_with('\n') { "\n" } else { "\n\n" });
            }
        }
        if self.watched.done {
            return Ok(());
        }
        if !self.watched.finished {
            return Err(Error::bad_answer("the provider ended the stream before the answer was complete"));
        }
        // Cerebras, Perplexity and Writer end without it; official SDKs wait for it.
        out.push_str("data: [DONE]\n\n");
        Ok(())
    }

    /// Whether some of the answer has come: text, thought, a tool call, or its end.
    pub fn has_content(&self) -> bool {
        self.watched.content
    }

    /// What the answer took, as far as the provider has said.
    pub fn usage(&self) -> Option<Usage> {
        self.watched.usage
    }
}

impl Watched {
    fn frame(
        &mut self,
        frame: &Frame<'_>,
        model: &str,
        include_usage: bool,
        classify: &impl Fn(Value<'_>) -> Error,
        out: &mut String,
    ) -> Result<(), Error> {
        if self.done {
            return Ok(());
        }
        let Some(data) = frame.data else {
            // A comment keeps the connection alive; before the first content there is nothing to keep.
            if self.content {
                out.push_str(&String::from_utf8_lossy(frame.raw));
            }
            return Ok(());
        };
        if data.trim_ascii() == b"[DONE]" {
            if !self.finished && !self.content {
                return Err(Error::bad_answer("the provider ended the stream without an answer"));
            }
            self.done = true;
            out.push_str("data: [DONE]\n\n");
            return Ok(());
        }
        let document = Document::parse(data)
            .map_err(|invalid| Error::bad_answer(format!("the provider sent an event that is not JSON: {invalid}")))?;
        let root = document.root();
        if frame.name == b"error" || root.get("error").is_some_and(|error| !error.is_null()) {
            return Err(classify(root));
        }
        match (self.event(root, model, include_usage), frame.data_at) {
            (Verdict::Drop, _) => {}
            (Verdict::Pass(patches), Some(at)) => {
                let (before, rest) = frame.raw.split_at_checked(at).unwrap_or_default();
                out.push_str(&String::from_utf8_lossy(before));
                patches.apply(document.text(), out);
                out.push_str(&String::from_utf8_lossy(rest.get(data.len()..).unwrap_or_default()));
            }
            (Verdict::Pass(patches), None) => {
                let mut joined = String::new();
                patches.apply(document.text(), &mut joined);
                for line in joined.lines() {
                    out.push_str("data: ");
                    out.push_str(line);
                    out.push('\n');
                }
                out.push('\n');
            }
        }
        Ok(())
    }

    fn event(&mut self, root: Value<'_>, model: &str, include_usage: bool) -> Verdict {
        let mut patches = Patches::default();
        let mut choices = 0;
        for (name, value) in root.members() {
            match name.escaped() {
                "model" if value.kind() == Kind::String => patches.replace(value.start()..value.end(), model),
                "choices" => {
                    for choice in value.elements() {
                        choices += 1;
                        self.choice(choice);
                    }
                }
                "usage" => {
                    // Groq, Databricks and HuggingFace repeat it: the last one counts, once.
                    self.usage = usage(value).or(self.usage);
                    if !include_usage && !value.is_null() {
                        patches.replace(value.start()..value.end(), "null");
                    }
                }
                _ => {}
            }
        }
        let usage_only = choices == 0 && root.get("usage").is_some_and(|usage| !usage.is_null());
        if usage_only && !include_usage { Verdict::Drop } else { Verdict::Pass(patches) }
    }

    fn choice(&mut self, choice: Value<'_>) {
        if choice.get("finish_reason").is_some_and(|reason| !reason.is_null()) {
            self.finished = true;
            self.content = true;
        }
        if !self.content {
            let delta = choice.get("delta").into_iter().flat_map(Value::members);
            self.content = delta.filter(|(name, _)| *name != *"role").any(|(_, value)| says_something(value));
        }
    }
}

/// Whether a member of a delta has anything in it: role chunks carry empty texts and nulls.
fn says_something(value: Value<'_>) -> bool {
    match value.kind() {
        Kind::Null => false,
        Kind::String => value.as_str().is_some_and(|text| !text.is_empty()),
        Kind::Array => value.elements().next().is_some(),
        Kind::Object => value.members().next().is_some(),
        Kind::Bool | Kind::Number => true,
    }
}

#[cfg(test)]
mod tests {
    use super::Stream;
    use crate::chat::Usage;
    use crate::error::{Cause, Error};

    /// The client's bytes, how it ended, the usage, and whether content was seen.
    type Outcome = (String, Result<(), Cause>, Option<Usage>, bool);

    fn run<'c>(chunks: impl Iterator<Item = &'c [u8]>, include_usage: bool) -> Outcome {
        let mut stream = Stream::new("asked", include_usage);
        let mut out = String::new();
        let classify = |_: crate::json::Value<'_>| Error::new(Cause::Overloaded, "");
        let mut result = Ok(());
        for chunk in chunks {
            result = result.and_then(|()| stream.push(chunk, classify, &mut out));
        }
        let result = result.and_then(|()| stream.end(classify, &mut out)).map_err(|error| error.cause);
        (out, result, stream.usage(), stream.has_content())
    }

    /// Whole, byte by byte, and cut in two at every place.
    fn check(stream: &str, include_usage: bool, expected: &str, result: Result<(), Cause>) -> (Option<Usage>, bool) {
        let bytes = stream.as_bytes();
        let whole = run(std::iter::once(bytes), include_usage);
        assert_eq!((whole.0.as_str(), whole.1), (expected, result));
        assert_eq!(run(bytes.chunks(1), include_usage), whole);
        for at in 0..bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(run([first, second].into_iter(), include_usage), whole, "cut at {at}");
        }
        (whole.2, whole.3)
    }

    const ROLE: &str =
        "data: {\"model\":\"m-1\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"x\":1}\n\n";
    const TEXT: &str =
        "data: {\"model\":\"m-1\",\"choices\":[{\"delta\":{\"content\":\"h\u{e9}\"}}],\"obfuscation\":\"a\"}\n\n";
    const END: &str = "data: {\"model\":\"m-1\",\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    fn asked(stream: &str) -> String {
        stream.replace("m-1", "asked")
    }

    #[test]
    fn events_pass_as_they_came_but_for_the_models_name() {
        let expected = asked(&[ROLE, TEXT, END, USAGE, DONE].concat());
        let (usage, content) = check(&[ROLE, TEXT, END, USAGE, DONE].concat(), true, &expected, Ok(()));
        assert_eq!((usage.map(|usage| (usage.input, usage.output)), content), (Some((3, 2)), true));
    }

    #[test]
    fn usage_is_seen_and_removed_when_the_client_did_not_ask() {
        let expected = asked(&[ROLE, TEXT, END, DONE].concat());
        let (usage, _) = check(&[ROLE, TEXT, END, USAGE, DONE].concat(), false, &expected, Ok(()));
        assert_eq!(usage.map(|usage| usage.input), Some(3));
        let beside = END.replace("}]}", "}],\"usage\":{\"prompt_tokens\":1}}");
        let expected = asked(&[TEXT, &END.replace("}]}", "}],\"usage\":null}"), DONE].concat());
        check(&[TEXT, &beside, DONE].concat(), false, &expected, Ok(()));
    }

    #[test]
    fn a_missing_done_is_added_only_to_a_complete_answer() {
        check(&[TEXT, END].concat(), true, &asked(&[TEXT, END, DONE].concat()), Ok(()));
        check(TEXT, true, &asked(TEXT), Err(Cause::BadAnswer));
        check("", true, "", Err(Cause::BadAnswer));
        check(DONE, true, "", Err(Cause::BadAnswer));
        check(&[TEXT, DONE].concat(), true, &asked(&[TEXT, DONE].concat()), Ok(()));
        check(&[TEXT, DONE, ":\n\n", TEXT, DONE].concat(), true, &asked(&[TEXT, DONE].concat()), Ok(()));
        check(&[TEXT, END.trim_end()].concat(), true, &asked(&[TEXT, END, DONE].concat()), Ok(()));
    }

    #[test]
    fn errors_end_the_stream_wherever_they_come() {
        let error = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
        check(error, true, "", Err(Cause::Overloaded));
        check(&[TEXT, error, DONE].concat(), true, &asked(TEXT), Err(Cause::Overloaded));
        check(&[TEXT, "event: error\ndata: {}\n\n"].concat(), true, &asked(TEXT), Err(Cause::Overloaded));
        check("data: <html>\n\n", true, "", Err(Cause::BadAnswer));
        let (_, content) = check(ROLE, true, &asked(ROLE), Err(Cause::BadAnswer));
        assert!(!content);
    }

    #[test]
    fn comments_pass_once_there_is_content() {
        let comment = ": keep-alive\n\n";
        let stream = [comment, ROLE, comment, TEXT, comment, END, DONE].concat();
        check(&stream, true, &asked(&[ROLE, TEXT, comment, END, DONE].concat()), Ok(()));
        check(
            &[&TEXT.replace('\n', "\r\n"), END, DONE].concat(),
            true,
            &asked(&[&TEXT.replace('\n', "\r\n"), END, DONE].concat()),
            Ok(()),
        );
    }

    #[test]
    fn what_stands_beside_the_data_need_not_be_text() {
        let stream = [b"event: \xff\n", END.as_bytes()].concat();
        let (out, ..) = run(std::iter::once(&stream[..]), true);
        assert_eq!(out, ["event: \u{fffd}\n", &asked(END), DONE].concat());
    }

    #[test]
    fn several_data_lines_are_one_event() {
        let stream = "data: {\"model\":\"m-1\",\ndata: \"choices\":[{\"finish_reason\":\"stop\"}]}\n\n";
        check(stream, true, &[&asked(stream), DONE].concat(), Ok(()));
    }
}
