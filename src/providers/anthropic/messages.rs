//! The conversation: `system` and `messages`.
//!
//! <https://platform.claude.com/docs/en/build-with-claude/working-with-messages>

use super::super::others::{is_made, refuse_files, refuse_videos};
use super::super::pieces::{Input, Trimmed};
use super::id::Id;
use super::{Language, THOUGHTS, media};
use crate::chat::{Media, Message, Part, Request, Role, Text};
use crate::error::Error;
use crate::json::{Str, Writer};

/// Whether all of it can be said to Anthropic.
///
/// # Errors
/// It cannot: the first part that is in the way.
pub(super) fn check(messages: &[Message<'_>], language: &Language) -> Result<(), Error> {
    refuse_videos(messages, "Anthropic's")?;
    if !language.addresses {
        refuse_files(messages)?;
    }
    messages.iter().flat_map(|message| &message.parts).try_for_each(|part| match part {
        Part::ToolResult { parts, .. } => parts.iter().try_for_each(|part| check_part(part, language)),
        part => check_part(part, language),
    })
}

fn check_part(part: &Part<'_>, language: &Language) -> Result<(), Error> {
    match part {
        Part::Image { media, .. } | Part::Document { media, .. }
            if !language.addresses && matches!(media, Media::Url(_)) =>
        {
            let message = "Claude on Vertex AI reads images and documents only as data, not by their address";
            Err(Error::bad_request(message, "messages"))
        }
        Part::Audio(_) => Err(Error::bad_request("Anthropic's models do not hear: there is sound in it", "messages")),
        Part::Document { media, .. } => media::check(media),
        _ => Ok(()),
    }
}

/// Writes `system`: what the operator says, wherever it stands, and then `instruction`.
pub(super) fn write_system(request: &Request<'_>, instruction: Option<String>, w: &mut Writer<'_>) {
    let system = request.messages.iter().filter(|message| message.role == Role::System);
    let mut texts = system.flat_map(|message| &message.parts).filter(|part| is_said(part, false)).peekable();
    if texts.peek().is_none() && instruction.is_none() {
        return;
    }
    w.name("system").array(|w| {
        texts.for_each(|part| write_block(part, w));
        if let Some(instruction) = instruction {
            write_text(&Str::plain(&instruction).into(), w);
        }
    });
}

/// Writes `messages`; with thoughts only if it is a model that `thinks`.
///
/// "roles must alternate" and "first message must use the user role": turns of the same role are one, and before an
/// assistant who speaks first stands a full stop, since a text must not be blank.
pub(super) fn write(messages: &[Message<'_>], thinks: bool, w: &mut Writer<'_>) {
    let is_spoken = |message: &&Message<'_>| {
        let is_spoken = |part: &Part<'_>| is_said(part, thinks) && !is_thought(part) && !is_made(message, part);
        message.role != Role::System && message.parts.iter().any(is_spoken)
    };
    let spoken: Vec<&Message<'_>> = messages.iter().filter(is_spoken).collect();
    let mut turns = spoken.chunk_by(|one, next| one.role == next.role).peekable();
    w.name("messages").array(|w| {
        if turns.peek().and_then(|turn| turn.first()).is_none_or(|message| message.role == Role::Assistant) {
            w.object(|w| {
                w.field("role", "user");
                w.field("content", ".");
            });
        }
        while let Some(turn) = turns.next() {
            let parts = turn.iter().flat_map(|message| {
                let thinks = thinks && are_ours(message);
                message.parts.iter().filter(move |part| is_said(part, thinks) && !is_made(message, part))
            });
            match turn.first().map(|message| message.role) {
                Some(Role::Assistant) => write_assistant(parts, turns.peek().is_none(), w),
                _ => write_user(parts, w),
            }
        }
    });
}

/// Thoughts begin a turn or are left out of it: "If an assistant message contains any thinking blocks, the first block must
/// be `thinking` or `redacted_thinking`", "The final block in an assistant message cannot be `thinking`":
/// <https://github.com/anthropics/claude-code/issues/20691>, <https://github.com/tailcallhq/forgecode/pull/3073>.
fn write_assistant<'p>(parts: impl Iterator<Item = &'p Part<'p>> + Clone, is_last: bool, w: &mut Writer<'_>) {
    let thinks = parts.clone().next().is_some_and(is_thought);
    let end = parts.clone().enumerate().filter(|(_, part)| !is_thought(part)).last().map_or(0, |(last, _)| last + 1);
    let mut parts = parts.take(end).filter(|part| thinks || !is_thought(part)).peekable();
    w.object(|w| {
        w.field("role", "assistant");
        w.name("content").array(|w| {
            while let Some(part) = parts.next() {
                match part {
                    // "final assistant content cannot end with trailing whitespace"
                    Part::Text(Text { text, .. }) if is_last && parts.peek().is_none() => w.object(|w| {
                        w.field("type", "text");
                        w.field("text", &Trimmed(text));
                    }),
                    part => write_block(part, w),
                }
            }
        });
    });
}

/// The results of all tools first: "tool_use ids were found without tool_result blocks immediately after". See
/// <https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls>.
fn write_user<'p>(parts: impl Iterator<Item = &'p Part<'p>> + Clone, w: &mut Writer<'_>) {
    let is_result = |part: &&Part<'_>| matches!(part, Part::ToolResult { .. });
    w.object(|w| {
        w.field("role", "user");
        w.name("content").array(|w| {
            parts.clone().filter(is_result).for_each(|part| write_block(part, w));
            parts.filter(|part| !is_result(part) && !is_thought(part)).for_each(|part| write_block(part, w));
        });
    });
}

/// "text content blocks must contain non-whitespace text": those are left out, and so are thoughts that Anthropic did not
/// sign, which it refuses.
pub(super) fn is_said(part: &Part<'_>, thinks: bool) -> bool {
    match part {
        Part::Text(Text { text, .. }) | Part::Refusal(text) => !text.is_blank(),
        Part::Thinking { signature, .. } => thinks && signature.as_ref().is_some_and(|signature| !signature.is_empty()),
        Part::RedactedThinking(_) => thinks,
        _ => true,
    }
}

/// Whether the thoughts in it are Claude's, as far as the client says: "Invalid `signature` in `thinking` block" is what
/// others' get.
pub(super) fn are_ours(message: &Message<'_>) -> bool {
    message.thoughts_by.as_ref().is_none_or(|by| by.is_empty() || *by == THOUGHTS)
}

pub(super) fn is_thought(part: &Part<'_>) -> bool {
    matches!(part, Part::Thinking { .. } | Part::RedactedThinking(_))
}

fn write_block(part: &Part<'_>, w: &mut Writer<'_>) {
    match part {
        Part::Text(text) => write_text(text, w),
        Part::Refusal(text) => write_text(&text.borrow().into(), w),
        Part::Image { media, .. } => media::image(media, w),
        Part::File(id) => media::file(id, w),
        Part::Document { media, name, cited } => media::document(media, name, *cited, w),
        Part::Thinking { text, signature } => w.object(|w| {
            w.field("type", "thinking");
            w.field("thinking", text);
            w.field_some("signature", signature);
        }),
        Part::RedactedThinking(data) => w.object(|w| {
            w.field("type", "redacted_thinking");
            w.field("data", data);
        }),
        Part::ToolCall(call) => w.object(|w| {
            w.field("type", "tool_use");
            w.field("id", &Id(&call.id));
            w.field("name", &call.name);
            w.field("input", &Input(&call.arguments));
        }),
        Part::ToolResult { id, parts, is_error } => w.object(|w| {
            w.field("type", "tool_result");
            w.field("tool_use_id", &Id(id));
            w.name("content").array(|w| write_result(parts, w));
            if *is_error {
                w.field("is_error", &true);
            }
        }),
        Part::Audio(_) | Part::Video(_) | Part::Citation(_) => {}
    }
}

fn write_result(parts: &[Part<'_>], w: &mut Writer<'_>) {
    for part in parts.iter().filter(|part| is_said(part, false)) {
        if matches!(part, Part::Text(_) | Part::Image { .. } | Part::Document { .. } | Part::File(_)) {
            write_block(part, w);
        }
    }
}

fn write_text(text: &Text<'_>, w: &mut Writer<'_>) {
    w.object(|w| {
        w.field("type", "text");
        w.field("text", &text.text);
        w.field_some("cache_control", &text.cache);
    });
}
