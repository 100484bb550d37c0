//! Answers and refusals of Bedrock's.

use hyper::HeaderMap;
use model_gateway::frame::eventstream::Decoder;

use super::*;
use crate::mock::directives::Directives;
use crate::mock::model;

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn asked(more: Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Each frame's type and payload.
fn frames(bytes: &[u8]) -> Vec<(String, Value)> {
    let mut decoder = Decoder::default();
    decoder.push(bytes);
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next_frame().unwrap() {
        let name = frame.text(":event-type").or(frame.text(":exception-type")).unwrap().to_owned();
        frames.push((name, serde_json::from_slice(frame.payload).unwrap()));
    }
    assert!(decoder.is_between());
    frames
}

fn answer(more: Value, directives: &str) -> (Value, Vec<(String, Value)>) {
    let mut read = Directives::default();
    read.merge(directives).unwrap();
    let prompt = request::read(&asked(more), CLAUDE, true).unwrap();
    let reply = model::reply(&prompt, &read, 7, 1_700_000_000);
    let events = Bedrock.events(&prompt, &reply);
    let bytes: Vec<u8> = events.iter().flat_map(|event| event.bytes.to_vec()).collect();
    (Bedrock.document(&prompt, &reply), frames(&bytes))
}

#[track_caller]
fn refuses(more: Value, expected: &str) {
    match request::read(&asked(more), CLAUDE, false) {
        Err(Fault::Invalid { message, .. }) => assert!(message.contains(expected), "{message}"),
        other => panic!("{expected}: {other:?}"),
    }
}

fn tools() -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let tool = |name: &str| json!({"toolSpec": {"name": name, "inputSchema": {"json": schema}}});
    json!({"tools": [tool("f"), tool("g")]})
}

#[test]
fn documents_and_streams_say_the_same() {
    let (document, frames) = answer(json!({}), "cached=100&cache-write=10");
    assert_eq!(document["output"]["message"]["content"], json!([{"text": "Mock answer to: hi"}]));
    assert_eq!(document["usage"]["inputTokens"], 1);
    assert_eq!(document["usage"]["totalTokens"], 115);
    let text: String = frames.iter().filter_map(|(_, payload)| payload["delta"]["text"].as_str()).collect();
    assert_eq!(text, "Mock answer to: hi");
    assert_eq!(frames[0].0, "messageStart");
    let [.., (stop, stopped), (last, metadata)] = frames.as_slice() else { panic!() };
    assert_eq!((stop.as_str(), &stopped["stopReason"]), ("messageStop", &json!("end_turn")));
    assert_eq!((last.as_str(), &metadata["usage"]), ("metadata", &document["usage"]));
}

#[test]
fn thoughts_are_signed_and_come_back() {
    let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}});
    let (document, frames) = answer(json!({"additionalModelRequestFields": thinking}), "reasoning=so it is");
    let content = document["output"]["message"]["content"].clone();
    let reasoning = &content[0]["reasoningContent"]["reasoningText"];
    assert_eq!(reasoning["text"], "so it is");
    let deltas = || frames.iter().map(|(_, payload)| &payload["delta"]["reasoningContent"]);
    assert_eq!(deltas().filter_map(|delta| delta["text"].as_str()).collect::<String>(), "so it is");
    assert!(deltas().any(|delta| delta["signature"] == reasoning["signature"]));

    let turns = |content: &Value| {
        let user = json!({"role": "user", "content": [{"text": "x"}]});
        json!({"messages": [user, {"role": "assistant", "content": content}, user]})
    };
    assert!(request::read(&turns(&content), CLAUDE, false).is_ok());
    let mut changed = content;
    changed[0]["reasoningContent"]["reasoningText"]["text"] = json!("so it was");
    refuses(turns(&changed), "Invalid `signature`");
    let (document, frames) = answer(json!({"additionalModelRequestFields": thinking}), "redacted");
    let block = &document["output"]["message"]["content"][0];
    assert!(frames.iter().any(|(_, payload)| payload["delta"] == *block));
    assert!(request::read(&turns(&json!([block, {"text": "x"}])), CLAUDE, false).is_ok());
}

#[test]
fn calls_are_streamed_and_their_results_belong_to_them() {
    let (document, frames) = answer(json!({"toolConfig": tools()}), "tools=2");
    let content = document["output"]["message"]["content"].clone();
    assert_eq!(content[0]["toolUse"]["input"], json!({"city": "text"}));
    let start = |(_, payload): &(String, Value)| payload["start"]["toolUse"]["toolUseId"].as_str().map(str::to_owned);
    let ids: Vec<String> = frames.iter().filter_map(start).collect();
    assert_eq!(json!(ids), json!([content[0]["toolUse"]["toolUseId"], content[1]["toolUse"]["toolUseId"]]));
    let input: String = frames
        .iter()
        .filter(|(_, payload)| payload["contentBlockIndex"] == 1)
        .filter_map(|(_, payload)| payload["delta"]["toolUse"]["input"].as_str())
        .collect();
    assert_eq!(input, r#"{"city":"text"}"#);

    let result = |id: &str| json!({"toolResult": {"toolUseId": id, "content": [{"text": id}]}});
    let turns = |results: Value, config: Value| {
        let user = json!({"role": "user", "content": [{"text": "x"}]});
        json!({"toolConfig": config, "messages": [user, {"role": "assistant", "content": content}, {"role": "user", "content": results}]})
    };
    let both = json!([result(&ids[0]), result(&ids[1])]);
    assert_eq!(request::read(&turns(both.clone(), tools()), CLAUDE, false).unwrap().results, ids);
    refuses(turns(both, Value::Null), "toolConfig field must be defined");
    refuses(turns(json!([result(&ids[0])]), tools()), "Expected toolResult blocks at messages.2.content");
    refuses(turns(json!([result(&ids[0]), result("x")]), tools()), "exceeds the number of toolUse blocks");
    refuses(turns(json!([result(&ids[0]), result("a.b")]), tools()), "regular expression pattern");
}

#[test]
fn fields_are_checked() {
    refuses(json!({"max_tokens": 1}), "extraneous key [max_tokens]");
    refuses(json!({"inferenceConfig": {"temperature": 1.5}}), "less than or equal to 1");
    refuses(json!({"messages": []}), "start with a user message");
    let user = json!({"role": "user", "content": [{"text": "x"}]});
    refuses(json!({"messages": [user, user]}), "must alternate");
    refuses(json!({"messages": [{"role": "user", "content": [{"text": " "}]}]}), "is blank");
    refuses(json!({"messages": [{"role": "user", "content": "x"}]}), "content field");
    refuses(json!({"messages": [{"role": "user", "content": [{"text": "a", "image": {}}]}]}), "exactly one of");
    let image = json!({"format": "png", "source": {"bytes": "data:image/png;base64,AAAA"}});
    refuses(json!({"messages": [{"role": "user", "content": [{"image": image}]}]}), "not valid base64");
    refuses(json!({"toolConfig": {"tools": []}}), "greater than or equal to 1");
    refuses(json!({"toolConfig": {"tools": [{"toolSpec": {"name": "a b"}}]}}), "regular expression pattern");
    let mut forced = tools();
    forced.put("toolChoice", json!({"any": {}}));
    let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}});
    refuses(json!({"toolConfig": forced, "additionalModelRequestFields": thinking}), "Thinking may not be enabled");
    refuses(json!({"additionalModelRequestFields": {"reasoning_effort": "low"}}), "Extra inputs are not permitted");
    let structure = json!({"jsonSchema": {"schema": "{\"type\":\"object\"}", "name": "n"}});
    let format = json!({"textFormat": {"type": "json_schema", "structure": structure}});
    let prompt = request::read(&asked(json!({ "outputConfig": format })), CLAUDE, false).unwrap();
    assert_eq!(prompt.format, Some(json!({"type": "object"})));
}

#[test]
fn errors_have_a_name_in_headers_and_frames() {
    let fault = Fault::Status(429);
    assert!(Bedrock.error_headers(&fault)[0].1.starts_with("ThrottlingException:"));
    assert_eq!(Bedrock.error(&fault, "").0, 429);
    assert_eq!(frames(&Bedrock.error_event(&fault, ""))[0].0, "throttlingException");
    assert_eq!(frames(&Bedrock.error_event(&Fault::Status(529), ""))[0].0, "serviceUnavailableException");
}

#[test]
fn a_signature_or_a_token_is_wanted() {
    let check = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", value.parse().unwrap());
        Bedrock.authenticate(&Call { path: "", query: "", headers: &headers, body: &Value::Null })
    };
    assert_eq!(
        check("AWS4-HMAC-SHA256 Credential=A/20250101/r/bedrock/aws4_request, SignedHeaders=host, Signature=ab"),
        Ok(())
    );
    assert_eq!(check("Bearer k"), Ok(()));
    assert_eq!(check("AWS4-HMAC-SHA256"), Err(Fault::NoKey));
}

#[test]
fn embeddings_of_two_vendors() {
    let (answer, usage) =
        embeddings::answer(&json!({"inputText": "a b", "dimensions": 256}), "amazon.titan-embed-text-v2:0").unwrap();
    assert_eq!((answer["embedding"].as_array().unwrap().len(), usage.input), (256, 2));
    assert!(embeddings::answer(&json!({"inputText": "a", "dimensions": 3}), "amazon.titan-embed-text-v2:0").is_err());
    assert!(embeddings::answer(&json!({"inputText": "a", "normalize": true}), "amazon.titan-embed-text-v1").is_err());
    let body = json!({"inputImage": "iVBORw0KGgo=", "embeddingConfig": {"outputEmbeddingLength": 384}});
    let (answer, _) = embeddings::answer(&body, "amazon.titan-embed-image-v1").unwrap();
    assert_eq!(answer["embedding"].as_array().unwrap().len(), 384);
    let body = json!({"texts": ["a", "b"], "input_type": "search_query"});
    let (answer, _) = embeddings::answer(&body, "cohere.embed-multilingual-v3").unwrap();
    assert_eq!(answer["embeddings"].as_array().unwrap().len(), 2);
    assert!(embeddings::answer(&json!({"texts": ["a"]}), "cohere.embed-multilingual-v3").is_err());
}
