//! What several translators have no word for.

use super::Dropped;
use crate::chat::{Format, Media, Message, Part, Request, Role, ServerTool};
use crate::error::Error;
use crate::json::Str;

/// Names what a provider without a word for end users, tiers of service and cache markers leaves out.
pub(super) fn drop_hints(request: &Request<'_>, dropped: &mut Dropped) {
    let tier = request.service_tier.as_ref().is_some_and(|tier| *tier != "auto" && *tier != "default");
    dropped.extend(tier.then(|| "service_tier".to_owned()));
    drop_user(request, dropped);
    drop_marks(request, dropped);
}

/// Names the end user.
pub(super) fn drop_user(request: &Request<'_>, dropped: &mut Dropped) {
    dropped.extend(request.user.is_some().then(|| "user".to_owned()));
}

/// Names cache markers.
pub(super) fn drop_marks(request: &Request<'_>, dropped: &mut Dropped) {
    let marked = has(&request.messages, |part| matches!(part, Part::Text(text) if text.cache.is_some()));
    for (is_said, name) in [
        (marked, "messages[].content[].cache_control"),
        (request.tools.iter().any(|tool| tool.cache.is_some()), "tools.cache_control"),
    ] {
        dropped.extend(is_said.then(|| name.to_owned()));
    }
}

/// Refuses files that were uploaded beforehand, where the provider cannot be told of them.
///
/// # Errors
/// There is one.
pub(super) fn refuse_files(messages: &[Message<'_>]) -> Result<(), Error> {
    let message = "files uploaded beforehand cannot be used with this model; send file_data";
    refuse(messages, |part| matches!(part, Part::File(_)), message)
}

/// Refuses videos, where the models of `whose` do not watch any.
///
/// # Errors
/// There is one.
pub(super) fn refuse_videos(messages: &[Message<'_>], whose: &str) -> Result<(), Error> {
    let is_video = |part: &Part<'_>| match part {
        Part::Video(_) => true,
        Part::Document { media: Media::Base64 { media_type, .. }, .. } => media_type.decode().starts_with("video/"),
        _ => false,
    };
    refuse(messages, is_video, &format!("{whose} models do not watch: there is a video in it"))
}

fn refuse(messages: &[Message<'_>], is_strange: impl Fn(&Part<'_>) -> bool, message: &str) -> Result<(), Error> {
    if has(messages, is_strange) { Err(Error::bad_request(message, "messages")) } else { Ok(()) }
}

/// Whether there is such a part, also in results of tools.
fn has(messages: &[Message<'_>], is_such: impl Fn(&Part<'_>) -> bool) -> bool {
    messages.iter().flat_map(|message| &message.parts).any(|part| match part {
        Part::ToolResult { parts, .. } => parts.iter().any(&is_such),
        part => is_such(part),
    })
}

/// Names the tools that a provider would have to run itself, and does not know: all but those that it `knows`.
pub(super) fn drop_tools(request: &Request<'_>, knows: impl Fn(&ServerTool<'_>) -> bool, dropped: &mut Dropped) {
    for tool in request.server_tools.iter().filter(|tool| !knows(tool)) {
        let kind: String = tool.kind.decode().chars().take(64).collect();
        dropped.push(format!("tools.{kind}"));
    }
}

/// Names the search that a provider cannot do.
pub(super) fn drop_search(request: &Request<'_>, dropped: &mut Dropped) {
    dropped.extend(request.web_search.is_some().then(|| "web_search_options".to_owned()));
}

/// Names that documents are to be cited, where a provider does not do so.
pub(super) fn drop_cited(request: &Request<'_>, dropped: &mut Dropped) {
    let cited = has(&request.messages, |part| matches!(part, Part::Document { cited: true, .. }));
    dropped.extend(cited.then(|| "messages[].content[].citations".to_owned()));
}

/// Names what of a schema is not said where only the schema is.
pub(super) fn drop_description(request: &Request<'_>, dropped: &mut Dropped) {
    if matches!(&request.format, Some(Format::JsonSchema { description: Some(_), .. })) {
        dropped.push("response_format.json_schema.description".to_owned());
    }
}

/// Names how closely images are to be looked at, where a provider has no word for that: all but those that it `knows`.
pub(super) fn drop_detail(request: &Request<'_>, knows: impl Fn(&str) -> bool, dropped: &mut Dropped) {
    let is_strange =
        |part: &Part<'_>| matches!(part, Part::Image { detail: Some(detail), .. } if !knows(&detail.decode()));
    if has(&request.messages, is_strange) {
        dropped.push("messages[].content[].image_url.detail".to_owned());
    }
}

/// Names that a tool failed, where a provider has no word for that: its text says why.
pub(super) fn drop_failures(request: &Request<'_>, dropped: &mut Dropped) {
    let failed = |part: &Part<'_>| matches!(part, Part::ToolResult { is_error: true, .. });
    if request.messages.iter().flat_map(|message| &message.parts).any(failed) {
        dropped.push("messages[].is_error".to_owned());
    }
}

/// Whether it is a file among what the model itself has said, which only providers can be told of whose models make such.
pub(super) fn is_made(message: &Message<'_>, part: &Part<'_>) -> bool {
    message.role == Role::Assistant && matches!(part, Part::Image { .. } | Part::Audio(_) | Part::Document { .. })
}

/// Names those files, where they are left out.
pub(super) fn drop_made(request: &Request<'_>, dropped: &mut Dropped) {
    let has_any = |message: &Message<'_>| message.parts.iter().any(|part| is_made(message, part));
    dropped.extend(request.messages.iter().any(has_any).then(|| "messages[].images".to_owned()));
}

/// The names of the tools that were called in the conversation, each once; `None` if it has nothing to do with tools.
pub(super) fn past_calls<'a>(request: &Request<'a>) -> Option<Vec<Str<'a>>> {
    let mut names: Vec<Str<'a>> = Vec::new();
    let mut results = false;
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        match part {
            Part::ToolCall(call) if !names.contains(&call.name) => names.push(call.name.clone()),
            Part::ToolResult { .. } => results = true,
            _ => {}
        }
    }
    if names.is_empty() && results {
        names.push(Str::plain("tool"));
    }
    (!names.is_empty()).then_some(names)
}
