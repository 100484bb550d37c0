//! The live page in a real browser, on the real Envoy with two workers: what it shows is what the mock tells.
//!
//! Pictures of it are left in `target/`. `PAGE_MINUTES=30` keeps the traffic going for so long before they are taken, and leaves one in
//! `examples/page/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::browser::Browser;
use support::load::{Ask, Client};
use support::{Gateway, Mock, poll};

/// What a name could do if it were taken for markup.
const ODD: &str = "<img src=x onerror=document.title=1>";
const ODD_TOO: &str = "<script>document.title=2</script>";

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The configuration of `examples/page`, with `replaced` in it.
fn start(mock: &Mock, replaced: &[(&str, &str)]) -> Gateway {
    let text = std::fs::read_to_string(file("examples/page/gateway.yaml")).unwrap();
    let text = text.replace("127.0.0.1:9100", &mock.address);
    let text = replaced.iter().fold(text, |text, (from, to)| text.replace(from, to));
    Gateway::start_with(&text, &[("DEMO_KEY", "demo")])
}

/// A request, and whether its client leaves in the midst of the answer.
struct Turn {
    key: &'static str,
    model: &'static str,
    stream: bool,
    mock: (&'static str, &'static str),
    leaves: bool,
}

fn turn(key: &'static str, model: &'static str, stream: bool, directive: &'static str) -> Turn {
    Turn { key, model, stream, mock: ("x-mock", directive), leaves: false }
}

/// Requests that come to every end, eighteen of them: ten are answered, one of these by a fallback.
fn turns() -> Vec<Turn> {
    let mut turns = Vec::new();
    turns.extend((0..5).map(|_| turn("demo-search", "gpt-4o", true, "words=30&first-byte=15&chunk-delay=2")));
    turns.extend((0..2).map(|_| turn("demo-support", "claude-sonnet-4-5", false, "words=90&cached=5")));
    turns.extend((0..5).map(|_| turn("demo-notebooks", "gemini/gemini-2.5-flash", true, "words=20")));
    turns.push(Turn { mock: ("x-mock-openai", "status=503"), ..turn("demo-search", "gpt-4o", true, "") });
    turns.push(Turn { leaves: true, ..turn("demo-search", "gpt-4o", true, "words=400&chunk-delay=5") });
    turns.push(turn("demo-search", "gpt-5", true, ""));
    turns.push(turn("demo-wrong", "gpt-4o", true, ""));
    turns.push(turn("demo-support", "gemini/gemini-2.5-pro", true, "words=9&error-event=4&chunk-delay=20"));
    turns.push(turn("demo-support", "claude-sonnet-4-5", false, "status=529&retry-after=900"));
    turns
}

fn send(runtime: &tokio::runtime::Runtime, gateway: &Gateway, turn: &Turn) {
    let ask = Ask {
        address: gateway.address.clone(),
        path: "/v1/chat/completions".to_owned(),
        headers: vec![("authorization", format!("Bearer {}", turn.key)), (turn.mock.0, turn.mock.1.to_owned())],
        body: json!({"model": turn.model, "stream": turn.stream, "messages": [{"role": "user", "content": "good day"}]}),
    };
    // What becomes of each is what the page has to get right; here it only has to end.
    let _ = runtime.block_on(Client::new(&gateway.address).send_and_read(&ask, turn.leaves.then_some(300)));
}

fn status(gateway: &Gateway) -> Value {
    let url = format!("http://{}/gateway/status.json", gateway.address);
    let mut answer = ureq::get(&url).header("authorization", "Bearer demo-admin").call().unwrap();
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
}

fn counts(of: &Value) -> [u64; 5] {
    ["answered", "failed", "refused", "left", "fell_back"].map(|name| of[name].as_u64().unwrap())
}

/// The cells of the row in one of the page's lists that begins with `name`.
fn row(browser: &mut Browser, list: &str, name: &str) -> Vec<String> {
    let rows = browser.value(&format!(
        "[...document.querySelector('[aria-label={list:?}] table').tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.innerText.trim()))"
    ));
    let rows: Vec<Vec<String>> = serde_json::from_value(rows).unwrap();
    rows.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("no {name} in {rows:?}")).clone()
}

#[test]
fn the_page_shows_what_went_through_and_nothing_that_a_name_could_do() {
    let mock = Mock::start();
    let gateway = start(
        &mock,
        &[
            ("\"support-bot\"", &format!("{ODD:?}")),
            (
                "\"gpt-4o\":",
                &format!("{ODD_TOO:?}: {{ targets: [{{ provider: openai, model: gpt-4o }}] }}\n  \"gpt-4o\":"),
            ),
        ],
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    turns().iter().for_each(|turn| send(&runtime, &gateway, turn));
    send(&runtime, &gateway, &turn("demo-support", ODD_TOO, false, "words=9"));

    // What is over is counted in a moment.
    let status = poll("every request to be counted", || {
        let status = status(&gateway);
        let [answered, failed, refused, left, _] = counts(&status["hour"]);
        (answered + failed + refused + left == 19).then_some(status)
    });
    // The fifth of the notebooks' four is refused too; with the key that is not good any more another attempt was needed.
    assert_eq!(counts(&status["hour"]), [13, 2, 3, 1, 2], "{status}");
    assert_eq!(status["minutes"].as_array().unwrap().iter().map(|minute| counts(minute)[0]).sum::<u64>(), 13);
    // Attempts and tokens are the mock's. (What a broken stream used is estimated.)
    let rows = mock.rows();
    let site = |site: &'static str| rows.iter().filter(move |row| row["site"] == site);
    let target = |name: &str| status["targets"].as_array().unwrap().iter().find(|row| row["provider"] == name).unwrap();
    let sum = |name: &str| site("anthropic").map(|row| row["usage"][name].as_u64().unwrap_or(0)).sum::<u64>();
    let used = ["input", "cached", "output"].map(|name| target("anthropic")[name].as_u64().unwrap());
    assert_eq!(used, ["input_tokens", "cached_tokens", "output_tokens"].map(sum), "{status}");
    for name in ["openai", "anthropic", "gemini"] {
        assert_eq!(target(name)["requests"], site(name).count(), "{name}: {status}");
    }

    let Some(mut browser) = Browser::start() else {
        println!("SKIPPED: no Chromium on this machine; `tests/setup/install browser` gets Debian's");
        return;
    };
    let url = format!("http://{}/gateway", gateway.address);
    browser.open(&url);
    assert_eq!(browser.value("document.activeElement.id"), "key");
    let enter = |browser: &mut Browser, key: &str| {
        browser.value(&format!(
            "document.getElementById('key').value = {key:?}; document.querySelector('form button').click()"
        ));
    };
    for (key, says) in [("demo-wrong", "Incorrect API key"), ("demo-search", "role `admin`")] {
        enter(&mut browser, key);
        browser.wait_for("a word about the key", "document.getElementById('refused').textContent !== ''");
        assert!(browser.text("refused").contains(says), "{}", browser.text("refused"));
        browser.value("document.getElementById('refused').textContent = ''");
    }
    enter(&mut browser, "demo-admin");
    browser.wait_for("the numbers", "!document.getElementById('data').hidden");
    let tiles = ["requests", "errors", "fallbacks"].map(|id| browser.text(id));
    assert_eq!(tiles, ["19", "11%", "2"]);
    assert!(browser.text("first").ends_with(" ms") && browser.text("spend").starts_with("$0.0"));
    assert_eq!(row(&mut browser, "Targets", "gemini/*")[2..4], ["5", "1 (20%)"]);
    assert!(row(&mut browser, "Targets", "anthropic/claude-sonnet-4-5")[1].starts_with("left alone for 1"));
    assert_eq!(row(&mut browser, "Models", "gemini/*")[1], "6");
    assert!(row(&mut browser, "Provider keys", "openai, old")[1].starts_with("left alone for"));
    assert_eq!(row(&mut browser, "Limits", "4 requests per hour\nkey notebooks")[2], "4 of 4");
    assert_eq!(row(&mut browser, "Failures and refusals", "unknown model")[3], "1");
    // Names are text, whatever is in them.
    assert_eq!(row(&mut browser, "Models", ODD_TOO)[1], "1");
    assert_eq!(row(&mut browser, "Keys", ODD)[1], "5");
    assert_eq!(browser.value("document.querySelectorAll('main img, main script').length"), 0);
    assert_eq!(browser.value("document.title"), "Model Gateway");
    // With the arrow keys a minute is read out.
    browser
        .value("document.querySelector('svg[tabindex]').dispatchEvent(new KeyboardEvent('keydown', { key: 'Home' }))");
    assert!(
        browser.text("said").ends_with(": Answered 0, Failed 0, Refused 0, Client left 0"),
        "{}",
        browser.text("said")
    );
    browser.value("point(null)");

    for (name, width, dark) in [("light", 1360, false), ("dark", 1360, true), ("phone", 390, false)] {
        browser.look(width, dark);
        assert!(browser.value("document.documentElement.scrollWidth").as_u64().unwrap() <= u64::from(width), "{name}");
        browser.picture(&file(&format!("target/page-{name}.png")));
    }
    // Two refused keys, and nothing that its policy kept it from.
    let complaints: Vec<_> =
        browser.complaints.iter().map(|it| it["entry"]["text"].as_str().unwrap_or_default()).collect();
    assert_eq!(
        complaints.iter().filter(|text| text.contains("the server responded with a status of 40")).count(),
        2,
        "{complaints:?}"
    );
    assert_eq!(complaints.len(), 2, "{complaints:?}");

    gateway.assert_sound();
    drop(gateway);
    browser.wait_for("word that the gateway is away", "!document.getElementById('away').hidden");
    assert!(browser.value("document.getElementById('data').className").as_str().unwrap().contains("stale"));
}

/// Not a test: what draws the picture of the example.
#[test]
fn a_picture_of_some_time() {
    let Some(minutes) = std::env::var("PAGE_MINUTES").ok().and_then(|it| it.parse::<u64>().ok()) else { return };
    let mock = Mock::start();
    let gateway = start(&mock, &[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (since, all) = (Instant::now(), turns());
    let mut random = 7_u64;
    while since.elapsed() < Duration::from_secs(60 * minutes) {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // Mostly those that are answered; what fails comes in spells.
        let minute = since.elapsed().as_secs() / 60;
        let most = if minute % 7 == 5 { all.len() } else { 8 };
        send(&runtime, &gateway, &all[(random >> 33) as usize % most]);
        let pause = 120 + 90 * (minute % 5) + (random >> 40) % 200;
        std::thread::park_timeout(Duration::from_millis(pause));
    }
    let mut browser = Browser::start().expect("Chromium");
    browser.open(&format!("http://{}/gateway", gateway.address));
    browser.value("sessionStorage.setItem('model-gateway-key', 'demo-admin'); look()");
    browser.wait_for("the numbers", "!document.getElementById('data').hidden");
    browser.look(1360, false);
    browser.picture(&file("examples/page/page.png"));
    browser.look(1360, true);
    browser.picture(&file("target/page-example-dark.png"));
}
