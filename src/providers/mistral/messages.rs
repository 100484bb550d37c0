//! The conversation: `messages`.
//!
//! <https://docs.mistral.ai/api/endpoint/chat>; the order of turns is in Mistral's own checks:
//! <https://github.com/mistralai/mistral-common/blob/main/src/mistral_common/protocol/instruct/validator.py>

use super::super::Dropped;
use super::super::others::is_made;
use super::super::pieces::{DataUrl, utf8};
use crate::chat::{Arguments, Media, Message, Part, Request, Role, ToolCall};
use crate::dialect::{THOUGHTS_IN_CONTENT, short_id};
use crate::json::{Quoted, Str, Writer};

/// Where clients say that the last message is to be continued.
pub(super) const PREFIX: &str = "messages[].prefix";

/// Writes `messages`: first what the operator says, wherever it stands ("Unexpected role 'system' after role 'assistant'"),
/// then the turns.
pub(super) fn write(request: &Request<'_>, dropped: &mut Dropped, w: &mut Writer<'_>) {
    let (system, spoken): (Vec<_>, Vec<_>) = request.messages.iter().partition(|message| message.role == Role::System);
    w.name("messages").array(|w| {
        for message in system {
            write_said("system", &message.parts.iter().collect::<Vec<_>>(), w);
        }
        let mut after_tool = false;
        for (index, message) in spoken.iter().enumerate() {
            let is_last = index + 1 == spoken.len();
            after_tool = match message.role {
                Role::Assistant => write_assistant(message, is_last, dropped, w) && after_tool,
                _ => write_user(message, after_tool, w),
            };
        }
    });
}

/// What the model is taken to have said to results of tools before the user goes on: "Unexpected role 'user' after role
/// 'tool'" (<https://github.com/zed-industries/zed/issues/37021>).
const BETWEEN: &str = "OK";

/// Results of tools are messages of their own, before what else the user says. Whether the last of what was written is such.
fn write_user(message: &Message<'_>, after_tool: bool, w: &mut Writer<'_>) -> bool {
    let (results, said): (Vec<_>, Vec<_>) =
        message.parts.iter().partition(|part| matches!(part, Part::ToolResult { .. }));
    for result in &results {
        if let Part::ToolResult { id, parts, .. } = result {
            w.object(|w| {
                w.field("role", "tool");
                w.field("tool_call_id", short_id(&id.decode()).as_str());
                write_content(&parts.iter().collect::<Vec<_>>(), w);
            });
        }
    }
    if said.is_empty() && !results.is_empty() {
        return true;
    }
    if after_tool || !results.is_empty() {
        w.object(|w| {
            w.field("role", "assistant");
            w.field("content", BETWEEN);
        });
    }
    write_said("user", &said, w);
    false
}

fn write_said(role: &str, parts: &[&Part<'_>], w: &mut Writer<'_>) {
    w.object(|w| {
        w.field("role", role);
        write_content(parts, w);
    });
}

/// A turn of the model's: if it is the last thing said, the answer goes on where it ends ("Expected last role User or Tool (or
/// Assistant with prefix True)"). A turn in which nothing was said is left out, as Mistral refuses it: `true`.
fn write_assistant(message: &Message<'_>, is_last: bool, dropped: &mut Dropped, w: &mut Writer<'_>) -> bool {
    let thoughts = Thoughts::of(message, dropped);
    let content: Vec<_> =
        message.parts.iter().filter(|part| is_said(part, thoughts) && !is_made(message, part)).collect();
    let calls: Vec<_> = message
        .parts
        .iter()
        .filter_map(|part| if let Part::ToolCall(call) = part { Some(call) } else { None })
        .collect();
    if content.is_empty() && calls.is_empty() {
        return true;
    }
    w.object(|w| {
        w.field("role", "assistant");
        match content.as_slice() {
            [Part::Text(text)] => w.field("content", &text.text),
            [Part::Refusal(text)] => w.field("content", text),
            [] => w.field("content", ""),
            parts => w.name("content").array(|w| {
                parts.iter().for_each(|part| match part {
                    Part::Thinking { text, signature } => write_thought(text, signature.as_ref(), thoughts, w),
                    part => write_chunk(part, w),
                });
            }),
        }
        if !calls.is_empty() {
            w.name("tool_calls").array(|w| calls.iter().for_each(|call| write_call(call, w)));
        } else if is_last {
            w.field("prefix", &true);
        }
    });
    false
}

/// Whose the thoughts of a turn are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thoughts {
    Own,
    /// The client does not say: it may have them from anybody, and their signatures with them.
    Anyones,
    Foreign,
}

impl Thoughts {
    /// Names what Mistral is not shown in `dropped`.
    fn of(message: &Message<'_>, dropped: &mut Dropped) -> Self {
        let whose = match &message.thoughts_by {
            Some(by) if *by == THOUGHTS_IN_CONTENT => Self::Own,
            Some(by) if !by.is_empty() => Self::Foreign,
            _ => Self::Anyones,
        };
        let is_lost = |part: &Part<'_>| match part {
            Part::RedactedThinking(_) => true,
            Part::Thinking { signature, .. } => {
                whose == Self::Foreign || whose == Self::Anyones && signature.as_ref().is_some_and(|s| !s.is_empty())
            }
            _ => false,
        };
        if message.parts.iter().any(is_lost) {
            dropped.push("messages[].reasoning_details".to_owned());
        }
        whose
    }
}

fn is_said(part: &Part<'_>, thoughts: Thoughts) -> bool {
    match part {
        Part::Text(text) => !text.text.is_empty(),
        Part::Refusal(text) => !text.is_empty(),
        Part::Thinking { text, signature } => {
            let is_signed = thoughts == Thoughts::Own && signature.is_some();
            thoughts != Thoughts::Foreign && (!text.is_empty() || is_signed)
        }
        Part::Image { .. } | Part::Document { .. } | Part::Audio(_) | Part::File(_) => true,
        _ => false,
    }
}

fn write_thought(text: &Str<'_>, signature: Option<&Str<'_>>, thoughts: Thoughts, w: &mut Writer<'_>) {
    w.object(|w| {
        w.field("type", "thinking");
        w.name("thinking").array(|w| {
            w.object(|w| {
                w.field("type", "text");
                w.field("text", text);
            });
        });
        w.field_some("signature", &signature.filter(|_| thoughts == Thoughts::Own));
    });
}

/// A single text as it is, other things as chunks.
fn write_content(parts: &[&Part<'_>], w: &mut Writer<'_>) {
    match parts {
        [] => w.field("content", ""),
        [Part::Text(text)] => w.field("content", &text.text),
        parts => w.name("content").array(|w| parts.iter().for_each(|part| write_chunk(part, w))),
    }
}

fn write_chunk(part: &Part<'_>, w: &mut Writer<'_>) {
    match part {
        Part::Text(text) => write_text(&text.text, w),
        Part::Refusal(text) => write_text(text, w),
        Part::Image { media, detail } => write_image(media, detail.as_ref(), w),
        Part::Document { media, name, .. } => write_document(media, name.as_ref(), w),
        Part::File(id) => w.object(|w| {
            w.field("type", "file");
            w.field("file_id", id);
        }),
        Part::Audio(media) => w.object(|w| {
            w.field("type", "input_audio");
            match media {
                Media::Base64 { data, .. } => w.field("input_audio", data),
                Media::Url(url) => w.field("input_audio", url),
            }
        }),
        _ => {}
    }
}

fn write_text(text: &Str<'_>, w: &mut Writer<'_>) {
    w.object(|w| {
        w.field("type", "text");
        w.field("text", text);
    });
}

fn write_image(media: &Media<'_>, detail: Option<&Str<'_>>, w: &mut Writer<'_>) {
    w.object(|w| {
        w.field("type", "image_url");
        w.name("image_url").object(|w| {
            w.field("url", &DataUrl(media));
            w.field_some("detail", &detail.filter(|word| **word == "low" || **word == "high"));
        });
    });
}

/// Documents are read by way of their pages (<https://docs.mistral.ai/capabilities/document_ai/document_qna>), so that what
/// is text already is said as such.
fn write_document(media: &Media<'_>, name: Option<&Str<'_>>, w: &mut Writer<'_>) {
    if let Media::Base64 { media_type, data } = media {
        let media_type = media_type.decode();
        if media_type.starts_with("image/") {
            return write_image(media, None, w);
        }
        let is_text = media_type.starts_with("text/") || media_type == "application/json";
        if let Some(text) = utf8(data).filter(|_| is_text) {
            let text = name.map_or(text.clone(), |name| format!("{}:\n{text}", name.decode()));
            return write_text(&Str::plain(&text), w);
        }
    }
    w.object(|w| {
        w.field("type", "document_url");
        w.field("document_url", &DataUrl(media));
        w.field_some("document_name", &name);
    });
}

fn write_call(call: &ToolCall<'_>, w: &mut Writer<'_>) {
    w.object(|w| {
        w.field("id", short_id(&call.id.decode()).as_str());
        w.field("type", "function");
        w.name("function").object(|w| {
            w.field("name", &call.name);
            match &call.arguments {
                Arguments::Object(value) => w.field("arguments", &Quoted(*value)),
                Arguments::Text(text) if text.is_blank() => w.field("arguments", "{}"),
                Arguments::Text(text) => w.field("arguments", text),
            }
        });
    });
}
