//! Reading a request.

use super::field::{Field, coded};
use super::message::Reader;
use super::tools::{self, Choice};
use crate::chat::{Format, Reasoning, Request, ToolChoice};
use crate::error::{Cause, Error};
use crate::json::{Document, Kind, Str};

/// Reads a request into the neutral vocabulary.
///
/// # Errors
/// The request is not what OpenAI's interface asks for; always the client's fault.
pub fn request<'a>(document: &'a Document<'a>) -> Result<Request<'a>, Error> {
    let root = document.root();
    if root.kind() != Kind::Object {
        return Err(Error::new(Cause::BadRequest, "The body of the request has to be a JSON object."));
    }
    let mut read = Read::default();
    for (name, value) in root.members().filter(|(_, value)| !value.is_null()) {
        let known = read.member(&Field::top(&name.decode(), value), &name.decode())?;
        if !known {
            read.request.others.push((name, value));
        }
    }
    read.finish()
}

/// Names that OpenAI has for a depth of thought.
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// A request, and the members of which several say the same, by what counts first.
#[derive(Default)]
struct Read<'a> {
    request: Request<'a>,
    max_completion_tokens: Option<u64>,
    safety_identifier: Option<Str<'a>>,
    function_call: Option<ToolChoice<'a>>,
    /// The only tools that may be called.
    allowed: Option<Vec<Str<'a>>>,
    thinking: Option<Reasoning<'a>>,
    reasoning: Option<Reasoning<'a>>,
    effort: Option<Reasoning<'a>>,
}

impl<'a> Read<'a> {
    /// Takes a member of the request; `false` if there is no neutral word for it.
    fn member(&mut self, field: &Field<'_, 'a>, name: &str) -> Result<bool, Error> {
        let request = &mut self.request;
        match name {
            "model" | "stream_options" => {}
            "messages" => {
                let mut reader = Reader::default();
                request.messages = reader.messages(field)?;
                let lost = reader.lost.iter().map(|name| Str::plain(&format!("messages[].{name}")).into_owned());
                request.others.extend(lost.map(|name| (name, field.value)));
            }
            "tools" => tools::read(field, request)?,
            "functions" => tools::functions(field, request)?,
            "tool_choice" => {
                let Choice { choice, allowed } = tools::choice(field)?;
                (request.tool_choice, self.allowed) = (Some(choice), allowed);
            }
            "function_call" => self.function_call = Some(tools::function_call(field)?),
            "web_search_options" => request.web_search = Some(tools::web_search(field, "web_search_options", request)?),
            "parallel_tool_calls" => request.parallel_tool_calls = Some(field.truth()?),
            "response_format" => request.format = format(field, request)?,
            "thinking" => match thinking(field, request)? {
                None => return Ok(false),
                thinking => self.thinking = thinking,
            },
            "reasoning" => self.reasoning = reasoning(field, request)?,
            "reasoning_effort" => self.effort = Some(effort(field)?),
            "max_tokens" => request.max_tokens = Some(field.count()?),
            "max_completion_tokens" => self.max_completion_tokens = Some(field.count()?),
            "temperature" => request.temperature = Some(field.number()?),
            "top_p" => request.top_p = Some(field.number()?),
            "stop" => request.stop = stop(field)?,
            "stream" => request.stream = field.truth()?,
            "user" => request.user = Some(field.text()?),
            "safety_identifier" => self.safety_identifier = Some(field.text()?),
            "service_tier" => request.service_tier = Some(field.text()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(self) -> Result<Request<'a>, Error> {
        let mut request = self.request;
        if request.messages.is_empty() {
            let message = "Missing required parameter: 'messages'.".to_owned();
            return Err(coded(message, "messages", "missing_required_parameter"));
        }
        request.max_tokens = self.max_completion_tokens.or(request.max_tokens);
        request.user = self.safety_identifier.or(request.user);
        request.tool_choice = request.tool_choice.or(self.function_call);
        request.reasoning = self.thinking.or(self.reasoning).or(self.effort);
        if let Some(allowed) = self.allowed {
            request.tools.retain(|tool| allowed.contains(&tool.name));
        }
        Ok(request)
    }
}

fn format<'a>(format: &Field<'_, 'a>, request: &mut Request<'a>) -> Result<Option<Format<'a>>, Error> {
    let [kind, body] = tools::known(format, ["type", "json_schema"], "response_format", request)?;
    let kind = kind.ok_or_else(|| format.missing("type"))?;
    let word = kind.text()?;
    match &*word.decode() {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::JsonObject)),
        "json_schema" => {
            let body = body.ok_or_else(|| format.missing("json_schema"))?;
            let names = ["name", "schema", "strict", "description"];
            let [name, schema, strict, description] =
                tools::known(&body, names, "response_format.json_schema", request)?;
            Ok(Some(Format::JsonSchema {
                name: name.ok_or_else(|| body.missing("name"))?.text()?,
                description: description.map(|text| text.text()).transpose()?,
                schema: schema.ok_or_else(|| body.missing("schema"))?.object()?,
                strict: strict.map(|strict| strict.truth()).transpose()?.unwrap_or_default(),
            }))
        }
        _ => Err(kind.unknown(&word, &["json_object", "json_schema", "text"])),
    }
}

/// Anthropic's member, as LiteLLM's clients send it: `{"type": "enabled", "budget_tokens": 1024}`. `None`: its other
/// forms, which only Anthropic knows.
fn thinking<'a>(field: &Field<'_, 'a>, request: &mut Request<'a>) -> Result<Option<Reasoning<'a>>, Error> {
    let [kind, budget] = tools::known(field, ["type", "budget_tokens"], "thinking", request)?;
    let kind = kind.ok_or_else(|| field.missing("type"))?.text()?;
    match &*kind.decode() {
        "enabled" => Ok(Some(Reasoning::Budget(budget.ok_or_else(|| field.missing("budget_tokens"))?.count()?))),
        "disabled" => Ok(Some(Reasoning::Effort(Str::plain("none")))),
        _ => Ok(None),
    }
}

/// OpenRouter's member: `{"effort": "high"}`, `{"max_tokens": 1024}` or `{"enabled": true}`.
/// <https://openrouter.ai/docs/use-cases/reasoning-tokens>
fn reasoning<'a>(field: &Field<'_, 'a>, request: &mut Request<'a>) -> Result<Option<Reasoning<'a>>, Error> {
    let [word, budget, enabled] = tools::known(field, ["effort", "max_tokens", "enabled"], "reasoning", request)?;
    match (budget, word, enabled) {
        (Some(budget), _, _) => budget.count().map(Reasoning::Budget).map(Some),
        (None, Some(word), _) => effort(&word).map(Some),
        (None, None, Some(enabled)) => {
            let word = if enabled.truth()? { "medium" } else { "none" };
            Ok(Some(Reasoning::Effort(Str::plain(word))))
        }
        (None, None, None) => Ok(None),
    }
}

fn effort<'a>(field: &Field<'_, 'a>) -> Result<Reasoning<'a>, Error> {
    let word = field.text()?;
    let known = EFFORTS.iter().any(|known| word == **known);
    if known { Ok(Reasoning::Effort(word)) } else { Err(field.unknown(&word, &EFFORTS)) }
}

fn stop<'a>(field: &Field<'_, 'a>) -> Result<Vec<Str<'a>>, Error> {
    match field.value.kind() {
        Kind::String => Ok(vec![field.text()?]),
        Kind::Array => field.elements()?.map(|text| text.text()).collect(),
        _ => Err(field.wrong_type("one of a string or array of strings")),
    }
}

#[cfg(test)]
mod tests;
