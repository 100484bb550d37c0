//! Answers and refusals of Cohere's.

use super::*;
use crate::mock::directives::Directives;

const REASONS: &str = "command-a-reasoning-08-2025";

fn asked(more: Value) -> Value {
    let mut body = json!({"model": REASONS, "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn answer(more: Value, directives: &str) -> (Value, Vec<Value>) {
    let mut read = Directives::default();
    read.merge(directives).unwrap();
    let prompt = request::read(&asked(more), REASONS).unwrap();
    let reply = model::reply(&prompt, &read, 7, 1_700_000_000);
    let mut events = Cohere.events(&prompt, &reply);
    assert_eq!(events.pop().unwrap().bytes, "data: [DONE]\n\n");
    let data = |event: &Event| {
        let (kind, data) = str::from_utf8(&event.bytes).unwrap().split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data.trim_end()).unwrap();
        assert_eq!(kind, format!("event: {}", data["type"].as_str().unwrap()));
        data
    };
    (Cohere.document(&prompt, &reply), events.iter().map(data).collect())
}

fn joined(events: &[Value], pointer: &str) -> String {
    events.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect()
}

#[track_caller]
fn refuses(more: Value, expected: &str) {
    match request::read(&asked(more), REASONS) {
        Err(Fault::Invalid { message, .. }) => assert!(message.contains(expected), "{message}"),
        other => panic!("{expected}: {other:?}"),
    }
}

fn tools() -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": schema}});
    json!([tool("f"), tool("g")])
}

#[test]
fn documents_and_streams_say_the_same() {
    let (document, events) = answer(json!({"thinking": {"type": "enabled"}}), "reasoning=so it is&cached=4");
    let content = json!([{"type": "thinking", "thinking": "so it is"}, {"type": "text", "text": "Mock answer to: hi"}]);
    assert_eq!(document["message"]["content"], content);
    assert_eq!(joined(&events, "/delta/message/content/thinking"), "so it is");
    assert_eq!(joined(&events, "/delta/message/content/text"), "Mock answer to: hi");
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["delta"]["finish_reason"]), (&json!("message-end"), &json!("COMPLETE")));
    assert_eq!(last["delta"]["usage"], document["usage"]);
    assert_eq!(document["usage"]["tokens"], json!({"input_tokens": 5, "output_tokens": 7, "reasoning_tokens": 3}));
}

#[test]
fn calls_have_a_plan_and_their_results_belong_to_them() {
    let (document, events) = answer(json!({"tools": tools()}), "tools=2&reasoning=I will look.");
    assert_eq!(document["message"]["tool_plan"], "I will look.");
    assert_eq!(joined(&events, "/delta/message/tool_plan"), "I will look.");
    let calls = &document["message"]["tool_calls"];
    let begun: Vec<&Value> = events.iter().filter(|event| event["type"] == "tool-call-start").collect();
    assert_eq!(begun[1]["delta"]["message"]["tool_calls"]["id"], calls[1]["id"]);
    let arguments = joined(&events, "/delta/message/tool_calls/function/arguments");
    assert_eq!(arguments, r#"{"city":"text"}"#.repeat(2));

    let result = |id: &Value| json!({"role": "tool", "tool_call_id": id, "content": "rain"});
    let turns = |results: &[Value]| {
        let mut messages =
            vec![json!({"role": "user", "content": "x"}), json!({"role": "assistant", "tool_calls": calls})];
        messages.extend(results.to_vec());
        json!({"messages": messages, "tools": tools()})
    };
    let both = [result(&calls[1]["id"]), result(&calls[0]["id"])];
    assert_eq!(request::read(&asked(turns(&both)), REASONS).unwrap().results, ["rain", "rain"]);
    refuses(turns(&both[..1]), "last message");
    refuses(turns(&[result(&json!("x"))]), "not among the tool calls");
}

#[test]
fn fields_are_checked() {
    refuses(json!({"n": 1}), "unknown field: parameter 'n'");
    refuses(json!({"messages": []}), "at least 1 token");
    refuses(json!({"messages": [{"role": "developer", "content": "x"}]}), "role must be one of");
    refuses(json!({"messages": [{"role": "user", "content": "x", "name": "n"}]}), "'messages[0].name'");
    refuses(json!({"messages": [{"role": "user", "content": ""}]}), "must have content");
    refuses(json!({"temperature": 1.5}), "temperature must be between");
    refuses(json!({"presence_penalty": 0.5, "frequency_penalty": 0.5}), "cannot specify both");
    refuses(json!({"stop_sequences": ["a", "b", "c", "d", "e", "f"]}), "at most 5");
    refuses(json!({"tool_choice": "REQUIRED"}), "only valid with tools");
    refuses(json!({"tools": tools(), "tool_choice": "required"}), "one of REQUIRED, NONE");
    refuses(json!({"tools": tools(), "response_format": {"type": "json_object"}}), "cannot be used with tools");
    refuses(json!({"tools": [{"type": "function", "function": {"name": "f"}}]}), "the parameters of the tool f");
    assert!(request::read(&asked(json!({"thinking": {"type": "enabled"}})), "command-r").is_err());
}

#[test]
fn errors_have_an_id_and_a_message() {
    let (status, body) = Cohere.error(&Fault::Status(429), "i");
    assert_eq!((status, &body["id"]), (429, &json!("i")));
    assert_eq!(Cohere.error(&request::read(&asked(json!({"n": 1})), "m").unwrap_err(), "").0, 422);
    let event = Cohere.error_event(&Fault::Status(503), "");
    assert!(event.starts_with(b"event: message-end\ndata: ") && str::from_utf8(&event).unwrap().contains("\"ERROR\""));
}

#[test]
fn embeddings_by_type() {
    let ask = |more: Value| {
        let mut body = json!({"model": "embed-v4.0", "input_type": "search_query", "texts": ["a b", "c"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        embed::answer(&body, "embed-v4.0")
    };
    let (answer, usage) = ask(json!({"embedding_types": ["float", "base64"], "output_dimension": 256})).unwrap();
    assert_eq!(answer["embeddings"]["float"][1], crate::mock::embedding::json("c", 256));
    assert_eq!((answer["embeddings"]["base64"].as_array().unwrap().len(), usage.input), (2, 3));
    for wrong in
        [json!({"input_type": null}), json!({"texts": []}), json!({"output_dimension": 3}), json!({"input": "a"})]
    {
        assert!(ask(wrong.clone()).is_err(), "{wrong}");
    }
}
