//! Limits that two real Envoys, of two workers each, share by a rate limit service on a real Redis.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "fleet/redis.rs"]
mod redis;
#[path = "fleet/service.rs"]
mod service;
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redis::Redis;
use serde_json::{Value, json};
use service::Service;
use support::load::{Ask, Client};
use support::{Answer, Gateway, Mock, chat, poll};

const CLIENTS: usize = 64;

struct Fleet {
    mock: Mock,
    service: Service,
    redis: Redis,
    gateways: Vec<Gateway>,
    config: String,
}

impl Fleet {
    /// Two Envoys with these limits; `None` where there is no Redis.
    fn start(limits: &str, service_settings: &str) -> Option<Self> {
        let redis = Redis::start()?;
        let (mock, service) = (Mock::start(), Service::start(&redis.address));
        let (at, url) = (&mock.address, service.url());
        let config = format!(
            r#"
workers: 2
forward_headers: ["x-mock*"]
log: "off"
cooldown: 0s
rate_limit_service: {{ url: "{url}", timeout: 5s{service_settings} }}
providers:
  openai: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/openai/v1" }}
models:
  cheap: {{ targets: [{{ provider: openai, model: gpt-4o, price: {{ input: 1, output: 2 }} }}] }}
limits: [{limits}]
"#
        );
        let gateways = vec![Gateway::start(&config), Gateway::start(&config)];
        Some(Self { mock, service, redis, gateways, config })
    }

    fn ask(&self, number: usize) -> Answer {
        chat(&self.gateways[number], &[], &body(false))
    }

    /// `count` requests from [`CLIENTS`] clients, to the Envoys in turn: how many there were of each status.
    fn burst(&self, count: u64, headers: &[(&'static str, &str)]) -> BTreeMap<u16, u64> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let next = Arc::new(AtomicU64::new(0));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (next, gateway) = (next.clone(), &self.gateways[number % self.gateways.len()]);
                let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
                let path = "/v1/chat/completions".to_owned();
                let ask = Ask { address: gateway.address.clone(), path, headers, body: body(number % 4 == 1) };
                runtime.spawn(async move {
                    let mut client = Client::new(&ask.address);
                    let mut counts: BTreeMap<u16, u64> = BTreeMap::new();
                    while next.fetch_add(1, Ordering::Relaxed) < count {
                        *counts.entry(client.send(&ask).await.unwrap().status).or_default() += 1;
                    }
                    counts
                })
            })
            .collect();
        let mut counts: BTreeMap<u16, u64> = BTreeMap::new();
        for client in clients {
            for (status, count) in runtime.block_on(client).unwrap() {
                *counts.entry(status).or_default() += count;
            }
        }
        counts
    }

    /// What the service has counted, by the beginning of its keys.
    fn counted(&self, key: &str) -> u64 {
        let all = self.redis.all();
        all.iter().filter(|(name, ..)| name.starts_with(key)).map(|(_, count, _)| count).sum()
    }

    /// Tokens that the provider says it used.
    fn used(&self) -> u64 {
        let tokens = |row: &Value, name: &str| row["usage"][name].as_u64().unwrap_or(0);
        self.mock.rows().iter().map(|row| tokens(row, "input_tokens") + tokens(row, "output_tokens")).sum()
    }

    fn assert_sound(&self) {
        self.gateways.iter().for_each(Gateway::assert_sound);
    }
}

fn body(stream: bool) -> Value {
    // With a bound, so that no more is reserved than is used, or nearly so.
    json!({
        "model": "cheap", "stream": stream, "max_completion_tokens": 12,
        "messages": [{"role": "user", "content": "good day"}],
    })
}

fn error(answer: &Answer) -> (u16, String, String) {
    let body = answer.json();
    let text = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
    (answer.status, text("code"), text("message"))
}

#[test]
fn two_envoys_let_exactly_so_many_requests_through() {
    const N: u64 = 200;
    let Some(fleet) = Fleet::start(&format!("{{ requests: {N}, per: day, shared: true }}"), "") else { return };
    assert_eq!(fleet.burst(10 * N, &[]), BTreeMap::from([(200, N), (429, 9 * N)]));
    assert_eq!(fleet.mock.rows().len() as u64, N);
    for gateway in 0..2 {
        let refused = fleet.ask(gateway);
        let (status, code, message) = error(&refused);
        assert_eq!((status, code.as_str()), (429, "rate_limit_exceeded"));
        assert!(message.contains("limit of 200 requests per day"), "{message}");
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=86_400).contains(&wait), "{wait}");
        assert_eq!(refused.header("x-should-retry"), Some("false"));
    }
    fleet.assert_sound();
}

#[test]
fn tokens_and_money_are_passed_by_no_more_than_what_is_under_way() {
    const TOKENS: u64 = 3000;
    let limits = format!(
        "{{ tokens: {TOKENS}, per: day, by: [user], shared: true }}, {{ usd: 1, per: month, shared: true }}, {{ requests: 100000, per: day, shared: true }}"
    );
    let Some(fleet) = Fleet::start(&limits, "") else { return };
    let counts = fleet.burst(2000, &[]);
    let (good, all) = (counts[&200], counts.values().sum::<u64>());
    assert_eq!((all, good + counts[&429]), (2000, all));
    // What the service has counted is what the provider told, once all reports are there.
    let used = fleet.used();
    poll("the reports", || (fleet.counted("model-gateway_tokens_per_day_all user=#") == used).then_some(()));
    let each = used / good;
    // Of each client one request may be under way, and what the one before it used on its way to the service.
    assert!(used > TOKENS && used <= TOKENS + each * 2 * CLIENTS as u64, "{used} of {TOKENS}, {each} each");
    let rows = fleet.mock.rows();
    let number = |row: &Value, name: &str| row["usage"][name].as_u64().unwrap_or(0);
    // A token of a prompt costs a millionth of a dollar here, one of an answer two.
    let micros: u64 = rows.iter().map(|row| number(row, "input_tokens") + 2 * number(row, "output_tokens")).sum();
    poll("the reports of money", || (fleet.counted("model-gateway_usd_e-6_per_month_all") == micros).then_some(()));
    // What the service is not asked about any more it forgets.
    let keys = fleet.redis.all();
    assert!(keys.len() >= 3 && keys.iter().all(|(_, _, seconds)| (1..=30 * 86_400).contains(seconds)), "{keys:?}");
    fleet.assert_sound();
}

#[test]
fn what_was_settled_outlasts_the_service_and_the_envoys() {
    let limits = "{ tokens: 1000000, per: day, shared: true }, { requests: 60, per: day, by: [model], shared: true }";
    let Some(mut fleet) = Fleet::start(limits, "") else { return };
    assert_eq!(fleet.burst(40, &[]), BTreeMap::from([(200, 40)]));
    let used = fleet.used();
    poll("the reports", || (fleet.counted("model-gateway_tokens_per_day_all") == used).then_some(()));
    fleet.service.kill();
    // Without it requests go on, each Envoy by its own account, and that is counted.
    assert_eq!(fleet.burst(10, &[]), BTreeMap::from([(200, 10)]));
    let allowed = |fleet: &Fleet| -> u64 {
        let stats = fleet.gateways.iter().flat_map(|gateway| gateway.stats("ratelimit.failure_mode_allowed"));
        stats.map(|(_, count)| count).sum()
    };
    assert_eq!(allowed(&fleet), 10);
    fleet.service.restart();
    poll("the service to be asked again", || {
        let before = allowed(&fleet);
        assert_eq!(fleet.ask(0).status, 200);
        (allowed(&fleet) == before).then_some(())
    });
    assert!(fleet.counted("model-gateway_tokens_per_day_all") >= used);
    // Nor does a new Envoy begin anew.
    let counted = fleet.counted("model-gateway_requests_per_day_all model=cheap");
    assert!((41..50).contains(&counted), "{counted}");
    fleet.gateways = vec![Gateway::start(&fleet.config)];
    assert_eq!(fleet.burst(100, &[])[&200], 60 - counted);
    fleet.assert_sound();
}

#[test]
fn without_its_service_a_gateway_refuses_if_it_is_told_to() {
    let limits = "{ requests: 50, per: day, shared: true }, { tokens: 100000, per: day, shared: true }";
    let Some(mut fleet) = Fleet::start(limits, ", on_failure: refuse") else { return };
    let good = fleet.ask(0);
    assert_eq!(good.status, 200, "{good:?}");
    assert_eq!(good.header("x-ratelimit-remaining-requests"), Some("49"));
    assert_eq!(good.header("x-ratelimit-limit"), None, "{good:?}");
    assert_eq!(fleet.ask(1).header("x-ratelimit-remaining-requests"), Some("48"), "the other Envoy's count too");
    fleet.service.kill();
    let refused = fleet.ask(0);
    let (status, code, _) = error(&refused);
    assert_eq!((status, code.as_str(), refused.header("retry-after")), (503, "limits_unavailable", Some("1")));
    fleet.service.restart();
    poll("the service to be asked again", || (fleet.ask(0).status == 200).then_some(()));
    assert_eq!(fleet.mock.rows().len() as u64, fleet.counted("model-gateway_requests_per_day_all"));
    fleet.assert_sound();
}

#[test]
fn what_each_envoy_knows_is_told_as_shared() {
    let limits = "{ requests: 50, per: day, shared: true }, { tokens: 100000, per: day }";
    let Some(fleet) = Fleet::start(limits, "") else { return };
    fleet.ask(0);
    let url = format!("http://{}/v1/usage", fleet.gateways[0].address);
    let usage: Value =
        serde_json::from_str(&ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap()).unwrap();
    let limits = &usage["data"][0]["limits"];
    assert_eq!((&limits[0]["shared"], &limits[0]["used"]), (&json!(true), &json!(1)), "{usage}");
    assert_eq!(limits[1]["shared"], json!(false));
}
