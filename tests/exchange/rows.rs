//! Single cases that are worth their own words.

use model_gateway::names;

use crate::native;
use crate::native::Native;
use crate::scripted::chat::{ENVIRONMENT, config};
use crate::scripted::envoy::{Answer, Outcome, Script, run, run_on};
use crate::scripted::filters::{Headers, Records};
use crate::scripted::wire::{KINDS, Kind, bare, events, json};

fn ran(script: Script) -> Outcome {
    run(&mut native(), &script)
}

fn error(outcome: &Outcome) -> serde_json::Value {
    serde_json::from_str::<serde_json::Value>(&outcome.body).unwrap()["error"].take()
}

#[test]
fn a_provider_gets_what_the_client_sent_as_far_as_it_can() {
    let said = r#""messages":[{"role":"user","content":"H\u00e9 🦀"}],"temperature":0.50}"#;
    for (stream, usage, head) in [
        (false, false, r#"{ "model":"gpt-up", "#),
        (true, false, r#"{ "stream":true,"model":"gpt-up","stream_options":{"include_usage":true}, "#),
        (true, true, r#"{ "stream":true,"stream_options":{"include_usage":true},"model":"gpt-up", "#),
    ] {
        let outcome = ran(Script::chat("o", stream, usage).answered([Kind::OpenAi.good(stream)]));
        assert_eq!(outcome.sent[0].body, [head, said].concat());
    }
    let outcome = ran(Script::chat("a", true, false).answered([Kind::Anthropic.good(true)]));
    let body: serde_json::Value = serde_json::from_str(&outcome.sent[0].body).unwrap();
    let text = &body["messages"][0]["content"][0]["text"];
    assert_eq!((&body["stream"], text), (&true.into(), &"Hé 🦀".into()), "{body}");
    assert_eq!(body["temperature"].to_string(), "0.5");
}

#[test]
fn a_client_may_leave_its_type_and_length_unsaid() {
    for media_type in ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"] {
        let script = Script::chat("o", false, false).with("content-type", media_type);
        assert_eq!(ran(script.answered([Kind::OpenAi.good(false)])).status, 200, "{media_type}");
    }
    let script = Script::chat("o", false, false).without("content-type").without("content-length");
    assert_eq!(ran(script.answered([Kind::OpenAi.good(false)])).status, 200);
}

#[test]
fn envoy_is_told_how_often_to_try_and_how_long() {
    for (model, stream, retries, per_try) in [("o", true, "0", "3000"), ("o-a", false, "1", "60000")] {
        let outcome = ran(Script::chat(model, stream, false).answered([Kind::OpenAi.good(stream)]));
        let header = |name: &str| outcome.routed.text(name).unwrap_or_default();
        assert_eq!(header("x-envoy-max-retries"), retries);
        assert_eq!(header("x-envoy-upstream-rq-per-try-timeout-ms"), per_try);
        assert_eq!(header("x-envoy-upstream-rq-timeout-ms"), "120000");
        let sent = &outcome.sent[0].headers;
        assert!(sent.0.iter().all(|(name, _)| !name.starts_with("x-envoy") && !name.starts_with("x-gateway")));
    }
}

#[test]
fn what_is_dropped_is_named() {
    let body = r#"{"model":"a","messages":[{"role":"user","content":"x"}],"seed":1,"logit_bias":{"1":2}}"#;
    let outcome = ran(Script::post(body).answered([Kind::Anthropic.good(false)]));
    assert_eq!(outcome.headers.text("x-gateway-dropped").as_deref(), Some("logit_bias, seed"));
    let outcome = ran(Script::post(body.replace("\"a\"", "\"a-o\"")).answered([bare(503), Kind::OpenAi.good(false)]));
    assert_eq!(outcome.headers.text("x-gateway-dropped"), None);
}

#[test]
fn the_operator_changes_parameters_for_each_target() {
    let body = r#"{"model":"edited","user":"u","messages":[{"role":"user","content":"x"}],"seed":1,"stream":true}"#;
    let outcome = ran(Script::post(body).answered([bare(503), Kind::Anthropic.good(true)]));
    let spliced = r#"{"model":"gpt-up","top_k":5,"messages":[{"role":"user","content":"x"}],"seed":1,"stream":true}"#;
    assert_eq!(outcome.sent[0].body, spliced);
    let translated: serde_json::Value = serde_json::from_str(&outcome.sent[1].body).unwrap();
    assert_eq!(translated["max_tokens"], 7, "{translated}");
    assert_eq!(outcome.headers.text("x-gateway-dropped").as_deref(), Some("seed"));
}

#[test]
fn a_strict_target_refuses_what_a_row_would_drop() {
    let body = r#"{"model":"edited","messages":[{"role":"user","content":"x"}],"logprobs":true}"#;
    let outcome = ran(Script::post(body));
    assert_eq!((outcome.status, error(&outcome)["param"].as_str()), (400, Some("logprobs")));
}

#[test]
fn an_openai_provider_is_quoted_in_its_own_terms() {
    let own = r#"{"error":{"message":"m","type":"t","param":"messages[0]","code":"c"}}"#;
    for status in [400, 409, 422, 429, 500, 502, 503] {
        let outcome = ran(Script::chat("o", false, false).answered([json(status, own)]));
        assert_eq!((outcome.status, outcome.body.as_str()), (status, own));
    }
    let quota = r#"{"error":{"message":"m","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
    let outcome = ran(Script::chat("o", false, false).answered([json(429, quota)]));
    assert_eq!((outcome.body.as_str(), outcome.log(names::log::ERROR)), (quota, "quota_exhausted"));
    let outcome = ran(Script::chat("o-a", true, false).answered([json(413, own)]));
    assert_eq!((outcome.status, outcome.sent.len(), error(&outcome)["message"].as_str()), (413, 1, Some("m")));
}

#[test]
fn headers_that_are_no_text_do_no_harm() {
    for kind in KINDS {
        for stream in [false, true] {
            let mut answer = kind.good(stream);
            if let Some(headers) = &mut answer.headers {
                headers.set("request-id", *b"\xff\xfe caf\xe9");
                headers.set("x-odd", *b"\xff");
            }
            let outcome = ran(Script::chat(kind.letter(), stream, true).answered([answer]));
            assert_eq!(outcome.headers.text("request-id").as_deref(), Some("\u{fffd}\u{fffd} caf\u{fffd}"));
            assert_eq!(outcome.headers.get("x-odd"), None);
            assert_eq!(outcome.body, kind.got(stream, kind.letter(), true));
        }
    }
}

/// Embeddings, completions and moderations pass as they are but for the model's name.
#[test]
fn other_operations_are_spliced_and_only_where_they_are_offered() {
    let list = r#"{"data":[{"embedding":[0.10]}],"model":"gpt-up","usage":{"prompt_tokens":3,"total_tokens":3}}"#;
    let results = r#"{"id":"m","model":"gpt-up","results":[{"flagged":false}]}"#;
    let text = r#"{"choices":[{"text":"a","finish_reason":"stop","index":0}],"model":"gpt-up"}"#;
    for (path, member, answer) in [
        ("/v1/embeddings", r#""input":["a"],"dimensions":256"#, list),
        ("/v1/moderations", r#""input":"a""#, results),
        ("/v1/completions", r#""prompt":"a""#, text),
    ] {
        // Anthropic has none of these: it is left out of the plan, wherever it stands.
        for model in ["o", "o-a", "a-o"] {
            let body = format!(r#"{{"model":"{model}",{member}}}"#);
            let outcome = ran(Script::post(body.clone()).with(":path", path).answered([json(200, answer)]));
            assert_eq!((outcome.status, outcome.sent.len()), (200, 1), "{path} {outcome:?}");
            let target = outcome.headers.text("x-gateway-model").unwrap();
            assert!(outcome.sent[0].headers.text(":path").unwrap().ends_with(path), "{outcome:?}");
            assert_eq!(outcome.sent[0].body, body.replace(&format!("\"{model}\""), &format!("\"{target}\"")));
            assert_eq!(outcome.body, answer.replace("gpt-up", model));
        }
        let refused = ran(Script::post(format!(r#"{{"model":"a",{member}}}"#)).with(":path", path));
        assert_eq!((refused.status, refused.sent.len()), (400, 0), "{refused:?}");
        let missing = ran(Script::post(r#"{"model":"o"}"#).with(":path", path));
        assert_eq!((missing.status, missing.sent.len()), (400, 0), "{missing:?}");
    }
}

/// What nobody has seen can still be exchanged, content or not.
#[test]
fn an_error_that_comes_in_one_piece_with_content_falls_back() {
    for (first, second) in [(Kind::OpenAi, Kind::Anthropic), (Kind::Anthropic, Kind::OpenAi)] {
        let mut answer = first.good(true);
        let body = answer.body.take().unwrap_or_default().concat();
        answer.body = Some(vec![body[..body.len() - 40].to_vec()]);
        let model = format!("{}-{}", first.letter(), second.letter());
        let outcome = ran(Script::chat(&model, true, true).answered([answer, second.good(true)]));
        assert_eq!((outcome.status, outcome.sent.len()), (200, 2));
        assert_eq!(outcome.body, second.got(true, &model, true));
    }
}

#[test]
fn no_name_that_a_client_made_up_breaks_a_header() {
    let body = r#"{"model":"a","messages":[{"role":"user","content":"x"}],"x\r\nset-cookie: a=b":1,"n\u0000":2}"#;
    let outcome = ran(Script::post(body).answered([Kind::Anthropic.good(false)]));
    assert_eq!(outcome.headers.text("x-gateway-dropped").as_deref(), Some("n?, x??set-cookie: a=b"));
    let many: String = (0..200).map(|number| format!(",\"{number}{}\":1", "k".repeat(100))).collect();
    let body = format!(r#"{{"model":"a","messages":[{{"role":"user","content":"x"}}]{many}}}"#);
    let outcome = ran(Script::post(body).answered([Kind::Anthropic.good(false)]));
    assert!(outcome.headers.get("x-gateway-dropped").unwrap().len() <= 2048);
}

/// Its circuit breakers may be open, or the budget of retries spent.
#[test]
fn a_retry_that_envoy_does_not_grant_is_still_an_error_with_a_body() {
    for (answer, status, code) in [
        (
            json(429, &Kind::OpenAi.error("requests", "slow", "null")).with("retry-after", "9"),
            429,
            "rate_limit_exceeded",
        ),
        (json(200, "{}"), 502, "upstream_bad_answer"),
    ] {
        let script = Script { no_retries: true, ..Script::chat("o-a", false, false) }.answered([answer]);
        let outcome = ran(script);
        assert_eq!((outcome.status, error(&outcome)["code"].as_str()), (status, Some(code)), "{outcome:?}");
        assert_eq!(outcome.headers.text("retry-after").is_some(), status == 429);
        assert_eq!(outcome.headers.get(names::RETRY_HEADER), None);
        assert_eq!(outcome.headers.text("x-should-retry").as_deref(), Some("false"));
    }
}

#[test]
fn what_stands_beside_the_data_of_an_event_does_no_harm() {
    let parts = Kind::OpenAi.parts();
    for beside in [&b"event: \xff\n"[..], b": \xff\n", b"id: 1\nretry: 5\n", b"event: message\n"] {
        let stream = [parts.begin.as_bytes(), beside, parts.text.as_bytes(), parts.end.as_bytes()].concat();
        let answer = Answer { body: Some(vec![stream]), ..events("") };
        let outcome = ran(Script::chat("o", true, true).answered([answer]));
        let data = parts.text.replace("up-9", "o");
        assert!(outcome.body.contains(&format!("\n{data}")), "{}", outcome.body);
        assert!(outcome.body.ends_with("data: [DONE]\n\n"), "{}", outcome.body);
    }
}

#[test]
fn two_requests_at_once_do_not_mix() {
    let mut filters = native();
    let outcomes =
        ["o-a", "a-o"].map(|model| run(&mut filters, &Script::chat(model, true, false).answered([good(model)])));
    assert!(outcomes.iter().all(|outcome| outcome.status == 200 && outcome.sent.len() == 1));
}

fn good(model: &str) -> Answer {
    if model.starts_with('o') { Kind::OpenAi.good(true) } else { Kind::Anthropic.good(true) }
}

/// An answer without a status or a type cannot be judged by them.
#[test]
fn an_answer_may_lack_headers() {
    let headers = Some(Headers::of(&[(":status", "200")]));
    let outcome = ran(Script::chat("o", false, false).answered([Answer { headers, ..Kind::OpenAi.good(false) }]));
    assert_eq!((outcome.status, outcome.body), (200, Kind::OpenAi.got(false, "o", false)));
}

/// Tokens of some identity providers are longer than any header of the gateway's own making.
#[test]
fn a_long_credential_arrives_whole() {
    let key = "k".repeat(6_000);
    let mut filters = Native::new(&config(), &[("KEY_O", &key), ("KEY_A", "a"), ("KEY_A2", "a")]);
    let outcome = run(&mut filters, &Script::chat("o", false, false).answered([Kind::OpenAi.good(false)]));
    assert_eq!(outcome.sent[0].headers.text("authorization"), Some(format!("Bearer {key}")));
}

/// What the gateway itself lacks ends when it is there: nothing is to be waited for then.
#[test]
fn a_target_is_not_left_alone_for_want_of_a_credential() {
    let mut config = config();
    config["providers"]["filed"] = serde_json::json!({"kind": "openai", "api_key": {"file": "/run/key"}});
    for (provider, asked) in [("filed", ["filed", "filed"]), ("openai", ["openai", "anthropic-2"])] {
        let targets = serde_json::json!([{"provider": provider, "model": "gpt-up"}]);
        config["models"]["o-a"] = serde_json::json!({"targets": targets, "fallbacks": ["a2"]});
        let mut filters = Native::new(&config, ENVIRONMENT);
        let records = Records::default();
        let script = Script::chat("o-a", false, false).answered([bare(401), Kind::Anthropic.good(false)]);
        let firsts = [(); 2].map(|()| run_on(&mut filters, &script, &records).sent.swap_remove(0).cluster);
        assert_eq!(
            firsts.map(|cluster| cluster.rsplit_once("gateway-").map_or(cluster.clone(), |it| it.1.to_owned())),
            asked
        );
    }
}
