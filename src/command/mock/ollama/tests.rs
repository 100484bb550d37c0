//! Answers and refusals of Ollama's.

use super::*;
use crate::mock::directives::Directives;

fn asked(more: Value) -> Value {
    let mut body = json!({"model": "qwen3:8b", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn answer(more: Value, directives: &str) -> (Value, Vec<Value>) {
    let mut read = Directives::default();
    read.merge(directives).unwrap();
    let prompt = request::read(&asked(more), "qwen3:8b").unwrap();
    let reply = model::reply(&prompt, &read, 1_234, 1_700_000_000);
    let line = |event: &Event| serde_json::from_slice(event.bytes.strip_suffix(b"\n").unwrap()).unwrap();
    (Ollama.document(&prompt, &reply), Ollama.events(&prompt, &reply).iter().map(line).collect())
}

#[track_caller]
fn refuses(more: Value, expected: &str) {
    match request::read(&asked(more), "qwen3:8b") {
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
    let (document, lines) = answer(json!({"think": "low"}), "reasoning=so it is");
    assert_eq!(document["message"]["content"], "Mock answer to: hi");
    assert_eq!(document["created_at"], "2023-11-14T22:13:20.000001234Z");
    let joined = |name: &str| lines.iter().filter_map(|line| line["message"][name].as_str()).collect::<String>();
    assert_eq!((joined("thinking"), joined("content")), ("so it is".into(), "Mock answer to: hi".into()));
    let (last, others) = lines.split_last().unwrap();
    assert!(others.iter().all(|line| line["done"] == false));
    assert_eq!((&last["done"], &last["done_reason"], &last["eval_count"]), (&json!(true), &json!("stop"), &json!(7)));
    assert_eq!(last["eval_count"], document["eval_count"]);
    assert!(!request::read(&asked(json!({"stream": false})), "m").unwrap().stream);
    assert!(request::read(&asked(json!({})), "m").unwrap().stream);
}

#[test]
fn calls_come_whole_and_their_results_belong_to_them() {
    let (document, lines) = answer(json!({"tools": tools()}), "tools=2");
    let calls = &document["message"]["tool_calls"];
    assert_eq!(calls[1]["function"]["arguments"], json!({"city": "text"}));
    assert_eq!(lines[1]["message"]["tool_calls"][0], calls[1]);
    let result = |more: Value| {
        let mut message = json!({"role": "tool", "content": "rain"});
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let user = json!({"role": "user", "content": "x"});
        json!({"messages": [user, {"role": "assistant", "content": "", "tool_calls": calls}, message]})
    };
    for more in [json!({"tool_name": "g"}), json!({"tool_call_id": calls[1]["id"]})] {
        assert_eq!(request::read(&asked(result(more)), "m").unwrap().results, ["rain"]);
    }
    refuses(result(json!({"tool_name": "h"})), "must follow the call");
    refuses(result(json!({"tool_call_id": "x"})), "must follow the call");
}

#[test]
fn fields_are_checked() {
    refuses(json!({"temperature": 1}), "unknown field \"temperature\" in ChatRequest");
    refuses(json!({"options": {"max_tokens": 1}}), "unknown field \"max_tokens\" in Options");
    refuses(json!({"options": {"num_predict": 1.5}}), "\"num_predict\" must be of type integer");
    refuses(
        json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}),
        "cannot unmarshal array",
    );
    refuses(json!({"messages": [{"role": "developer", "content": "x"}]}), "invalid role");
    refuses(
        json!({"messages": [{"role": "user", "content": "x", "images": ["data:image/png;base64,AAAA"]}]}),
        "illegal base64",
    );
    let call = json!({"function": {"name": "f", "arguments": "{}"}});
    refuses(json!({"messages": [{"role": "assistant", "tool_calls": [call]}]}), "cannot unmarshal string");
    refuses(json!({"think": "minimal"}), "invalid think value");
    refuses(json!({"format": "xml"}), "invalid format");
    refuses(json!({"tools": [{"type": "function", "function": {"name": "f"}}]}), "tools.function.parameters");
}

#[test]
fn errors_are_a_text() {
    assert_eq!(Ollama.error(&Fault::Status(404), "").1, json!({"error": "model 'mock' not found"}));
    assert!(Ollama.error_event(&Fault::Status(529), "").ends_with(b"}\n"));
}

#[test]
fn embeddings_of_one_text_or_more() {
    let (answer, usage) = request::embeddings(&json!({"input": ["a b", "c"], "dimensions": 8}), "m").unwrap();
    assert_eq!(answer["embeddings"][1], crate::mock::embedding::json("c", 8));
    assert_eq!((&answer["prompt_eval_count"], usage.input), (&json!(3), 3));
    assert!(request::embeddings(&json!({"input": 5}), "m").is_err());
    assert!(request::embeddings(&json!({"input": "a", "encoding_format": "float"}), "m").is_err());
}
