//! A request in Anthropic's words.
//!
//! <https://platform.claude.com/docs/en/api/messages/create>

use super::super::others::{drop_description, drop_detail, drop_made};
use super::super::pieces::instruction;
use super::super::structured::Emulation;
use super::super::{Dropped, Target};
use super::models::{self, Model, Sampling, Thinking};
use super::thinking::Plan;
use super::{Language, messages, tools};
use crate::chat::{Format, Request};
use crate::dialect::says_nothing;
use crate::error::Error;
use crate::json::{Str, Value, Writer};

/// Writes the body for `request` to `out`.
///
/// # Errors
/// There is something in it that Anthropic has no word for and that cannot be left out.
pub(super) fn write(
    request: &Request<'_>,
    target: &Target<'_>,
    language: &Language,
    out: &mut String,
) -> Result<Dropped, Error> {
    messages::check(&request.messages, language)?;
    let mut model = models::find(target.model);
    model.schemas &= language.schemas;
    let mut dropped = Dropped::new();
    let others = Others::take(request, &mut dropped)?;
    drop_made(request, &mut dropped);
    drop_detail(request, |_| false, &mut dropped);
    let plan = Plan::new(request, &model, &mut dropped);
    let sampling = Samplers::choose(request, &others, &model, &plan, &mut dropped);
    let form = Form::choose(request, &model, &plan, &mut dropped);
    let (schema, emulation, instruction) = match form {
        Form::Free => (None, None, None),
        Form::Schema(schema) => (Some(schema), None, None),
        Form::Tool(emulation) => (None, Some(emulation), None),
        Form::Told(instruction) => (None, None, Some(instruction)),
    };
    Writer::new(out).object(|w| {
        match language.version {
            Some(version) => w.field("anthropic_version", version),
            None => w.field("model", target.model),
        }
        w.field("max_tokens", &plan.max_tokens);
        messages::write_system(request, instruction, w);
        messages::write(&request.messages, model.thinking != Thinking::No, w);
        tools::write(request, &model, emulation.as_ref(), &mut dropped, w);
        plan.write(w);
        if plan.effort.is_some() || schema.is_some() {
            w.name("output_config").object(|w| {
                w.field_some("effort", &plan.effort);
                if let Some(schema) = schema {
                    w.name("format").object(|w| {
                        w.field("type", "json_schema");
                        w.field("schema", &schema);
                    });
                }
            });
        }
        sampling.write(w);
        write_stop(&request.stop, &mut dropped, w);
        if let Some(user) = &others.user {
            w.name("metadata").object(|w| w.field("user_id", user));
        }
        w.field_some("service_tier", &service_tier(request.service_tier.as_ref(), language, &mut dropped));
        w.field_some("cache_control", &others.cache_control);
        if request.stream {
            w.field("stream", &true);
        }
    });
    dropped.sort_unstable();
    dropped.dedup();
    Ok(dropped)
}

/// What Anthropic knows of the members that the vocabulary has no word for.
#[derive(Default)]
struct Others<'a> {
    top_k: Option<Value<'a>>,
    cache_control: Option<Value<'a>>,
    user: Option<Str<'a>>,
}

impl<'a> Others<'a> {
    fn take(request: &Request<'a>, dropped: &mut Dropped) -> Result<Self, Error> {
        let mut taken = Self { user: request.user.clone(), ..Self::default() };
        for (name, value) in request.others.iter().filter(|(_, value)| !value.is_null()) {
            match &*name.decode() {
                "n" if value.as_u64() != Some(1) => {
                    return Err(Error::bad_request("Anthropic gives one answer to a request, not `n`", "n"));
                }
                "top_k" => taken.top_k = Some(*value),
                "cache_control" => taken.cache_control = Some(*value),
                // OpenAI's name for the end user since `user` is deprecated.
                "safety_identifier" => taken.user = taken.user.or_else(|| value.as_str()),
                "metadata" => {
                    taken.user = taken.user.or_else(|| value.get("user_id").and_then(Value::as_str));
                    if value.members().any(|(name, _)| name != "user_id") {
                        dropped.push("metadata".to_owned());
                    }
                }
                name if says_nothing(name, *value) => {}
                name => dropped.push(name.to_owned()),
            }
        }
        Ok(taken)
    }
}

/// `temperature`, `top_p` and `top_k`, as far as the model takes them.
struct Samplers<'a> {
    temperature: Option<Value<'a>>,
    top_p: Option<Value<'a>>,
    top_k: Option<Value<'a>>,
}

impl<'a> Samplers<'a> {
    fn choose(request: &Request<'a>, others: &Others<'a>, model: &Model, plan: &Plan, dropped: &mut Dropped) -> Self {
        let Self { mut temperature, mut top_p, mut top_k } =
            Self { temperature: request.temperature, top_p: request.top_p, top_k: others.top_k };
        // 1 is the default of `temperature` and `top_p`: without it nothing is lost.
        let is_default = |value: &Value<'_>| value.as_f64() == Some(1.0);
        let mut drop = |name: &str, value: &mut Option<Value<'_>>| {
            if value.take().is_some_and(|value| name == "top_k" || !is_default(&value)) {
                dropped.push(name.to_owned());
            }
        };
        // "Thinking isn't compatible with temperature or top_k modifications"; top_p may be 0.95 to 1.
        if plan.thinks() || model.sampling == Sampling::No {
            drop("temperature", &mut temperature);
            drop("top_k", &mut top_k);
            if model.sampling == Sampling::No || top_p.and_then(Value::as_f64).is_some_and(|top_p| top_p < 0.95) {
                drop("top_p", &mut top_p);
            }
        }
        // "`temperature` and `top_p` cannot both be specified for this model": https://github.com/BerriAI/litellm/issues/15097
        if model.sampling == Sampling::OneOf && temperature.is_some() && top_p.is_some() {
            if temperature.as_ref().is_some_and(is_default) {
                temperature = None;
            } else {
                drop("top_p", &mut top_p);
            }
        }
        // OpenAI's scale ends at 2, Anthropic's at 1: the hottest there is, and said so.
        if temperature.and_then(Value::as_f64).is_some_and(|temperature| temperature > 1.0) {
            drop("temperature", &mut temperature);
        }
        Self { temperature, top_p, top_k }
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.field_some("temperature", &self.temperature);
        w.field_some("top_p", &self.top_p);
        w.field_some("top_k", &self.top_k);
    }
}

/// How the form of the answer is brought about.
enum Form<'a> {
    Free,
    /// The model holds to a schema by itself.
    Schema(Value<'a>),
    /// It is made to call a tool.
    Tool(Emulation<'a>),
    /// It is told.
    Told(String),
}

impl<'a> Form<'a> {
    /// Only schemas that are strict by OpenAI's rules are what Anthropic accepts: every object closed. A model that thinks
    /// cannot be made to call a tool, and one that could choose might say something else besides.
    fn choose(request: &Request<'a>, model: &Model, plan: &Plan, dropped: &mut Dropped) -> Self {
        let format = match &request.format {
            None => return Self::Free,
            Some(Format::JsonSchema { schema, strict: true, .. }) if model.schemas => {
                drop_description(request, dropped);
                return Self::Schema(*schema);
            }
            Some(format) => format,
        };
        dropped.push("response_format".to_owned());
        let emulation = Emulation::of(request).filter(|_| model.forced_tools && !plan.thinks());
        emulation.map_or_else(|| Self::Told(instruction(format)), Self::Tool)
    }
}

/// "stop_sequences: each stop sequence must contain non-whitespace"
fn write_stop(stop: &[Str<'_>], dropped: &mut Dropped, w: &mut Writer<'_>) {
    if stop.iter().any(Str::is_blank) {
        dropped.push("stop".to_owned());
    }
    let mut stop = stop.iter().filter(|text| !text.is_blank()).peekable();
    if stop.peek().is_some() {
        w.name("stop_sequences").array(|w| stop.for_each(|text| w.value(text)));
    }
}

/// <https://platform.claude.com/docs/en/api/service-tiers>
fn service_tier(tier: Option<&Str<'_>>, language: &Language, dropped: &mut Dropped) -> Option<&'static str> {
    match &*tier?.decode() {
        "auto" | "default" if !language.service_tiers => None,
        "auto" | "priority" if language.service_tiers => Some("auto"),
        "default" | "standard" | "standard_only" if language.service_tiers => Some("standard_only"),
        _ => {
            dropped.push("service_tier".to_owned());
            None
        }
    }
}

#[cfg(test)]
mod tests;
