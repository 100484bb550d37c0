//! Requests as OpenAI clients send them, and how they are read.

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
        Part::Image { media, detail: None } => format!("image {}", show_media(media)),
        Part::Image { media, detail: Some(word) } => format!("image {} {}", word.escaped(), show_media(media)),
        Part::Audio(media) => format!("audio {}", show_media(media)),
        Part::Video(media) => format!("video {}", show_media(media)),
        Part::File(id) => format!("file {}", id.escaped()),
        Part::Document { media, name, cited } => {
            let cited = if *cited { "*" } else { "" };
            format!("document{cited} {} {}", name.as_ref().map_or("", Str::escaped), show_media(media))
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
        Part::ToolResult { id, parts, is_error } => {
            let failed = if *is_error { "!" } else { "" };
            format!("result{failed} {} [{}]", id.escaped(), parts.iter().map(show).collect::<Vec<_>>().join("; "))
        }
        Part::Refusal(text) => format!("refusal {}", text.escaped()),
        Part::Citation(citation) => panic!("{citation:?}"),
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
           {"type":"image_url","image_url":"data:image/png;base64,iVBO"},
           {"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}},
           {"type":"file","file":{"file_data":"data:application/pdf;base64,JVBE","filename":"a.pdf"},
           "cache_control":{"type":"ephemeral"}}]}"#,
        &[
            "User: image low <https://a/b.png>; image image/png:iVBO; audio audio/wav:AAAA; document a.pdf \
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
fn what_has_no_neutral_word_is_named() {
    check_messages(
        r#"{"role":"user","name":"n","content":[{"type":"text","text":"a","foo":1},
             {"type":"image_url","image_url":{"url":"https://a","detail":"auto","max_dynamic_patch":4}},
             {"type":"document_url","document_url":"https://a/b.pdf"},{"type":"document_url","document_url":{"url":"https://c"}},
             {"type":"input_audio","input_audio":"https://a/b.mp3"},{"type":"file","file":{"file_id":"gs://a/b.pdf","format":"pdf"}},
             {"type":"file","file":{"file_url":"https://d","citations":{"enabled":true}}},
             {"type":"document_url","document_url":"https://e","citations":{"enabled":true}},
             {"type":"image_url","image_url":"https://f","citations":{}}]},
           {"role":"assistant","content":"b","audio":{"id":"x"},"annotations":[],"citations":[],"foo":null,"is_error":true,
             "tool_calls":[{"id":"c","index":0,"type":"function","function":{"name":"f","arguments":"{}","bar":1}},
             {"id":"d","type":"custom","custom":{"name":"g","input":"a\"b"}}]},
           {"role":"tool","tool_call_id":"c","content":"no","is_error":true},{"role":"tool","tool_call_id":"d","content":"e"}"#,
        &[
            "User: a; image <https://a>; document  <https://a/b.pdf>; document  <https://c>; audio <https://a/b.mp3>; \
             document  <gs://a/b.pdf>; document*  <https://d>; document*  <https://e>; image <https://f>",
            r#"Assistant: b; call c f {}; call d g {\"input\":\"a\\\"b\"}"#,
            "User: result! c [no]",
            "User: result d [e]",
            "other: messages[].name",
            "other: messages[].content[].foo",
            "other: messages[].content[].image_url.max_dynamic_patch",
            "other: messages[].content[].file.format",
            "other: messages[].content[].citations",
            "other: messages[].audio",
            "other: messages[].is_error",
            "other: messages[].tool_calls[].function.bar",
        ],
    );
    let many: Vec<String> = (0..40).map(|number| format!(r#""{number}{}":1"#, "x".repeat(100))).collect();
    read(&format!(r#"{{"messages":[{{"role":"user","content":"a",{}}}]}}"#, many.join(",")), |request| {
        let others = request.unwrap().others;
        assert_eq!(others.len(), 16);
        assert!(others.iter().all(|(name, _)| name.escaped().len() == 64 + "messages[].".len()));
    });
}

#[test]
fn images_that_the_model_made_come_back() {
    check_messages(
        r#"{"role":"user","content":"a","images":[{}]},{"role":"assistant","content":"b","images":[
           {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO"},"index":0},{"image_url":"https://a"}]},
           {"role":"assistant","content":"c","images":[]}"#,
        &[
            "User: a",
            "Assistant: b; image image/png:iVBO; image <https://a>",
            "Assistant: c",
            "other: messages[].images",
        ],
    );
}

#[test]
fn what_only_mistral_has_is_read() {
    check_messages(
        r#"{"role":"user","content":[{"type":"document_url","document_url":"https://a","document_name":"b"},
             {"type":"file","file_id":"c"},{"type":"file","file":{"file_id":"d"}},{"type":"video_url","video_url":{"url":"https://e"}}]},
           {"role":"assistant","prefix":false,"content":[{"type":"thinking","closed":true,"thinking":[{"type":"text","text":"c"},
             {"type":"reference","reference_ids":[1]},{"type":"text","text":"d"}],"signature":"s"},{"type":"text","text":"e"}]},
           {"role":"assistant","prefix":true,"content":[{"type":"thinking","thinking":"f","signature":"t"}]}"#,
        &[
            "User: document b <https://a>; file c; file d; video <https://e>",
            "Assistant: thought cd|s; e",
            "Assistant: thought f|t",
            "other: messages[].prefix",
        ],
    );
    let body = r#"{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":[]}]},
        {"role":"assistant","content":[{"type":"thinking","thinking":"a"}]}]}"#;
    read(body, |request| {
        let whose = request.unwrap().messages.into_iter().map(|message| message.thoughts_by);
        assert_eq!(whose.collect::<Vec<_>>(), [Some(Str::plain("mistral-v1")), None]);
    });
}

#[test]
fn a_signature_is_found_where_google_puts_it() {
    let call = |extra: &str, expected: Option<&str>, others: usize| {
        let body = format!(
            r#"{{"messages":[{{"role":"assistant","tool_calls":[{{"id":"a","function":{{"name":"f","arguments":"{{}}"}},
               "extra_content":{extra}}}]}}]}}"#
        );
        read(&body, |request| {
            let request = request.unwrap();
            let [Part::ToolCall(call)] = request.messages[0].parts.as_slice() else { panic!("{request:?}") };
            assert_eq!(call.signature.as_ref().map(Str::escaped), expected);
            assert_eq!(request.others.len(), others, "{extra}");
        });
    };
    call(r#"{"google":{"thought_signature":"s=="}}"#, Some("s=="), 0);
    call(r#"{"other":1}"#, None, 1);
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
        for tool in &request.server_tools {
            seen.push(format!("own {} {}", tool.kind.escaped(), tool.value.raw()));
        }
        seen.extend(request.web_search.map(|search| {
            let size = search.context_size.as_ref().map_or("", Str::escaped);
            format!("search {size}|{}", raw(search.location))
        }));
        seen.extend(request.tool_choice.map(|choice| format!("choice {choice:?}")));
        seen.extend(request.parallel_tool_calls.map(|parallel| format!("parallel {parallel}")));
        seen.extend(request.format.map(|format| match format {
            Format::JsonObject => "json".to_owned(),
            Format::JsonSchema { name, description, schema, strict } => {
                let about = description.map(|text| format!(" ({})", text.escaped())).unwrap_or_default();
                format!("schema {} {} {strict}{about}", name.escaped(), schema.raw())
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
    check(r#""tool_choice":"any""#, "choice Required");
    let three = r#""tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}},
        {"type":"function","function":{"name":"h"}}]"#;
    for allowed in [
        r#"{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"h"}},{"type":"function","function":{"name":"f"}}]}}"#,
        r#"{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"h"},{"type":"function","name":"f"}]}"#,
    ] {
        check(&format!(r#"{three},"tool_choice":{allowed}"#), "tool f||||, tool h||||, choice Required");
    }
    check(
        r#""tools":[{"type":"web_search_20250305","name":"web_search"},{"google_search":{}}],"tool_choice":{"type":"custom","custom":{"name":"c"}}"#,
        r#"own web_search_20250305 {"type":"web_search_20250305","name":"web_search"}, own google_search {"google_search":{}}, choice Tool(Str { escaped: "c" })"#,
    );
    let custom = r#"{"type":"custom","custom":{"name":"c","description":"d","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"start: \"a\""}}}}"#;
    let schema = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;
    let told = r#"d\nThe input is a text of this grammar, in the syntax lark:\nstart: \"a\""#;
    check(&format!(r#""tools":[{custom}]"#), &format!("tool c|{told}|{schema}||, tools.custom={custom}"));
    let custom = r#"{"type":"custom","custom":{"name":"c"}}"#;
    check(&format!(r#""tools":[{custom}]"#), &format!("tool c||{schema}||, tools.custom={custom}"));
    check(r#""web_search_options":{}"#, "search |");
    check(
        r#""web_search_options":{"search_context_size":"low","user_location":{"type":"approximate","approximate":{"city":"Ulm"}},"x":1}"#,
        r#"search low|{"city":"Ulm"}, web_search_options.x={"search_context_size":"low","user_location":{"type":"approximate","approximate":{"city":"Ulm"}},"x":1}"#,
    );
    check(
        r#""tools":[{"type":"web_search","user_location":{"type":"approximate","city":"Ulm"}}]"#,
        r#"search |{"type":"approximate","city":"Ulm"}"#,
    );
    check(
        r#""tools":[{"type":"function","function":{"name":"f","x":1},"y":2}]"#,
        r#"tool f||||, tools.y={"type":"function","function":{"name":"f","x":1},"y":2}, tools.function.x={"name":"f","x":1}"#,
    );
    check(
        r#""reasoning":{"effort":"low","exclude":true}"#,
        r#"effort low, reasoning.exclude={"effort":"low","exclude":true}"#,
    );
    check(r#""response_format":{"type":"text"}"#, "");
    check(r#""response_format":{"type":"json_object"}"#, "json");
    let schema =
        r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"a":1},"strict":true}}"#;
    check(schema, r#"schema n {"a":1} true"#);
    let schema = r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{},"description":"d"}}"#;
    check(schema, "schema n {} false (d)");
    check(r#""reasoning_effort":"high""#, "effort high");
    check(r#""reasoning_effort":"high","reasoning":{"max_tokens":9}"#, "budget 9");
    check(r#""reasoning":{"effort":"low"},"reasoning_effort":null"#, "effort low");
    check(r#""reasoning":{"enabled":true}"#, "effort medium");
    check(r#""thinking":{"type":"enabled","budget_tokens":1024},"reasoning_effort":"low""#, "budget 1024");
    check(r#""thinking":{"type":"disabled"}"#, "effort none");
    check(r#""thinking":{"type":"adaptive"}"#, r#"thinking={"type":"adaptive"}"#);
    check(r#""max_completion_tokens":5,"max_tokens":3"#, "max 5");
    check(r#""max_tokens":3.0,"temperature":0.70,"top_p":1,"stop":"a""#, "max 3, temperature 0.70, top_p 1, stop a");
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
    let body =
        format!(r#"{{"messages":[{HI},{{"role":"user","content":["#) + r#"{"type":"text","text":""},"# + part + "]}]}";
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
            r#"[{"role":"assistant","tool_calls":[{"id":"a","type":"computer"}]}]"#,
            "[0].tool_calls[0].type",
            "invalid_value",
            "Invalid value: 'computer'. Supported values are: 'function', 'custom'.",
        ),
        (
            "messages",
            r#"[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":{}}}]}]"#,
            "[0].tool_calls[0].function.arguments",
            "invalid_type",
            "Invalid type for 'messages[0].tool_calls[0].function.arguments': expected a string, but got an object instead.",
        ),
        ("tools", r#"[{"name":"f"}]"#, "[0].type", missing, "Missing required parameter: 'tools[0].type'."),
        ("tools", r#"[{"a":{},"b":{}}]"#, "[0].type", missing, "Missing required parameter: 'tools[0].type'."),
        (
            "tools",
            r#"[{"type":"function"}]"#,
            "[0].function",
            missing,
            "Missing required parameter: 'tools[0].function'.",
        ),
        (
            "tool_choice",
            r#""some""#,
            "",
            "invalid_value",
            "Invalid value: 'some'. Supported values are: 'none', 'auto', 'required'.",
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
        r#"{"type":"hologram"}"#,
        ".type",
        "invalid_value",
        "Invalid value: 'hologram'. Supported values are: 'text', 'image_url', 'video_url', 'input_audio', 'file', 'refusal', 'document_url', 'thinking'.",
    );
    check_part(
        r#"{"type":"image_url","image_url":1}"#,
        ".image_url",
        "invalid_type",
        "Invalid type for 'messages[1].content[1].image_url': expected an object, but got an integer instead.",
    );
    check_part(
        r#"{"type":"image_url","image_url":{"url":"data:,a"}}"#,
        ".image_url.url",
        "invalid_value",
        "Invalid 'messages[1].content[1].image_url.url': expected a base64-encoded data URL with a media type (e.g. 'data:image/png;base64,...').",
    );
}
