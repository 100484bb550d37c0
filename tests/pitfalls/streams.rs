//! Items 13 to 20: streams, errors, and what is tried again.

use model_gateway::json::Document;
use model_gateway::names;
use model_gateway::providers::{Failure, find};
use serde_json::{Value, json};

use crate::native::Native;
use crate::scripted::chat::{CLIENT_KEY, ENVIRONMENT, config, provider};
use crate::scripted::envoy::{End, Outcome, Script, run, run_on};
use crate::scripted::filters::Records;
use crate::scripted::wire::{KINDS, Kind, bare, events, json as answer, reset};
use crate::{chunks, streamed};

fn ran(script: &Script) -> Outcome {
    run(&mut Native::new(&config(), ENVIRONMENT), script)
}

/// Item 13: The bytes of a stream may be cut anywhere, its lines end in any way, and its last event without a blank line (litellm#18842).
#[test]
fn streams_are_read_however_they_are_framed() {
    for kind in KINDS {
        let name = if kind == Kind::OpenAi { "openai" } else { "anthropic" };
        let parts = kind.parts();
        let stream = [parts.begin, parts.text, parts.more, parts.end, parts.done].concat();
        let whole = streamed(name, "m", std::iter::once(stream.as_bytes()));
        let text = |stream: &str| -> String {
            chunks(stream)
                .iter()
                .filter_map(|it| it["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
                .collect()
        };
        assert_eq!(text(&whole), "Hé 🦀");
        for at in 0..stream.len() {
            let (one, other) = stream.as_bytes().split_at(at);
            assert_eq!(streamed(name, "m", [one, other].into_iter()), whole, "cut at {at}");
        }
        assert_eq!(streamed(name, "m", stream.as_bytes().chunks(1)), whole);
        let lines = stream.replace("\r\n", "\n");
        let folded = lines.replace("data: {", "data: {\ndata: ");
        for framed in [
            lines.replace('\n', "\r\n"),
            lines.replace("\n\n", "\n\n: a comment\n\n"),
            format!("\u{feff}{lines}"),
            lines.trim_end().to_owned(),
            folded,
        ] {
            let out = streamed(name, "m", std::iter::once(framed.as_bytes()));
            assert_eq!(text(&out), "Hé 🦀", "{framed:?}: {out}");
            assert!(out.trim_end().ends_with("data: [DONE]") && !out.contains("\"error\""), "{framed:?}: {out}");
        }
    }
}

/// Item 14: An error in a stream of status 200, and a stream without its end: an error for the client, no `[DONE]`, and a failure in the
/// books (litellm#40578 #32237, portkey#1797).
#[test]
fn a_broken_stream_ends_with_an_error() {
    for kind in KINDS {
        let parts = kind.parts();
        let begun = [parts.begin, parts.text].concat();
        for rest in [kind.error_event("server_error", "no"), String::new(), "data: {\"ty".to_owned()] {
            let outcome = ran(&Script::chat(kind.letter(), true, false).answered([events(&begun).then(&rest)]));
            let last = chunks(&outcome.body).pop().unwrap();
            assert!(last["error"]["message"].is_string(), "{}", outcome.body);
            assert!(!outcome.body.contains("[DONE]"), "{}", outcome.body);
            assert!(!outcome.log(names::log::ERROR).is_empty());
        }
    }
}

/// Item 15: Another target may answer until there is content, and never after (litellm#6957 #5512 #19077 #28216, bifrost#5395 #2917).
#[test]
fn streams_fall_back_before_content_and_never_after() {
    for kind in KINDS {
        let model = format!("{}-{}", kind.letter(), kind.other().letter());
        let parts = kind.parts();
        let broken = kind.error_event("server_error", "no");
        let early = events(&[parts.begin, &broken].concat());
        let outcome = ran(&Script::chat(&model, true, false).answered([early, kind.other().good(true)]));
        assert_eq!((outcome.sent.len(), &outcome.body), (2, &kind.other().got(true, &model, false)));
        let late = events(&[parts.begin, parts.text].concat()).then(&broken);
        let outcome = ran(&Script::chat(&model, true, false).answered([late, kind.other().good(true)]));
        assert_eq!(outcome.sent.len(), 1);
        assert!(
            outcome.body.starts_with(&kind.got_text(&model)) && outcome.body.contains("\"error\""),
            "{}",
            outcome.body
        );
    }
}

/// Item 16: A client that leaves: its slot is free again, nobody is blamed, and what the provider has counted by then is in the books
/// (litellm#14457 #13774 #37140 #33736). That Envoy then cancels the request is in `tests/envoy.rs`.
#[test]
fn a_client_that_leaves_takes_nothing_along() {
    let mut config = config();
    config["breaker"] = json!({"failures": 1, "percent": 1});
    let targets = json!([{"provider": "openai", "model": "gpt-up"}, {"provider": "openai-2", "model": "gpt-up-2"}]);
    config["models"]["busy"] = json!({"targets": targets, "strategy": "least_busy", "cooldown": "1m"});
    let parts = Kind::OpenAi.parts();
    let begun = [parts.begin, parts.text, parts.usage].concat();
    let leaves = Script { client_leaves: true, ..Script::chat("busy", true, true) };
    let leaves = leaves.answered([events(&begun).then("").ending(End::Reset)]);
    let records = Records::default();
    // Chance is the same for each, so that only the records could lead elsewhere.
    let asked = [(); 4].map(|()| {
        let outcome = run_on(&mut Native::new(&config, ENVIRONMENT), &leaves, &records);
        assert_eq!((outcome.log(names::log::INPUT_TOKENS), outcome.log(names::log::OUTPUT_TOKENS)), ("9", "3"));
        outcome.sent[0].cluster.clone()
    });
    assert!(asked.iter().all(|cluster| *cluster == asked[0]), "{asked:?}");
    // Where it is the provider that breaks off, it is left alone.
    let breaks = Script { client_leaves: false, ..leaves };
    let asked =
        [(); 2].map(|()| run_on(&mut Native::new(&config, ENVIRONMENT), &breaks, &records).sent[0].cluster.clone());
    assert_ne!(asked[0], asked[1]);
}

/// Item 17: Comments while a model thinks get through, and are no content: until then another target may still answer (litellm#14953).
#[test]
fn keep_alives_pass_and_are_no_content() {
    for kind in KINDS {
        let model = format!("{}-{}", kind.letter(), kind.other().letter());
        let waits = events(&[kind.parts().begin, ": wait\n\n", &kind.error_event("server_error", "no")].concat());
        let outcome = ran(&Script::chat(&model, true, false).answered([waits, kind.other().good(true)]));
        assert_eq!((outcome.sent.len(), outcome.status), (2, 200));
    }
    let parts = Kind::OpenAi.parts();
    let waits = events(&[parts.begin, parts.text].concat())
        .then(": wait\n\n")
        .then(&[parts.more, parts.end, parts.done].concat());
    let outcome = ran(&Script::chat("o", true, false).answered([waits]));
    assert!(outcome.body.contains(": wait\n\n") && outcome.body.ends_with("data: [DONE]\n\n"), "{}", outcome.body);
}

/// Item 18: `Retry-After` in all its forms is understood, heeded by the cooldown, and told to the client when no target is left
/// (litellm#21553 #27823).
#[test]
fn retry_after_is_heeded_and_passed_on() {
    for (name, value, seconds) in [
        ("retry-after", "7", "7"),
        ("retry-after", "0.5", "1"),
        ("retry-after-ms", "1200", "2"),
        ("retry-after", "Wed, 21 Oct 2099 07:28:00 GMT", ""),
    ] {
        let records = Records::default();
        let mut filters = Native::new(&config(), ENVIRONMENT);
        let limited = || bare(429).with(name, value);
        let alone = run(&mut filters, &Script::chat("o", false, false).answered([limited()]));
        let told = alone.headers.text("retry-after").unwrap();
        assert!(told == seconds || (seconds.is_empty() && told.parse::<u64>().unwrap() > 1_000_000), "{value}: {told}");
        assert_eq!(alone.status, 429);
        let script = Script::chat("o-a", false, false).answered([limited(), Kind::Anthropic.good(false)]);
        assert_eq!(run_on(&mut filters, &script, &records).sent[0].cluster, "openai");
        let next = Script::chat("o-a", false, false).answered([Kind::Anthropic.good(false)]);
        let outcome = run_on(&mut filters, &next, &records);
        assert_eq!((outcome.sent[0].cluster.as_str(), outcome.status), ("anthropic-2", 200), "{value}");
    }
}

/// Item 19: A prompt that does not fit is told by OpenAI's code, whatever the provider's status and words (litellm#10793 #21647 #22624).
#[test]
fn prompts_that_do_not_fit_are_recognised() {
    let plain = |message: &str| json!({"message": message});
    let typed =
        |message: &str| json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}});
    let coded = |message: &str| json!({"error": {"message": message, "type": "invalid_request_error", "code": null}});
    for (kind, status, body) in [
        ("anthropic", 400, typed("prompt is too long: 210000 tokens > 200000 maximum")),
        ("anthropic", 400, typed("input length and `max_tokens` exceed context limit: 198000 + 8192 > 200000")),
        ("bedrock", 400, plain("Input is too long for requested model.")),
        (
            "gemini",
            400,
            json!({"error": {"code": 400, "status": "INVALID_ARGUMENT",
            "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."}}),
        ),
        (
            "cohere",
            400,
            plain("too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 8000."),
        ),
        ("ollama", 400, json!({"error": "input length exceeds maximum context length"})),
        ("openai", 400, json!({"error": {"message": "m", "code": "context_length_exceeded"}})),
        (
            "together",
            422,
            coded(
                "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. This model's maximum context length is 8193",
            ),
        ),
        ("vllm", 400, coded("This model's maximum context length is 4096 tokens. However, you requested 9000 tokens")),
        ("llamacpp", 400, coded("the request exceeds the available context size")),
    ] {
        let text = body.to_string();
        let document = Document::parse(text.as_bytes()).unwrap();
        for status in [status, 413] {
            let error = find(kind).unwrap().error(&Failure { status, body: Some(document.root()), name: None });
            assert_eq!(
                (error.client_code(), error.client_status()),
                (Some("context_length_exceeded"), 400),
                "{kind} {status}: {body}"
            );
        }
    }
}

/// Item 20: Each attempt has the client's whole request, with a length, path and credential of its own (higress#3531 #4537).
#[test]
fn the_request_survives_every_attempt() {
    for (model, providers) in
        [("o-o", ["openai", "openai-2"]), ("a-o", ["anthropic", "openai-2"]), ("o-a", ["openai", "anthropic-2"])]
    {
        for failed in [bare(503), reset(), answer(500, "{}")] {
            let last = if providers[1].starts_with("openai") { Kind::OpenAi } else { Kind::Anthropic };
            let outcome = ran(&Script::chat(model, true, false).answered([failed, last.good(true)]));
            assert_eq!((outcome.status, outcome.sent.len()), (200, 2));
            for (sent, name) in outcome.sent.iter().zip(providers) {
                let expected = provider(name);
                let header = |name: &str| sent.headers.text(name);
                assert_eq!(header(":path").as_deref(), Some(expected.path));
                assert_eq!(header(":authority").as_deref(), Some(expected.authority));
                assert_eq!(header("content-length"), Some(sent.body.len().to_string()));
                let body: Value = serde_json::from_str(&sent.body).unwrap();
                assert_eq!(body["model"], expected.model);
                assert!(body["messages"].to_string().contains("Hé 🦀"), "{body}");
                for name in ["authorization", "x-api-key", "api-key", "x-goog-api-key"] {
                    let own =
                        expected.credential.filter(|(header, _)| *header == name).map(|(_, value)| value.to_owned());
                    assert_eq!(header(name), own, "{name}");
                }
                assert!(!format!("{:?}", sent.headers).contains(CLIENT_KEY));
            }
        }
    }
}
