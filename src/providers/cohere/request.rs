//! A request in Cohere's words.
//!
//! <https://docs.cohere.com/reference/chat>

use super::super::others::{
    drop_cited, drop_description, drop_detail, drop_failures, drop_hints, drop_made, drop_search, drop_tools,
};
use super::super::pieces;
use super::super::{Dropped, Target};
use super::messages;
use crate::chat::{Format, Reasoning, Request, Tool, ToolChoice};
use crate::dialect::says_nothing;
use crate::error::Error;
use crate::json::{Str, Value, Writer};

/// Writes the body for `request` to `out`.
///
/// # Errors
/// There is something in it that Cohere has no word for and that cannot be left out.
pub(super) fn write(request: &Request<'_>, target: &Target<'_>, out: &mut String) -> Result<Dropped, Error> {
    messages::check(&request.messages)?;
    let mut dropped = Dropped::new();
    let tools = tools(request)?;
    let others = others(request, &mut dropped)?;
    drop_hints(request, &mut dropped);
    drop_failures(request, &mut dropped);
    drop_made(request, &mut dropped);
    drop_cited(request, &mut dropped);
    drop_detail(request, |detail| matches!(detail, "low" | "high"), &mut dropped);
    drop_search(request, &mut dropped);
    drop_tools(request, |_| false, &mut dropped);
    let instruction = instruction(request, &mut dropped);
    Writer::new(out).object(|w| {
        w.field("model", target.model);
        messages::write(request, instruction.as_deref(), thinks(target.model), w);
        write_tools(request, &tools, &mut dropped, w);
        if instruction.is_none() {
            drop_description(request, &mut dropped);
            write_format(request.format.as_ref(), w);
        }
        write_thinking(target.model, request.reasoning.as_ref(), &mut dropped, w);
        w.field_some("max_tokens", &request.max_tokens);
        write_sampling(request, &mut dropped, w);
        write_stop(&request.stop, &mut dropped, w);
        for (name, value) in &others {
            w.field(name, value);
        }
        w.field("stream", &request.stream);
    });
    dropped.sort_unstable();
    dropped.dedup();
    Ok(dropped)
}

/// Whether it is a model that has thoughts in its `content`: <https://docs.cohere.com/docs/reasoning>
fn thinks(model: &str) -> bool {
    model.contains("reasoning") || model.contains("command-a-plus")
}

/// What Cohere knows of the members that the vocabulary has no word for, by Cohere's names.
fn others<'a>(request: &Request<'a>, dropped: &mut Dropped) -> Result<Vec<(&'static str, Value<'a>)>, Error> {
    let mut taken = Vec::new();
    let within = |value: Value<'_>, most: f64| value.as_f64().is_some_and(|value| (0.0..=most).contains(&value));
    for (name, value) in request.others.iter().filter(|(_, value)| !value.is_null()) {
        match &*name.decode() {
            "n" if value.as_u64() != Some(1) => {
                return Err(Error::bad_request("Cohere gives one answer to a request, not `n`", "n"));
            }
            name if says_nothing(name, *value) => {}
            "seed" if value.as_u64().is_some() => taken.push(("seed", *value)),
            "top_k" if within(*value, 500.0) => taken.push(("k", *value)),
            "frequency_penalty" if within(*value, 1.0) => taken.push(("frequency_penalty", *value)),
            "presence_penalty" if within(*value, 1.0) => taken.push(("presence_penalty", *value)),
            // "Safety modes are not yet configurable in combination with `tools`"
            "safety_mode" if request.tools.is_empty() => taken.push(("safety_mode", *value)),
            "documents" => taken.push(("documents", *value)),
            "citation_options" => taken.push(("citation_options", *value)),
            "priority" => taken.push(("priority", *value)),
            "logprobs" => taken.push(("logprobs", *value)),
            name => dropped.push(name.to_owned()),
        }
    }
    // "cannot specify both frequency_penalty and presence_penalty"
    if taken.iter().any(|(name, _)| *name == "frequency_penalty") {
        taken.retain(|(name, _)| {
            let is_second = *name == "presence_penalty";
            dropped.extend(is_second.then(|| (*name).to_owned()));
            !is_second
        });
    }
    Ok(taken)
}

/// The tools that may be called. None can be forced by name: one that has to be called is the only one that is sent, and
/// calling one is required, which comes to the same.
fn tools<'r>(request: &'r Request<'r>) -> Result<Vec<&'r Tool<'r>>, Error> {
    let Some(ToolChoice::Tool(name)) = &request.tool_choice else { return Ok(request.tools.iter().collect()) };
    let only: Vec<_> = request.tools.iter().filter(|tool| tool.name == *name).take(1).collect();
    if only.is_empty() {
        let message = format!("tool_choice names `{}`, which is not among the tools", name.decode());
        return Err(Error::bad_request(message, "tool_choice"));
    }
    Ok(only)
}

/// `strict_tools` is said of all tools at once, and "you must specify at least one required parameter":
/// <https://docs.cohere.com/v2/docs/parameter-types-in-tool-use>
fn write_tools(request: &Request<'_>, tools: &[&Tool<'_>], dropped: &mut Dropped, w: &mut Writer<'_>) {
    if tools.is_empty() {
        return;
    }
    w.name("tools").array(|w| tools.iter().for_each(|tool| write_tool(tool, w)));
    let can_be_strict = |tool: &&Tool<'_>| {
        let required = tool.parameters.and_then(|schema| schema.get("required"));
        tool.strict == Some(true) && required.is_some_and(|names| names.elements().next().is_some())
    };
    if tools.iter().all(can_be_strict) {
        w.field("strict_tools", &true);
    } else if tools.iter().any(|tool| tool.strict == Some(true)) {
        dropped.push("tools.strict".to_owned());
    }
    match request.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Tool(_)) => w.field("tool_choice", "REQUIRED"),
        Some(ToolChoice::None) => w.field("tool_choice", "NONE"),
        Some(ToolChoice::Auto) | None => {}
    }
    if request.parallel_tool_calls == Some(false) {
        dropped.push("parallel_tool_calls".to_owned());
    }
}

fn write_tool(tool: &Tool<'_>, w: &mut Writer<'_>) {
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

/// What the model is told where it cannot be held to a format: `response_format` "is not supported when used in combinations
/// with the `documents` or `tools` parameters".
fn instruction(request: &Request<'_>, dropped: &mut Dropped) -> Option<String> {
    let has_documents = request.others.iter().any(|(name, value)| *name == "documents" && !value.is_null());
    let format = request.format.as_ref().filter(|_| has_documents || !request.tools.is_empty())?;
    dropped.push("response_format".to_owned());
    Some(pieces::instruction(format))
}

/// <https://docs.cohere.com/docs/structured-outputs>
fn write_format(format: Option<&Format<'_>>, w: &mut Writer<'_>) {
    let Some(format) = format else { return };
    w.name("response_format").object(|w| {
        w.field("type", "json_object");
        if let Format::JsonSchema { schema, .. } = format {
            w.field("json_schema", schema);
        }
    });
}

/// Models, by what their names begin with, that do not think: <https://docs.cohere.com/docs/models>. What may come is not here.
const NO_THINKERS: &[&str] =
    &["command-r", "command-a-03", "command-a-vision", "command-a-translate", "command-light", "c4ai-"];

/// What OpenAI's words for effort come to: LiteLLM's budgets.
const BUDGETS: &[(&str, u64)] =
    &[("none", 0), ("minimal", 128), ("low", 1024), ("medium", 2048), ("high", 4096), ("xhigh", 8192), ("max", 16_384)];

/// "Reasoning is enabled by default for models that support it"; `token_budget` "must be set to a positive integer". Models
/// that do not think are not told to, nor that they need not.
fn write_thinking(model: &str, reasoning: Option<&Reasoning<'_>>, dropped: &mut Dropped, w: &mut Writer<'_>) {
    let (parameter, budget) = match reasoning {
        None => return,
        Some(Reasoning::Budget(budget)) => ("thinking", *budget),
        Some(Reasoning::Effort(word)) => match BUDGETS.iter().find(|(name, _)| *word == **name) {
            Some((_, budget)) => ("reasoning_effort", *budget),
            None => return dropped.push("reasoning_effort".to_owned()),
        },
    };
    if NO_THINKERS.iter().any(|family| model.starts_with(family)) {
        return dropped.extend((budget > 0).then(|| parameter.to_owned()));
    }
    w.name("thinking").object(|w| {
        if budget == 0 {
            return w.field("type", "disabled");
        }
        w.field("type", "enabled");
        w.field("token_budget", &budget);
    });
}

/// A `temperature` above 1 is not sent on, and named: the scale is not OpenAI's. `p` goes from 0.01 to 0.99, and its
/// default is 0.75, so that OpenAI's 1, all tokens, has to be said as nearly as can be.
fn write_sampling(request: &Request<'_>, dropped: &mut Dropped, w: &mut Writer<'_>) {
    match request.temperature {
        Some(temperature) if temperature.as_f64().is_some_and(|temperature| temperature > 1.0) => {
            dropped.push("temperature".to_owned());
        }
        temperature => w.field_some("temperature", &temperature),
    }
    let Some(top_p) = request.top_p else { return };
    let bound = |number: &'static str, w: &mut Writer<'_>| w.name("p").value(&Number(number));
    match top_p.as_f64() {
        Some(number) if number > 0.99 => bound("0.99", w),
        Some(number) if number < 0.01 => bound("0.01", w),
        _ => w.field("p", &top_p),
    }
}

/// "A list of up to 5 strings"
fn write_stop(stop: &[Str<'_>], dropped: &mut Dropped, w: &mut Writer<'_>) {
    const MOST: usize = 5;
    if stop.len() > MOST {
        dropped.push("stop".to_owned());
    }
    if !stop.is_empty() {
        w.name("stop_sequences").array(|w| stop.iter().take(MOST).for_each(|text| w.value(text)));
    }
}

/// A number as it is to be written.
struct Number(&'static str);

impl crate::json::Write for Number {
    fn write(&self, out: &mut String) {
        out.push_str(self.0);
    }
}

#[cfg(test)]
mod tests;
