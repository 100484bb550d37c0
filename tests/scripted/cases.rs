//! The table: every fault of every kind of provider, alone, first and last of two targets.

use model_gateway::names;

use super::chat::CLIENT_KEY;
use super::envoy::{Answer, Outcome, Script, run};
use super::faults::{Asked, FAULTS, Fault, SAID, Then, Told};
use super::filters::Filters;
use super::invariants;
use super::wire::{KINDS, Kind, bare};

pub struct Case {
    pub name: String,
    /// Whether there is something to be won by cutting the answers at every place.
    pub delicate: bool,
    pub script: Script,
    expected: Expected,
}

/// What the client is to get.
struct Expected {
    what: What,
    /// Who answered, or failed last, and in which attempt.
    kind: Kind,
    attempts: usize,
    model: String,
    stream: bool,
    usage: bool,
}

enum What {
    Answer,
    Error(Told),
    Broken(Told),
    Cut,
    /// Envoy's own answer.
    Own,
}

/// Where the fault happens.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// At the only target.
    Only,
    /// At the first; the second is of this kind, and good.
    First(Kind),
    /// At the second; the first, of this kind, has failed.
    Last(Kind),
}

impl Case {
    /// In bytes.
    pub fn longest_answer(&self) -> usize {
        let bodies = self.script.answers.iter().filter_map(|answer| answer.body.as_ref());
        bodies.map(|pieces| pieces.iter().map(Vec::len).sum()).max().unwrap_or(0)
    }
}

/// Every case.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for fault in FAULTS {
        for kind in KINDS {
            for (stream, usage) in [(false, false), (true, false), (true, true)] {
                if fault.only.is_some_and(|only| only != stream) {
                    continue;
                }
                for place in [Place::Only, Place::First(kind), Place::First(kind.other()), Place::Last(kind.other())] {
                    cases.push(case(fault, Asked { kind, stream }, usage, place));
                }
            }
        }
    }
    cases
}

/// Faults whose bytes the machines look at as they come.
const DELICATE: &[&str] = &[
    "good",
    "comments first",
    "more after the end",
    "an error before content",
    "an error after content, and more",
    "an end too early, in an event",
];

fn case(fault: &Fault, asked: Asked, usage: bool, place: Place) -> Case {
    let Asked { kind, stream } = asked;
    let answer = (fault.answer)(asked);
    let (model, mut answers, mut attempts) = match place {
        Place::Only => (kind.letter().to_owned(), vec![answer], 1),
        Place::First(next) => (format!("{}-{}", kind.letter(), next.letter()), vec![answer], 1),
        Place::Last(first) => (format!("{}-{}", first.letter(), kind.letter()), vec![bare(503), answer], 2),
    };
    let mut by = kind;
    let what = match (fault.then, place) {
        (Then::Next(_) | Then::Reset, Place::First(next)) => {
            answers.push(next.good(stream));
            (by, attempts) = (next, 2);
            What::Answer
        }
        (Then::Good, _) => What::Answer,
        (Then::Next(told) | Then::Final(told), _) => What::Error(told),
        (Then::Broken(told), _) => What::Broken(told),
        (Then::Reset, _) => What::Own,
        (Then::Cut, _) => What::Cut,
    };
    let name = format!("{}: {kind:?}, stream {stream}, usage {usage}, {place:?}", fault.name);
    let script = Script::chat(&model, stream, usage).answered(answers);
    let delicate = usage && matches!(place, Place::Only) && DELICATE.contains(&fault.name);
    Case { name, delicate, script, expected: Expected { what, kind: by, attempts, model, stream, usage } }
}

/// Runs the case, and checks what everyone got.
pub fn check(filters: &mut dyn Filters, case: &Case) -> Outcome {
    let Case { name, script, expected, .. } = case;
    let outcome = run(filters, script);
    invariants::check(name, script, &outcome);
    expected.check(name, &outcome);
    outcome
}

/// The same bytes in other pieces make no difference.
pub fn check_pieces(filters: &mut dyn Filters, case: &Case, whole: &Outcome, at: impl Fn(usize) -> bool + Copy) {
    let answers: Vec<Answer> = case.script.answers.iter().map(|answer| answer.clone().cut(at)).collect();
    let outcome = run(filters, &case.script.clone().answered(answers));
    assert_eq!(outcome, *whole, "{}", case.name);
}

impl Expected {
    fn check(&self, name: &str, outcome: &Outcome) {
        let header = |name: &str| outcome.headers.text(name);
        let provider = self.provider();
        assert_eq!(outcome.sent.len(), self.attempts, "{name}");
        assert_eq!(outcome.cut, matches!(self.what, What::Cut), "{name}");
        let log = |name: &str| outcome.log(name);
        let target = super::chat::provider(provider).model;
        assert_eq!(log(names::log::MODEL), self.model, "{name}");
        assert_eq!((log(names::log::PROVIDER), log(names::log::TARGET_MODEL)), (provider, target), "{name}");
        assert_eq!(log(names::log::ATTEMPTS), self.attempts.to_string(), "{name}");
        if matches!(self.what, What::Own) {
            assert_eq!((outcome.status, header("x-should-retry").as_deref()), (503, Some("false")), "{name}");
            return;
        }
        let gateway = ["x-gateway-provider", "x-gateway-model", "x-gateway-attempts"].map(header);
        let told = [provider, target, &self.attempts.to_string()].map(|value| Some(value.to_owned()));
        assert_eq!(gateway, told, "{name}");
        match self.what {
            What::Answer => {
                let body = self.kind.got(self.stream, &self.model, self.usage);
                assert_eq!(outcome.body, body, "{name}");
                assert_eq!(log(names::log::ERROR), "", "{name}");
                // An attempt before it may have told 9 and 1, as Anthropic does at the beginning, and then failed.
                let told = (0..self.attempts).map(|failed| ((9 + 9 * failed).to_string(), (3 + failed).to_string()));
                let logged = (log(names::log::INPUT_TOKENS).to_owned(), log(names::log::OUTPUT_TOKENS).to_owned());
                assert!(told.into_iter().any(|told| told == logged), "{name}: {logged:?}");
                assert_eq!(header("x-should-retry"), None, "{name}");
                assert_eq!(header("request-id").as_deref(), Some("kept"), "{name}");
                assert!(outcome.headers.0.iter().all(|(_, value)| value != b"secret"), "{name}: {outcome:?}");
            }
            What::Error(told) => {
                assert_eq!(outcome.status, told.status, "{name}: {outcome:?}");
                assert_eq!(header("content-type").as_deref(), Some("application/json"), "{name}");
                assert_eq!(header("x-should-retry").as_deref(), Some("false"), "{name}");
                assert_eq!(header("retry-after").as_deref(), told.retry_after, "{name}");
                check_error(name, &outcome.body, told);
                assert_eq!(log(names::log::ERROR), told.cause, "{name}");
            }
            What::Broken(told) => {
                let got = self.got_text();
                let rest = outcome.body.strip_prefix(&got).unwrap_or_else(|| panic!("{name}: {}", outcome.body));
                let error = rest.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n"));
                check_error(name, error.unwrap_or_else(|| panic!("{name}: {rest}")), told);
                assert_eq!((outcome.status, log(names::log::ERROR)), (200, told.cause), "{name}");
            }
            What::Cut => assert_eq!(outcome.body, self.got_text(), "{name}"),
            What::Own => {}
        }
    }

    fn got_text(&self) -> String {
        let got = self.kind.got_text(&self.model);
        match (self.kind, self.usage) {
            (Kind::Anthropic, true) => got.replace("}]}\n\n", "}],\"usage\":null}\n\n"),
            _ => got,
        }
    }

    fn provider(&self) -> &'static str {
        match (self.kind, self.attempts) {
            (Kind::OpenAi, 1) => "openai",
            (Kind::OpenAi, _) => "openai-2",
            (Kind::Anthropic, 1) => "anthropic",
            (Kind::Anthropic, _) => "anthropic-2",
        }
    }
}

/// An error in OpenAI's shape, with the provider's own words where it had any.
fn check_error(name: &str, body: &str, told: Told) {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{name}: {body}"));
    let error = &body["error"];
    assert_eq!(error["type"], told.kind, "{name}: {body}");
    assert_eq!(error["code"].as_str(), told.code, "{name}: {body}");
    let message = error["message"].as_str().unwrap_or_default();
    let known = [SAID, "provider", "prompt is too long", "content"];
    assert!(known.iter().any(|words| message.contains(words)), "{name}: {message}");
    assert!(!message.contains(CLIENT_KEY), "{name}: {message}");
}
