//! Reading a request.

use super::field::{Field, coded};
use super::message::Reader;
use crate::chat::{Format, Reasoning, Request, Tool, ToolChoice};
use crate::error::{Cause, Error};
use crate::json::{Document, Kind, Str, Value};

/// Reads a request into the neutral vocabulary.
///
/// # Errors
/// The request is not what OpenAI's interface asks for; always the client's fault.
pub fn request<'a>(document: &'a Document<'a>) -> Result<Request<'a>, Error> {
    let root = document.root();
    if root.kind() != Kind::Object {
        return Err(Error::new(Cause::BadRequest, "The body of the request has to be a JSON object."));
    }
    once(root)?;
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
            "tools" => request.tools.extend(tools(field)?),
            "functions" => request.tools.extend(functions(field)?),
            "tool_choice" => request.tool_choice = Some(tool_choice(field)?),
            "function_call" => self.function_call = Some(function_call(field)?),
            "parallel_tool_calls" => request.parallel_tool_calls = Some(field.truth()?),
            "response_format" => request.format = format(field)?,
            "thinking" => match thinking(field)? {
                None => return Ok(false),
                thinking => self.thinking = thinking,
            },
            "reasoning" => self.reasoning = reasoning(field)?,
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
        Ok(request)
    }
}

/// Refuses a member that is there twice: what was checked of one could be circumvented with the other.
fn once(root: Value<'_>) -> Result<(), Error> {
    let mut names: Vec<Str<'_>> = root.members().map(|(name, _)| name).collect();
    names.sort_unstable_by(|a, b| a.decode().cmp(&b.decode()));
    let twice = names.windows(2).find_map(|pair| match pair {
        [a, b] if a.decode() == b.decode() => Some(a.decode()),
        _ => None,
    });
    match twice {
        Some(name) => {
            let name: String = name.chars().take(64).collect();
            Err(coded(format!("Duplicate parameter: '{name}'."), name, "invalid_request"))
        }
        None => Ok(()),
    }
}

fn tools<'a>(list: &Field<'_, 'a>) -> Result<Vec<Tool<'a>>, Error> {
    let tool = |tool: Field<'_, 'a>| {
        let [kind, body, cache] = tool.pick(["type", "function", "cache_control"])?;
        let kind = kind.ok_or_else(|| tool.missing("type"))?;
        let word = kind.text()?;
        if word != "function" {
            return Err(kind.unknown(&word, &["function"]));
        }
        let read = function(&body.ok_or_else(|| tool.missing("function"))?)?;
        let cache = cache.map(|cache| cache.object()).transpose()?;
        Ok(Tool { cache: cache.or(read.cache), ..read })
    };
    list.elements()?.map(tool).collect()
}

fn functions<'a>(list: &Field<'_, 'a>) -> Result<Vec<Tool<'a>>, Error> {
    list.elements()?.map(|body| function(&body)).collect()
}

fn function<'a>(body: &Field<'_, 'a>) -> Result<Tool<'a>, Error> {
    const NAMES: [&str; 5] = ["name", "description", "parameters", "strict", "cache_control"];
    let [name, description, parameters, strict, cache] = body.pick(NAMES)?;
    Ok(Tool {
        name: name.ok_or_else(|| body.missing("name"))?.text()?,
        description: description.map(|text| text.text()).transpose()?,
        parameters: parameters.map(|schema| schema.object()).transpose()?,
        strict: strict.map(|strict| strict.truth()).transpose()?,
        cache: cache.map(|cache| cache.object()).transpose()?,
    })
}

fn tool_choice<'a>(choice: &Field<'_, 'a>) -> Result<ToolChoice<'a>, Error> {
    if choice.value.kind() == Kind::String {
        let word = choice.text()?;
        return match &*word.decode() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            _ => Err(choice.unknown(&word, &["none", "auto", "required"])),
        };
    }
    let [kind, body] = choice.pick(["type", "function"])?;
    let kind = kind.ok_or_else(|| choice.missing("type"))?;
    let word = kind.text()?;
    if word != "function" {
        return Err(kind.unknown(&word, &["function"]));
    }
    named(&body.ok_or_else(|| choice.missing("function"))?)
}

/// The legacy form of `tool_choice`.
fn function_call<'a>(choice: &Field<'_, 'a>) -> Result<ToolChoice<'a>, Error> {
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

fn format<'a>(format: &Field<'_, 'a>) -> Result<Option<Format<'a>>, Error> {
    let [kind, body] = format.pick(["type", "json_schema"])?;
    let kind = kind.ok_or_else(|| format.missing("type"))?;
    let word = kind.text()?;
    match &*word.decode() {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::JsonObject)),
        "json_schema" => {
            let body = body.ok_or_else(|| format.missing("json_schema"))?;
            let [name, schema, strict] = body.pick(["name", "schema", "strict"])?;
            Ok(Some(Format::JsonSchema {
                name: name.ok_or_else(|| body.missing("name"))?.text()?,
                schema: schema.ok_or_else(|| body.missing("schema"))?.object()?,
                strict: strict.map(|strict| strict.truth()).transpose()?.unwrap_or_default(),
            }))
        }
        _ => Err(kind.unknown(&word, &["json_object", "json_schema", "text"])),
    }
}

/// Anthropic's member, as LiteLLM's clients send it: `{"type": "enabled", "budget_tokens": 1024}`. `None`: its other
/// forms, which only Anthropic knows.
fn thinking<'a>(field: &Field<'_, 'a>) -> Result<Option<Reasoning<'a>>, Error> {
    let [kind, budget] = field.pick(["type", "budget_tokens"])?;
    let kind = kind.ok_or_else(|| field.missing("type"))?.text()?;
    match &*kind.decode() {
        "enabled" => Ok(Some(Reasoning::Budget(budget.ok_or_else(|| field.missing("budget_tokens"))?.count()?))),
        "disabled" => Ok(Some(Reasoning::Effort(Str::plain("none")))),
        _ => Ok(None),
    }
}

/// OpenRouter's member: `{"effort": "high"}`, `{"max_tokens": 1024}` or `{"enabled": true}`.
/// <https://openrouter.ai/docs/use-cases/reasoning-tokens>
fn reasoning<'a>(field: &Field<'_, 'a>) -> Result<Option<Reasoning<'a>>, Error> {
    let [word, budget, enabled] = field.pick(["effort", "max_tokens", "enabled"])?;
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
mod tests {
    use super::request;
    use crate::chat::{Arguments, Format, Media, Part, Reasoning, Request, Text};
    use crate::json::{Document, Str, Value};

    const HI: &str = r#"{"role":"user","content":"hi"}"#;

    fn read<T>(body: &str, show: impl FnOnce(Result<Request<'_>, crate::error::Error>) -> T) -> T {
        let document = Document::parse(body.as_bytes()).unwrap();
        show(request(&document))
    }

    fn raw(value: Option<Value<'_>>) -> String {
        value.map_or(String::new(), |value| value.raw().to_owned())
    }

    fn show_media(media: &Media<'_>) -> String {
        match media {
            Media::Url(url) => format!("<{}>", url.escaped()),
            Media::Base64 { media_type, data } => format!("{}:{}", media_type.escaped(), data.escaped()),
        }
    }

    fn show(part: &Part<'_>) -> String {
        match part {
            Part::Text(Text { text, cache: None }) => text.escaped().to_owned(),
            Part::Text(Text { text, cache }) => format!("{}@{}", text.escaped(), raw(*cache)),
            Part::Image(media) => format!("image {}", show_media(media)),
            Part::Audio(media) => format!("audio {}", show_media(media)),
            Part::Document { media, name } => {
                format!("document {} {}", name.as_ref().map_or("", Str::escaped), show_media(media))
            }
            Part::Thinking { text, signature } => {
                format!("thought {}|{}", text.escaped(), signature.as_ref().map_or("", Str::escaped))
            }
            Part::RedactedThinking(data) => format!("redacted {}", data.escaped()),
            Part::ToolCall(call) => match &call.arguments {
                Arguments::Text(text) => {
                    format!("call {} {} {}", call.id.escaped(), call.name.escaped(), text.escaped())
                }
                Arguments::Object(object) => panic!("{object:?}"),
            },
            Part::ToolResult { id, parts } => {
                format!("result {} [{}]", id.escaped(), parts.iter().map(show).collect::<Vec<_>>().join("; "))
            }
            Part::Refusal(text) => format!("refusal {}", text.escaped()),
        }
    }

    /// The parts of every message after its role, and the names of `others`.
    fn check_messages(messages: &str, expected: &[&str]) {
        read(&format!(r#"{{"messages":[{messages}]}}"#), |request| {
            let request = request.unwrap();
            let messages = request.messages.iter().map(|message| {
                let parts: Vec<_> = message.parts.iter().map(show).collect();
                format!("{:?}: {}", message.role, parts.join("; "))
            });
            let others = request.others.iter().map(|(name, _)| format!("other: {}", name.escaped()));
            assert_eq!(messages.chain(others).collect::<Vec<_>>(), expected);
        });
    }

    #[test]
    fn messages_of_every_role_are_read() {
        check_messages(
            r#"{"role":"developer","content":"be \"kind\""},{"role":"user","name":"ann","content":[{"type":"text","text":"hi"}]},
               {"role":"assistant","content":null,"refusal":null,"annotations":[],"tool_calls":[{"id":"c1","type":"function",
               "function":{"name":"f","arguments":"{\"a\": 1}"}},{"id":"c2","function":{"name":"g","arguments":""}}]},
               {"role":"tool","tool_call_id":"c1","content":"1"},
               {"role":"tool","tool_call_id":"c2","content":[{"type":"text","text":"2"}]},
               {"role":"assistant","content":[{"type":"text","text":"a"},{"type":"refusal","refusal":"b"}],"refusal":"no"},
               {"role":"assistant"}"#,
            &[
                r#"System: be \"kind\""#,
                "User: hi",
                r#"Assistant: call c1 f {\"a\": 1}; call c2 g "#,
                "User: result c1 [1]",
                "User: result c2 [2]",
                "Assistant: a; refusal b; refusal no",
                "Assistant: ",
                "other: messages[].name",
            ],
        );
        check_messages(
            r#"{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},
               {"role":"function","name":"f","content":"1"},
               {"role":"assistant","function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"2"}"#,
            &[
                "Assistant: call call_function_1 f {}",
                "User: result call_function_1 [1]",
                "Assistant: call call_function_2 f {}",
                "User: result call_function_2 [2]",
            ],
        );
    }

    #[test]
    fn parts_of_every_type_are_read() {
        check_messages(
            r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a/b.png","detail":"low"}},
               {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO"}},
               {"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}},
               {"type":"file","file":{"file_data":"data:application/pdf;base64,JVBE","filename":"a.pdf"},
               "cache_control":{"type":"ephemeral"}}]}"#,
            &[
                "User: image <https://a/b.png>; image image/png:iVBO; audio audio/wav:AAAA; document a.pdf \
                 application/pdf:JVBE",
                "other: messages[].content[].cache_control",
            ],
        );
        check_messages(
            r#"{"role":"system","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},{"type":"text","text":"b"}]},
               {"role":"user","cache_control":{"a":1},"content":"c"},
               {"role":"tool","tool_call_id":"x","cache_control":{"a":2},"content":[{"type":"text","text":"d"},
               {"type":"image_url","image_url":{"url":"https://a"}}]}"#,
            &[
                r#"System: a@{"type":"ephemeral"}; b"#,
                r#"User: c@{"a":1}"#,
                r#"User: result x [d@{"a":2}; image <https://a>]"#,
            ],
        );
    }

    #[test]
    fn thoughts_come_before_the_text_and_the_most_exact_form_counts() {
        let details = r#""reasoning_details":[{"type":"reasoning.text","text":"a","signature":"s","index":0}]"#;
        let blocks = r#""thinking_blocks":[{"type":"redacted_thinking","data":"d"}]"#;
        let content = r#""reasoning_content":"c""#;
        let thought = |members: &str, expected: &str| {
            let message = format!(r#"{{"role":"assistant","content":"x","reasoning":"r",{members}}}"#);
            check_messages(&message, &[&format!("Assistant: {expected}")]);
        };
        thought(&format!("{content},{blocks},{details}"), "thought a|s; x");
        thought(&format!("{content},{blocks}"), "redacted d; x");
        thought(content, "thought c|; x");
        thought(r#""reasoning_content":"""#, "x");
        thought(r#""reasoning_content":null"#, "thought r|; x");
    }

    /// Members of the request besides its messages.
    fn check(members: &str, expected: &str) {
        read(&format!(r#"{{"model":"m","messages":[{HI}],"stream_options":{{}},{members}}}"#), |request| {
            let request = request.unwrap();
            let mut seen = Vec::new();
            for tool in &request.tools {
                let description = tool.description.as_ref().map_or("", Str::escaped);
                let (schema, cache) = (raw(tool.parameters), raw(tool.cache));
                let strict = tool.strict.map_or(String::new(), |strict| strict.to_string());
                seen.push(format!("tool {}|{description}|{schema}|{strict}|{cache}", tool.name.escaped()));
            }
            seen.extend(request.tool_choice.map(|choice| format!("choice {choice:?}")));
            seen.extend(request.parallel_tool_calls.map(|parallel| format!("parallel {parallel}")));
            seen.extend(request.format.map(|format| match format {
                Format::JsonObject => "json".to_owned(),
                Format::JsonSchema { name, schema, strict } => {
                    format!("schema {} {} {strict}", name.escaped(), schema.raw())
                }
            }));
            seen.extend(request.reasoning.map(|reasoning| match reasoning {
                Reasoning::Effort(effort) => format!("effort {}", effort.escaped()),
                Reasoning::Budget(budget) => format!("budget {budget}"),
            }));
            seen.extend(request.max_tokens.map(|max| format!("max {max}")));
            seen.extend(request.temperature.map(|number| format!("temperature {}", number.raw())));
            seen.extend(request.top_p.map(|number| format!("top_p {}", number.raw())));
            seen.extend(request.stop.iter().map(|stop| format!("stop {}", stop.escaped())));
            seen.extend(request.stream.then(|| "stream".to_owned()));
            seen.extend(request.user.map(|user| format!("user {}", user.escaped())));
            seen.extend(request.service_tier.map(|tier| format!("tier {}", tier.escaped())));
            seen.extend(request.others.iter().map(|(name, value)| format!("{}={}", name.escaped(), value.raw())));
            assert_eq!(seen.join(", "), expected, "{members}");
        });
    }

    #[test]
    fn members_are_read() {
        check(
            r#""tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true}},
               {"type":"function","function":{"name":"g"},"cache_control":{"a":1}}],"tool_choice":{"type":"function","function":{"name":"g"}}"#,
            r#"tool f|d|{"type":"object"}|true|, tool g||||{"a":1}, choice Tool(Str { escaped: "g" })"#,
        );
        check(r#""functions":[{"name":"f"}],"function_call":"none""#, "tool f||||, choice None");
        check(r#""function_call":{"name":"f"}"#, r#"choice Tool(Str { escaped: "f" })"#);
        check(
            r#""tool_choice":"required","function_call":"auto","parallel_tool_calls":false"#,
            "choice Required, parallel false",
        );
        check(r#""response_format":{"type":"text"}"#, "");
        check(r#""response_format":{"type":"json_object"}"#, "json");
        let schema =
            r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"a":1},"strict":true}}"#;
        check(schema, r#"schema n {"a":1} true"#);
        check(r#""reasoning_effort":"high""#, "effort high");
        check(r#""reasoning_effort":"high","reasoning":{"max_tokens":9}"#, "budget 9");
        check(r#""reasoning":{"effort":"low"},"reasoning_effort":null"#, "effort low");
        check(r#""reasoning":{"enabled":true}"#, "effort medium");
        check(r#""thinking":{"type":"enabled","budget_tokens":1024},"reasoning_effort":"low""#, "budget 1024");
        check(r#""thinking":{"type":"disabled"}"#, "effort none");
        check(r#""thinking":{"type":"adaptive"}"#, r#"thinking={"type":"adaptive"}"#);
        check(r#""max_completion_tokens":5,"max_tokens":3"#, "max 5");
        check(
            r#""max_tokens":3.0,"temperature":0.70,"top_p":1,"stop":"a""#,
            "max 3, temperature 0.70, top_p 1, stop a",
        );
        check(
            r#""stop":["a","\n"],"stream":true,"user":"u","service_tier":"auto""#,
            r"stop a, stop \n, stream, user u, tier auto",
        );
        check(r#""user":"u","safety_identifier":"s","temperature":null"#, "user s");
        check(r#""n":2,"seed":null,"metadata":{"a":"b"},"us\u0065r":"u""#, r#"user u, n=2, metadata={"a":"b"}"#);
    }

    fn check_mistake(body: &str, param: &str, code: &str, message: &str) {
        read(body, |request| {
            let error = request.map(|_| ()).unwrap_err();
            assert_eq!(error.client_status(), 400);
            let told = (error.param.as_deref(), error.code.as_deref().unwrap_or_default(), error.message.as_str());
            assert_eq!(told, ((!param.is_empty()).then_some(param), code, message), "{body}");
        });
    }

    /// `check_mistake` for the one part of a user's message.
    fn check_part(part: &str, param: &str, code: &str, message: &str) {
        let body = format!(r#"{{"messages":[{HI},{{"role":"user","content":["#)
            + r#"{"type":"text","text":""},"#
            + part
            + "]}]}";
        check_mistake(&body, &format!("messages[1].content[1]{param}"), code, message);
    }

    #[test]
    fn mistakes_are_named_as_openai_names_them() {
        check_mistake("[]", "", "", "The body of the request has to be a JSON object.");
        let missing = "missing_required_parameter";
        check_mistake("{}", "messages", missing, "Missing required parameter: 'messages'.");
        let empty =
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.";
        check_mistake(r#"{"messages":[]}"#, "messages", "empty_array", empty);
        for (member, value, param, code, message) in [
            (
                "messages",
                "3",
                "",
                "invalid_type",
                "Invalid type for 'messages': expected an array, but got an integer instead.",
            ),
            (
                "messages",
                "[3]",
                "[0]",
                "invalid_type",
                "Invalid type for 'messages[0]': expected an object, but got an integer instead.",
            ),
            ("messages", "[{}]", "[0].role", missing, "Missing required parameter: 'messages[0].role'."),
            (
                "messages",
                r#"[{"role":"bot"}]"#,
                "[0].role",
                "invalid_value",
                "Invalid value: 'bot'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', 'developer'.",
            ),
            (
                "messages",
                r#"[{"role":"user"}]"#,
                "[0].content",
                missing,
                "Missing required parameter: 'messages[0].content'.",
            ),
            (
                "messages",
                r#"[{"role":"user","content":1.5}]"#,
                "[0].content",
                "invalid_type",
                "Invalid type for 'messages[0].content': expected one of a string or array of objects, but got a decimal instead.",
            ),
            (
                "messages",
                r#"[{"role":"tool","content":"a"}]"#,
                "[0].tool_call_id",
                missing,
                "Missing required parameter: 'messages[0].tool_call_id'.",
            ),
            (
                "messages",
                r#"[{"role":"assistant","tool_calls":[{"id":"a","type":"custom"}]}]"#,
                "[0].tool_calls[0].type",
                "invalid_value",
                "Invalid value: 'custom'. Supported values are: 'function'.",
            ),
            (
                "messages",
                r#"[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":{}}}]}]"#,
                "[0].tool_calls[0].function.arguments",
                "invalid_type",
                "Invalid type for 'messages[0].tool_calls[0].function.arguments': expected a string, but got an object instead.",
            ),
            (
                "tools",
                r#"[{"type":"web_search"}]"#,
                "[0].type",
                "invalid_value",
                "Invalid value: 'web_search'. Supported values are: 'function'.",
            ),
            (
                "tools",
                r#"[{"type":"function"}]"#,
                "[0].function",
                missing,
                "Missing required parameter: 'tools[0].function'.",
            ),
            (
                "tool_choice",
                r#""any""#,
                "",
                "invalid_value",
                "Invalid value: 'any'. Supported values are: 'none', 'auto', 'required'.",
            ),
            (
                "tool_choice",
                r#"{"type":"function","function":{}}"#,
                ".function.name",
                missing,
                "Missing required parameter: 'tool_choice.function.name'.",
            ),
            (
                "response_format",
                r#"{"type":"json_schema","json_schema":{"name":"a"}}"#,
                ".json_schema.schema",
                missing,
                "Missing required parameter: 'response_format.json_schema.schema'.",
            ),
            (
                "max_tokens",
                "-1",
                "",
                "invalid_value",
                "Invalid 'max_tokens': expected a non-negative integer, but got -1 instead.",
            ),
            (
                "max_tokens",
                "true",
                "",
                "invalid_type",
                "Invalid type for 'max_tokens': expected an integer, but got a boolean instead.",
            ),
            (
                "temperature",
                r#""1""#,
                "",
                "invalid_type",
                "Invalid type for 'temperature': expected a decimal, but got a string instead.",
            ),
            (
                "stop",
                "[1]",
                "[0]",
                "invalid_type",
                "Invalid type for 'stop[0]': expected a string, but got an integer instead.",
            ),
            (
                "stream",
                "1",
                "",
                "invalid_type",
                "Invalid type for 'stream': expected a boolean, but got an integer instead.",
            ),
            (
                "reasoning_effort",
                r#""huge""#,
                "",
                "invalid_value",
                "Invalid value: 'huge'. Supported values are: 'none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'.",
            ),
            (
                "thinking",
                r#"{"type":"enabled"}"#,
                ".budget_tokens",
                missing,
                "Missing required parameter: 'thinking.budget_tokens'.",
            ),
        ] {
            check_mistake(&format!(r#"{{"{member}":{value}}}"#), &format!("{member}{param}"), code, message);
        }
        check_part(
            r#"{"type":"video_url"}"#,
            ".type",
            "invalid_value",
            "Invalid value: 'video_url'. Supported values are: 'text', 'image_url', 'input_audio', 'file', 'refusal'.",
        );
        check_part(
            r#"{"type":"image_url","image_url":"a"}"#,
            ".image_url",
            "invalid_type",
            "Invalid type for 'messages[1].content[1].image_url': expected an object, but got a string instead.",
        );
        check_part(
            r#"{"type":"image_url","image_url":{"url":"data:,a"}}"#,
            ".image_url.url",
            "invalid_value",
            "Invalid 'messages[1].content[1].image_url.url': expected a base64-encoded data URL with a media type (e.g. 'data:image/png;base64,...').",
        );
        check_part(
            r#"{"type":"file","file":{"file_id":"f-1"}}"#,
            ".file.file_id",
            "invalid_value",
            "Invalid 'messages[1].content[1].file.file_id': files uploaded beforehand cannot be used with this model; send file_data.",
        );
    }

    #[test]
    fn members_that_are_there_twice_are_refused() {
        let body = format!(r#"{{"messages":[{HI}],"n":1,"mess\u0061ges":[{HI}]}}"#);
        check_mistake(&body, "messages", "invalid_request", "Duplicate parameter: 'messages'.");
    }
}
