//! Whole requests for embeddings: in two positions and in one, to providers with a dialect of their own and to others.

use model_gateway::names::log;
use serde_json::{Value, json};

use crate::native::Native;
use crate::scripted::envoy::{Answer, Outcome, Script, run};
use crate::scripted::wire::json as answer;

fn filters() -> Native {
    let target = |provider: &str, model: &str| json!({"targets": [{"provider": provider, "model": model}]});
    let then = |provider: &str, model: &str, next: &str| json!({"targets": [{"provider": provider, "model": model}], "fallbacks": [next]});
    let config = json!({
        "providers": {
            "cohere": {"kind": "cohere", "api_key": "${KEY}", "base_url": "https://one.example/base"},
            "gemini": {"kind": "gemini", "api_key": "${KEY}"},
            "vertex": {"kind": "vertex", "api_key": "${KEY}", "project": "p", "region": "r"},
            "bedrock": {"kind": "bedrock", "api_key": "${KEY}", "region": "r"},
            "ollama": {"kind": "ollama"},
            "vllm": {"kind": "vllm"},
            "anthropic": {"kind": "anthropic", "api_key": "${KEY}"},
        },
        "models": {
            "cohere": then("cohere", "embed-v4.0", "ollama"),
            "gemini": target("gemini", "gemini-embedding-001"),
            "vertex": target("vertex", "text-embedding-005"),
            "titan": target("bedrock", "amazon.titan-embed-text-v2:0"),
            "bedrock": target("bedrock", "cohere.embed-english-v3"),
            "ollama": target("ollama", "embeddinggemma"),
            "vllm": target("vllm", "e5"),
            "strict": {"targets": [{"provider": "ollama", "strict": true}]},
            "anthropic": target("anthropic", "claude"),
        },
    });
    Native::new(&config, &[("KEY", "key")])
}

/// A request in either position, which come to the same.
fn ask(body: &Value, answers: &[Answer]) -> Outcome {
    let script = Script::post(body.to_string()).with(":path", "/v1/embeddings").answered(answers);
    let (two, one) = (run(&mut filters(), &script), run(&mut filters(), &Script { root: "single", ..script.clone() }));
    if two.sent.len() <= 1 {
        assert_eq!((two.status, &two.body), (one.status, &one.body), "{body}");
        assert!(two.sent.is_empty() || two.log == one.log, "{body}");
        let sent = |outcome: &Outcome| outcome.sent.first().map(|sent| (sent.headers.text(":path"), sent.body.clone()));
        assert_eq!(sent(&two), sent(&one), "{body}");
    }
    two
}

fn list(vectors: &[&str], model: &str, tokens: u64) -> String {
    let data: Vec<_> = vectors
        .iter()
        .enumerate()
        .map(|(index, vector)| format!(r#"{{"object":"embedding","index":{index},"embedding":{vector}}}"#))
        .collect();
    let data = data.join(",");
    format!(
        r#"{{"object":"list","data":[{data}],"model":"{model}","usage":{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}}}"#
    )
}

/// The model, which is the provider's own name here, where the request goes, what the provider gets and answers, and how
/// many tokens that is.
const GOOD: &[(&str, &str, &str, &str, u64)] = &[
    (
        "cohere",
        "/base/v2/embed",
        r#"{"model":"embed-v4.0","texts":["a","b"],"input_type":"search_document","embedding_types":["float"],"output_dimension":2}"#,
        r#"{"embeddings":{"float":[[1,-2.50],[0.1,0]]},"meta":{"billed_units":{"input_tokens":3}}}"#,
        3,
    ),
    (
        "gemini",
        "/v1beta/models/gemini-embedding-001:batchEmbedContents",
        r#"{"requests":[{"model":"models/gemini-embedding-001","content":{"role":"user","parts":[{"text":"a"}]},"outputDimensionality":2},{"model":"models/gemini-embedding-001","content":{"role":"user","parts":[{"text":"b"}]},"outputDimensionality":2}]}"#,
        "{\n\"embeddings\": [{\"values\": [\n1,\n-2.50\n]},\n{\"values\":[0.1, 0]}], \"usageMetadata\": {\"promptTokenCount\": 2}}",
        2,
    ),
    (
        "vertex",
        "/v1/projects/p/locations/r/publishers/google/models/text-embedding-005:predict",
        r#"{"instances":[{"content":"a"},{"content":"b"}],"parameters":{"outputDimensionality":2}}"#,
        r#"{"predictions":[{"embeddings":{"values":[1,-2.50],"statistics":{"token_count":1}}},{"embeddings":{"values":[0.1,0],"statistics":{"token_count":4}}}]}"#,
        5,
    ),
    (
        "ollama",
        "/api/embed",
        r#"{"model":"embeddinggemma","input":["a","b"],"dimensions":2}"#,
        r#"{"model":"embeddinggemma","embeddings":[[1,-2.50],[0.1,0]],"prompt_eval_count":6}"#,
        6,
    ),
];

#[test]
fn vectors_come_as_they_were_asked_for() {
    for (model, path, sent, said, tokens) in GOOD {
        for (encoding, vectors) in
            [("float", ["[1,-2.50]", "[0.1,0]"]), ("base64", [r#""AACAPwAAIMA=""#, r#""zczMPQAAAAA=""#])]
        {
            let body = json!({"model": model, "input": ["a", "b"], "dimensions": 2, "encoding_format": encoding});
            let outcome = ask(&body, &[answer(200, said)]);
            assert_eq!((outcome.status, &*outcome.body), (200, &*list(&vectors, model, *tokens)), "{model}");
            assert_eq!(
                (outcome.sent[0].headers.text(":path").as_deref(), &*outcome.sent[0].body),
                (Some(*path), *sent)
            );
            assert_eq!(outcome.headers.text("content-length"), Some(outcome.body.len().to_string()));
            assert_eq!(outcome.headers.text("x-gateway-dropped"), None);
            assert_eq!((outcome.log(log::INPUT_TOKENS), outcome.log(log::OUTPUT_TOKENS)), (&*tokens.to_string(), "0"));
        }
    }
}

/// What the official Python client sends by default, to a server that has never heard of base64.
#[test]
fn base64_is_made_where_a_spliced_provider_answers_with_numbers() {
    let said =
        r#"{"data":[{"index":0,"embedding":[1, -2.50]}],"model":"e5","usage":{"prompt_tokens":2,"total_tokens":2}}"#;
    for (encoding, vector) in [("base64", r#""AACAPwAAIMA=""#), ("float", "[1, -2.50]")] {
        let outcome = ask(&json!({"model": "vllm", "input": "a", "encoding_format": encoding}), &[answer(200, said)]);
        assert_eq!(outcome.body, said.replace("e5", "vllm").replace("[1, -2.50]", vector));
        assert_eq!(outcome.log(log::INPUT_TOKENS), "2");
        assert_eq!(outcome.sent[0].headers.text(":path").as_deref(), Some("/v1/embeddings"));
    }
}

#[test]
fn bedrock_counts_in_a_header_where_its_answer_does_not() {
    let count = |answer: Answer| answer.with("x-amzn-bedrock-input-token-count", "9");
    let said = count(answer(200, r#"{"embeddings":[[1,-2.50]],"response_type":"embeddings_floats"}"#));
    let outcome = ask(&json!({"model": "bedrock", "input": "a"}), &[said]);
    assert_eq!(outcome.body, list(&["[1,-2.50]"], "bedrock", 9));
    assert_eq!(outcome.log(log::INPUT_TOKENS), "9");
    assert_eq!(outcome.sent[0].headers.text(":path").as_deref(), Some("/model/cohere.embed-english-v3/invoke"));
    let said = count(answer(200, r#"{"embedding":[1,-2.50],"inputTextTokenCount":4}"#));
    let outcome = ask(&json!({"model": "titan", "input": ["a"]}), &[said]);
    assert_eq!(outcome.body, list(&["[1,-2.50]"], "titan", 4));
    // Nobody has said: what is not known is not accounted.
    let outcome = ask(&json!({"model": "bedrock", "input": "a"}), &[answer(200, r#"{"embeddings":[[1]]}"#)]);
    assert_eq!((&*outcome.body, outcome.log(log::INPUT_TOKENS)), (&*list(&["[1]"], "bedrock", 0), ""));
}

#[test]
fn what_cannot_be_asked_for_is_refused_before_it_is_sent() {
    for (body, words, param) in [
        (json!({"model": "titan", "input": ["a", "b"]}), "one input at a time, not 2", "input"),
        (json!({"model": "cohere", "input": vec!["a"; 97]}), "at most 96 inputs", "input"),
        (json!({"model": "ollama", "input": [[1, 2]]}), "not OpenAI's tokens", "input"),
        (json!({"model": "strict", "input": "a", "input_type": "x"}), "'input_type' is not supported", "input_type"),
        (json!({"model": "anthropic", "input": "a"}), "no target that can be asked for /embeddings", "model"),
        (json!({"model": "gemini"}), "Missing required parameter", "input"),
        (
            json!({"model": "gemini", "input": "a", "encoding_format": "int8"}),
            "Invalid value: 'int8'",
            "encoding_format",
        ),
    ] {
        let outcome = ask(&body, &[]);
        let told: Value = serde_json::from_str(&outcome.body).unwrap();
        assert_eq!((outcome.status, &told["error"]["param"]), (400, &json!(param)), "{body}");
        assert!(told["error"]["message"].as_str().unwrap().contains(words), "{told}");
    }
}

#[test]
fn what_is_lost_is_named() {
    let said = r#"{"embeddings":[[1]],"prompt_eval_count":1}"#;
    let outcome = ask(&json!({"model": "ollama", "input": "a", "user": "u", "title": "t"}), &[answer(200, said)]);
    assert_eq!((outcome.status, outcome.headers.text("x-gateway-dropped").as_deref()), (200, Some("user, title")));
}

#[test]
fn failures_go_to_the_next_target_and_mistakes_to_the_client() {
    let good = || answer(200, r#"{"embeddings":[[1],[2]],"prompt_eval_count":1}"#);
    let body = json!({"model": "cohere", "input": ["a", "b"]});
    for bad in [
        answer(429, r#"{"message":"slow down"}"#),
        answer(200, r#"{"id":"i","message":"internal server error"}"#),
        answer(200, r#"{"embeddings":{"float":[[1]]}}"#),
        answer(200, r#"{"embeddings":{"float":[[1],[]]}}"#),
        answer(200, r#"{"embeddings":{"int8":[[1],[2]]}}"#),
        answer(200, "<html>"),
    ] {
        let outcome = ask(&body, &[bad.clone(), good()]);
        assert_eq!((outcome.status, &*outcome.body), (200, &*list(&["[1]", "[2]"], "cohere", 1)), "{bad:?}");
        assert_eq!(outcome.headers.text("x-gateway-provider").as_deref(), Some("ollama"));
        assert_eq!(outcome.sent[1].body, r#"{"model":"embeddinggemma","input":["a","b"]}"#);
    }
    let outcome = ask(&body, &[answer(400, r#"{"message":"invalid request: too long"}"#)]);
    let told: Value = serde_json::from_str(&outcome.body).unwrap();
    assert_eq!((outcome.status, &told["error"]["message"]), (400, &json!("invalid request: too long")));
}
