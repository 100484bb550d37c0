//! What is there for logs and traces beside what always is: labels, payloads.

use model_gateway::names;
use serde_json::{Value, json};

use crate::native::Native;
use crate::scripted::chat::ENVIRONMENT;
use crate::scripted::envoy::{End, Outcome, Script, run};
use crate::scripted::wire::{KINDS, Kind, events};

fn config(more: Value) -> Value {
    let mut config = json!({
        "forward_headers": ["x-gateway*"],
        "providers": {
            "openai": {"kind": "openai", "api_key": "${KEY_O}", "base_url": "https://one.example/v1"},
            "anthropic": {"kind": "anthropic", "api_key": "${KEY_A}"},
        },
        "models": {
            "o": {"targets": [{"provider": "openai", "model": "gpt-up"}]},
            "a": {"targets": [{"provider": "anthropic", "model": "claude-up"}]},
        },
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

fn ran(script: &Script, more: &Value) -> Outcome {
    run(&mut Native::new(&config(more.clone()), ENVIRONMENT), script)
}

fn payload(outcome: &Outcome, name: &str) -> Value {
    serde_json::from_str(outcome.log(name)).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
}

#[test]
fn labels_are_harmless_and_stay_here() {
    let labels = json!({"labels": {"headers": ["feature"], "metadata": ["app"], "user": true}});
    let body = json!({
        "model": "o", "messages": [{"role": "user", "content": "hi"}], "user": "  \u{7}ann\n ", "metadata": {"app": true, "feature": "not from here"},
    });
    let mut script = Script::post(body.to_string()).answered([Kind::OpenAi.good(false)]);
    script.headers.set("x-gateway-label-feature", "search".to_owned());
    script.headers.set("x-gateway-label-app", "not from here".to_owned());
    let outcome = ran(&script, &labels);
    let told = ["feature", "app", "user"].map(|name| outcome.log(&names::label(name)).to_owned());
    assert_eq!(told, ["search", "true", "?ann"], "{outcome:?}");
    assert!(outcome.sent[0].headers.text("x-gateway-label-feature").is_none(), "{outcome:?}");
    // Only what configuration names.
    let outcome = ran(&script, &json!({}));
    assert_eq!(outcome.log("gateway.label.feature"), "");
    // What is refused has them too.
    let refused = json!({"labels": {"headers": ["feature"]}, "limits": [{"tokens": 1, "per": "day"}]});
    let outcome = ran(&script, &refused);
    assert_eq!((outcome.status, outcome.log("gateway.label.feature")), (429, "search"));
}

#[test]
fn payloads_are_what_the_client_sent_and_saw() {
    for kind in KINDS {
        for stream in [false, true] {
            for root in ["gateway", "single"] {
                let name = kind.letter();
                let script = Script { root, ..Script::chat(name, stream, false).answered([kind.good(stream)]) };
                let outcome = ran(&script, &json!({"payloads": {"log": "off"}}));
                assert_eq!(payload(&outcome, names::PAYLOAD_REQUEST)["model"], name);
                let answer = payload(&outcome, names::PAYLOAD_ANSWER);
                assert!(answer["choices"][0]["message"]["content"].as_str().is_some_and(|text| !text.is_empty()));
                assert!(
                    answer["choices"][0]["finish_reason"].is_string() && answer.get("complete").is_none(),
                    "{answer}"
                );
                if !stream {
                    assert_eq!(answer, serde_json::from_str::<Value>(&outcome.body).unwrap());
                }
                // It changes nothing.
                let without = ran(&script, &json!({}));
                assert_eq!((&without.body, without.status), (&outcome.body, outcome.status));
                assert_eq!(without.log(names::PAYLOAD_REQUEST), "");
                let none = ran(&script, &json!({"payloads": {"log": "off", "sample": 0}}));
                assert_eq!((none.log(names::PAYLOAD_REQUEST), none.log(names::PAYLOAD_ANSWER)), ("", ""));
            }
        }
    }
}

#[test]
fn a_stream_that_breaks_is_logged_as_far_as_it_came() {
    let chunk = json!({"id": "i", "model": "m", "choices": [{"index": 0, "delta": {"content": "so far"}}]});
    let answer = events(&format!("data: {chunk}\n\n")).ending(End::Reset);
    let outcome = ran(&Script::chat("o", true, false).answered([answer]), &json!({"payloads": {"log": "off"}}));
    assert!(outcome.cut, "{outcome:?}");
    let answer = payload(&outcome, names::PAYLOAD_ANSWER);
    assert_eq!((&answer["complete"], &answer["choices"][0]["message"]["content"]), (&json!(false), &json!("so far")));
}
