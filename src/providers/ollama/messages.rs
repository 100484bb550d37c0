//! The conversation: `messages`.
//!
//! <https://docs.ollama.com/api/chat>: `content` is one text, and `images` stand beside it, so that texts are joined, line by
//! line, and the order of texts and images is lost.

use super::super::others::{refuse_files, refuse_videos};
use super::super::pieces::Input;
use crate::chat::{Media, Message, Part, Role, ToolCall};
use crate::error::Error;
use crate::json::{Str, Writer};

/// Whether all of it can be said to Ollama.
///
/// # Errors
/// It cannot: the first part that is in the way.
pub(super) fn check(messages: &[Message<'_>]) -> Result<(), Error> {
    refuse_files(messages)?;
    refuse_videos(messages, "Ollama's")?;
    messages.iter().flat_map(|message| &message.parts).try_for_each(|part| match part {
        Part::ToolResult { parts, .. } => parts.iter().try_for_each(check_part),
        part => check_part(part),
    })
}

fn check_part(part: &Part<'_>) -> Result<(), Error> {
    let refuse = |message: &str| Err(Error::bad_request(message, "messages"));
    match part {
        Part::Image { media: Media::Url(_), .. } => {
            refuse("Ollama takes images in the request only, and the gateway does not fetch them: send a data URL")
        }
        Part::Document { media, .. } if image(media).is_none() => {
            refuse("Ollama's models read texts and images, not other files")
        }
        Part::Audio(_) => refuse("Ollama's models do not hear: there is sound in it"),
        _ => Ok(()),
    }
}

/// Writes `messages`.
pub(super) fn write(messages: &[Message<'_>], w: &mut Writer<'_>) {
    w.name("messages").array(|w| messages.iter().for_each(|message| write_message(messages, message, w)));
}

/// Results of tools are messages of their own, before what else the user says.
fn write_message(messages: &[Message<'_>], message: &Message<'_>, w: &mut Writer<'_>) {
    let mut rest = message.parts.is_empty();
    for part in &message.parts {
        match part {
            Part::ToolResult { id, parts, .. } => w.object(|w| {
                w.field("role", "tool");
                write_content(parts, w);
                w.field_some("tool_name", &name_of(messages, id));
                w.field("tool_call_id", id);
            }),
            _ => rest = true,
        }
    }
    if !rest {
        return;
    }
    w.object(|w| {
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        w.field("role", role);
        write_content(&message.parts, w);
        let thoughts = message.parts.iter().filter_map(|part| match part {
            Part::Thinking { text, .. } if !text.is_empty() => Some(text),
            _ => None,
        });
        let thoughts = Str::join(thoughts, &line_end());
        if !thoughts.is_empty() {
            w.field("thinking", &thoughts);
        }
        let calls = message.parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        });
        if calls.clone().next().is_some() {
            w.name("tool_calls").array(|w| calls.for_each(|call| write_call(call, w)));
        }
    });
}

/// `content` and `images`.
fn write_content(parts: &[Part<'_>], w: &mut Writer<'_>) {
    let mut texts = parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(&text.text),
        Part::Refusal(text) => Some(text),
        _ => None,
    });
    match (texts.next(), texts.next()) {
        (None, _) => w.field("content", ""),
        (Some(text), None) => w.field("content", text),
        (Some(first), Some(second)) => {
            w.field("content", &Str::join([first, second].into_iter().chain(texts), &line_end()));
        }
    }
    let images = parts.iter().filter_map(|part| match part {
        Part::Image { media, .. } | Part::Document { media, .. } => image(media),
        _ => None,
    });
    if images.clone().next().is_some() {
        w.name("images").array(|w| images.for_each(|data| w.value(data)));
    }
}

/// The base64 of an image.
fn image<'m>(media: &'m Media<'_>) -> Option<&'m Str<'m>> {
    match media {
        Media::Base64 { media_type, data } if media_type.decode().starts_with("image/") => Some(data),
        _ => None,
    }
}

/// Older servers find the call of a result by the tool's name only.
fn name_of<'m>(messages: &'m [Message<'_>], id: &Str<'_>) -> Option<&'m Str<'m>> {
    messages.iter().rev().flat_map(|message| &message.parts).find_map(|part| match part {
        Part::ToolCall(call) if call.id == *id => Some(&call.name),
        _ => None,
    })
}

fn write_call(call: &ToolCall<'_>, w: &mut Writer<'_>) {
    w.object(|w| {
        w.field("id", &call.id);
        w.name("function").object(|w| {
            w.field("name", &call.name);
            w.field("arguments", &Input(&call.arguments));
        });
    });
}

fn line_end() -> Str<'static> {
    Str::plain("\n")
}
