//! Rules, copies and what clients are told of their requests' way.

use model_gateway::names;
use serde_json::{Value, json};

use crate::native::Native;
use crate::scripted::chat::{CLIENT_KEY, ENVIRONMENT};
use crate::scripted::envoy::{Outcome, Script, run};
use crate::scripted::filters::{Action, Event, Filters, Half, Headers, Held, State};
use crate::scripted::wire::{Kind, bare, json as answer};

fn config() -> Value {
    json!({
        "forward_headers": ["x-c*", "x-gateway*", "x-o*"],
        "debug": true,
        "providers": {
            "openai": {"kind": "openai", "api_key": "${KEY_O}", "base_url": "https://one.example/v1"},
            "anthropic": {"kind": "anthropic", "api_key": "${KEY_A}"},
        },
        "models": {
            "o": {"targets": [{"provider": "openai", "model": "gpt-up"}], "aliases": ["best"]},
            "a": {"targets": [{"provider": "anthropic", "model": "claude-up"}]},
            "o-a": {"targets": [{"provider": "openai", "model": "gpt-up"}], "fallbacks": ["a"]},
            "copied": {
                "targets": [{"provider": "openai", "model": "gpt-up"}],
                "mirror": {"provider": "anthropic", "model": "claude-up", "set": {"max_tokens": 9}},
            },
        },
        "rules": [
            {"name": "warm", "when": {"parameter": {"temperature": {"gt": 1}}}, "use": "a"},
            {"name": "canary", "when": {"header": {"x-team": {"present": true}}}, "share": 0, "override_header": "X-Canary",
             "targets": [{"provider": "anthropic", "model": "claude-up"}]},
            {"when": {"model": "o", "images": true}, "use": "a"},
            {"when": {"prompt_tokens": {"gt": 1000}, "stream": true}, "use": "a"},
            {"when": {"tools": true, "path": "/v1/chat/*"}, "use": "a"},
        ],
    })
}

fn native() -> Native {
    Native::new(&config(), ENVIRONMENT)
}

fn good(kind: Kind) -> Script {
    Script::chat("o", false, false).answered([kind.good(false)])
}

fn ran(script: &Script) -> Outcome {
    run(&mut native(), script)
}

fn asking(script: Script, body: Value) -> Script {
    let asked = Script::post(body.to_string());
    Script { body: asked.body, ..script }
}

#[test]
fn rules_go_by_what_is_in_a_request() {
    let user = |content: Value| json!({"model": "o", "messages": [{"role": "user", "content": content}]});
    let with = |more: Value| {
        let mut body = user(json!("x"));
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let image = json!([{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]);
    let tool = json!({"tools": [{"type": "function", "function": {"name": "f"}}]});
    let long = "word ".repeat(2000);
    let mut alias = user(image.clone());
    alias["model"] = json!("best");
    for (body, rule) in [
        (user(json!("x")), ""),
        (with(json!({"temperature": 1.0})), ""),
        (with(json!({"temperature": 1.01})), "warm"),
        (user(image), "rules[2]"),
        (alias, "rules[2]"),
        (user(json!(long)), ""),
        (with(tool), "rules[4]"),
        (with(json!({"tools": []})), ""),
    ] {
        let kind = if rule.is_empty() { Kind::OpenAi } else { Kind::Anthropic };
        let outcome = ran(&asking(good(kind), body.clone()));
        assert_eq!((outcome.status, outcome.log(names::log::RULE)), (200, rule), "{body}");
        let answered: Value = serde_json::from_str(&outcome.body).unwrap();
        assert_eq!(answered["model"], body["model"]);
    }
    let mut body = user(json!(long));
    body["stream"] = json!(true);
    let outcome = ran(&asking(good(Kind::Anthropic), body).answered([Kind::Anthropic.good(true)]));
    assert_eq!((outcome.status, outcome.log(names::log::RULE)), (200, "rules[3]"));
}

#[test]
fn testers_choose_and_no_provider_learns_of_it() {
    for (team, wish, kind) in [
        (true, Some("on"), Kind::Anthropic),
        (true, Some("off"), Kind::OpenAi),
        (true, None, Kind::OpenAi),
        (false, Some("on"), Kind::OpenAi),
    ] {
        for root in ["gateway", "single"] {
            let mut script = Script { root, ..good(kind) }.with("x-other", "passes").with("x-odd", "b");
            if team {
                script = script.with("x-team", "red");
            }
            if let Some(wish) = wish {
                script = script.with("x-canary", wish);
            }
            let outcome = ran(&script);
            let provider = if kind == Kind::OpenAi { "openai" } else { "anthropic" };
            assert_eq!((outcome.status, outcome.sent[0].cluster.as_str()), (200, provider), "{team} {wish:?} {root}");
            let sent = &outcome.sent[0].headers;
            assert_eq!((sent.get("x-canary"), sent.text("x-other").as_deref()), (None, Some("passes")));
        }
    }
}

#[test]
fn a_client_may_ask_for_the_way_of_its_request() {
    let told = |script: &Script| -> Option<Value> {
        let outcome = ran(script);
        for sent in outcome.sent.iter().filter(|_| script.root == "gateway") {
            assert!(sent.headers.0.iter().all(|(name, _)| !name.starts_with("x-gateway-")), "{sent:?}");
        }
        Some(serde_json::from_str(&outcome.headers.text(names::ROUTE)?).unwrap())
    };
    let line = json!([["openai/gpt-up", "well"], ["anthropic/claude-up", "well"]]);
    let tried = json!([["openai/gpt-up", "server_error"], ["anthropic/claude-up", "answered"]]);
    let script = Script::chat("o-a", true, false).answered([bare(500), Kind::Anthropic.good(true)]);
    assert_eq!(told(&script), None);
    let asked = script.with(names::DEBUG, "1");
    assert_eq!(told(&asked), Some(json!({"model": "o-a", "line": line, "tried": tried})));
    // An error is told of too; the connection that broke was Envoy's to try again.
    let failed = asked.clone().answered([crate::scripted::wire::reset(), answer(401, "{}")]);
    let tried = json!([["openai/gpt-up", "connection"], ["anthropic/claude-up", "authentication"]]);
    assert_eq!(told(&failed).map(|mut told| told["tried"].take()), Some(tried));
    // One attempt; here the error and the header are made in one place.
    for (answer, outcome) in [(bare(500), "server_error"), (Kind::OpenAi.good(true), "answered")] {
        let single = Script { root: "single", ..asked.clone().answered([answer]) };
        let tried = json!([["openai/gpt-up", outcome]]);
        assert_eq!(told(&single).map(|mut told| told["tried"].take()), Some(tried));
    }
    let mut quiet = config();
    quiet["debug"] = json!(false);
    let outcome = run(&mut Native::new(&quiet, ENVIRONMENT), &good(Kind::OpenAi).with(names::DEBUG, "1"));
    assert_eq!(outcome.headers.get(names::ROUTE), None);
}

fn copied() -> Script {
    Script::chat("copied", false, false).answered([Kind::OpenAi.good(false)])
}

/// As Envoy does it: the copy has what the filter before the router let through, and nothing that it set.
#[test]
fn a_copy_is_a_request_of_its_own() {
    let mut filters = native();
    let outcome = run(&mut filters, &copied());
    assert_eq!((outcome.status, outcome.sent.len(), outcome.log(names::log::MIRROR)), (200, 1, "anthropic"));
    let routed = &outcome.routed;
    assert_eq!(routed.text(names::MIRROR_TO).as_deref(), Some("anthropic"));
    let sent = &outcome.sent[0].headers;
    assert!(sent.0.iter().all(|(name, _)| !name.starts_with("x-gateway-")), "{sent:?}");
    for (good, status) in [(true, "200"), (false, "429")] {
        let mut state = State::default();
        let context = filters.open("provider:anthropic");
        let mut held = Held::new(Half::Request, Some(routed.clone()));
        assert_eq!(filters.call(context, Event::Headers { end: false }, &mut held, &mut state), Action::Pause);
        held.body = Some(copied().body.unwrap().concat());
        assert_eq!(filters.call(context, Event::Body { end: true }, &mut held, &mut state), Action::Continue);
        let headers = held.headers.unwrap();
        assert_eq!(headers.text("x-api-key").as_deref(), Some("key-a"));
        assert_eq!(headers.text(":path").as_deref(), Some("/v1/messages"));
        assert!(headers.0.iter().all(|(name, _)| !name.starts_with("x-gateway-")), "{headers:?}");
        assert!(!format!("{headers:?}").contains(CLIENT_KEY), "{headers:?}");
        let body: Value = serde_json::from_slice(&held.body.unwrap()).unwrap();
        assert_eq!((&body["model"], &body["max_tokens"]), (&json!("claude-up"), &json!(9)), "{body}");
        let answer = if good { Kind::Anthropic.good(false) } else { answer(429, "{}").with("retry-after", "60") };
        let mut held = Held::new(Half::Response, answer.headers.clone());
        filters.call(context, Event::Headers { end: false }, &mut held, &mut state);
        held.body = Some(answer.body.unwrap().concat());
        assert_eq!(filters.call(context, Event::Body { end: true }, &mut held, &mut state), Action::Continue);
        // It is nobody's fault, and nobody's turn.
        let headers = held.headers.unwrap();
        assert_eq!((headers.text(":status").as_deref(), headers.get(names::RETRY_HEADER)), (Some(status), None));
        assert_eq!(state.record("health anthropic/claude-up"), None);
        filters.close(context, &mut state);
    }
}

#[test]
fn no_client_gives_orders() {
    let forged = |script: Script| script.with(names::MIRROR, "{}").with(names::MIRROR_TO, "openai");
    let mut filters = native();
    let routed = run(&mut filters, &forged(good(Kind::OpenAi))).routed;
    assert_eq!((routed.get(names::MIRROR), routed.get(names::MIRROR_TO)), (None, None));
    // The gateway's own words, not the client's.
    let routed = run(&mut filters, &forged(copied())).routed;
    assert_eq!(routed.text(names::MIRROR_TO).as_deref(), Some("anthropic"));
    assert_ne!(routed.text(names::MIRROR).as_deref(), Some("{}"));
    let other = forged(Script::post("not JSON")).with(":path", "/elsewhere");
    let other = Script { route: Some("openai"), ..other }.answered([answer(200, "{}")]);
    let outcome = run(&mut filters, &other);
    assert_eq!((outcome.routed.get(names::MIRROR), outcome.routed.get(names::MIRROR_TO)), (None, None));
    // A provider to which nothing is copied does not listen.
    let context = filters.open("provider:openai");
    let mut held = Held::new(Half::Request, Some(Headers::of(&[(":path", "/x"), (names::MIRROR, "{}")])));
    assert_eq!(
        filters.call(context, Event::Headers { end: false }, &mut held, &mut State::default()),
        Action::Continue
    );
}

/// One filter has no routes that copy.
#[test]
fn position_single_makes_no_copies() {
    let outcome = ran(&Script { root: "single", ..copied() });
    assert_eq!((outcome.status, outcome.log(names::log::MIRROR)), (200, ""));
    let sent = &outcome.sent[0].headers;
    assert_eq!((sent.get(names::MIRROR), sent.get(names::MIRROR_TO)), (None, None));
}

#[test]
fn rules_and_copies_go_by_the_clients_key() {
    let mut config = config();
    let key = |name: &str, more: Value| {
        let mut key = json!({"name": name, "sha256": crate::scripted::keys::hash(name)});
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    };
    config["debug"] = json!(false);
    config["keys"] = json!([
        key("root", json!({"role": "admin", "team": "search", "labels": {"stage": "prod"}})),
        key("bound", json!({"providers": ["openai"], "team": "search"})),
        key("capped", json!({"max_tokens": 50})),
        key("lost", json!({"providers": ["openai"], "labels": {"stage": "test"}})),
    ]);
    config["rules"] = json!([
        {"when": {"team": "search", "label": {"stage": "prod"}}, "use": "a"},
        {"when": {"label": {"stage": "test"}}, "use": "a"},
    ]);
    let mut filters = Native::new(&config, ENVIRONMENT);
    let mut asked = |key: &str, kind: Kind| {
        let script = Script::chat("copied", false, false).answered([kind.good(false)]).without("x-api-key");
        run(&mut filters, &script.with("authorization", format!("Bearer {key}")).with(names::DEBUG, "1"))
    };
    let root = asked("root", Kind::Anthropic);
    assert_eq!((root.status, root.log(names::log::RULE)), (200, "rules[0]"));
    assert!(root.headers.text(names::ROUTE).unwrap().contains("rules[0]"));
    // Whoever may not reach a provider is not copied to it, and may not be told of it.
    let bound = asked("bound", Kind::OpenAi);
    assert_eq!((bound.status, bound.log(names::log::MIRROR), bound.headers.get(names::ROUTE)), (200, "", None));
    assert_eq!(bound.routed.get(names::MIRROR), None);
    let capped = asked("capped", Kind::OpenAi);
    assert_eq!((capped.status, capped.log(names::log::MIRROR)), (200, "anthropic"));
    let copy: Value = serde_json::from_slice(&capped.routed.get(names::MIRROR).unwrap()).unwrap();
    assert_eq!(copy["hops"][0]["edits"]["set"]["max_tokens"], 9, "{copy}");
    let lost = asked("lost", Kind::OpenAi);
    assert!(lost.status == 403 && lost.body.contains("may not reach any provider"), "{lost:?}");
}
