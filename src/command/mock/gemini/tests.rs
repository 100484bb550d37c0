//! Answers and refusals of Google's.

use hyper::HeaderMap;

use super::*;
use crate::mock::directives::Directives;

const G2: &str = "gemini-2.5-flash";
const G3: &str = "gemini-3-flash-preview";

fn read(dialect: &Gemini, model: &str, body: &Value) -> Result<Prompt, Fault> {
    let path = format!("/v1beta/models/{model}:generateContent");
    dialect.read(&Call { path: &path, query: "", headers: &HeaderMap::new(), body }, model)
}

fn asked(more: Value) -> Value {
    let mut body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn answer(model: &str, more: Value, directives: &str) -> (Value, Vec<Value>) {
    let mut read_directives = Directives::default();
    read_directives.merge(directives).unwrap();
    let prompt = read(&Gemini::GOOGLE_AI, model, &asked(more)).unwrap();
    let reply = model::reply(&prompt, &read_directives, 7, 1_700_000_000);
    let data = |event: &Event| {
        let line = str::from_utf8(&event.bytes).unwrap().strip_prefix("data: ").unwrap();
        serde_json::from_str(line.trim_end()).unwrap()
    };
    let events = Gemini::GOOGLE_AI.events(&prompt, &reply);
    assert_eq!(events.last().unwrap().usage, reply.usage);
    (Gemini::GOOGLE_AI.document(&prompt, &reply), events.iter().map(data).collect())
}

#[track_caller]
fn refuses(dialect: &Gemini, model: &str, more: Value, expected: &str) {
    match read(dialect, model, &asked(more)) {
        Err(Fault::Invalid { message, .. }) => assert!(message.contains(expected), "{message}"),
        other => panic!("{expected}: {other:?}"),
    }
}

fn weather() -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    json!([{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}, {"name": "g"}]}])
}

#[test]
fn documents_and_streams_say_the_same() {
    let (document, events) = answer(G2, json!({}), "");
    assert_eq!(document["candidates"][0]["content"]["parts"], json!([{"text": "Mock answer to: hi"}]));
    assert_eq!(document["usageMetadata"]["totalTokenCount"], 5);
    let text: String =
        events.iter().filter_map(|event| event["candidates"][0]["content"]["parts"][0]["text"].as_str()).collect();
    assert_eq!(text, "Mock answer to: hi");
    let last = events.last().unwrap();
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert_eq!(last["usageMetadata"], document["usageMetadata"]);
    assert_eq!(events[0]["candidates"][0].get("finishReason"), None);

    let (document, _) = answer(G2, json!({"generationConfig": {"candidateCount": 2, "maxOutputTokens": 2}}), "");
    assert_eq!(document["candidates"][1]["content"]["parts"][0]["text"], "[1] Mock answer");
    assert_eq!(document["candidates"][1]["finishReason"], "MAX_TOKENS");
}

#[test]
fn thoughts_are_shown_if_asked_for_and_signed() {
    let (document, events) = answer(
        G2,
        json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": true}}}),
        "",
    );
    let parts = &document["candidates"][0]["content"]["parts"];
    assert_eq!(parts[0]["thought"], true);
    let signature = parts[1]["thoughtSignature"].as_str().unwrap();
    assert!(super::super::random::is_sealed(SIGNATURE, signature));
    let streamed: Vec<&Value> = events.iter().map(|event| &event["candidates"][0]["content"]["parts"][0]).collect();
    assert!(streamed.iter().any(|part| part["thoughtSignature"] == signature && part["text"] == ""));
    assert_eq!(document["usageMetadata"]["thoughtsTokenCount"], 9);
}

#[test]
fn calls_are_whole_and_the_first_is_signed() {
    let (document, events) = answer(G3, json!({"tools": weather()}), "tools=2");
    let parts = document["candidates"][0]["content"]["parts"].as_array().unwrap();
    assert_eq!(parts[0]["functionCall"]["args"], json!({"city": "text"}));
    assert!(parts[0]["thoughtSignature"].is_string() && parts[1].get("thoughtSignature").is_none());
    assert!(parts[1]["functionCall"]["id"].is_string());
    assert_eq!(events.iter().filter(|event| event.to_string().contains("functionCall")).count(), 2);

    // And they come back.
    let result =
        |name: &str, id: &Value| json!({"functionResponse": {"id": id, "name": name, "response": {"result": name}}});
    let results = [result("f", &parts[0]["functionCall"]["id"]), result("g", &parts[1]["functionCall"]["id"])];
    let turns = |model: &Value, user: &[Value]| {
        json!({"tools": weather(), "contents": [{"role": "user", "parts": [{"text": "x"}]}, {"role": "model", "parts": model},
            {"role": "user", "parts": user}]})
    };
    let (document, _) = answer(G3, turns(&json!(parts), &results), "");
    assert_eq!(document["candidates"][0]["content"]["parts"][0]["text"], "Mock answer from tools: f; g");
    let mut unsigned = json!(parts);
    unsigned[0].as_object_mut().unwrap().remove("thoughtSignature");
    refuses(&Gemini::GOOGLE_AI, G3, turns(&unsigned, &results), "missing a thought_signature");
    assert!(read(&Gemini::GOOGLE_AI, G2, &asked(turns(&unsigned, &results))).is_ok());
    unsigned[0]["thoughtSignature"] = json!("c2lnbg==");
    refuses(&Gemini::GOOGLE_AI, G2, turns(&unsigned, &results), "Corrupted thought signature");
    refuses(&Gemini::GOOGLE_AI, G3, turns(&json!(parts), &results[..1]), "the number of function response parts");
    refuses(&Gemini::VERTEX, G3, turns(&json!(parts), &results), "Unknown name \"id\"");
    refuses(
        &Gemini::GOOGLE_AI,
        G3,
        json!({"contents": [{"parts": results}]}),
        "immediately after a function call turn",
    );
}

#[test]
fn fields_are_checked() {
    let refuses = |more, expected: &str| refuses(&Gemini::GOOGLE_AI, G2, more, expected);
    refuses(json!({"messages": []}), "Unknown name \"messages\"");
    refuses(json!({"contents": []}), "contents is not specified");
    refuses(json!({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}), "valid role");
    refuses(json!({"contents": [{"role": "model", "parts": [{"text": "x"}]}]}), "end with a user role");
    refuses(json!({"contents": [{"parts": [{"thought": true}]}]}), "required oneof field");
    refuses(json!({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "data:"}}]}]}), "Base64");
    refuses(json!({"generationConfig": {"n": 1}}), "Unknown name \"n\" at 'generation_config'");
    refuses(json!({"generationConfig": {"temperature": 3}}), "supported range");
    refuses(json!({"generationConfig": {"thinkingConfig": {"thinkingLevel": "low"}}}), "Thinking level");
    refuses(json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": 99_999}}}), "thinking budget");
    refuses(json!({"generationConfig": {"responseJsonSchema": {}}}), "response_mime_type");
    refuses(
        json!({"generationConfig": {"responseMimeType": "application/json"}, "tools": weather()}),
        "Function calling with a response mime type",
    );
    let open_api = json!({"type": "OBJECT", "properties": {"a": {"type": "STRING", "const": "x"}}});
    refuses(
        json!({"tools": [{"functionDeclarations": [{"name": "f", "parameters": open_api}]}]}),
        "Unknown name \"const\"",
    );
    refuses(json!({"tools": [{"functionDeclarations": [{"name": "1f"}]}]}), "Invalid function name");
    let config = |mode: &str| json!({"functionCallingConfig": {"mode": mode, "allowedFunctionNames": ["f"]}});
    refuses(json!({"tools": weather(), "toolConfig": config("AUTO")}), "only be set when mode is ANY");
    refuses(json!({"toolConfig": config("ANY")}), "without function_declarations");
    let chosen =
        read(&Gemini::GOOGLE_AI, G2, &asked(json!({"tools": weather(), "toolConfig": config("ANY")}))).unwrap();
    assert_eq!(chosen.choice, model::Choice::Named("f".into()));
}

#[test]
fn errors_have_their_status() {
    let told = |dialect: Gemini, fault| {
        let (status, body) = dialect.error(&fault, "");
        (status, body["error"]["status"].clone())
    };
    assert_eq!(told(Gemini::GOOGLE_AI, Fault::Status(503)), (503, json!("UNAVAILABLE")));
    assert_eq!(told(Gemini::GOOGLE_AI, Fault::Status(429)), (429, json!("RESOURCE_EXHAUSTED")));
    assert_eq!(told(Gemini::GOOGLE_AI, Fault::BadKey(String::new())), (400, json!("INVALID_ARGUMENT")));
    assert_eq!(told(Gemini::VERTEX, Fault::BadKey(String::new())), (401, json!("UNAUTHENTICATED")));
}

#[test]
fn embeddings_in_three_ways() {
    let ask = |dialect: &Gemini, path: &str, body: &Value| {
        dialect.embeddings(&Call { path, query: "", headers: &HeaderMap::new(), body }, "text-embedding-004")
    };
    let content = json!({"parts": [{"text": "a b"}]});
    let one = json!({"content": content, "outputDimensionality": 3});
    let (answer, _) = ask(&Gemini::GOOGLE_AI, "m:embedContent", &one).unwrap();
    assert_eq!(answer["embedding"]["values"], super::super::embedding::json("a b", 3));
    let batch = |model: &str| json!({"requests": [{"model": model, "content": content}]});
    let (answer, _) = ask(&Gemini::GOOGLE_AI, "m:batchEmbedContents", &batch("models/text-embedding-004")).unwrap();
    assert_eq!(answer["embeddings"][0]["values"].as_array().unwrap().len(), 768);
    assert!(ask(&Gemini::GOOGLE_AI, "m:batchEmbedContents", &batch("other")).is_err());
    let (answer, usage) = ask(&Gemini::VERTEX, "m:predict", &json!({"instances": [{"content": "a b"}]})).unwrap();
    assert_eq!(answer["predictions"][0]["embeddings"]["statistics"]["token_count"], 2);
    assert_eq!(usage.input, 2);
    assert!(ask(&Gemini::VERTEX, "m:predict", &json!({"instances": [{"text": "a"}]})).is_err());
    let config = json!({"outputDimensionality": 3, "autoTruncate": true});
    let one = json!({"content": content, "embedContentConfig": config});
    let (answer, usage) = ask(&Gemini::VERTEX, "m:embedContent", &one).unwrap();
    assert_eq!((&answer["usageMetadata"]["promptTokenCount"], usage.input), (&json!(2), 2));
    let (answer, _) = ask(&Gemini::VERTEX, "m:batchEmbedContents", &json!({"requests": [one]})).unwrap();
    assert_eq!(answer["embeddings"][0]["statistics"]["tokenCount"], 2);
    assert!(ask(&Gemini::GOOGLE_AI, "m:embedContent", &one).is_err());
}
