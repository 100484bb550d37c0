//! What holds for any bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::native;
use crate::scripted::envoy::{Answer, End, Outcome, Script, run};
use crate::scripted::invariants;
use crate::scripted::wire::{KINDS, Kind, events, json};

/// Pieces of what either kind sends, well-formed or not, in any order.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let known = KINDS.iter().flat_map(|kind| {
        let parts = kind.parts();
        let error = kind.error_event("server_error", "no");
        let whole = kind.good(false).body.unwrap_or_default().concat();
        let parts = [parts.begin, parts.text, parts.more, parts.end, parts.usage, parts.done, &error];
        parts.map(|part| part.as_bytes().to_vec()).into_iter().chain([whole])
    });
    let odd = [
        ": wait\n\n",
        "\n",
        "\r\n\r\n",
        "data:",
        "data: {}\n\n",
        "event: error\n",
        "\u{feff}",
        "{\"error\":{}}",
        "id: \u{1f980}",
    ];
    let known: Vec<Vec<u8>> = known.chain(odd.map(|odd| odd.as_bytes().to_vec())).collect();
    let piece = prop_oneof![
        8 => proptest::sample::select(known.clone()),
        1 => (proptest::sample::select(known), any::<proptest::sample::Index>()).prop_map(|(mut part, at)| {
            part.truncate(at.index(part.len() + 1));
            part
        }),
        1 => vec(any::<u8>(), 0..12),
    ];
    vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

fn answers() -> impl Strategy<Value = Answer> {
    let status = prop_oneof![6 => Just(200_u16), 1 => 100_u16..600];
    let end = prop_oneof![4 => Just(End::Last), 2 => Just(End::Empty), 1 => Just(End::Reset)];
    (fragments(), any::<bool>(), status, end).prop_map(|(body, stream, status, end)| {
        let answer = if stream { events("") } else { json(200, "").with("content-length", &body.len().to_string()) };
        Answer { body: Some(vec![body]), end, ..answer.with(":status", &status.to_string()) }
    })
}

fn with_pieces(script: &Script, cuts: &[proptest::sample::Index]) -> Script {
    let cut = |answer: &Answer| {
        let size = answer.body.as_ref().map_or(0, |pieces| pieces.iter().map(Vec::len).sum());
        let places: Vec<usize> = cuts.iter().filter(|_| size > 0).map(|cut| cut.index(size)).collect();
        answer.clone().cut(|index| places.contains(&index))
    };
    let answers: Vec<Answer> = script.answers.iter().map(cut).collect();
    script.clone().answered(answers)
}

fn ran(script: &Script) -> Outcome {
    run(&mut native(), script)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_500) })]

    #[test]
    fn any_answer_in_any_pieces_comes_to_the_same(
        answers in vec(answers(), 2),
        model in proptest::sample::select(vec!["o", "a", "o-a", "a-o", "o-o", "a-a"]),
        (stream, usage) in any::<(bool, bool)>(),
        cuts in vec(any::<proptest::sample::Index>(), 0..6),
    ) {
        let script = Script::chat(model, stream, stream && usage).answered(answers);
        let bytes: Vec<Answer> = script.answers.iter().map(|answer| answer.clone().cut(|_| true)).collect();
        let bytes = ran(&script.clone().answered(bytes));
        for outcome in [ran(&script), ran(&with_pieces(&script, &cuts))] {
            invariants::check("any answer", &script, &outcome);
            // An error that comes in one piece with content is no error in a stream: the client has seen nothing yet.
            prop_assert!(outcome == bytes || bytes.body.contains("data: {\"error\""), "{:?}, in bytes {:?}", outcome, bytes);
        }
        invariants::check("any answer", &script, &bytes);
    }

    #[test]
    fn any_request_is_answered(body in vec(any::<u8>(), 0..200), root in proptest::sample::select(vec!["gateway", "single"])) {
        let outcome = ran(&Script { root, ..Script::post(body) });
        prop_assert_eq!((outcome.status, outcome.sent.len()), (400, 0));
    }

    #[test]
    fn a_damaged_request_is_answered_or_sent(
        model in proptest::sample::select(vec!["o", "a"]),
        damage in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut body = Script::chat(model, true, true).body.unwrap_or_default().concat();
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let kind = if model == "o" { Kind::OpenAi } else { Kind::Anthropic };
        let stream = body.windows(13).any(|window| window == b"\"stream\":true");
        let outcome = ran(&Script::post(body).answered([kind.good(stream), kind.good(stream)]));
        prop_assert!([200, 400, 404, 502].contains(&outcome.status), "{:?}", outcome);
        prop_assert!(outcome.reports <= 1);
    }
}
