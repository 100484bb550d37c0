use std::rc::Rc;

use super::updates;
use crate::chat::Usage;
use crate::config::Config;
use crate::error::Cause;
use crate::exchange::{Asked, Record, Refusal, Tried};
use crate::metrics::{METRICS, Registry, Update};

fn config() -> Config {
    let file = serde_json::json!({
        "providers": {"a": {"kind": "openai"}, "b": {"kind": "anthropic"}},
        "models": {
            "m.1": {"targets": [{"provider": "a", "model": "x", "price": {"input": 2, "output": 10}}]},
            "p/*": {"targets": [{"provider": "b", "model": "*"}]},
        },
        "keys": [{"name": "k", "team": "t", "sha256": "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"}],
    });
    Config::check(&serde_json::from_value(file).unwrap()).unwrap()
}

fn tried(target: &str, model: &str, ended: Option<(u64, Result<(), Cause>)>) -> Tried {
    let provider = target.split('/').next().unwrap();
    let (target, provider, model) = (target.to_owned(), provider.to_owned(), model.to_owned());
    Tried { target, provider, model, began: 1000, ended, ..Tried::default() }
}

fn asked(model: &str, found: &str) -> Asked {
    let (model, made_up, found) = (model.to_owned(), found.contains('*'), Some(found.to_owned()));
    let operation = Some(crate::dialect::Operation::Chat);
    Asked { began: 1000, operation, stream: true, model, found, made_up, ..Asked::default() }
}

/// Each as the statistic that Envoy is asked for, and by how much it changes.
fn told(updates: &[Update]) -> Vec<String> {
    let mut registry = Registry::default();
    let mut lines = Vec::new();
    for update in updates {
        registry.find(update, |name| {
            lines.push(format!("{name} {}", update.amount));
            0
        });
    }
    lines
}

#[test]
fn a_request_that_fell_back_counts_each_attempt_and_itself_once() {
    let config = config();
    let first = tried("a/x", "x", Some((1300, Err(Cause::Timeout))));
    let usage = Usage { input: 100, cached: 40, output: 11, ..Usage::default() };
    let last = Tried { usage: Some(usage), first: Some(1400), ..tried("a/x", "x", Some((1500, Ok(())))) };
    let key = config.keys.iter().next().cloned();
    let record = Record::new(&config, Asked { key, ..asked("m.1", "m.1") }, vec![first, last], None, 1600);
    let model = "gen_ai_request_model=m.1;gen_ai_response_model=x;gen_ai_provider_name=a";
    let whole = format!("{model};key=k;team=t;gen_ai_operation_name=chat");
    let target = "gen_ai_response_model=x;gen_ai_provider_name=a;gen_ai_operation_name=chat";
    assert_eq!(
        told(&updates(&record)),
        [
            format!("model_gateway_requests_total;{whole};outcome=ok 1"),
            format!("model_gateway_attempts_total;{target};cause=timeout 1"),
            format!("model_gateway_fallbacks_total;{model};gen_ai_operation_name=chat;cause=timeout 1"),
            format!("model_gateway_attempts_total;{target};cause=ok 1"),
            format!("gen_ai_client_token_usage_total;{whole};gen_ai_token_type=input 100"),
            format!("gen_ai_client_token_usage_total;{whole};gen_ai_token_type=output 11"),
            format!("model_gateway_token_details_total;{whole};gen_ai_token_type=cached 40"),
            format!("model_gateway_cost_pico_usd_total;{whole} {}", 100 * 2_000_000 + 11 * 10_000_000),
            format!("gen_ai_server_request_duration_milliseconds;{model};gen_ai_operation_name=chat;outcome=ok 600"),
            format!("gen_ai_server_time_to_first_token_milliseconds;{model};gen_ai_operation_name=chat 400"),
            // Ten tokens in a tenth of a second.
            format!("gen_ai_server_time_per_output_token_microseconds;{model};gen_ai_operation_name=chat 10000"),
        ]
    );
}

#[test]
fn a_refusal_is_told_by_its_limit() {
    let refused = Some(Refusal { cause: Cause::Limited, limit: Some("3 requests per minute".to_owned()) });
    let record =
        Record::new(&config(), Asked { refused, ..asked("m.1", "m.1") }, Vec::new(), Some(Cause::Connection), 1001);
    let lines = told(&updates(&record));
    let model = "gen_ai_request_model=m.1;gen_ai_operation_name=chat";
    assert_eq!(
        lines,
        [
            format!("model_gateway_requests_total;{model};outcome=refused 1"),
            format!("model_gateway_refusals_total;{model};cause=limited;limit=3 requests per minute 1"),
        ]
    );
}

#[test]
fn what_is_not_known_is_not_nothing() {
    let cut = Tried { said: 7, first: Some(1100), ..tried("b/*", "nobody's", None) };
    let asked = Asked { prompt: 30, ..asked("p/nobody's", "p/*") };
    let record = Record::new(&config(), asked, vec![cut], None, 1200);
    let lines = told(&updates(&record)).join("\n");
    for part in ["outcome=client_left 1", "gen_ai_token_type=input 30", "gen_ai_token_type=output 7"] {
        assert!(lines.contains(part), "{part}: {lines}");
    }
    assert!(lines.contains("model_gateway_unpriced_requests_total") && lines.contains("estimated_requests_total"));
    assert!(!lines.contains("cost") && !lines.contains("nobody"), "{lines}");
    assert!(lines.contains("gen_ai_request_model=p/*;gen_ai_response_model=*;"), "{lines}");
}

#[test]
fn names_that_clients_make_up_are_labels_if_someone_answers_to_them_and_they_are_few() {
    let (config, mut registry) = (config(), Registry::default());
    let mut names = Vec::new();
    for number in 0..500 {
        let model = format!("m{number};odd\n");
        let good = tried("b/*", &model, Some((1100, Ok(()))));
        let record = Record::new(&config, asked(&format!("p/{model}"), "p/*"), vec![good], None, 1200);
        for update in updates(&record) {
            registry.find(&update, |name| {
                names.push(name.to_owned());
                0
            });
        }
    }
    let requests = names.iter().filter(|name| name.starts_with("model_gateway_requests_total"));
    // Two names for each, and the one for all others.
    assert_eq!(requests.count(), 101);
    assert!(names.iter().all(|name| !name.contains('\n')), "{names:?}");
    assert!(names.iter().any(|name| name.contains("gen_ai_request_model=p/m7_odd_;gen_ai_response_model=m7_odd_;")));
    assert!(names.iter().any(|name| name.contains("gen_ai_request_model=other;gen_ai_response_model=other;")));
}

#[test]
fn there_are_only_so_many_statistics_and_none_where_they_are_off() {
    let mut registry = Registry::default();
    let update = |number: u32| {
        let common = crate::metrics::Common { key: number.to_string(), outcome: "ok", ..Default::default() };
        Update { metric: METRICS[0], common: Rc::new(common), own: "".into(), amount: 1 }
    };
    let mut defined = Vec::new();
    for number in 0..30_000 {
        let id = u32::try_from(defined.len()).unwrap();
        let found = registry.find(&update(number), |name| {
            defined.push(name.to_owned());
            id
        });
        assert!(found.is_some());
    }
    assert_eq!(defined.len(), 10_001);
    assert_eq!(defined.last().unwrap(), "model_gateway_requests_total;key=other;outcome=ok");
    assert_eq!(registry.find(&update(7), |_| panic!("it is there")), Some(7));
    registry.set_off(true);
    assert_eq!(registry.find(&update(7), |_| panic!("they are off")), None);
}
