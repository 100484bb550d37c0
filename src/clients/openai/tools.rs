//! The tools of a request: functions that the client runs, and what its provider runs itself.
//!
//! <https://platform.openai.com/docs/api-reference/chat/create#chat-create-tools>

use std::sync::LazyLock;

use super::field::Field;
use crate::chat::{Request, ServerTool, Tool, ToolChoice, WebSearch};
use crate::error::Error;
use crate::json::{Document, Kind, Str, Value};

/// Whether a tool has to be called, and which may be.
pub(super) struct Choice<'a> {
    pub choice: ToolChoice<'a>,
    /// By name; `None`: all.
    pub allowed: Option<Vec<Str<'a>>>,
}

/// Reads `tools`. An entry that is no function is a provider's own tool: it is known by its `type`, or by the name of its only
/// member as Google's are.
pub(super) fn read<'a>(list: &Field<'_, 'a>, request: &mut Request<'a>) -> Result<(), Error> {
    for tool in list.elements()? {
        let [kind, body] = tool.pick(["type", "function"])?;
        let word = kind.map(|kind| kind.text()).transpose()?;
        match (word, body) {
            (Some(word), Some(body)) if word == "function" => {
                let [_, _, cache] = known(&tool, ["type", "function", "cache_control"], "tools", request)?;
                let read = function(&body, request)?;
                let cache = cache.map(|cache| cache.object()).transpose()?;
                request.tools.push(Tool { cache: cache.or(read.cache), ..read });
            }
            (Some(word), None) if word == "function" => return Err(tool.missing("function")),
            // What OpenAI has in its other interface, and what its clients say to others:
            // https://platform.openai.com/docs/guides/tools-web-search
            (Some(word), _) if word == "web_search" || word == "web_search_preview" => {
                request.web_search = Some(web_search(&tool, "tools.web_search", request)?);
            }
            (Some(word), _) if word == "custom" => {
                let [_, body] = known(&tool, ["type", "custom"], "tools", request)?;
                let read = custom(&body.ok_or_else(|| tool.missing("custom"))?, request)?;
                request.tools.push(read);
                request.others.push((Str::plain("tools.custom"), tool.value));
            }
            (Some(kind), _) => request.server_tools.push(ServerTool { kind, value: tool.value }),
            (None, _) => {
                let mut members = tool.value.members();
                match (members.next(), members.next()) {
                    (Some((kind, value)), None) if value.kind() == Kind::Object => {
                        request.server_tools.push(ServerTool { kind, value: tool.value });
                    }
                    _ => return Err(tool.missing("type")),
                }
            }
        }
    }
    Ok(())
}

/// Reads `functions`, the legacy form.
pub(super) fn functions<'a>(list: &Field<'_, 'a>, request: &mut Request<'a>) -> Result<(), Error> {
    for body in list.elements()? {
        let read = function(&body, request)?;
        request.tools.push(read);
    }
    Ok(())
}

fn function<'a>(body: &Field<'_, 'a>, request: &mut Request<'a>) -> Result<Tool<'a>, Error> {
    const NAMES: [&str; 5] = ["name", "description", "parameters", "strict", "cache_control"];
    let [name, description, parameters, strict, cache] = known(body, NAMES, "tools.function", request)?;
    Ok(Tool {
        name: name.ok_or_else(|| body.missing("name"))?.text()?,
        description: description.map(|text| text.text()).transpose()?,
        parameters: parameters.map(|schema| schema.object()).transpose()?,
        strict: strict.map(|strict| strict.truth()).transpose()?,
        cache: cache.map(|cache| cache.object()).transpose()?,
    })
}

/// What a function's arguments are that stands for a tool whose one argument is a text.
static ONE_TEXT: LazyLock<Option<Document<'static>>> = LazyLock::new(|| {
    let schema = br#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;
    Document::parse(schema).ok()
});

/// A tool that is called with a text rather than with JSON, which only OpenAI has: a function that takes one text, and is told
/// of the grammar. It is called as a function too, and so named as what it is not.
/// <https://platform.openai.com/docs/guides/function-calling#custom-tools>
fn custom<'a>(body: &Field<'_, 'a>, request: &mut Request<'a>) -> Result<Tool<'a>, Error> {
    let [name, description, format] = known(body, ["name", "description", "format"], "tools.custom", request)?;
    let description = description.map(|text| text.text()).transpose()?;
    let grammar = format.and_then(|format| format.value.get("grammar"));
    let word = |name| grammar.and_then(|grammar| grammar.get(name)).and_then(Value::as_str);
    let description = match (word("syntax"), word("definition")) {
        (Some(syntax), Some(definition)) => {
            let rule = format!("The input is a text of this grammar, in the syntax {}:\n", syntax.decode());
            let rule = Str::plain(&rule).into_owned();
            let said = description.unwrap_or_default();
            let gap = if said.is_empty() { Str::EMPTY } else { Str::plain("\n") };
            Some(Str::join([&said, &gap, &rule, &definition], &Str::EMPTY))
        }
        _ => description,
    };
    let parameters = ONE_TEXT.as_ref().map(Document::root);
    Ok(Tool {
        name: name.ok_or_else(|| body.missing("name"))?.text()?,
        description,
        parameters,
        strict: None,
        cache: None,
    })
}

/// Reads `web_search_options`, or a tool that says the same.
pub(super) fn web_search<'a>(
    options: &Field<'_, 'a>,
    place: &str,
    request: &mut Request<'a>,
) -> Result<WebSearch<'a>, Error> {
    let [_, size, location] = known(options, ["type", "search_context_size", "user_location"], place, request)?;
    let location = location.map(|location| location.object()).transpose()?;
    Ok(WebSearch {
        context_size: size.map(|size| size.text()).transpose()?,
        // {"type": "approximate", "approximate": {"city": ...}}, or all of it in one object.
        location: location.map(|location| location.get("approximate").unwrap_or(location)),
    })
}

/// Reads `tool_choice`. "any" is Mistral's word: <https://docs.mistral.ai/capabilities/function_calling>.
pub(super) fn choice<'a>(choice: &Field<'_, 'a>) -> Result<Choice<'a>, Error> {
    let all = |choice| Ok(Choice { choice, allowed: None });
    if choice.value.kind() == Kind::String {
        return all(word(choice)?);
    }
    let [kind, body, custom, allowed] = choice.pick(["type", "function", "custom", "allowed_tools"])?;
    let kind = kind.ok_or_else(|| choice.missing("type"))?;
    let name = kind.text()?;
    match &*name.decode() {
        "function" => all(named(&body.ok_or_else(|| choice.missing("function"))?)?),
        "custom" => all(named(&custom.ok_or_else(|| choice.missing("custom"))?)?),
        "allowed_tools" => {
            // The members stand in an object of their own, or as in OpenAI's other interface beside the type.
            let [mode, list] = allowed.as_ref().unwrap_or(choice).pick(["mode", "tools"])?;
            let list = list.ok_or_else(|| choice.missing("allowed_tools.tools"))?;
            let mut names = Vec::new();
            for tool in list.elements()? {
                let [function, custom, name] = tool.pick(["function", "custom", "name"])?;
                names.push(match (function.or(custom), name) {
                    (Some(body), _) => {
                        let [name] = body.pick(["name"])?;
                        name.ok_or_else(|| body.missing("name"))?.text()?
                    }
                    (None, name) => name.ok_or_else(|| tool.missing("function"))?.text()?,
                });
            }
            let choice = mode.map_or(Ok(ToolChoice::Auto), |mode| word(&mode))?;
            Ok(Choice { choice, allowed: Some(names) })
        }
        _ => Err(kind.unknown(&name, &["function", "allowed_tools", "custom"])),
    }
}

fn word<'a>(choice: &Field<'_, 'a>) -> Result<ToolChoice<'a>, Error> {
    let word = choice.text()?;
    match &*word.decode() {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" | "any" => Ok(ToolChoice::Required),
        _ => Err(choice.unknown(&word, &["none", "auto", "required"])),
    }
}

/// The legacy form of `tool_choice`.
pub(super) fn function_call<'a>(choice: &Field<'_, 'a>) -> Result<ToolChoice<'a>, Error> {
    match choice.value.as_str() {
        Some(word) if word == "auto" => Ok(ToolChoice::Auto),
        Some(word) if word == "none" => Ok(ToolChoice::None),
        Some(word) => Err(choice.unknown(&word, &["none", "auto"])),
        None => named(choice),
    }
}

fn named<'a>(body: &Field<'_, 'a>) -> Result<ToolChoice<'a>, Error> {
    let [name] = body.pick(["name"])?;
    Ok(ToolChoice::Tool(name.ok_or_else(|| body.missing("name"))?.text()?))
}

/// [`Field::members`], with the others among those of the `request` that there is no neutral word for.
pub(super) fn known<'f, 'a, const N: usize>(
    field: &'f Field<'_, 'a>,
    names: [&'static str; N],
    place: &str,
    request: &mut Request<'a>,
) -> Result<[Option<Field<'f, 'a>>; N], Error> {
    let value: Value<'a> = field.value;
    field.members(names, |name| {
        let name: String = name.chars().take(MOST_OF_A_NAME).collect();
        let path = format!("{place}.{name}");
        let is_new = !request.others.iter().any(|(other, _)| *other == *path);
        if is_new && request.others.len() < MOST_OTHERS {
            request.others.push((Str::plain(&path).into_owned(), value));
        }
    })
}

/// Most characters of a name that a client made up, and most of such names: they end in a header.
const MOST_OF_A_NAME: usize = 64;
const MOST_OTHERS: usize = 64;
