//! Items 1 to 12: what is said, both ways.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::scripted::chat::{ENVIRONMENT, config};
use crate::scripted::envoy::{Script, run};
use crate::scripted::wire::KINDS;
use crate::{answered, blocks, called, chunks, events, said, streamed, tool, user};

/// Id, name and arguments of each call of a stream, by index; the ids and names have to come once, and first.
fn calls(stream: &str) -> BTreeMap<u64, (String, String, String)> {
    let mut calls = BTreeMap::new();
    for chunk in chunks(stream) {
        for delta in chunk["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = delta["index"].as_u64().expect("an index");
            let arguments = delta["function"]["arguments"].as_str().unwrap_or_default();
            match (delta["id"].as_str(), delta["function"]["name"].as_str()) {
                (Some(id), Some(name)) => {
                    let call = (id.to_owned(), name.to_owned(), arguments.to_owned());
                    assert!(calls.insert(index, call).is_none(), "{index} begins twice in {stream}");
                }
                (None, None) => calls.get_mut(&index).expect("a call that has begun").2 += arguments,
                half => panic!("{half:?} in {stream}"),
            }
        }
    }
    assert!(calls.keys().copied().eq(0..calls.len() as u64), "{calls:?}");
    calls
}

/// Item 1: Ids and names once, indexes dense and of calls alone, arguments whole, `{}` for none (litellm#5231 #14587, portkey#1275 #1284,
/// bifrost#3441).
#[test]
fn streamed_tool_calls_are_whole() {
    let begun = |id: &str, name: &str| json!({"type": "tool_use", "id": id, "name": name, "input": {}});
    let json_delta = |part: &str| json!({"type": "input_json_delta", "partial_json": part});
    let text = (json!({"type": "text", "text": ""}), vec![json!({"type": "text_delta", "text": "Let me see."})]);
    let anthropic = blocks(
        &[text, (begun("t1", "now"), vec![]), (begun("t2", "sum"), vec![json_delta("{\"a\":"), json_delta("1}")])],
        "tool_use",
    );
    let chunk = |delta: Value, reason: Value| json!({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    // As some vendors do: id and name with each piece, or no index, and nothing for no arguments.
    let piece = |arguments: &str| json!({"tool_calls": [{"index": 0, "id": "t1", "type": "function", "function": {"name": "sum", "arguments": arguments}}]});
    let repeated = events(&[
        chunk(piece("{\"a\":"), Value::Null),
        chunk(piece("1}"), Value::Null),
        chunk(json!({}), json!("tool_calls")),
    ]) + "data: [DONE]\n\n";
    let unnumbered =
        events(&[chunk(json!({"tool_calls": [{"function": {"name": "now"}}]}), json!("stop"))]) + "data: [DONE]\n\n";
    let gemini =
        events(&[json!({"candidates": [{"content": {"parts": [{"text": "x"}, {"functionCall": {"name": "now"}},
        {"functionCall": {"name": "sum", "args": {"a": 1}}}]}, "finishReason": "STOP"}]})]);
    for (kind, stream, expected) in [
        ("anthropic", anthropic, &[("now", "{}"), ("sum", "{\"a\":1}")][..]),
        ("gemini", gemini, &[("now", "{}"), ("sum", "{\"a\":1}")]),
        ("openai", repeated, &[("sum", "{\"a\":1}")]),
        ("openai", unnumbered, &[("now", "{}")]),
    ] {
        let out = streamed(kind, "m", std::iter::once(stream.as_bytes()));
        let found = calls(&out);
        let found: Vec<_> = found.values().map(|(_, name, arguments)| (&**name, &**arguments)).collect();
        assert_eq!(found, expected, "{kind}: {out}");
        assert!(out.contains("\"finish_reason\":\"tool_calls\"") && out.ends_with("data: [DONE]\n\n"), "{out}");
    }
}

/// Item 2: One of four reasons, `tool_calls` where a tool was called, and the provider's own beside it (litellm#10768 #21041 #40864).
#[test]
fn finish_reasons_are_openais_and_the_providers_own_is_kept() {
    let anthropic = |reason: &str| json!({"content": [{"type": "text", "text": "x"}], "stop_reason": reason});
    let gemini =
        |reason: &str| json!({"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": reason}]});
    let ollama = |reason: &str| json!({"message": {"content": "x"}, "done": true, "done_reason": reason});
    let cohere =
        |reason: &str| json!({"message": {"content": [{"type": "text", "text": "x"}]}, "finish_reason": reason});
    let bedrock = |reason: &str| json!({"output": {"message": {"content": [{"text": "x"}]}}, "stopReason": reason});
    for (kind, answer, native, expected) in [
        ("anthropic", &anthropic as &dyn Fn(&str) -> Value, "end_turn", "stop"),
        ("anthropic", &anthropic, "stop_sequence", "stop"),
        ("anthropic", &anthropic, "max_tokens", "length"),
        ("anthropic", &anthropic, "refusal", "content_filter"),
        ("anthropic", &anthropic, "model_context_window_exceeded", "length"),
        ("anthropic", &anthropic, "a_new_one", "stop"),
        ("gemini", &gemini, "STOP", "stop"),
        ("gemini", &gemini, "MAX_TOKENS", "length"),
        ("gemini", &gemini, "SAFETY", "content_filter"),
        ("gemini", &gemini, "RECITATION", "content_filter"),
        ("ollama", &ollama, "length", "length"),
        ("cohere", &cohere, "COMPLETE", "stop"),
        ("cohere", &cohere, "MAX_TOKENS", "length"),
        ("bedrock", &bedrock, "guardrail_intervened", "content_filter"),
        ("bedrock", &bedrock, "max_tokens", "length"),
    ] {
        let choice = answered(kind, "m", &answer(native))["choices"][0].take();
        assert_eq!(
            (&choice["finish_reason"], &choice["native_finish_reason"]),
            (&json!(expected), &json!(native)),
            "{kind}"
        );
    }
    // Gemini has no word of its own for it.
    let call = json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {}}}]}, "finishReason": "STOP"}]});
    assert_eq!(answered("gemini", "m", &call)["choices"][0]["finish_reason"], "tool_calls");
}

/// Item 3: Thoughts, signatures and what is redacted come back as they were; where a client lost them with a tool in flight, there is no
/// thinking rather than an error (litellm#15601 #9020 #8777 #38809).
#[test]
fn thoughts_come_back_to_the_byte() {
    let thoughts = json!([
        {"type": "thinking", "thinking": "Hm.\n \u{1f980} \"é\"", "signature": "EqQB+/=="},
        {"type": "redacted_thinking", "data": "Em9w+/=="},
    ]);
    let call = json!({"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}});
    let content = json!([thoughts[0], thoughts[1], call]);
    let answer = answered("anthropic", "m", &json!({"content": content, "stop_reason": "tool_use"}));
    let message = &answer["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], thoughts[0]["thinking"]);
    let next = |message: &Value| {
        let result = json!({"role": "tool", "tool_call_id": "toolu_1", "content": "noon"});
        let request = json!({"model": "m", "messages": [user("x"), message, result], "reasoning_effort": "high",
            "tools": [tool("now", json!({"type": "object"}))]});
        said("anthropic", "claude-sonnet-4-5", &request).unwrap()
    };
    let (body, _) = next(message);
    assert_eq!(body["messages"][1]["content"], content);
    assert_eq!(body["thinking"]["type"], "enabled");
    let (body, dropped) = next(&json!({"role": "assistant", "content": null, "tool_calls": message["tool_calls"]}));
    assert!(body["thinking"]["type"] != "enabled", "{body}");
    assert!(dropped.iter().any(|name| name == "reasoning_effort"), "{dropped:?}");
}

/// Item 4: A call's signature comes back to Gemini though clients keep only what OpenAI has (litellm#16893, tensorzero#2547 #5637).
#[test]
fn geminis_signatures_survive_clients_that_drop_unknown_fields() {
    let part = json!({"functionCall": {"name": "now", "args": {"a": 1}}, "thoughtSignature": "CsEBAdHt+/=="});
    let answer = json!({"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]});
    for kind in ["gemini", "vertex"] {
        let call = answered(kind, "gemini-3-pro", &answer)["choices"][0]["message"]["tool_calls"][0].take();
        let id = call["id"].as_str().unwrap();
        let kept = called(id, "now", call["function"]["arguments"].as_str().unwrap());
        let messages = json!([user("x"), {"role": "assistant", "content": null, "tool_calls": [kept]},
            {"role": "tool", "tool_call_id": id, "content": "noon"}]);
        let (body, _) = said(kind, "gemini-3-pro", &json!({"model": "m", "messages": messages})).unwrap();
        let back = &body["contents"][1]["parts"][0];
        assert_eq!(
            (&back["thoughtSignature"], &back["functionCall"]["args"]),
            (&part["thoughtSignature"], &json!({"a": 1})),
            "{body}"
        );
        assert!(!body["contents"][2].to_string().contains("CsEB"), "{body}");
    }
}

/// Item 5: Each provider gets ids that it takes, the same for a call and its result, and another for another call (litellm#34239 #21114
/// #17343).
#[test]
fn ids_of_tool_calls_suit_each_provider() {
    let long = ["fc_1.a/b:c|".repeat(9), "fc_1.a/b:d|".repeat(9)];
    let call = |id: &str| called(id, "now", "{}");
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "noon"});
    let request = json!({"model": "m", "tools": [tool("now", json!({"type": "object"}))], "messages": [user("x"),
        {"role": "assistant", "content": null, "tool_calls": [call(&long[0]), call(&long[1])]}, result(&long[0]), result(&long[1])]});
    let is_word = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    for (kind, of_call, of_result, suits) in [
        (
            "anthropic",
            "/messages/1/content/N/id",
            "/messages/2/content/N/tool_use_id",
            &(|id: &str| is_word(id)) as &dyn Fn(&str) -> bool,
        ),
        ("bedrock", "/messages/1/content/N/toolUse/toolUseId", "/messages/2/content/N/toolResult/toolUseId", &|id| {
            is_word(id) && id.len() <= 64
        }),
        ("mistral", "/messages/1/tool_calls/N/id", "/messages/M/tool_call_id", &|id| {
            id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
        }),
        ("openai", "/messages/1/tool_calls/N/id", "/messages/M/tool_call_id", &|id| id.len() <= 40),
    ] {
        let (body, _) = said(kind, "m", &request).unwrap();
        assert_eq!(said(kind, "m", &request).unwrap().0, body, "{kind}: not the same again");
        let id = |place: &str, n: usize| {
            let place = place.replace('N', &n.to_string()).replace('M', &(n + 2).to_string());
            body.pointer(&place)
                .and_then(Value::as_str)
                .unwrap_or_else(|| panic!("{kind}: {place} in {body}"))
                .to_owned()
        };
        for n in [0, 1] {
            assert_eq!(id(of_call, n), id(of_result, n), "{kind}");
            assert!(suits(&id(of_call, n)), "{kind}: {}", id(of_call, n));
        }
        assert_ne!(id(of_call, 0), id(of_call, 1), "{kind}");
    }
}

/// Item 6: Schemas in Google's words: what it does not know is said otherwise, or left out (litellm#14330 #16340, portkey#1546).
#[test]
fn schemas_are_said_in_each_providers_dialect() {
    let schema = json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "additionalProperties": false,
    "definitions": {"Place": {"type": "object", "properties": {"name": {"type": "string", "pattern": "^a"}}}},
    "properties": {
        "where": {"$ref": "#/definitions/Place"}, "kind": {"const": "a"}, "day": {"type": "string", "format": "date-time"},
        "mail": {"type": "string", "format": "email"}, "size": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "level": {"type": "integer", "enum": [1, 2]},
    }});
    let request = json!({"model": "m", "messages": [user("x")], "tools": [tool("f", schema)]});
    let (body, _) = said("gemini", "gemini-2.5-pro", &request).unwrap();
    let said_so = &body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"];
    let properties = &said_so["properties"];
    assert_eq!(properties["where"], json!({"$ref": "#/$defs/Place"}), "{body}");
    assert_eq!(said_so["$defs"]["Place"]["properties"]["name"], json!({"type": "string"}));
    assert_eq!(properties["kind"]["enum"], json!(["a"]));
    assert_eq!((&properties["day"]["format"], &properties["mail"]["format"]), (&json!("date-time"), &Value::Null));
    assert!(properties["size"].to_string().contains("null"), "{properties}");
    assert_eq!(properties["level"]["enum"], json!([1, 2]));
    for gone in ["const", "definitions", "pattern", "$schema"] {
        assert!(said_so.get(gone).is_none() && !properties.to_string().contains(gone), "{gone} in {body}");
    }
}

/// Item 7: A schema for which the provider has no word: a forced tool, beside the client's own, and undone in answers and streams
/// (litellm#11751 #21208 #27846 #35655).
#[test]
fn schemas_are_emulated_and_nobody_sees_it() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": false});
    let format = json!({"type": "json_schema", "json_schema": {"name": "s", "strict": true, "schema": schema}});
    let model = "claude-3-7-sonnet-20250219";
    for tools in [json!([]), json!([tool("now", json!({"type": "object"}))])] {
        let request = json!({"model": "m", "messages": [user("x")], "response_format": format, "tools": tools});
        let (body, dropped) = said("anthropic", model, &request).unwrap();
        assert!(dropped.iter().any(|name| name.starts_with("response_format")), "{dropped:?}");
        let written = body["tools"].as_array().unwrap();
        assert_eq!(written.len(), tools.as_array().unwrap().len() + 1);
        let name = written.last().unwrap()["name"].clone();
        assert_eq!(written.last().unwrap()["input_schema"], schema);
        let forced = if written.len() == 1 { "tool" } else { "any" };
        assert_eq!(body["tool_choice"]["type"], forced, "{body}");
        let begun = json!({"type": "tool_use", "id": "t", "name": name, "input": {}});
        let answer = json!({"content": [{"type": "tool_use", "id": "t", "name": name, "input": {"a": 1}}], "stop_reason": "tool_use"});
        let choice = answered("anthropic", model, &answer)["choices"][0].take();
        assert_eq!((&choice["message"]["content"], &choice["finish_reason"]), (&json!("{\"a\":1}"), &json!("stop")));
        assert!(choice["message"].get("tool_calls").is_none_or(Value::is_null), "{choice}");
        let deltas = ["{\"a\"", ":1}"].map(|part| json!({"type": "input_json_delta", "partial_json": part}));
        let out =
            streamed("anthropic", model, std::iter::once(blocks(&[(begun, deltas.to_vec())], "tool_use").as_bytes()));
        let text: String = chunks(&out)
            .iter()
            .filter_map(|it| it["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(text, "{\"a\":1}", "{out}");
        assert!(out.contains("\"finish_reason\":\"stop\"") && !out.contains("tool_calls"), "{out}");
    }
    // Thinking and a forced tool exclude each other: the schema is told instead.
    let request = json!({"model": "m", "messages": [user("x")], "response_format": format, "reasoning_effort": "high"});
    let (body, _) = said("anthropic", model, &request).unwrap();
    assert_eq!((&body["thinking"]["type"], body.get("tools")), (&json!("enabled"), None), "{body}");
    assert!(body["system"].to_string().contains("additionalProperties"), "{body}");
}

/// Item 8: Blank texts go, turns of one role become one, results of a turn stay together, and system messages may stand anywhere
/// (litellm#7169 #20364 #33016).
#[test]
fn turns_are_put_in_order() {
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "noon"});
    let request = json!({"model": "m", "tools": [tool("now", json!({"type": "object"}))], "messages": [
        user("one"), user("two"), {"role": "assistant", "content": "  "}, {"role": "system", "content": "LATE"},
        {"role": "assistant", "content": "", "tool_calls": [called("t1", "now", "{}"), called("t2", "now", "{}")]},
        result("t1"), result("t2"), user("three"),
    ]});
    for kind in ["anthropic", "bedrock"] {
        let (body, _) = said(kind, "anthropic.claude-sonnet-4-5", &request).unwrap();
        let turns = body["messages"].as_array().unwrap();
        let roles: Vec<_> = turns.iter().map(|turn| turn["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["user", "assistant", "user"], "{kind}");
        let parts: Vec<_> = turns.iter().map(|turn| turn["content"].as_array().unwrap().len()).collect();
        assert_eq!(parts, [2, 2, 3], "{kind}: {body}");
        assert!(turns[2]["content"][2].to_string().contains("three"), "{kind}: results come first");
        assert!(body["system"].to_string().contains("LATE"), "{kind}: {body}");
    }
    let (body, _) = said("gemini", "gemini-2.5-pro", &request).unwrap();
    assert!(
        body["systemInstruction"].to_string().contains("LATE") && !body["contents"].to_string().contains("\"  \""),
        "{body}"
    );
}

/// Item 9: Files as data and by address, of the type that they are, in results of tools too; nothing is fetched (litellm#18068 #21746 #39839).
#[test]
fn files_get_there_and_none_is_fetched() {
    const JPEG: &str = "/9j/4AAQSkZJRg==";
    let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let file =
        json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}});
    let mislabelled = image(&format!("data:image/png;base64,{JPEG}"));
    let content = json!([{"type": "text", "text": "x"}, mislabelled, image("https://a.example/b.png"), file]);
    let request = json!({"model": "m", "messages": [{"role": "user", "content": content}]});
    let (body, _) = said("anthropic", "claude-sonnet-4-5", &request).unwrap();
    let parts = &body["messages"][0]["content"];
    assert_eq!(parts[1]["source"], json!({"type": "base64", "media_type": "image/jpeg", "data": JPEG}));
    assert_eq!(parts[2]["source"], json!({"type": "url", "url": "https://a.example/b.png"}));
    assert_eq!(parts[3]["source"]["media_type"], "application/pdf");
    let error = said("bedrock", "amazon.nova-pro-v1:0", &request).unwrap_err();
    assert_eq!(error.client_status(), 400);
    let seen = json!({"model": "m", "messages": [user("x"), {"role": "assistant", "tool_calls": [called("t1", "look", "{}")]},
        {"role": "tool", "tool_call_id": "t1", "content": [mislabelled]}]});
    for kind in ["anthropic", "bedrock", "gemini"] {
        let (body, _) = said(kind, "m", &seen).unwrap();
        assert!(body.to_string().contains(JPEG), "{kind}: {body}");
    }
    let sound = json!({"type": "input_audio", "input_audio": {"data": "UklGRiQA", "format": "wav"}});
    let heard = json!({"model": "m", "messages": [{"role": "user", "content": [sound]}]});
    assert!(said("gemini", "gemini-2.5-pro", &heard).unwrap().0.to_string().contains("UklGRiQA"));
    assert_eq!(said("anthropic", "claude-sonnet-4-5", &heard).unwrap_err().client_status(), 400);
}

/// Item 10: What a model does not take is named, by model and by parameter, and limits get through by the right name (litellm#33171
/// #13407 #35582).
#[test]
fn parameters_that_are_left_out_are_named() {
    let request = json!({"model": "m", "messages": [user("x")], "seed": 1, "logit_bias": {"1": 2}, "temperature": 0.3,
        "max_completion_tokens": 7777, "reasoning_effort": "low", "frequency_penalty": 0.5, "verbosity": "low"});
    for (kind, model, names) in [
        (
            "anthropic",
            "claude-sonnet-4-5",
            &["frequency_penalty", "logit_bias", "seed", "temperature", "verbosity"][..],
        ),
        (
            "anthropic",
            "claude-3-5-haiku-20241022",
            &["frequency_penalty", "logit_bias", "reasoning_effort", "seed", "verbosity"],
        ),
        ("gemini", "gemini-2.5-pro", &["logit_bias", "verbosity"]),
        ("cohere", "command-a-03-2025", &["logit_bias", "reasoning_effort", "verbosity"]),
    ] {
        let (body, mut dropped) = said(kind, model, &request).unwrap();
        dropped.sort();
        assert_eq!(dropped, names, "{kind} {model}: {body}");
        assert!(names.contains(&"temperature") != body.to_string().contains("0.3"), "{kind} {model}: {body}");
    }
    for (kind, name) in [("deepseek", "max_tokens"), ("mistral", "max_tokens"), ("openai", "max_completion_tokens")] {
        let (body, _) = said(kind, "m", &request).unwrap();
        assert_eq!(body[name], 7777, "{kind}: {body}");
    }
}

/// Item 12: The answer names the model that was asked for, not the provider's (litellm#22709 #38761).
#[test]
fn the_model_in_the_answer_is_the_one_asked_for() {
    for kind in KINDS {
        for stream in [false, true] {
            let mut filters = crate::native::Native::new(&config(), ENVIRONMENT);
            let outcome = run(&mut filters, &Script::chat(kind.letter(), stream, true).answered([kind.good(stream)]));
            let answers =
                if stream { chunks(&outcome.body) } else { vec![serde_json::from_str(&outcome.body).unwrap()] };
            assert!(!answers.is_empty() && !outcome.body.contains("up-9"), "{}", outcome.body);
            answers.iter().for_each(|answer| assert_eq!(answer["model"], kind.letter(), "{kind:?}, stream {stream}"));
        }
    }
}
