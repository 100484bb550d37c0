//! The conversation: `system` and `messages`.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html>

use super::super::others::{is_made, refuse_files};
use super::super::pieces::{Input, Trimmed};
use super::id::Id;
use super::media::{self, Names};
use super::models::{Caches, Model, Thinking};
use super::{Dropped, THOUGHTS};
use crate::chat::{Message, Part, Request, Role, Text};
use crate::error::Error;
use crate::json::{Str, Value, Writer};

/// Whether all of it can be said to Bedrock.
///
/// # Errors
/// It cannot: the first part that is in the way.
pub(super) fn check(messages: &[Message<'_>]) -> Result<(), Error> {
    refuse_files(messages)?;
    messages.iter().flat_map(|message| &message.parts).try_for_each(|part| match part {
        Part::ToolResult { parts, .. } => parts.iter().try_for_each(check_part),
        part => check_part(part),
    })
}

fn check_part(part: &Part<'_>) -> Result<(), Error> {
    match part {
        Part::Audio(media) | Part::Video(media) | Part::Image { media, .. } | Part::Document { media, .. } => {
            media::block(media).map(drop)
        }
        _ => Ok(()),
    }
}

/// What is needed while a conversation is written.
pub(super) struct Says<'m> {
    pub model: &'m Model,
    pub dropped: &'m mut Dropped,
    pub names: Names,
}

/// A part of a turn, and whether it is one for Bedrock to recognise its thoughts in.
type Said<'p> = (&'p Part<'p>, bool);

impl Says<'_> {
    /// Writes `system`: what the operator says, wherever it stands, and then `instruction`.
    pub(super) fn system(&mut self, request: &Request<'_>, instruction: Option<String>, w: &mut Writer<'_>) {
        let system = request.messages.iter().filter(|message| message.role == Role::System);
        let mut texts = system.flat_map(|message| &message.parts).filter(|part| is_said(part, false)).peekable();
        if texts.peek().is_none() && instruction.is_none() {
            return;
        }
        w.name("system").array(|w| {
            texts.for_each(|part| self.block(part, w));
            if let Some(instruction) = instruction {
                w.object(|w| w.field("text", &instruction));
            }
        });
    }

    /// Writes `messages`. Turns of the same role are one, and before an assistant who speaks first stands a full stop, since
    /// a text must not be blank: "A conversation must start with a user message".
    pub(super) fn messages(&mut self, messages: &[Message<'_>], w: &mut Writer<'_>) {
        let thinks = self.model.thinking != Thinking::No;
        let is_spoken = |message: &&Message<'_>| {
            let is_spoken = |part: &Part<'_>| is_said(part, false) && !is_thought(part) && !is_made(message, part);
            message.role != Role::System && message.parts.iter().any(is_spoken)
        };
        let spoken: Vec<&Message<'_>> = messages.iter().filter(is_spoken).collect();
        let mut turns = spoken.chunk_by(|one, next| one.role == next.role).peekable();
        w.name("messages").array(|w| {
            if turns.peek().and_then(|turn| turn.first()).is_none_or(|message| message.role == Role::Assistant) {
                turn("user", w, full_stop);
            }
            while let Some(messages) = turns.next() {
                let parts = messages.iter().flat_map(|message| {
                    let own = thinks && is_own(message);
                    let is_said = move |part: &&Part<'_>| is_said(part, own) && !is_made(message, part);
                    message.parts.iter().filter(is_said).map(move |part| (part, own))
                });
                match messages.first().map(|message| message.role) {
                    Some(Role::Assistant) => {
                        let is_last = turns.peek().is_none();
                        turn("assistant", w, |w| self.assistant(parts, is_last, w));
                    }
                    _ => turn("user", w, |w| self.user(parts, w)),
                }
            }
        });
    }

    /// Thoughts begin a turn or are left out of it: "If an assistant message contains any thinking blocks, the first block
    /// must be `thinking` or `redacted_thinking`", "The final block in an assistant message cannot be `thinking`":
    /// <https://github.com/anthropics/claude-code/issues/20691>, <https://github.com/tailcallhq/forgecode/pull/3073>.
    fn assistant<'p>(&mut self, parts: impl Iterator<Item = Said<'p>> + Clone, is_last: bool, w: &mut Writer<'_>) {
        let parts = parts.map(|(part, _)| part);
        let thinks = parts.clone().next().is_some_and(is_thought);
        let end =
            parts.clone().enumerate().filter(|(_, part)| !is_thought(part)).last().map_or(0, |(last, _)| last + 1);
        let mut parts = parts.take(end).filter(|part| thinks || !is_thought(part)).peekable();
        while let Some(part) = parts.next() {
            match part {
                // "final assistant content cannot end with trailing whitespace"
                Part::Text(Text { text, .. }) if is_last && parts.peek().is_none() => {
                    w.object(|w| w.field("text", &Trimmed(text)));
                }
                part => self.block(part, w),
            }
        }
    }

    /// The results of all tools first: "Expected toolResult blocks at messages.2.content for the following Ids". "If you
    /// include a ContentBlock with a document field in the array, you must also include a ContentBlock with a text field".
    fn user<'p>(&mut self, parts: impl Iterator<Item = Said<'p>> + Clone, w: &mut Writer<'_>) {
        let parts = parts.map(|(part, _)| part).filter(|part| !is_thought(part));
        let is_result = |part: &&Part<'_>| matches!(part, Part::ToolResult { .. });
        let is_text = |part: &Part<'_>| matches!(part, Part::Text(_) | Part::Refusal(_));
        let is_document = |part: &Part<'_>| match part {
            Part::Image { media, .. } | Part::Document { media, .. } => media::is_document(media),
            _ => false,
        };
        parts.clone().filter(is_result).for_each(|part| self.block(part, w));
        parts.clone().filter(|part| !is_result(part)).for_each(|part| self.block(part, w));
        if parts.clone().any(is_document) && !parts.clone().any(is_text) {
            full_stop(w);
        }
    }

    fn block(&mut self, part: &Part<'_>, w: &mut Writer<'_>) {
        match part {
            Part::Text(Text { text, cache }) => {
                w.object(|w| w.field("text", text));
                self.cache_point(*cache, "messages.cache_control", Caches::Messages, w);
            }
            Part::Refusal(text) => w.object(|w| w.field("text", text)),
            Part::Image { media, .. } | Part::Audio(media) | Part::Video(media) => {
                media::write(media, (None, false), &mut self.names, w)
            }
            Part::Document { media, name, cited } => {
                media::write(media, (name.as_ref(), *cited), &mut self.names, w);
            }
            Part::Thinking { text, signature } => w.object(|w| {
                w.name("reasoningContent").object(|w| {
                    w.name("reasoningText").object(|w| {
                        w.field("text", text);
                        w.field_some("signature", signature);
                    });
                });
            }),
            Part::RedactedThinking(data) => w.object(|w| {
                w.name("reasoningContent").object(|w| w.field("redactedContent", data));
            }),
            Part::ToolCall(call) => w.object(|w| {
                w.name("toolUse").object(|w| {
                    w.field("toolUseId", &Id(&call.id));
                    w.field("name", &call.name);
                    w.field("input", &Input(&call.arguments));
                });
            }),
            Part::ToolResult { id, parts, is_error } => w.object(|w| {
                w.name("toolResult").object(|w| {
                    w.field("toolUseId", &Id(id));
                    w.name("content").array(|w| self.result(parts, w));
                    if *is_error {
                        w.field("status", "error");
                    }
                });
            }),
            Part::File(_) | Part::Citation(_) => {}
        }
    }

    /// Markers in it are left out: a checkpoint stands after a block of the message.
    fn result(&mut self, parts: &[Part<'_>], w: &mut Writer<'_>) {
        let can_be = |part: &&Part<'_>| {
            matches!(part, Part::Text(_) | Part::Image { .. } | Part::Document { .. } | Part::Video(_))
        };
        let mut parts = parts.iter().filter(|part| is_said(part, false)).filter(can_be).peekable();
        if parts.peek().is_none() {
            full_stop(w);
        }
        for part in parts {
            match part {
                Part::Text(Text { text, cache }) => {
                    if cache.is_some_and(|cache| !cache.is_null()) {
                        self.dropped.push("messages.cache_control".to_owned());
                    }
                    w.object(|w| w.field("text", text));
                }
                part => self.block(part, w),
            }
        }
    }

    /// Writes a checkpoint for `cache`, if the model caches as much; else `name` is dropped.
    pub(super) fn cache_point(&mut self, cache: Option<Value<'_>>, name: &str, least: Caches, w: &mut Writer<'_>) {
        let Some(cache) = cache.filter(|cache| !cache.is_null()) else { return };
        let ranks = [Caches::No, Caches::Messages, Caches::Tools, Caches::Hour];
        let rank = |caches: Caches| ranks.iter().position(|rank| *rank == caches);
        if rank(self.model.caches) < rank(least) {
            return self.dropped.push(name.to_owned());
        }
        let hour = cache.get("ttl").and_then(Value::as_str).is_some_and(|ttl| ttl == "1h");
        if hour && self.model.caches != Caches::Hour {
            self.dropped.push(format!("{name}.ttl"));
        }
        w.object(|w| {
            w.name("cachePoint").object(|w| {
                w.field("type", "default");
                if hour && self.model.caches == Caches::Hour {
                    w.field("ttl", "1h");
                }
            });
        });
    }
}

fn turn(role: &str, w: &mut Writer<'_>, content: impl FnOnce(&mut Writer<'_>)) {
    w.object(|w| {
        w.field("role", role);
        w.name("content").array(content);
    });
}

fn full_stop(w: &mut Writer<'_>) {
    w.object(|w| w.field("text", "."));
}

/// Whether the thoughts in it are Bedrock's, as far as the client says: others' signatures are refused.
pub(super) fn is_own(message: &Message<'_>) -> bool {
    message.thoughts_by.as_ref().is_none_or(|name: &Str<'_>| *name == THOUGHTS)
}

/// "The text field in the ContentBlock object is blank": those are left out, and so are thoughts that nobody signed.
pub(super) fn is_said(part: &Part<'_>, thinks: bool) -> bool {
    match part {
        Part::Text(Text { text, .. }) | Part::Refusal(text) => !text.is_blank(),
        Part::Thinking { signature, .. } => thinks && signature.as_ref().is_some_and(|signature| !signature.is_empty()),
        Part::RedactedThinking(_) => thinks,
        _ => true,
    }
}

pub(super) fn is_thought(part: &Part<'_>) -> bool {
    matches!(part, Part::Thinking { .. } | Part::RedactedThinking(_))
}
