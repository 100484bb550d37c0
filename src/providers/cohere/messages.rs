//! The conversation: `messages`.
//!
//! <https://docs.cohere.com/v2/docs/chat-api>, <https://docs.cohere.com/v2/docs/tool-use-overview>

use super::super::others::{is_made, refuse_files, refuse_videos};
use super::super::pieces::DataUrl;
use crate::chat::{Arguments, Media, Message, Part, Request, Role, ToolCall};
use crate::error::Error;
use crate::json::{Quoted, Str, Writer};

/// Whether all of it can be said to Cohere.
///
/// # Errors
/// It cannot: the first part that is in the way.
pub(super) fn check(messages: &[Message<'_>]) -> Result<(), Error> {
    refuse_files(messages)?;
    refuse_videos(messages, "Cohere's")?;
    let refuse = |message: &str| Err(Error::bad_request(message, "messages"));
    let check_part = |part: &Part<'_>| match part {
        Part::Audio(_) => refuse("Cohere's models do not hear: there is sound in it"),
        Part::Document { media, .. } if !is_image(media) => {
            refuse("Cohere's models read texts and images, not other files")
        }
        _ => Ok(()),
    };
    messages.iter().flat_map(|message| &message.parts).try_for_each(|part| match part {
        Part::ToolResult { parts, .. } => parts.iter().try_for_each(|part| match part {
            // "content: string or list of text or document blocks"
            Part::Image { .. } | Part::Document { .. } => refuse("Cohere takes texts for results of tools, not images"),
            part => check_part(part),
        }),
        part => check_part(part),
    })
}

/// Writes `messages`: first what the operator says, wherever it stands, and `instruction` ("system turn must be the first
/// in the list"); then the turns, with thoughts among the blocks only if it is a model that `thinks`.
pub(super) fn write(request: &Request<'_>, instruction: Option<&str>, thinks: bool, w: &mut Writer<'_>) {
    let (system, spoken): (Vec<_>, Vec<_>) = request.messages.iter().partition(|message| message.role == Role::System);
    w.name("messages").array(|w| {
        let instruction = instruction.map(|text| Part::Text(Str::plain(text).into()));
        let parts = system.iter().flat_map(|message| &message.parts).chain(&instruction);
        let parts: Vec<_> = parts.filter(|part| is_said(part)).collect();
        if !parts.is_empty() {
            w.object(|w| {
                w.field("role", "system");
                write_content(&parts, w);
            });
        }
        for message in spoken {
            match message.role {
                Role::Assistant => write_assistant(message, thinks, w),
                _ => write_user(message, w),
            }
        }
    });
}

/// Results of tools are messages of their own, before what else the user says.
fn write_user(message: &Message<'_>, w: &mut Writer<'_>) {
    for part in &message.parts {
        if let Part::ToolResult { id, parts, .. } = part {
            w.object(|w| {
                w.field("role", "tool");
                w.field("tool_call_id", id);
                write_content(&parts.iter().filter(|part| is_said(part)).collect::<Vec<_>>(), w);
            });
        }
    }
    let parts: Vec<_> = message.parts.iter().filter(|part| is_said(part)).collect();
    if !parts.is_empty() {
        w.object(|w| {
            w.field("role", "user");
            write_content(&parts, w);
        });
    }
}

/// What was thought before tools were called goes back as `tool_plan`, which every model knows; as blocks of `content` to
/// the models that have such. Other models need not know what they, or others, thought in turns that are over.
fn write_assistant(message: &Message<'_>, thinks: bool, w: &mut Writer<'_>) {
    let calls: Vec<_> = message.parts.iter().filter(|part| matches!(part, Part::ToolCall(_))).collect();
    let is_thought = |part: &Part<'_>| matches!(part, Part::Thinking { text, .. } if !text.is_blank());
    let is_told = |part: &&Part<'_>| is_said(part) && !is_made(message, part) || thinks && is_thought(part);
    let content = message.parts.iter().filter(is_told);
    let content: Vec<_> = content.collect();
    if content.is_empty() && calls.is_empty() {
        return;
    }
    w.object(|w| {
        w.field("role", "assistant");
        if !content.is_empty() {
            write_content(&content, w);
        }
        if calls.is_empty() {
            return;
        }
        let thoughts = message.parts.iter().filter_map(|part| match part {
            Part::Thinking { text, .. } if !thinks && is_thought(part) => Some(text),
            _ => None,
        });
        if thoughts.clone().next().is_some() {
            w.field("tool_plan", &Str::join(thoughts, &Str::plain("\n")));
        }
        w.name("tool_calls").array(|w| {
            for part in calls {
                if let Part::ToolCall(call) = part {
                    write_call(call, w);
                }
            }
        });
    });
}

/// "message must not be empty in a turn": blank texts are left out.
fn is_said(part: &Part<'_>) -> bool {
    match part {
        Part::Text(text) => !text.text.is_blank(),
        Part::Refusal(text) => !text.is_blank(),
        Part::Image { .. } | Part::Document { .. } => true,
        _ => false,
    }
}

/// A single text as it is, other things as blocks.
fn write_content(parts: &[&Part<'_>], w: &mut Writer<'_>) {
    match parts {
        [] => w.field("content", ""),
        [Part::Text(text)] => w.field("content", &text.text),
        [Part::Refusal(text)] => w.field("content", text),
        parts => w.name("content").array(|w| parts.iter().for_each(|part| write_block(part, w))),
    }
}

fn write_block(part: &Part<'_>, w: &mut Writer<'_>) {
    w.object(|w| match part {
        Part::Text(text) => write_member("text", &text.text, w),
        Part::Refusal(text) => write_member("text", text, w),
        Part::Thinking { text, .. } => write_member("thinking", text, w),
        Part::Image { media, detail } => write_image(media, detail.as_ref(), w),
        Part::Document { media, .. } => write_image(media, None, w),
        _ => {}
    });
}

fn write_image(media: &Media<'_>, detail: Option<&Str<'_>>, w: &mut Writer<'_>) {
    w.field("type", "image_url");
    w.name("image_url").object(|w| {
        w.field("url", &DataUrl(media));
        w.field_some("detail", &detail.filter(|word| **word == "low" || **word == "high"));
    });
}

fn write_member(kind: &str, text: &Str<'_>, w: &mut Writer<'_>) {
    w.field("type", kind);
    w.field(kind, text);
}

fn write_call(call: &ToolCall<'_>, w: &mut Writer<'_>) {
    w.object(|w| {
        w.field("id", &call.id);
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

fn is_image(media: &Media<'_>) -> bool {
    matches!(media, Media::Base64 { media_type, .. } if media_type.decode().starts_with("image/"))
}
