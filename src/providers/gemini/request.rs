//! A request in Google's words.
//!
//! <https://ai.google.dev/api/generate-content#request-body>

use super::super::Dropped;
use super::super::others::{drop_cited, drop_description, drop_detail};
use super::Language;
use super::modalities::Modalities;
use super::models::{self, Model};
use super::parts::Raw;
use super::schema::Schema;
use super::thinking::{self, Plan};
use super::{contents, media, tools};
use crate::chat::{Format, Part, Request, Role, Text, ToolChoice};
use crate::dialect::says_nothing;
use crate::json::{Str, Value, Writer};

/// "stopSequences: the set of character sequences (up to 5) that will stop output generation"
const MOST_STOPS: usize = 5;

/// Writes the body for `request` to `out`.
pub(super) fn write(request: &Request<'_>, model: &str, language: &Language, out: &mut String) -> Dropped {
    let model = models::find(model);
    let mut dropped = Dropped::new();
    let others = Others::take(request, &mut dropped);
    let (format, instruction) = format(request, &model, &mut dropped);
    let plan = Plan::new(request.reasoning.as_ref(), &model, &mut dropped);
    let config = config(request, &others, format, plan, &mut dropped);
    drop_cited(request, &mut dropped);
    if format.is_some() {
        drop_description(request, &mut dropped);
    }
    let service_tier = service_tier(request.service_tier.as_ref(), language, &mut dropped);
    if request.user.is_some() {
        dropped.push("user".to_owned());
    }
    drop_detail(request, |detail| model.third && media::level(detail).is_some(), &mut dropped);
    if thinking::has_strange_signature(&request.messages) {
        dropped.push("messages[].reasoning_details".to_owned());
    }
    if has_cache_markers(request) {
        // Prefixes are cached without being told to: https://ai.google.dev/gemini-api/docs/caching
        dropped.push("cache_control".to_owned());
    }
    let operator = request.messages.iter().filter(|message| message.role == Role::System);
    if operator.flat_map(|message| &message.parts).any(|part| !matches!(part, Part::Text(_) | Part::Refusal(_))) {
        // "systemInstruction: currently, text only": https://ai.google.dev/api/generate-content#request-body
        dropped.push("messages[].content[]".to_owned());
    }
    Writer::new(out).object(|w| {
        contents::write_system(request, instruction, w);
        contents::write(&request.messages, language, &model, w);
        tools::write(request, &mut dropped, w);
        w.field_some("safetySettings", &others.safety_settings);
        w.field_some("cachedContent", &others.cached_content);
        w.field_some("serviceTier", &service_tier);
        if config.0 != "{}" {
            w.field("generationConfig", &config);
        }
    });
    dropped.sort_unstable();
    dropped.dedup();
    dropped
}

/// What Google knows of the members that the vocabulary has no word for.
#[derive(Default)]
struct Others<'a> {
    n: Option<Value<'a>>,
    top_k: Option<Value<'a>>,
    seed: Option<Value<'a>>,
    presence_penalty: Option<Value<'a>>,
    frequency_penalty: Option<Value<'a>>,
    safety_settings: Option<Value<'a>>,
    cached_content: Option<Value<'a>>,
    logprobs: Option<Value<'a>>,
    top_logprobs: Option<Value<'a>>,
    modalities: Modalities<'a>,
}

impl<'a> Others<'a> {
    fn take(request: &Request<'a>, dropped: &mut Dropped) -> Self {
        let mut taken = Self::default();
        for (name, value) in request.others.iter().filter(|(_, value)| !value.is_null()) {
            let place = match &*name.decode() {
                "n" if value.as_u64() == Some(1) => continue,
                "n" => &mut taken.n,
                "top_k" => &mut taken.top_k,
                "seed" => &mut taken.seed,
                "top_logprobs" => &mut taken.top_logprobs,
                name if says_nothing(name, *value) => continue,
                "presence_penalty" => &mut taken.presence_penalty,
                "frequency_penalty" => &mut taken.frequency_penalty,
                // Google's own: https://ai.google.dev/gemini-api/docs/safety-settings
                "safety_settings" => &mut taken.safety_settings,
                "cached_content" => &mut taken.cached_content,
                "logprobs" => &mut taken.logprobs,
                "modalities" => &mut taken.modalities.list,
                "audio" => &mut taken.modalities.audio,
                // OpenRouter's.
                "image_config" => &mut taken.modalities.image,
                name => {
                    dropped.push(name.to_owned());
                    continue;
                }
            };
            *place = Some(*value);
        }
        taken
    }
}

/// `generationConfig`: <https://ai.google.dev/api/generate-content#v1beta.GenerationConfig>
fn config(
    request: &Request<'_>,
    others: &Others<'_>,
    format: Option<&Format<'_>>,
    plan: Plan,
    dropped: &mut Dropped,
) -> Raw {
    let mut config = String::new();
    Writer::new(&mut config).object(|w| {
        w.field_some("temperature", &request.temperature);
        w.field_some("topP", &request.top_p);
        w.field_some("topK", &others.top_k);
        w.field_some("maxOutputTokens", &request.max_tokens);
        let stops = || request.stop.iter().filter(|stop| !stop.is_empty());
        if stops().nth(MOST_STOPS).is_some() {
            dropped.push("stop".to_owned());
        }
        if stops().next().is_some() {
            w.name("stopSequences").array(|w| stops().take(MOST_STOPS).for_each(|stop| w.value(stop)));
        }
        w.field_some("candidateCount", &others.n);
        w.field_some("seed", &others.seed);
        w.field_some("presencePenalty", &others.presence_penalty);
        w.field_some("frequencyPenalty", &others.frequency_penalty);
        // "logprobs: Only valid if responseLogprobs=True. This sets the number of top logprobs, including the chosen candidate"
        match (others.logprobs.and_then(Value::as_bool), others.top_logprobs) {
            (Some(true), top) => {
                w.field("responseLogprobs", &true);
                w.field_some("logprobs", &top.filter(|top| top.as_u64() != Some(0)));
            }
            (_, Some(top)) if top.as_u64() != Some(0) => dropped.push("top_logprobs".to_owned()),
            _ => {}
        }
        others.modalities.write(request.stream, dropped, w);
        if let Some(format) = format {
            w.field("responseMimeType", "application/json");
            if let Format::JsonSchema { schema, .. } = format {
                w.field("responseJsonSchema", &Schema::answer(*schema));
            }
        }
        plan.write(w);
    });
    Raw(config)
}

/// The form that the model is held to, or what it is told instead: "Function calling with a response mime type:
/// 'application/json' is unsupported" before the third generation.
/// <https://ai.google.dev/gemini-api/docs/structured-output#structured_outputs_with_tools>
fn format<'r, 'a>(
    request: &'r Request<'a>,
    model: &Model,
    dropped: &mut Dropped,
) -> (Option<&'r Format<'a>>, Option<String>) {
    let Some(format) = &request.format else { return (None, None) };
    if request.tools.is_empty() || model.third {
        return (Some(format), None);
    }
    // Who has to call a function does not answer.
    if !matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Tool(_))) {
        dropped.push("response_format".to_owned());
    }
    let instruction = match format {
        Format::JsonObject => "Unless you call a function, answer with a JSON object and nothing else.".to_owned(),
        Format::JsonSchema { schema, description, .. } => {
            let schema = schema.raw();
            let about =
                description.as_ref().map(|text| format!("\nIt is to be: {}", text.decode())).unwrap_or_default();
            format!("Unless you call a function, answer with JSON of this schema and nothing else:\n{schema}{about}")
        }
    };
    (None, Some(instruction))
}

/// <https://ai.google.dev/gemini-api/docs/priority-inference>, <https://ai.google.dev/gemini-api/docs/flex-inference>
fn service_tier(tier: Option<&Str<'_>>, language: &Language, dropped: &mut Dropped) -> Option<&'static str> {
    match &*tier?.decode() {
        "auto" => None,
        "flex" if language.service_tiers => Some("flex"),
        "priority" if language.service_tiers => Some("priority"),
        "default" | "standard" => language.service_tiers.then_some("standard"),
        _ => {
            dropped.push("service_tier".to_owned());
            None
        }
    }
}

fn has_cache_markers(request: &Request<'_>) -> bool {
    let is_marked = |part: &Part<'_>| matches!(part, Part::Text(Text { cache: Some(_), .. }));
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    parts.any(is_marked) || request.tools.iter().any(|tool| tool.cache.is_some())
}

#[cfg(test)]
mod tests;
