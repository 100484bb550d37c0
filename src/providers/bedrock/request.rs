//! A request in Bedrock's words.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>

use super::super::others::{drop_detail, drop_made};
use super::super::pieces::instruction;
use super::super::structured::Emulation;
use super::super::{Dropped, Target};
use super::extra::{Extra, Plan};
use super::media::Names;
use super::messages::{self, Says};
use super::models::{self, Forced, Model, Sampling};
use crate::chat::{Format, Request};
use crate::dialect::says_nothing;
use crate::error::Error;
use crate::json::{Quoted, Str, Value, Writer};

/// Writes the body for `request` to `out`. The model is in the path, and so is whether to stream.
///
/// # Errors
/// There is something in it that Bedrock has no word for and that cannot be left out.
pub(super) fn write(request: &Request<'_>, target: &Target<'_>, out: &mut String) -> Result<Dropped, Error> {
    messages::check(&request.messages)?;
    let model = models::find(target.model);
    let mut dropped = Dropped::new();
    let others = Others::take(request, &mut dropped)?;
    drop_made(request, &mut dropped);
    drop_detail(request, |_| false, &mut dropped);
    let mut plan = Plan::new(request, &model, &mut dropped);
    if plan.is_unbounded() && plan.max_tokens.take().is_some() {
        dropped.push("max_tokens".to_owned());
    }
    let sampling = Samplers::choose(request, &others, &model, &plan, &mut dropped);
    let form = Form::choose(request, &model, &plan, &mut dropped);
    let stop: Vec<&Str<'_>> = request.stop.iter().filter(|text| !text.is_blank()).collect();
    if stop.len() < request.stop.len() {
        dropped.push("stop".to_owned());
    }
    if request.user.is_some() {
        dropped.push("user".to_owned());
    }
    let tier = service_tier(request.service_tier.as_ref(), &mut dropped);
    let (schema, emulation, instruction) = match form {
        Form::Free => (None, None, None),
        Form::Schema { name, description, schema } => (Some((name, description, schema)), None, None),
        Form::Tool(emulation) => (None, Some(emulation), None),
        Form::Told(instruction) => (None, None, Some(instruction)),
    };
    let mut says = Says { model: &model, dropped: &mut dropped, names: Names::default() };
    Writer::new(out).object(|w| {
        says.system(request, instruction, w);
        says.messages(&request.messages, w);
        let one_by_one = says.tools(request, emulation.as_ref(), w);
        if plan.max_tokens.is_some() || sampling.is_any() || !stop.is_empty() {
            w.name("inferenceConfig").object(|w| {
                w.field_some("maxTokens", &plan.max_tokens);
                w.field_some("temperature", &sampling.temperature);
                w.field_some("topP", &sampling.top_p);
                if !stop.is_empty() {
                    w.name("stopSequences").array(|w| stop.iter().for_each(|text| w.value(*text)));
                }
            });
        }
        Extra { plan, top_k: sampling.top_k, one_by_one }.write(&model, w);
        if let Some((name, description, schema)) = schema {
            w.name("outputConfig").object(|w| write_schema(&name, description.as_ref(), schema, w));
        }
        if let Some(tier) = tier {
            w.name("serviceTier").object(|w| w.field("type", tier));
        }
        for (name, value) in &others.own {
            w.field(name, value);
        }
    });
    dropped.sort_unstable();
    dropped.dedup();
    Ok(dropped)
}

/// Members of Converse that the vocabulary has no word for, and a client may use by their own names.
const OWN: &[&str] = &["guardrailConfig", "performanceConfig", "requestMetadata", "additionalModelResponseFieldPaths"];

/// What Bedrock knows of the members that the vocabulary has no word for.
#[derive(Default)]
struct Others<'a> {
    top_k: Option<Value<'a>>,
    own: Vec<(&'static str, Value<'a>)>,
}

impl<'a> Others<'a> {
    fn take(request: &Request<'a>, dropped: &mut Dropped) -> Result<Self, Error> {
        let mut taken = Self::default();
        for (name, value) in request.others.iter().filter(|(_, value)| !value.is_null()) {
            match &*name.decode() {
                "n" if value.as_u64() != Some(1) => {
                    return Err(Error::bad_request("Bedrock gives one answer to a request, not `n`", "n"));
                }
                "top_k" => taken.top_k = Some(*value),
                name if says_nothing(name, *value) => {}
                name => match OWN.iter().find(|own| **own == name) {
                    Some(own) => taken.own.push((own, *value)),
                    None => dropped.push(name.to_owned()),
                },
            }
        }
        Ok(taken)
    }
}

/// `temperature`, `topP` and `top_k`, as far as the model takes them.
struct Samplers<'a> {
    temperature: Option<Value<'a>>,
    top_p: Option<Value<'a>>,
    top_k: Option<Value<'a>>,
}

impl<'a> Samplers<'a> {
    fn choose(request: &Request<'a>, others: &Others<'a>, model: &Model, plan: &Plan, dropped: &mut Dropped) -> Self {
        let Self { mut temperature, mut top_p, mut top_k } =
            Self { temperature: request.temperature, top_p: request.top_p, top_k: others.top_k };
        // 1 is the default of `temperature` and `topP`: without it nothing is lost.
        let is_default = |value: &Value<'_>| value.as_f64() == Some(1.0);
        let mut drop = |name: &str, value: &mut Option<Value<'_>>| {
            if value.take().is_some_and(|value| name == "top_k" || !is_default(&value)) {
                dropped.push(name.to_owned());
            }
        };
        let none = model.sampling == Sampling::No || plan.is_unbounded();
        // "Thinking isn't compatible with temperature or top_k modifications"; top_p may be 0.95 to 1.
        if plan.thinks() || none {
            drop("temperature", &mut temperature);
            if none || top_p.and_then(Value::as_f64).is_some_and(|top_p| top_p < 0.95) {
                drop("top_p", &mut top_p);
            }
        }
        if model.top_k.is_empty() || plan.thinks() || none {
            drop("top_k", &mut top_k);
        }
        // "`temperature` and `top_p` cannot both be specified for this model": https://github.com/BerriAI/litellm/issues/15097
        if model.sampling == Sampling::OneOf && temperature.is_some() && top_p.is_some() {
            if temperature.as_ref().is_some_and(is_default) {
                temperature = None;
            } else {
                drop("top_p", &mut top_p);
            }
        }
        // OpenAI's scale ends at 2, Bedrock's at 1.
        if temperature.and_then(Value::as_f64).is_some_and(|temperature| temperature > 1.0) {
            drop("temperature", &mut temperature);
        }
        Self { temperature, top_p, top_k }
    }

    fn is_any(&self) -> bool {
        self.temperature.is_some() || self.top_p.is_some()
    }
}

/// How the form of the answer is brought about.
enum Form<'a> {
    Free,
    /// The model holds to a schema by itself.
    Schema {
        name: Str<'a>,
        description: Option<Str<'a>>,
        schema: Value<'a>,
    },
    /// It is made to call a tool.
    Tool(Emulation<'a>),
    /// It is told.
    Told(String),
}

impl<'a> Form<'a> {
    /// Only schemas that are strict by OpenAI's rules are what Bedrock accepts: every object closed.
    fn choose(request: &Request<'a>, model: &Model, plan: &Plan, dropped: &mut Dropped) -> Self {
        let instruction = match &request.format {
            None => return Self::Free,
            Some(Format::JsonSchema { name, schema, description, strict: true }) if model.schemas => {
                return Self::Schema { name: name.clone(), description: description.clone(), schema: *schema };
            }
            Some(format) => instruction(format),
        };
        dropped.push("response_format".to_owned());
        let emulation = Emulation::of(request).filter(|_| model.forced == Forced::Tool && !plan.thinks());
        emulation.map_or(Self::Told(instruction), Self::Tool)
    }
}

/// <https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html>: the schema is JSON in a string.
fn write_schema(name: &Str<'_>, description: Option<&Str<'_>>, schema: Value<'_>, w: &mut Writer<'_>) {
    w.name("textFormat").object(|w| {
        w.field("type", "json_schema");
        w.name("structure").object(|w| {
            w.name("jsonSchema").object(|w| {
                w.field("schema", &Quoted(schema));
                w.field("name", name);
                w.field_some("description", &description);
            });
        });
    });
}

/// <https://docs.aws.amazon.com/bedrock/latest/userguide/service-tiers-inference.html>
fn service_tier(tier: Option<&Str<'_>>, dropped: &mut Dropped) -> Option<&'static str> {
    match &*tier?.decode() {
        "auto" => None,
        "default" | "standard" => Some("default"),
        "priority" => Some("priority"),
        "flex" => Some("flex"),
        "reserved" => Some("reserved"),
        _ => {
            dropped.push("service_tier".to_owned());
            None
        }
    }
}

#[cfg(test)]
mod tests;
