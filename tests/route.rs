//! Where requests go when targets fail, on the real Envoy with two workers: each failure at the first, the middle and the last
//! of three; servers that cannot be reached at all; cooldowns and probes; many streams at once; clients that leave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::failures::{Ends, FAILURES, TEXT, answered, failed};
use support::front::{Front, authority};
use support::load::{Ask, Client, Outcome, median};
use support::{Answer, Gateway, Mock, chat, poll};

/// A request id that no other has.
fn id() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("route-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn body(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "good day"}]})
}

/// Three providers at the mock, `a`, `b` and `c`; `models` may name others that `providers` has.
fn start(mock: &Mock, providers: &str, models: &str) -> Gateway {
    Gateway::start_with(
        &format!(
            r#"
workers: 2
forward_headers: ["x-mock*"]
log: "off"
providers:
  a: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/a/v1" }}
  b: {{ kind: anthropic, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/b" }}
  c: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/c/v1" }}
{providers}
models:
{models}
"#,
            at = mock.address
        ),
        &[("SSL_CERT_FILE", authority().to_str().unwrap())],
    )
}

/// The three, in this order, and what else is said of the model.
fn in_turn(name: &str, more: &str) -> String {
    format!(
        "  {name}: {{ {more} targets: [{{ provider: a, model: gpt-4o }}, {{ provider: b, model: claude-sonnet-4-5, order: 1 }}, {{ provider: c, model: gpt-4o, order: 2 }}] }}\n"
    )
}

#[test]
fn every_failure_at_the_first_the_middle_and_the_last_of_three() {
    let mock = Mock::start();
    let models = in_turn("patient", "cooldown: 0s,")
        + &in_turn("hasty", "cooldown: 0s, timeouts: { first_token: 1s, answer: 1s },");
    let gateway = start(&mock, "", &models);
    const HEADERS: [&str; 3] = ["x-mock-a", "x-mock-b", "x-mock-c"];
    let check = |directive: &str, falls_back: bool, ends: Ends, place: usize, stream: bool| {
        let model = if directive.contains("hang") || directive.contains("wait") { "hasty" } else { "patient" };
        let id = id();
        let mut headers: Vec<(&str, &str)> = HEADERS[..place].iter().map(|header| (*header, "status=503")).collect();
        headers.extend([(HEADERS[place], directive), ("x-request-id", &id)]);
        let answer = chat(&gateway, &headers, &body(model, stream));
        let goes_on = falls_back && (!stream || matches!(ends, Ends::Error(..))) && place < 2;
        let attempts = place + 1 + usize::from(goes_on);
        let result = match goes_on {
            true => answered(&answer, ["b", "c"][place], &attempts.to_string()),
            false => failed(&answer, ends, stream),
        };
        let asked = mock.requests(&id);
        let sites: Vec<_> = asked.iter().filter_map(|request| request["site"].as_str()).collect();
        match result {
            Ok(()) if sites == ["a", "b", "c"][..attempts] => None,
            Ok(()) => Some(format!("{directive} at place {place}, stream {stream}: asked were {sites:?}")),
            Err(reason) => Some(format!("{directive} at place {place}, stream {stream}: {reason}")),
        }
    };
    let check = &check;
    let wrong: Vec<String> = thread::scope(|scope| {
        let rows = (0..3).flat_map(|place| [(place, false), (place, true)]);
        let threads: Vec<_> = rows
            .map(|(place, stream)| {
                scope.spawn(move || {
                    let rows = FAILURES.iter();
                    rows.filter_map(|(told, falls_back, ends)| check(told, *falls_back, *ends, place, stream))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    gateway.assert_sound();
}

#[test]
fn servers_that_cannot_be_reached_are_passed_by() {
    let mock = Mock::start();
    let front = Front::start(&mock.address, "http/1.1", 1000);
    // Ends each connection in the middle of an answer's first lines: by FIN once it has read everything, or by RST.
    let halfway = |reads: bool| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut connection in listener.incoming().map_while(Result::ok) {
                let mut request = [0; 4096];
                let read = if reads { request.len() } else { 10 };
                let _ = connection.read(&mut request[..read]);
                let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-ty");
            }
        });
        address
    };
    let (fin, rst) = (halfway(true), halfway(false));
    let port = &front.port;
    let providers = format!(
        r#"
  nameless: {{ kind: openai, base_url: "https://nowhere.invalid/v1" }}
  plainly-nameless: {{ kind: openai, base_url: "http://nowhere.invalid/v1" }}
  both-nameless: {{ kind: openai, base_urls: ["http://nowhere.invalid/v1", "http://nobody.invalid/v1"] }}
  refusing: {{ kind: openai, base_url: "http://localhost:1/v1" }}
  stranger: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "https://127.0.0.1:{port}/d/v1" }}
  no-tls: {{ kind: openai, base_url: "https://{mock}/d/v1" }}
  fin: {{ kind: openai, base_url: "http://{fin}/v1" }}
  rst: {{ kind: openai, base_url: "http://{rst}/v1" }}
  trusted: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "https://localhost:{port}/d/v1" }}
"#,
        mock = mock.address
    );
    const UNREACHABLE: [&str; 8] =
        ["nameless", "plainly-nameless", "both-nameless", "refusing", "stranger", "no-tls", "fin", "rst"];
    const UNAVAILABLE: (u16, &str) = (503, "upstream_unavailable");
    let mut models = String::new();
    for name in UNREACHABLE {
        models += &format!("  {name}: {{ cooldown: 0s, targets: [{{ provider: {name} }}], fallbacks: [good] }}\n");
        models += &format!("  only-{name}: {{ cooldown: 0s, targets: [{{ provider: {name} }}] }}\n");
        models += &format!(
            "  last-{name}: {{ cooldown: 0s, targets: [{{ provider: a, model: gpt-4o }}], fallbacks: [only-{name}] }}\n"
        );
    }
    models += "  good: { targets: [{ provider: trusted, model: gpt-4o }] }\n";
    models +=
        "  cooled: { cooldown: 60s, targets: [{ provider: nameless }, { provider: a, model: gpt-4o, order: 1 }] }\n";
    let gateway = start(&mock, &providers, &models);
    let mut wrong = Vec::new();
    for name in UNREACHABLE {
        for stream in [false, true] {
            let answer = chat(&gateway, &[], &body(name, stream));
            wrong.extend(answered(&answer, "trusted", "2").err().map(|why| format!("{name} first: {why}")));
            for model in [format!("only-{name}"), format!("last-{name}")] {
                let answer = chat(&gateway, &[("x-mock-a", "status=500")], &body(&model, stream));
                // These have said something, if only the half of it.
                let (status, code) =
                    if ["fin", "rst"].contains(&name) { (502, "upstream_bad_answer") } else { UNAVAILABLE };
                let ends = failed(&answer, Ends::Error(status, Some(code)), stream);
                wrong.extend(ends.err().map(|why| format!("{model}: {why}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // It counts as a failure like any other: after some it is left alone.
    let tries: Vec<Answer> = (0..6).map(|_| chat(&gateway, &[], &body("cooled", false))).collect();
    let attempts: Vec<_> = tries.iter().map(|answer| answer.header("x-gateway-attempts").unwrap()).collect();
    assert_eq!(attempts, ["2", "2", "2", "1", "1", "1"]);
    // Names are resolved and connections kept by the servers' own cluster.
    let connections = gateway.stats("cluster.trusted servers.upstream_cx_total");
    assert!(matches!(connections[..], [(_, 1..=4)]), "{connections:?}");
    gateway.assert_sound();
}

#[test]
fn either_version_of_http_and_connections_that_the_server_wants_closed() {
    let mock = Mock::start();
    let (new, old) = (Front::start(&mock.address, "h2", 4), Front::start(&mock.address, "http/1.1", 4));
    let mut providers = String::new();
    let mut models = String::new();
    for (name, front) in [("new", &new), ("old", &old)] {
        let port = &front.port;
        providers += &format!(
            "  {name}: {{ kind: openai, api_key: \"${{MOCK_KEY}}\", base_url: \"https://localhost:{port}/{name}/v1\" }}\n"
        );
        models += &format!(
            "  {name}: {{ cooldown: 0s, targets: [{{ provider: {name}, model: gpt-4o }}, {{ provider: a, model: gpt-4o, order: 1 }}] }}\n"
        );
    }
    let gateway = start(&mock, &providers, &models);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for (name, header) in [("new", "x-mock-new"), ("old", "x-mock-old")] {
        // Streams outlast the announced end of their connection.
        let asks = (0..60).map(|n| ask(&gateway, name, n % 2 == 0, &[(header, "chunk-delay=2")]));
        let outcomes = all_at_once(&runtime, asks);
        for outcome in &outcomes {
            let whole = (outcome.status, &outcome.broken) == (200, &None) && told_as(outcome).text() == TEXT;
            assert!(whole, "{name}: {outcome:?}");
        }
        // A stream that begins just when its connection has ended is refused, and goes to the next target.
        let own = outcomes.iter().filter(|outcome| outcome.provider.as_deref() == Some(name)).count();
        assert!(own >= 30, "{name}: only {own} of 60");
        // Broken once the client has seen some of it, and before.
        let cut = chat(&gateway, &[(header, "cut=6&chunk-delay=20")], &body(name, true));
        failed(&cut, Ends::BreakOnceStreamed, true).unwrap();
        for directive in ["reset", "status=503", "cut=0"] {
            answered(&chat(&gateway, &[(header, directive)], &body(name, true)), "a", "2").unwrap();
        }
    }
    let count = |stat: &str| gateway.stats(stat).first().map_or(0, |(_, count)| *count);
    let (http2, http1) = ("cluster.new servers.upstream_cx_http2_total", "cluster.old servers.upstream_cx_http1_total");
    // Of the old kind each takes four requests, of the new one what has begun before its end is announced.
    assert!(count(http1) >= 60 / 4 && count("cluster.old servers.upstream_cx_http2_total") == 0, "{}", count(http1));
    assert!(count(http2) >= 3 && count("cluster.new servers.upstream_cx_close_notify") >= 1, "{}", count(http2));
    gateway.assert_sound();
}

#[test]
fn a_target_that_is_down_is_tried_once_in_an_interval_and_found_again() {
    const COOLDOWN: Duration = Duration::from_millis(500);
    const RUN: Duration = Duration::from_secs(4);
    const GLANCE: Duration = Duration::from_millis(100);
    let mock = Mock::start();
    let model = |name: &str, provider: &str| {
        format!(
            "  {name}: {{ cooldown: 500ms, timeouts: {{ first_token: 2s, answer: 2s }}, targets: [{{ provider: {provider}, model: gpt-4o }}, {{ provider: b, model: claude-sonnet-4-5, order: 1 }}] }}\n"
        )
    };
    let gateway = start(&mock, "", &(model("one", "a") + &model("other", "c")));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for (name, site, header, directive) in [("one", "a", "x-mock-a", "status=503"), ("other", "c", "x-mock-c", "hang")]
    {
        let asked = || mock.told("ledger")["by_site"][site].as_u64().unwrap_or_default();
        // Another worker may take it for well for a tenth of a second more.
        let mut tried = Instant::now();
        poll("it to be left alone by both workers", || {
            let answer = chat(&gateway, &[(header, directive)], &body(name, true));
            assert_eq!((answer.status, answer.header("x-gateway-provider")), (200, Some("b")));
            if answer.header("x-gateway-attempts") != Some("1") {
                tried = Instant::now();
            }
            (tried.elapsed() > GLANCE).then_some(())
        });
        let (before, since) = (asked(), Instant::now());
        let clients: Vec<_> = (0..24)
            .map(|_| {
                let ask = ask(&gateway, name, true, &[(header, directive)]);
                runtime.spawn(async move {
                    let (mut client, mut count) = (Client::new(&ask.address), 0);
                    while since.elapsed() < RUN {
                        let outcome = client.send(&ask).await.unwrap();
                        assert_eq!((outcome.status, outcome.provider.as_deref()), (200, Some("b")));
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let requests: u64 = clients.into_iter().map(|client| runtime.block_on(client).unwrap()).sum();
        let intervals = since.elapsed().as_millis().div_ceil(COOLDOWN.as_millis()) as u64;
        let probes = asked() - before;
        println!(
            "{directive}: {requests} requests by 24 clients, {probes} went to the target in {intervals} intervals"
        );
        assert!((2..=intervals).contains(&probes), "{probes} in {intervals} intervals of {requests} requests");
        // Well again, it is found by one of the next requests, and then gets them all.
        poll("it to be found again", || {
            let answer = chat(&gateway, &[], &body(name, true));
            (answer.header("x-gateway-provider") == Some(site)).then_some(())
        });
        for _ in 0..20 {
            answered(&chat(&gateway, &[], &body(name, true)), site, "1").unwrap();
        }
    }
    gateway.assert_sound();
}

#[test]
fn all_targets_down_is_one_clear_error_and_ends_with_the_outage() {
    let mock = Mock::start();
    let gateway = start(&mock, "", &in_turn("m", "cooldown: 300ms,"));
    let down = [("x-mock", "status=503")];
    for turn in 0..30 {
        let id = id();
        let answer = chat(&gateway, &[down[0], ("x-request-id", &id)], &body("m", turn % 2 == 0));
        failed(&answer, Ends::Error(503, Some("server_is_overloaded")), turn % 2 == 0).unwrap();
        // Nobody is well, so that everybody is asked.
        assert_eq!(mock.requests(&id).len(), 3);
    }
    assert_eq!(chat(&gateway, &[], &body("m", true)).status, 200);
    // They flap: whoever is well answers.
    for turn in 0..60 {
        let told: [&str; 3] = core::array::from_fn(|site| if turn / 4 % 3 == site { "" } else { "status=500" });
        let headers = [("x-mock-a", told[0]), ("x-mock-b", told[1]), ("x-mock-c", told[2])];
        let answer = chat(&gateway, &headers, &body("m", turn % 2 == 0));
        assert_eq!((answer.status, answer.text().as_str()), (200, TEXT), "{answer:?}");
    }
    gateway.assert_sound();
}

#[test]
fn two_hundred_streams_at_once_across_a_failover() {
    let mock = Mock::start();
    let gateway = start(&mock, "", &in_turn("m", "cooldown: 0s,"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let told = [("x-mock-a", "status=503&first-byte=300"), ("x-mock-b", "chunk-delay=100&keepalive=2")];
    let outcomes = all_at_once(&runtime, (0..200).map(|_| ask(&gateway, "m", true, &told)));
    for outcome in &outcomes {
        let (provider, attempts) = (outcome.provider.as_deref(), outcome.attempts.as_deref());
        assert_eq!((outcome.status, provider, attempts), (200, Some("b"), Some("2")), "{outcome:?}");
        let answer = told_as(outcome);
        assert_eq!((answer.text().as_str(), answer.broken), (TEXT, false));
    }
    assert_eq!(outcomes.len(), 200);
    gateway.assert_sound();
}

/// A stream that hangs goes on to the next target when its time is up, and not much later.
#[test]
fn a_hung_stream_moves_on_at_its_deadline() {
    const DEADLINE: Duration = Duration::from_millis(500);
    let mock = Mock::start();
    let gateway = start(&mock, "", &in_turn("m", "cooldown: 0s, timeouts: { first_token: 500ms },"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut client = Client::new(&gateway.address);
    for directive in ["hang", "headers-then-wait=60000", "keepalive=1&chunk-delay=60000"] {
        let ask = ask(&gateway, "m", true, &[("x-mock-a", directive)]);
        let mut late: Vec<Duration> = (0..8)
            .map(|_| {
                let outcome = runtime.block_on(client.send(&ask)).unwrap();
                assert_eq!((outcome.status, outcome.provider.as_deref()), (200, Some("b")), "{outcome:?}");
                outcome.first.saturating_sub(DEADLINE)
            })
            .collect();
        let middle = median(&mut late);
        println!("{directive}: first byte {middle:.1} ms after the deadline, at most {:?}", late[late.len() - 1]);
    }
    // How late is for `make bench` to say; here, that the deadline is what ended each of the first attempts.
    let timeouts = gateway.stats("cluster.a.upstream_rq_per_try_timeout");
    assert_eq!(timeouts.iter().map(|(_, count)| count).sum::<u64>(), 24, "{timeouts:?}");
    gateway.assert_sound();
}

#[test]
fn a_client_that_leaves_leaves_nothing_behind() {
    let mock = Mock::start();
    let gateway = start(
        &mock,
        "",
        "  m: { strategy: least_busy, cooldown: 0s, targets: [{ provider: a, model: gpt-4o }, { provider: b, model: claude-sonnet-4-5 }] }\n",
    );
    let leave = |told: &str| {
        let id = id();
        let body = body("m", true).to_string();
        let mut connection = TcpStream::connect(&gateway.address).unwrap();
        let length = body.len();
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n";
        write!(connection, "{head}x-request-id: {id}\r\nx-mock: {told}\r\ncontent-length: {length}\r\n\r\n{body}")
            .unwrap();
        let rows = || mock.requests(&id);
        let row = poll("the request at the mock", || rows().pop());
        if told.contains("chunk-delay") {
            let mut some = [0; 16];
            connection.read_exact(&mut some).unwrap();
            assert!(some.starts_with(b"HTTP/1.1 200"));
        }
        // One provider is busy now: the other gets what comes.
        for _ in 0..3 {
            let other = if row["site"] == "a" { "b" } else { "a" };
            answered(&chat(&gateway, &[], &self::body("m", false)), other, "1").unwrap();
        }
        drop(connection);
        poll("the provider to see that the client has left", || (rows()[0]["outcome"]["how"] == "left").then_some(()));
        assert_eq!(rows().len(), 1, "and nobody else is asked");
    };
    for _ in 0..5 {
        leave("hang");
        leave("headers-then-wait=60000");
        leave("chunk-delay=300&words=200");
    }
    // Both are idle again, and equal: of 40 draws, fewer than 4 for one of them is a chance of one in 10⁷.
    let mut asked: BTreeMap<String, u32> = BTreeMap::new();
    for turn in 0..40 {
        let answer = chat(&gateway, &[], &body("m", turn % 2 == 0));
        *asked.entry(answer.header("x-gateway-provider").unwrap().to_owned()).or_default() += 1;
    }
    assert!(asked.len() == 2 && asked.values().all(|count| *count >= 4), "{asked:?}");
    gateway.assert_sound();
}

fn ask(gateway: &Gateway, model: &str, stream: bool, headers: &[(&'static str, &str)]) -> Ask {
    Ask {
        address: gateway.address.clone(),
        path: "/v1/chat/completions".to_owned(),
        headers: headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        body: body(model, stream),
    }
}

fn all_at_once(runtime: &tokio::runtime::Runtime, asks: impl Iterator<Item = Ask>) -> Vec<Outcome> {
    let sent: Vec<_> =
        asks.map(|ask| runtime.spawn(async move { Client::new(&ask.address).send(&ask).await.unwrap() })).collect();
    sent.into_iter().map(|sent| runtime.block_on(sent).unwrap()).collect()
}

/// The same as other tests have it.
fn told_as(outcome: &Outcome) -> Answer {
    let body = String::from_utf8(outcome.body.to_vec()).unwrap();
    Answer { status: outcome.status, headers: Vec::new(), body, broken: outcome.broken.is_some() }
}
