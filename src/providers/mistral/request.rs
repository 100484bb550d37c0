//! A request in Mistral's words.
//!
//! <https://docs.mistral.ai/api/endpoint/chat>

use super::super::others::{
    drop_cited, drop_detail, drop_failures, drop_made, drop_marks, drop_search, drop_tools, drop_user, refuse_videos,
};
use super::super::pieces::Schema;
use super::super::{Dropped, Target};
use super::{effort, messages};
use crate::chat::{Format, Request, ServerTool, Tool, ToolChoice};
use crate::dialect::says_nothing;
use crate::error::Error;
use crate::json::{Str, Value, Writer};

/// Writes the body for `request` to `out`.
///
/// # Errors
/// There is something in it that Mistral has no word for and that cannot be left out.
pub(super) fn write(request: &Request<'_>, target: &Target<'_>, out: &mut String) -> Result<Dropped, Error> {
    refuse_videos(&request.messages, "Mistral's")?;
    let mut dropped = Dropped::new();
    let others = others(request, &mut dropped);
    drop_user(request, &mut dropped);
    drop_marks(request, &mut dropped);
    drop_failures(request, &mut dropped);
    drop_made(request, &mut dropped);
    drop_cited(request, &mut dropped);
    drop_detail(request, |detail| matches!(detail, "low" | "high"), &mut dropped);
    drop_search(request, &mut dropped);
    drop_tools(request, knows, &mut dropped);
    Writer::new(out).object(|w| {
        w.field("model", target.model);
        messages::write(request, &mut dropped, w);
        write_tools(request, w);
        write_format(request.format.as_ref(), w);
        effort::write(target.model, request.reasoning.as_ref(), &mut dropped, w);
        w.field_some("max_tokens", &request.max_tokens);
        w.field_some("temperature", &request.temperature);
        w.field_some("top_p", &request.top_p);
        if !request.stop.is_empty() {
            w.name("stop").array(|w| request.stop.iter().for_each(|text| w.value(text)));
        }
        w.field_some("service_tier", &service_tier(request.service_tier.as_ref(), &mut dropped));
        for (name, value) in &others {
            w.field(name, value);
        }
        // Usage comes at the end of streams, unasked.
        w.field("stream", &request.stream);
    });
    dropped.sort_unstable();
    dropped.dedup();
    Ok(dropped)
}

/// Members that the vocabulary has no word for, and what Mistral calls them.
const OTHERS: &[(&str, &str)] = &[
    ("frequency_penalty", "frequency_penalty"),
    ("guardrails", "guardrails"),
    ("logprobs", "logprobs"),
    ("metadata", "metadata"),
    ("min_tokens", "min_tokens"),
    ("n", "n"),
    ("prediction", "prediction"),
    ("presence_penalty", "presence_penalty"),
    ("prompt_cache_key", "prompt_cache_key"),
    ("prompt_logprobs", "prompt_logprobs"),
    ("prompt_mode", "prompt_mode"),
    ("random_seed", "random_seed"),
    ("repetition_penalty", "repetition_penalty"),
    ("safe_prompt", "safe_prompt"),
    ("seed", "random_seed"),
    ("top_k", "top_k"),
    ("top_logprobs", "top_logprobs"),
    ("top_prompt_logprobs", "top_prompt_logprobs"),
];

/// What of them the request has, by Mistral's names, each once.
fn others<'a>(request: &Request<'a>, dropped: &mut Dropped) -> Vec<(&'static str, Value<'a>)> {
    let mut taken: Vec<(&str, Value<'_>)> = Vec::new();
    for (name, value) in request.others.iter().filter(|(_, value)| !value.is_null()) {
        let name = &*name.decode();
        match OTHERS.iter().find(|(known, _)| *known == name) {
            Some((_, own)) if !taken.iter().any(|(other, _)| other == own) => taken.push((own, *value)),
            // The last message is continued whenever it is the model's own.
            None if name == messages::PREFIX => {}
            None if says_nothing(name, *value) => {}
            _ => dropped.push(name.to_owned()),
        }
    }
    taken
}

/// What Mistral runs itself, by the `type`.
fn knows(tool: &ServerTool<'_>) -> bool {
    ["connector", "document_library", "image_generation"].iter().any(|kind| tool.kind == **kind)
}

fn write_tools(request: &Request<'_>, w: &mut Writer<'_>) {
    let mut own = request.server_tools.iter().filter(|tool| knows(tool)).peekable();
    if request.tools.is_empty() && own.peek().is_none() {
        return;
    }
    w.name("tools").array(|w| {
        request.tools.iter().for_each(|tool| write_tool(tool, w));
        own.for_each(|tool| w.value(&tool.value));
    });
    match &request.tool_choice {
        None => {}
        Some(ToolChoice::Auto) => w.field("tool_choice", "auto"),
        Some(ToolChoice::None) => w.field("tool_choice", "none"),
        Some(ToolChoice::Required) => w.field("tool_choice", "any"),
        Some(ToolChoice::Tool(name)) => w.name("tool_choice").object(|w| {
            w.field("type", "function");
            w.name("function").object(|w| w.field("name", name));
        }),
    }
    w.field_some("parallel_tool_calls", &request.parallel_tool_calls);
}

/// `parameters` has to be there.
fn write_tool(tool: &Tool<'_>, w: &mut Writer<'_>) {
    w.object(|w| {
        w.field("type", "function");
        w.name("function").object(|w| {
            w.field("name", &tool.name);
            w.field_some("description", &tool.description);
            w.field("parameters", &Schema(tool.parameters));
            w.field_some("strict", &tool.strict);
        });
    });
}

fn write_format(format: Option<&Format<'_>>, w: &mut Writer<'_>) {
    let Some(format) = format else { return };
    w.name("response_format").object(|w| match format {
        Format::JsonObject => w.field("type", "json_object"),
        Format::JsonSchema { name, description, schema, strict } => {
            w.field("type", "json_schema");
            w.name("json_schema").object(|w| {
                w.field("name", name);
                w.field_some("description", description);
                w.field("schema", schema);
                w.field("strict", strict);
            });
        }
    });
}

/// "auto" is priority where there is some, as it is with `service_tier` left out; what OpenAI calls `default` is never that.
fn service_tier(tier: Option<&Str<'_>>, dropped: &mut Dropped) -> Option<&'static str> {
    match &*tier?.decode() {
        "auto" | "priority" => Some("auto"),
        "default" | "standard" | "standard_only" => Some("standard_only"),
        _ => {
            dropped.push("service_tier".to_owned());
            None
        }
    }
}

#[cfg(test)]
mod tests;
