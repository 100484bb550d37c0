//! The conversation: `systemInstruction` and `contents`.
//!
//! <https://ai.google.dev/api/caching#Content>, <https://ai.google.dev/gemini-api/docs/function-calling>

use std::borrow::Cow;

use hashbrown::HashMap;

use super::Language;
use super::models::Model;
use super::parts::{Args, Response};
use super::{media, thinking};
use crate::chat::{Media, Message, Part, Request, Role, Text, ToolCall};
use crate::json::{Str, Writer};

/// Writes `systemInstruction`: what the operator says, wherever it stands, and then `instruction`.
pub(super) fn write_system(request: &Request<'_>, instruction: Option<String>, w: &mut Writer<'_>) {
    let system = request.messages.iter().filter(|message| message.role == Role::System);
    let texts = system.flat_map(|message| &message.parts).filter_map(text_of).filter(|text| !text.is_blank());
    let mut texts = texts.peekable();
    if texts.peek().is_none() && instruction.is_none() {
        return;
    }
    w.name("systemInstruction").object(|w| {
        w.name("parts").array(|w| {
            texts.for_each(|text| w.object(|w| w.field("text", text)));
            if let Some(instruction) = instruction {
                w.object(|w| w.field("text", &instruction));
            }
        });
    });
}

/// Writes `contents`.
///
/// "contents is not specified", "Please ensure that function call turn comes immediately after a user turn": turns of the
/// same role are one, and before a model that speaks first stands a full stop.
pub(super) fn write(messages: &[Message<'_>], language: &Language, model: &Model, w: &mut Writer<'_>) {
    let is_spoken =
        |message: &&Message<'_>| message.role != Role::System && message.parts.iter().any(|part| is_said(part, false));
    let spoken: Vec<&Message<'_>> = messages.iter().filter(is_spoken).collect();
    let mut turns = spoken.chunk_by(|one, next| one.role == next.role).peekable();
    let mut turn = Turn { language, model, calls: HashMap::new() };
    w.name("contents").array(|w| {
        if turns.peek().and_then(|turn| turn.first()).is_none_or(|message| message.role == Role::Assistant) {
            w.object(|w| {
                w.field("role", "user");
                w.name("parts").array(|w| w.object(|w| w.field("text", ".")));
            });
        }
        for messages in turns {
            let is_model = messages.first().is_some_and(|message| message.role == Role::Assistant);
            w.object(|w| {
                w.field("role", if is_model { "model" } else { "user" });
                w.name("parts").array(|w| if is_model { turn.model(messages, w) } else { turn.user(messages, w) });
            });
        }
    });
}

/// Writes the parts of one turn after the other.
struct Turn<'r, 'm> {
    language: &'r Language,
    model: &'r Model,
    /// Of the calls so far, by id: the name.
    calls: HashMap<Cow<'r, str>, &'r Str<'m>>,
}

impl<'r, 'm> Turn<'r, 'm> {
    /// "the number of function response parts" has to be "equal to the number of function call parts of the function call
    /// turn": the results of all tools are together, and first.
    fn user(&mut self, messages: &[&'r Message<'m>], w: &mut Writer<'_>) {
        let parts = || messages.iter().flat_map(|message| &message.parts);
        for part in parts() {
            if let Part::ToolResult { id, parts, is_error } = part {
                self.result(id, parts, *is_error, w);
            }
        }
        // Files that a result cannot have in it stand beside it.
        for part in parts() {
            match part {
                Part::ToolResult { parts, .. } => {
                    parts
                        .iter()
                        .filter(|part| is_file(part) && !self.fits(part))
                        .for_each(|part| write_part(part, self.model.third, None, w));
                }
                part if is_said(part, false) => write_part(part, self.model.third, None, w),
                _ => {}
            }
        }
    }

    fn result(&self, id: &Str<'_>, parts: &[Part<'_>], is_error: bool, w: &mut Writer<'_>) {
        let name = self.calls.get(&*id.decode());
        w.object(|w| {
            w.name("functionResponse").object(|w| {
                if self.language.ids {
                    w.field("id", id);
                }
                // Which function, of a conversation that was cut short, nobody knows any more.
                match name {
                    Some(name) => w.field("name", *name),
                    None => w.field("name", "unknown_function"),
                }
                w.field("response", &Response { parts, is_error });
                let mut files = parts.iter().filter(|part| self.fits(part)).filter_map(media_of).peekable();
                if files.peek().is_some() {
                    w.name("parts").array(|w| files.for_each(|file| w.object(|w| media::write_inline(file, w))));
                }
            });
        });
    }

    /// Whether it can be in a result: "multimodal function responses", since the third generation.
    /// <https://ai.google.dev/gemini-api/docs/function-calling#multimodal>
    fn fits(&self, part: &Part<'_>) -> bool {
        self.model.third && media_of(part).is_some_and(|media| matches!(media, Media::Base64 { .. }))
    }

    /// Signatures stand where they stood: "return this signature in the exact part where it was received". That of a text
    /// is a thought without words here.
    fn model(&mut self, messages: &[&'r Message<'m>], w: &mut Writer<'_>) {
        let mut is_first_call = true;
        for message in messages {
            let ours = thinking::are_ours(message);
            let said = || message.parts.iter().filter(|part| is_said(part, ours));
            let signed = signed(said());
            for (index, part) in said().enumerate() {
                match part {
                    Part::ToolCall(call) => {
                        self.calls.insert(call.id.decode(), &call.name);
                        self.call(call, ours, core::mem::take(&mut is_first_call), w);
                    }
                    // It stands with the part that it signs.
                    _ if signed.iter().any(|(_, thought, _)| *thought == index) => {}
                    part => {
                        let signature = signed.iter().find(|(signed, _, _)| *signed == index);
                        let signature = signature.map(|(_, _, signature)| *signature);
                        write_part(part, self.model.third, signature, w);
                    }
                }
            }
        }
    }

    /// Of parallel calls only the first is signed: <https://ai.google.dev/gemini-api/docs/thought-signatures#model-behavior>
    fn call(&self, call: &ToolCall<'_>, ours: bool, is_first: bool, w: &mut Writer<'_>) {
        w.object(|w| {
            w.name("functionCall").object(|w| {
                if self.language.ids {
                    w.field("id", &call.id);
                }
                w.field("name", &call.name);
                w.field("args", &Args(&call.arguments));
            });
            match call.signature.as_ref().filter(|signature| ours && thinking::is_signature(signature)) {
                Some(signature) => w.field("thoughtSignature", signature),
                None if is_first && self.model.third => w.field("thoughtSignature", thinking::NO_SIGNATURE),
                None => {}
            }
        });
    }
}

/// Which part is signed by which thought without words, both by their places, and the signature. Such a thought comes right
/// after what it signs, but clients send thoughts first, so that all that is left is their order: the last ones are
/// of the images, "return this signature in the exact part where it was received", and one of the last text before them.
fn signed<'p, 'a: 'p>(parts: impl Iterator<Item = &'p Part<'a>> + Clone) -> Vec<(usize, usize, &'p Str<'a>)> {
    let of = |holds: fn(&Part<'_>) -> bool| {
        let parts = parts.clone().enumerate();
        parts.filter(move |(_, part)| holds(part)).map(|(index, _)| index)
    };
    let text = of(|part| text_of(part).is_some()).last();
    let targets: Vec<usize> = text.into_iter().chain(of(is_file)).collect();
    let thoughts = parts.clone().enumerate().filter_map(|(index, part)| Some((index, wordless(part)?)));
    let thoughts: Vec<_> = thoughts.collect();
    let pairs = targets.into_iter().rev().zip(thoughts.into_iter().rev());
    pairs.map(|(target, (thought, signature))| (target, thought, signature)).collect()
}

/// Blank parts are left out ("must include at least one parts field", "data oneof must be set"), and so are thoughts without
/// a signature, of which nothing comes, and those of others: `ours` tells whether they are Gemini's.
fn is_said(part: &Part<'_>, ours: bool) -> bool {
    match part {
        Part::Text(Text { text, .. }) | Part::Refusal(text) => !text.is_blank(),
        Part::Thinking { signature, .. } => ours && signature.as_ref().is_some_and(thinking::is_signature),
        Part::RedactedThinking(_) => false,
        _ => true,
    }
}

/// The signature of a thought without words.
fn wordless<'p, 'a>(part: &'p Part<'a>) -> Option<&'p Str<'a>> {
    match part {
        Part::Thinking { text, signature } if text.is_empty() => signature.as_ref(),
        _ => None,
    }
}

fn text_of<'p, 'a>(part: &'p Part<'a>) -> Option<&'p Str<'a>> {
    match part {
        Part::Text(Text { text, .. }) | Part::Refusal(text) => Some(text),
        _ => None,
    }
}

fn media_of<'p, 'a>(part: &'p Part<'a>) -> Option<&'p Media<'a>> {
    match part {
        Part::Image { media, .. } | Part::Audio(media) | Part::Video(media) | Part::Document { media, .. } => {
            Some(media)
        }
        _ => None,
    }
}

fn is_file(part: &Part<'_>) -> bool {
    media_of(part).is_some()
}

fn write_part(part: &Part<'_>, third: bool, signature: Option<&Str<'_>>, w: &mut Writer<'_>) {
    match part {
        Part::Text(Text { text, .. }) | Part::Refusal(text) => w.object(|w| {
            w.field("text", text);
            w.field_some("thoughtSignature", &signature.cloned());
        }),
        Part::Thinking { text, signature } => w.object(|w| {
            w.field("text", text);
            if !text.is_empty() {
                w.field("thought", &true);
            }
            w.field_some("thoughtSignature", signature);
        }),
        Part::Image { media, detail } => {
            let level = detail.as_ref().filter(|_| third).and_then(|detail| media::level(&detail.decode()));
            media::write_image(media, level, signature, w);
        }
        Part::Document { media, .. } => media::write(media, "application/pdf", signature, w),
        Part::Audio(media) => media::write(media, "audio/mp3", signature, w),
        Part::Video(media) => media::write(media, "video/mp4", signature, w),
        Part::File(_) | Part::RedactedThinking(_) | Part::ToolCall(_) | Part::ToolResult { .. } | Part::Citation(_) => {
        }
    }
}
