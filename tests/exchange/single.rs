//! Position single: what one filter before the router can do of what two positions do.

use crate::native;
use crate::scripted::cases::cases;
use crate::scripted::envoy::{Script, run};
use crate::scripted::refusals;
use crate::scripted::wire::{Kind, json};

#[test]
fn with_one_target_it_is_the_same() {
    let mut filters = native();
    for case in cases().into_iter().filter(|case| case.script.answers.len() == 1) {
        let single = Script { root: "single", ..case.script.clone() };
        let (two, one) = (run(&mut filters, &case.script), run(&mut filters, &single));
        // What Envoy says itself passes this filter, and none of the two positions'.
        if one.status == 0 || two.body.starts_with("upstream connect error") {
            assert_eq!((two.status, one.cut || one.status == 503), (503, true), "{}", case.name);
            continue;
        }
        assert_eq!(
            (two.status, &two.body, two.cut, &two.log),
            (one.status, &one.body, one.cut, &one.log),
            "{}",
            case.name
        );
        let [two, one] = [&two.sent[0], &one.sent[0]];
        assert_eq!((&two.cluster, &two.body), (&one.cluster, &one.body), "{}", case.name);
        for name in [":path", ":authority", "authorization", "x-api-key", "content-length"] {
            assert_eq!(two.headers.get(name), one.headers.get(name), "{}", case.name);
        }
    }
}

#[test]
fn with_more_targets_it_tries_the_first_only() {
    let error = json(500, &Kind::OpenAi.error("server_error", "no", "null"));
    let script = Script { root: "single", ..Script::chat("o-a", true, false) }.answered([error]);
    let outcome = run(&mut native(), &script);
    assert_eq!((outcome.status, outcome.sent.len()), (500, 1));
    assert!(outcome.body.contains("\"no\""));
    assert_eq!(outcome.headers.text("x-gateway-attempts").as_deref(), Some("1"));
}

#[test]
fn it_refuses_and_lists_alike() {
    for mut refusal in refusals::refusals() {
        refusal.script.root = "single";
        refusals::check(&mut native(), &refusal);
    }
}

#[test]
fn a_client_does_not_choose_the_target() {
    let script = Script { root: "single", ..Script::post("not JSON") };
    let script = script.with(":path", "/elsewhere").with("x-gateway-target", "openai");
    let script = Script { route: Some("openai"), ..script }.answered([json(200, "{}")]);
    let outcome = run(&mut native(), &script);
    // What the routes are looked up by anew.
    assert_eq!(outcome.routed.get("x-gateway-target"), None, "{outcome:?}");
    assert_eq!(outcome.routed.text(":path").as_deref(), Some("/elsewhere"));
}
