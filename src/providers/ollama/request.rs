//! A request in Ollama's words.
//!
//! <https://docs.ollama.com/api/chat>; `options`: <https://docs.ollama.com/modelfile#valid-parameters-and-values>

use super::super::others::{
    drop_cited, drop_description, drop_detail, drop_failures, drop_hints, drop_search, drop_tools,
};
use super::super::{Dropped, Target};
use super::{messages, thinking};
use crate::chat::{Format, Request, Tool, ToolChoice};
use crate::dialect::says_nothing;
use crate::error::Error;
use crate::json::{Kind, Str, Value, Writer};

/// Writes the body for `request` to `out`.
///
/// # Errors
/// There is something in it that Ollama has no word for and that cannot be left out.
pub(super) fn write(request: &Request<'_>, target: &Target<'_>, out: &mut String) -> Result<Dropped, Error> {
    messages::check(&request.messages)?;
    let mut dropped = Dropped::new();
    let others = Others::take(request, &mut dropped)?;
    drop_hints(request, &mut dropped);
    drop_failures(request, &mut dropped);
    drop_cited(request, &mut dropped);
    drop_detail(request, |_| false, &mut dropped);
    drop_search(request, &mut dropped);
    drop_tools(request, |_| false, &mut dropped);
    drop_description(request, &mut dropped);
    Writer::new(out).object(|w| {
        w.field("model", target.model);
        messages::write(&request.messages, w);
        write_tools(request, &mut dropped, w);
        thinking::write(target.model, request.reasoning.as_ref(), &mut dropped, w);
        match &request.format {
            Some(Format::JsonObject) => w.field("format", "json"),
            Some(Format::JsonSchema { schema, .. }) => w.field("format", schema),
            None => {}
        }
        write_options(request, &others, w);
        w.field_some("keep_alive", &others.keep_alive);
        w.field_some("logprobs", &others.logprobs);
        w.field_some("top_logprobs", &others.top_logprobs);
        // It streams unless told not to.
        w.field("stream", &request.stream);
    });
    dropped.sort_unstable();
    dropped.dedup();
    Ok(dropped)
}

/// Members that the vocabulary has no word for, and what they are called among Ollama's `options`.
const OPTIONS: &[(&str, &str)] = &[
    ("seed", "seed"),
    ("top_k", "top_k"),
    ("min_p", "min_p"),
    ("frequency_penalty", "frequency_penalty"),
    ("presence_penalty", "presence_penalty"),
    ("repeat_penalty", "repeat_penalty"),
    ("repetition_penalty", "repeat_penalty"),
    ("num_ctx", "num_ctx"),
];

/// What Ollama knows of the members that the vocabulary has no word for.
#[derive(Default)]
struct Others<'a> {
    options: Vec<(Str<'a>, Value<'a>)>,
    keep_alive: Option<Value<'a>>,
    logprobs: Option<Value<'a>>,
    top_logprobs: Option<Value<'a>>,
}

impl<'a> Others<'a> {
    fn take(request: &Request<'a>, dropped: &mut Dropped) -> Result<Self, Error> {
        let mut taken = Self::default();
        for (name, value) in request.others.iter().filter(|(_, value)| !value.is_null()) {
            match &*name.decode() {
                "n" if value.as_u64() != Some(1) => {
                    return Err(Error::bad_request("Ollama gives one answer to a request, not `n`", "n"));
                }
                "keep_alive" => taken.keep_alive = Some(*value),
                // Ollama's own member; what the client says in OpenAI's words goes first.
                "options" if value.kind() == Kind::Object => taken.options.extend(value.members()),
                name if says_nothing(name, *value) => {}
                "logprobs" => taken.logprobs = Some(*value),
                "top_logprobs" => taken.top_logprobs = Some(*value),
                name => match OPTIONS.iter().find(|(known, _)| *known == name) {
                    Some((_, option)) => taken.options.insert(0, (Str::plain(option), *value)),
                    None => dropped.push(name.to_owned()),
                },
            }
        }
        Ok(taken)
    }
}

fn write_options(request: &Request<'_>, others: &Others<'_>, w: &mut Writer<'_>) {
    let said = [request.temperature.is_some(), request.top_p.is_some(), request.max_tokens.is_some()];
    if !said.contains(&true) && request.stop.is_empty() && others.options.is_empty() {
        return;
    }
    w.name("options").object(|w| {
        w.field_some("temperature", &request.temperature);
        w.field_some("top_p", &request.top_p);
        w.field_some("num_predict", &request.max_tokens);
        if !request.stop.is_empty() {
            w.name("stop").array(|w| request.stop.iter().for_each(|text| w.value(text)));
        }
        let [temperature, top_p, max_tokens] = said;
        for (index, (name, value)) in others.options.iter().enumerate() {
            let name = &*name.decode();
            let is_written = match name {
                "temperature" => temperature,
                "top_p" => top_p,
                "num_predict" => max_tokens,
                "stop" => !request.stop.is_empty(),
                _ => false,
            };
            if !is_written && !others.options.iter().take(index).any(|(other, _)| *other == *name) {
                w.field(name, value);
            }
        }
    });
}

/// There is no `tool_choice`: without tools none can be called, and a tool that has to be called is at least the only one.
/// <https://github.com/ollama/ollama/issues/11171>
fn write_tools(request: &Request<'_>, dropped: &mut Dropped, w: &mut Writer<'_>) {
    let only = match &request.tool_choice {
        Some(ToolChoice::None) => return,
        Some(ToolChoice::Tool(name)) => Some(name).filter(|name| request.tools.iter().any(|tool| tool.name == **name)),
        _ => None,
    };
    let tools = request.tools.iter().filter(|tool| only.is_none_or(|name| tool.name == *name));
    if request.tools.is_empty() {
        return;
    }
    w.name("tools").array(|w| tools.for_each(|tool| write_tool(tool, dropped, w)));
    if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Tool(_))) {
        dropped.push("tool_choice".to_owned());
    }
    if request.parallel_tool_calls == Some(false) {
        dropped.push("parallel_tool_calls".to_owned());
    }
}

fn write_tool(tool: &Tool<'_>, dropped: &mut Dropped, w: &mut Writer<'_>) {
    if tool.strict == Some(true) {
        dropped.push("tools.strict".to_owned());
    }
    w.object(|w| {
        w.field("type", "function");
        w.name("function").object(|w| {
            w.field("name", &tool.name);
            w.field_some("description", &tool.description);
            match tool.parameters.filter(|schema| schema.members().next().is_some()) {
                Some(schema) => w.field("parameters", &schema),
                None => w.name("parameters").object(|w| {
                    w.field("type", "object");
                    w.name("properties").object(|_| ());
                }),
            }
        });
    });
}

#[cfg(test)]
mod tests;
