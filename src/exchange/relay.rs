//! A streamed answer on its way: the provider's bytes in, the client's bytes out, spliced or translated.

use crate::answered::Finishes;
use crate::chat::{Delta, Usage};
use crate::clients::openai::StreamEncoder;
use crate::clients::{Envelope, openai};
use crate::error::Error;
use crate::json::Value;
use crate::price::Tariff;
use crate::providers::{Failure, Kind, Speech, StreamDecoder};
use crate::splice;

/// One streamed answer.
pub(super) struct Relay {
    kind: &'static dyn Kind,
    way: Way,
    told: Option<Usage>,
}

enum Way {
    Splice(splice::Stream),
    Translate(Translation),
}

struct Translation {
    decoder: Box<dyn StreamDecoder>,
    encoder: StreamEncoder,
    content: bool,
    /// The client was told of the end.
    ended: bool,
    usage: Option<Usage>,
    /// Of texts, thoughts and arguments, in bytes.
    letters: u64,
}

impl Relay {
    /// For an answer in this `speech` of a provider of this `kind`. `tariff`: the client is to be told what its tokens cost.
    pub fn new(kind: &'static dyn Kind, speech: Speech, envelope: &Envelope<'_>, tariff: Option<Tariff>) -> Self {
        let way = match speech {
            Speech::OpenAi => Way::Splice(splice::Stream::new(envelope.model, envelope.include_usage).priced(tariff)),
            Speech::Native(translator) => Way::Translate(Translation {
                decoder: translator.stream(),
                encoder: StreamEncoder::new(envelope).priced(tariff),
                content: false,
                ended: false,
                usage: None,
                letters: 0,
            }),
        };
        Self { kind, way, told: None }
    }

    /// Takes the provider's next bytes and appends what the client gets for them to `out`.
    ///
    /// # Errors
    /// The stream is over. What was appended before stays good.
    pub fn push(&mut self, chunk: &[u8], out: &mut String) -> Result<(), Error> {
        let kind = self.kind;
        match &mut self.way {
            Way::Splice(stream) => stream.push(chunk, |error| classify(kind, error), out),
            Way::Translate(translation) => {
                translation.decode(out, |decoder, sink| decoder.push(chunk, sink))?;
                // Not when the provider gets round to ending: a client waits for it, and trailers leave no place for it.
                if translation.decoder.is_over() {
                    translation.end(out);
                }
                Ok(())
            }
        }
    }

    /// The provider ended the stream. Appends what is missing at its end.
    ///
    /// # Errors
    /// It ended before the answer was complete.
    pub fn end(&mut self, out: &mut String) -> Result<(), Error> {
        let kind = self.kind;
        match &mut self.way {
            Way::Splice(stream) => stream.end(|error| classify(kind, error), out),
            Way::Translate(translation) => {
                translation.decode(out, |decoder, sink| decoder.end(sink))?;
                translation.end(out);
                Ok(())
            }
        }
    }

    /// Whether some of the answer has come.
    pub fn has_content(&self) -> bool {
        match &self.way {
            Way::Splice(stream) => stream.has_content(),
            Way::Translate(translation) => translation.content,
        }
    }

    /// About how many tokens of the answer have come: a provider that speaks OpenAI's dialect sends about one in an event, and
    /// four letters are about one.
    pub fn said(&self) -> u64 {
        match &self.way {
            Way::Splice(stream) => stream.events(),
            Way::Translate(translation) => translation.letters.div_ceil(4),
        }
    }

    /// Whether all of the answer has come, though the provider may not have closed yet.
    pub fn is_complete(&self) -> bool {
        match &self.way {
            Way::Splice(stream) => stream.is_done(),
            Way::Translate(translation) => translation.ended,
        }
    }

    /// What the provider has told of that by now, where it tells some before the end.
    pub fn partial(&self) -> Option<Usage> {
        match &self.way {
            Way::Splice(_) => None,
            Way::Translate(translation) => translation.decoder.told(),
        }
    }

    /// Why the answer's choices ended, those that have.
    pub fn finishes(&self) -> Finishes {
        match &self.way {
            Way::Splice(stream) => stream.finishes(),
            Way::Translate(translation) => translation.encoder.finishes(),
        }
    }

    /// What the answer took, if the provider has said so, or something else, since it was last asked for.
    pub fn new_usage(&mut self) -> Option<Usage> {
        let usage = match &self.way {
            Way::Splice(stream) => stream.usage(),
            Way::Translate(translation) => translation.usage,
        };
        let told = core::mem::replace(&mut self.told, usage);
        usage.filter(|_| told != usage)
    }
}

impl Translation {
    fn end(&mut self, out: &mut String) {
        if !core::mem::replace(&mut self.ended, true) {
            self.encoder.end(out);
        }
    }

    fn decode(
        &mut self,
        out: &mut String,
        read: impl FnOnce(&mut dyn StreamDecoder, &mut dyn crate::chat::Sink) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Self { decoder, encoder, content, usage, letters, .. } = self;
        let mut sink = |choice: u32, delta: Delta<'_>| {
            *content |= delta.is_content();
            match &delta {
                Delta::Usage(whole) => *usage = Some(*whole),
                Delta::Text(text) | Delta::Thinking { text, .. } | Delta::ToolArguments { json: text, .. } => {
                    *letters += text.escaped().len() as u64;
                }
                _ => {}
            }
            // Before the first content there is no answer to keep alive.
            if *content || delta != Delta::KeepAlive {
                encoder.push(choice, delta, out);
            }
        };
        read(decoder.as_mut(), &mut sink)
    }
}

/// What an error that came inside a 200 means.
pub(super) fn classify(kind: &dyn Kind, event: Value<'_>) -> Error {
    Error { status: None, ..kind.error(&Failure { status: 200, body: Some(event), name: None }) }
}

/// What ends a stream that broke: an error event and no `[DONE]`, so that no client takes it for complete.
pub(super) fn break_off(error: &Error, out: &mut String) {
    openai::error_event(error, out);
}
