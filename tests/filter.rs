//! The module as Envoy runs it: built for wasm32-wasip1, on a small host.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![cfg(not(target_family = "wasm"))]

#[path = "bench/bodies.rs"]
mod bodies;
#[path = "hints/branches.rs"]
#[allow(dead_code)] // What `make build` does with it is in `hints/train.rs`.
mod branches;
#[path = "filter/cost.rs"]
mod cost;
mod host;
mod scripted;
#[path = "filter/typical.rs"]
mod typical;

use host::Wasm;
use model_gateway::names;
use scripted::cases::{cases, check, check_pieces};
use scripted::chat::{ENVIRONMENT, config};
use scripted::envoy::{Answer, End, Script, run};
use scripted::filters::{Action, Event, Filters, Half, Headers, Held, State};
use scripted::wire::{KINDS, Kind};
use scripted::{api_keys, keys, limits, refusals};
use serde_json::json;

/// A VM with every root; None where there is no module to test.
fn wasm() -> Option<Wasm> {
    Some(Wasm::with_roots(&host::module()?, &config(), ENVIRONMENT))
}

#[test]
fn every_case_comes_out_as_from_the_machines() {
    let Some(mut filters) = wasm() else { return };
    for case in cases() {
        let whole = check(&mut filters, &case);
        check_pieces(&mut filters, &case, &whole, |index| index % 29 == 0);
    }
    let log = filters.log().join("\n");
    assert!(ENVIRONMENT.iter().all(|(_, secret)| !log.contains(secret)), "{log}");
}

#[test]
fn the_module_knows_its_rare_branches() {
    let Some(module) = host::module() else { return };
    let hints = branches::hints(&module).len();
    if hints == 0 {
        let why = "the module has no branch hints; add them: make build";
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{why}");
        eprintln!("SKIPPED: {why}");
        return;
    }
    // Usual requests come by some thousands, most of which go one way.
    assert!(hints > 3000, "{hints}");
}

#[test]
fn several_keys_do_as_in_the_machines_and_are_never_logged() {
    let Some(module) = host::module() else { return };
    let mut filters = Wasm::with_roots(&module, &api_keys::config(), api_keys::ENVIRONMENT);
    api_keys::check(&mut filters);
    let log = filters.log().join("\n");
    assert!(log.contains("the key eu of two is left alone for now: authentication; it does not mend itself"), "{log}");
    assert!(api_keys::ENVIRONMENT.iter().all(|(_, secret)| !log.contains(secret)), "{log}");
}

#[test]
fn what_is_no_request_is_refused() {
    let Some(mut filters) = wasm() else { return };
    for root in ["gateway", "single"] {
        for mut refusal in refusals::refusals() {
            refusal.script.root = root;
            refusals::check(&mut filters, &refusal);
        }
        refusals::check_others(&mut filters, root);
    }
    refusals::check_models(&mut filters);
}

#[test]
fn keys_open_what_they_are_for_and_nothing_else() {
    let Some(module) = host::module() else { return };
    let mut filters = Wasm::with_roots(&module, &keys::config(), ENVIRONMENT);
    keys::check(&mut filters);
    keys::check_failures(&mut filters);
    assert!(!filters.log().join("\n").contains("key-"), "{:?}", filters.log());
}

#[test]
fn limits_are_reserved_and_settled() {
    let Some(module) = host::module() else { return };
    let vm = |configured| Wasm::with_roots(&module, &limits::config(configured), ENVIRONMENT);
    limits::check_tokens(&mut vm(limits::tokens()));
    limits::check_ends(&mut vm(limits::ends()));
    limits::check_budgets(&mut vm(limits::budgets()));
    limits::check_shared(&mut vm(limits::shared()));
}

#[test]
fn configuration_is_refused_by_key_and_reason() {
    let Some(module) = host::module() else { return };
    let mut wasm = Wasm::new(&module, &[("KEY_A", "key-a"), ("KEY_A2", "")]);
    let gateway = |config: serde_json::Value| json!({"position": "gateway", "config": config}).to_string();
    let provider = |name: &str| json!({"position": "provider", "provider": name, "config": config()}).to_string();
    let openai = || json!({"openai": {"kind": "openai"}});
    for (configuration, reasons) in [
        (String::new(), &["plugin configuration: "][..]),
        ("{".to_owned(), &["plugin configuration: ", "line 1"]),
        (json!({"position": "middle", "config": {}}).to_string(), &["`middle`", "`gateway`"]),
        (gateway(json!({"providres": {}})), &["`providres`", "`providers`"]),
        (gateway(json!({})), &["config.providers: no provider"]),
        (gateway(json!({"providers": {"x": {"kind": "opnai"}}})), &["config.providers.x.kind: ", "`openai`"]),
        (
            gateway(json!({"providers": openai(), "models": {"m": {"targets": [{"provider": "opanai"}]}}})),
            &["config.models.m.targets[0].provider: ", "`openai`"],
        ),
        (
            gateway(
                json!({"providers": {"x": {"kind": "openai", "api_key": "sk-1"}}, "models": {"m": {"targets": []}}}),
            ),
            &["config.providers.x.api_key: ", "\nmodel-gateway: config.models.m.targets: no target"],
        ),
        (provider("openai"), &["config.providers.openai.api_key: ", "variable KEY_O is not set"]),
        (provider("anthropic-2"), &["config.providers.anthropic-2.api_key: ", "variable KEY_A2 is not set"]),
        (provider("none"), &["provider: `none` is not in config.providers"]),
        (json!({"position": "provider", "config": config()}).to_string(), &["provider: "]),
        (json!({"position": "single", "config": config()}).to_string(), &["config.providers.", "is not set"]),
    ] {
        let said = wasm.configure("bad", &configuration).expect_err(&configuration);
        assert!(reasons.iter().all(|reason| said.contains(reason)), "{said}");
        assert!(!said.contains("sk-1"), "{said}");
    }
    // The VM lives on, and what is good is taken.
    for (root, configuration) in [("gateway", gateway(config())), ("provider:anthropic", provider("anthropic"))] {
        wasm.configure(root, &configuration).unwrap();
    }
    let outcome = run(&mut wasm, &Script::chat("a", true, true).answered([Kind::Anthropic.good(true)]));
    assert_eq!(outcome.body, Kind::Anthropic.got(true, "a", true));
}

#[test]
fn it_holds_what_it_may_still_have_to_change_and_no_more() {
    let Some(mut wasm) = wasm() else { return };
    let script = Script::chat("o", true, false);
    let mut state = State::default();
    let (headers, body) = (Headers::clone(&script.headers), script.body.unwrap().concat());
    let mut held = Held::new(Half::Request, Some(headers));
    for root in ["gateway", "provider:openai"] {
        let context = wasm.open(root);
        let mut actions = vec![wasm.call(context, Event::Headers { end: false }, &mut held, &mut state)];
        held.body = Some(body[..9].to_vec());
        actions.push(wasm.call(context, Event::Body { end: false }, &mut held, &mut state));
        held.body = Some(body.clone());
        actions.push(wasm.call(context, Event::Body { end: true }, &mut held, &mut state));
        assert_eq!(actions, [Action::Pause, Action::Pause, Action::Continue], "{root}");
    }
    let parts = Kind::OpenAi.parts();
    let mut held = Held::new(Half::Response, Kind::OpenAi.good(true).headers);
    let mut actions = vec![wasm.call(wasm.last(), Event::Headers { end: false }, &mut held, &mut state)];
    for piece in [": wait\n\n", parts.begin, &parts.text[..9], &parts.text[9..], parts.more, parts.end] {
        held.body.get_or_insert_default().extend(piece.bytes());
        actions.push(wasm.call(wasm.last(), Event::Body { end: false }, &mut held, &mut state));
        if actions.last() == Some(&Action::Continue) {
            held.body = None;
        }
    }
    use Action::{Continue as Go, Pause as Hold};
    assert_eq!(actions, [Hold, Hold, Hold, Hold, Go, Go, Go]);
}

#[test]
fn header_values_need_not_be_text() {
    let Some(mut wasm) = wasm() else { return };
    for name in ["authorization", "content-length", "x-odd", "cookie", "user-agent"] {
        let script = Script::chat("o-a", false, false).with(name, b"\xff\xfe");
        let outcome = run(&mut wasm, &script.answered([Kind::OpenAi.good(false)]));
        assert_eq!(outcome.body, Kind::OpenAi.got(false, "o-a", false), "{name}");
    }
    for (name, status) in [("retry-after", 429), ("retry-after-ms", 429), ("content-type", 500), (":status", 502)] {
        let mut answer = Answer { body: None, ..Kind::OpenAi.good(false) }.with(":status", &status.to_string());
        if let Some(headers) = &mut answer.headers {
            headers.set(name, *b"\xff\xfe");
        }
        let outcome = run(&mut wasm, &Script::chat("o-a", true, false).answered([answer, Kind::Anthropic.good(true)]));
        assert_eq!(outcome.body, Kind::Anthropic.got(true, "o-a", false), "{name}");
    }
    let script = Script::chat("o", true, true).with(":path", b"/v1/chat/completions?\xff");
    assert_eq!(run(&mut wasm, &script.answered([Kind::OpenAi.good(true)])).status, 200);
}

#[test]
fn requests_are_counted_and_each_statistic_is_defined_once() {
    let Some(mut wasm) = wasm() else { return };
    for _ in 0..3 {
        let script = Script::chat("o-a", false, false).answered([Kind::OpenAi.good(false)]);
        assert_eq!(run(&mut wasm, &script).status, 200);
    }
    let count = |part: &str| {
        let found = wasm.statistics().iter().filter(|(name, _)| name.contains(part));
        found.map(|(_, count)| count).sum::<u64>()
    };
    assert_eq!(count("model_gateway_requests_total;gen_ai_request_model=o-a;"), 3, "{:?}", wasm.statistics());
    assert_eq!(count("gen_ai_token_type=input"), 27);
    assert_eq!(count("gen_ai_token_type=output"), 9);
    assert_eq!(count("gen_ai_server_request_duration_milliseconds"), 3);
}

#[test]
fn what_is_not_counted_yet_is_counted_by_the_next_tick_and_before_the_end() {
    let Some(mut wasm) = wasm() else { return };
    let counted = |wasm: &Wasm| {
        let requests = wasm.statistics().iter().filter(|(name, _)| name.contains("model_gateway_requests_total;"));
        requests.map(|(_, count)| count).sum::<u64>()
    };
    // It stays under way.
    wasm.open("gateway");
    let later: [fn(&mut Wasm); 2] = [|wasm| wasm.tick("gateway"), |wasm| wasm.give_up("gateway")];
    for (before, later) in (0..).zip(later) {
        let script = Script::chat("o-a", false, false).answered([Kind::OpenAi.good(false)]);
        assert_eq!(run(&mut wasm, &script).status, 200);
        assert_eq!(counted(&wasm), before);
        later(&mut wasm);
        assert_eq!(counted(&wasm), before + 1);
    }
}

#[test]
fn a_request_may_end_with_trailers() {
    let Some(mut wasm) = wasm() else { return };
    for root in ["gateway", "single"] {
        let script = Script { root, end: End::Trailers, ..Script::chat("a", true, true) };
        let outcome = run(&mut wasm, &script.answered([Kind::Anthropic.good(true)]));
        assert_eq!(outcome.body, Kind::Anthropic.got(true, "a", true));
    }
}

#[test]
fn a_body_may_come_byte_by_byte() {
    let Some(mut wasm) = wasm() else { return };
    for kind in KINDS {
        let script = Script::chat(kind.letter(), true, true).without("content-length");
        let pieces = script.body.as_ref().map(|body| body.concat().into_iter().map(|byte| vec![byte]).collect());
        let script = Script { body: pieces, ..script }.answered([kind.good(true)]);
        assert_eq!(run(&mut wasm, &script).body, kind.got(true, kind.letter(), true));
    }
}

#[test]
fn a_large_body_takes_its_size_a_few_times() {
    let Some(mut wasm) = wasm() else { return };
    const SIZE: usize = 32 << 20;
    for kind in KINDS {
        let text = "x".repeat(SIZE);
        let model = kind.letter();
        let script =
            Script::post(format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"{text}"}}]}}"#));
        let outcome = run(&mut wasm, &script.answered([kind.good(false)]));
        assert_eq!((outcome.status, outcome.body), (200, kind.got(false, model, false)));
        assert!(outcome.sent[0].body.len() > SIZE);
    }
    let memory = wasm.memory();
    println!("memory after 32 MiB: {} MiB", memory >> 20);
    assert!(memory < 5 * SIZE, "{} MiB", memory >> 20);
}

#[test]
fn ten_thousand_requests_leave_nothing_behind() {
    let Some(mut wasm) = wasm() else { return };
    let cases = cases();
    let mut all = |times: usize| {
        for case in cases.iter().cycle().take(times) {
            run(&mut wasm, &case.script);
        }
        wasm.memory()
    };
    let before = all(cases.len());
    let after = all(10_000);
    println!("memory: {} KiB, {} KiB after 10000 requests", before >> 10, after >> 10);
    assert!(after <= before + (64 << 10), "{before} bytes, {after} after 10000 requests");
}

#[test]
fn an_open_stream_takes_little() {
    let Some(mut wasm) = wasm() else { return };
    const STREAMS: usize = 1_000;
    for kind in KINDS {
        let before = wasm.memory();
        for _ in 0..STREAMS {
            open_stream(&mut wasm, kind);
        }
        let each = (wasm.memory() - before) / STREAMS;
        println!("{kind:?}: {each} bytes for each open stream");
        assert!(each <= 20 << 10, "{kind:?}: {each} bytes for each open stream");
    }
}

/// A request whose answer has come as far as its first text.
fn open_stream(wasm: &mut Wasm, kind: Kind) {
    let script = Script::chat(kind.letter(), true, true);
    let mut state = State::default();
    let mut held = Held::new(Half::Request, Some(script.headers));
    let provider = if kind == Kind::OpenAi { "openai" } else { "anthropic" };
    for root in ["gateway".to_owned(), format!("{}{provider}", names::PROVIDER_ROOT_PREFIX)] {
        let context = wasm.open(&root);
        wasm.call(context, Event::Headers { end: false }, &mut held, &mut state);
        held.body = script.body.as_ref().map(|body| body.concat());
        assert_eq!(wasm.call(context, Event::Body { end: true }, &mut held, &mut state), Action::Continue);
    }
    let parts = kind.parts();
    let mut held = Held::new(Half::Response, kind.good(true).headers);
    wasm.call(wasm.last(), Event::Headers { end: false }, &mut held, &mut state);
    held.body = Some([parts.begin, parts.text].concat().into());
    assert_eq!(wasm.call(wasm.last(), Event::Body { end: false }, &mut held, &mut state), Action::Continue);
}
