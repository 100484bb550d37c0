//! What a provider's answer says of how much is left of its rate limits, so that a target is left alone before it refuses.
//!
//! Headers that providers have names of their own for are rows of [`LIMITS`]; values come in a few forms, whoever sends them.

use crate::calendar::{self, DAY};
use crate::headers::{self, Headers, Lengths};
use crate::words::same;

/// One limit, as a provider tells of it.
struct Limit {
    of: Of,
    /// Names of headers: what is left, of how much, and when all of it is there again (empty: nobody says).
    remaining: &'static str,
    limit: &'static str,
    reset: &'static str,
    /// How long that takes at most, in milliseconds, where it is not said; 0: not known.
    window: u64,
}

/// What is counted.
#[derive(PartialEq, Eq)]
enum Of {
    Requests,
    Tokens,
}

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// Of a hundred tokens of a limit, with fewer left than this a prompt is likely to be refused.
const FEW: f64 = 1.0;

const fn row(of: Of, [remaining, limit, reset]: [&'static str; 3], window: u64) -> Limit {
    Limit { of, remaining, limit, reset, window }
}

use Of::{Requests, Tokens};

#[rustfmt::skip]
const LIMITS: &[Limit] = &[
    // OpenAI (reset `6m0s`), Azure (seconds), Groq, xAI, Fireworks, SambaNova (a moment):
    // https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers, https://console.groq.com/docs/rate-limits
    row(Requests, ["x-ratelimit-remaining-requests", "x-ratelimit-limit-requests", "x-ratelimit-reset-requests"], 0),
    row(Tokens, ["x-ratelimit-remaining-tokens", "x-ratelimit-limit-tokens", "x-ratelimit-reset-tokens"], 0),
    // RFC 3339: https://platform.claude.com/docs/en/api/rate-limits#response-headers
    row(Requests, ["anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-reset"], 0),
    row(Tokens, ["anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-limit", "anthropic-ratelimit-tokens-reset"], 0),
    row(Tokens, ["anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-limit", "anthropic-ratelimit-input-tokens-reset"], 0),
    row(Tokens, ["anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-limit", "anthropic-ratelimit-output-tokens-reset"], 0),
    // Cerebras, also behind Hugging Face, which leaves the resets out:
    // https://inference-docs.cerebras.ai/support/rate-limits#rate-limit-headers
    row(Requests, ["x-ratelimit-remaining-requests-minute", "x-ratelimit-limit-requests-minute", "x-ratelimit-reset-requests-minute"], MINUTE),
    row(Requests, ["x-ratelimit-remaining-requests-hour", "x-ratelimit-limit-requests-hour", "x-ratelimit-reset-requests-hour"], HOUR),
    row(Requests, ["x-ratelimit-remaining-requests-day", "x-ratelimit-limit-requests-day", "x-ratelimit-reset-requests-day"], DAY),
    row(Tokens, ["x-ratelimit-remaining-tokens-minute", "x-ratelimit-limit-tokens-minute", "x-ratelimit-reset-tokens-minute"], MINUTE),
    row(Tokens, ["x-ratelimit-remaining-tokens-hour", "x-ratelimit-limit-tokens-hour", "x-ratelimit-reset-tokens-hour"], HOUR),
    row(Tokens, ["x-ratelimit-remaining-tokens-day", "x-ratelimit-limit-tokens-day", "x-ratelimit-reset-tokens-day"], DAY),
    // Mistral of late (its tokens are the row above); and before: https://github.com/mistralai/client-ts/issues/169
    row(Requests, ["x-ratelimit-remaining-req-minute", "x-ratelimit-limit-req-minute", ""], MINUTE),
    row(Tokens, ["ratelimitbysize-remaining", "ratelimitbysize-limit", "ratelimitbysize-reset"], MINUTE),
    row(Tokens, ["x-ratelimitbysize-remaining-minute", "x-ratelimitbysize-limit-minute", ""], MINUTE),
    // Together (seconds), OpenRouter (a moment in milliseconds): https://openrouter.ai/docs/api-reference/limits
    row(Requests, ["x-ratelimit-remaining", "x-ratelimit-limit", "x-ratelimit-reset"], 0),
    row(Tokens, ["x-tokenlimit-remaining", "x-tokenlimit-limit", "x-tokenlimit-reset"], 0),
    // https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/06/
    row(Requests, ["ratelimit-remaining", "ratelimit-limit", "ratelimit-reset"], 0),
];

/// The lengths of the names that tell what is left.
const REMAINING: Lengths = {
    let (mut lengths, mut limits) = (Lengths::NONE, LIMITS);
    while let [limit, rest @ ..] = limits {
        (lengths, limits) = (lengths.and(limit.remaining), rest);
    }
    lengths
};

/// How long all of what a provider limits is gone, in milliseconds, `now` being milliseconds since 1970; `None`: there is
/// some left, or nothing is said. That is: no request left, or of tokens fewer than one in [`FEW`] hundred.
pub(super) fn spent(headers: &Headers, now: u64) -> Option<u64> {
    let told = headers.iter().filter(|(name, _)| REMAINING.have(name));
    let waits = told.filter_map(|(name, remaining)| {
        let limit = LIMITS.iter().find(|limit| same(limit.remaining.as_bytes(), name))?;
        let remaining = number(headers::text(remaining).trim())?;
        let few = match limit.of {
            Requests => 0.0,
            Tokens => {
                headers.first(limit.limit).and_then(|limit| number(limit.trim())).unwrap_or_default() * FEW / 100.0
            }
        };
        let gone = remaining <= 0.0 || remaining < few;
        let reset = || headers.first(limit.reset).and_then(|reset| wait(reset.trim(), now)).unwrap_or(limit.window);
        gone.then(reset).filter(|wait| *wait > 0)
    });
    waits.max()
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// How long until `reset`, in milliseconds: a duration (`6m0s`), seconds, or a moment (RFC 3339, seconds or milliseconds
/// since 1970).
fn wait(reset: &str, now: u64) -> Option<u64> {
    if let Some(number) = number(reset) {
        return match number {
            ..0.0 => None,
            // Nobody waits for thirty years, and nobody had computers then.
            ..1e9 => Some((number * 1000.0) as u64),
            ..1e11 => Some(((number * 1000.0) as u64).saturating_sub(now)),
            _ => Some((number as u64).saturating_sub(now)),
        };
    }
    match reset.contains('T') {
        true => calendar::parse(reset).map(|moment| moment.saturating_sub(now)),
        false => duration(reset),
    }
}

/// `6m0s`, `20ms`, `1h2m3.5s`, as Go writes them, and with days: in milliseconds.
fn duration(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, after) = rest.split_at_checked(end)?;
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        let milliseconds = match unit {
            "d" => DAY as f64,
            "h" => HOUR as f64,
            "m" => MINUTE as f64,
            "s" => 1000.0,
            "ms" => 1.0,
            "us" | "µs" => 0.001,
            "ns" => 0.000_001,
            _ => return None,
        };
        sum += digits.parse::<f64>().ok()? * milliseconds;
        rest = after;
    }
    (!text.is_empty()).then_some(sum.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::{LIMITS, REMAINING, spent, wait};

    /// 2025-07-29T15:40:24Z
    const NOW: u64 = 1_753_803_624_000;

    fn check(headers: &[(&str, &str)], expected: Option<u64>) {
        assert_eq!(spent(&headers.iter().copied().collect(), NOW), expected, "{headers:?}");
    }

    /// As they came from the providers themselves: tests/recordings has where from.
    #[test]
    fn real_answers_with_much_left_say_nothing() {
        let openai = [
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-limit-tokens", "200000"),
            ("x-ratelimit-remaining-requests", "499"),
            ("x-ratelimit-remaining-tokens", "199227"),
            ("x-ratelimit-reset-requests", "120ms"),
            ("x-ratelimit-reset-tokens", "231ms"),
        ];
        check(&openai, None);
        check(&[("x-ratelimit-remaining", "19"), ("x-ratelimit-limit", "10"), ("x-ratelimit-reset", "2")], None);
        check(&[("x-ratelimit-remaining-tokens-day", "9223372036854767616")], None);
        check(&[("content-type", "application/json")], None);
        check(&[("x-ratelimit-key", "gpt-5-nano"), ("x-ratelimit", "false")], None);
    }

    #[test]
    fn what_is_gone_is_gone_until_its_reset() {
        let of = |remaining: &'static str, reset: &'static str| {
            [
                ("x-ratelimit-remaining-requests", remaining),
                ("x-ratelimit-limit-requests", "60"),
                ("x-ratelimit-reset-requests", reset),
            ]
        };
        for (reset, milliseconds) in
            [("1s", 1000), ("6m0s", 360_000), ("20ms", 20), ("2m59.56s", 179_560), ("60", 60_000)]
        {
            check(&of("0", reset), Some(milliseconds));
            check(&of("1", reset), None);
        }
        check(&of("0", "0"), None);
        check(&of("0", "soon"), None);
        check(&of("-1", "1"), Some(1000));
        check(&of("few", "1"), None);
        check(
            &[
                ("anthropic-ratelimit-input-tokens-remaining", "0"),
                ("anthropic-ratelimit-input-tokens-reset", "2025-07-29T15:41:24Z"),
            ],
            Some(60_000),
        );
        check(
            &[
                ("anthropic-ratelimit-output-tokens-remaining", "0"),
                ("anthropic-ratelimit-output-tokens-reset", "2025-07-29T15:40:00Z"),
            ],
            None,
        );
        check(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-limit", "2"), ("x-ratelimit-reset", "1")], Some(1000));
        check(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1753803629000")], Some(5000));
        check(
            &[("x-ratelimit-remaining-tokens-minute", "0"), ("x-ratelimit-reset-tokens-minute", "23.755197525024414")],
            Some(23_755),
        );
        check(
            &[("ratelimitbysize-remaining", "0"), ("ratelimitbysize-limit", "500000"), ("ratelimitbysize-reset", "28")],
            Some(28_000),
        );
        // A minute's limit is there again after a minute.
        check(&[("x-ratelimit-remaining-req-minute", "0"), ("x-ratelimit-limit-req-minute", "5")], Some(60_000));
    }

    #[test]
    fn few_tokens_are_as_good_as_none_and_few_requests_are_not() {
        let tokens = |remaining| {
            [
                ("x-ratelimit-remaining-tokens", remaining),
                ("x-ratelimit-limit-tokens", "40000"),
                ("x-ratelimit-reset-tokens", "59.4s"),
            ]
        };
        check(&tokens("399"), Some(59_400));
        check(&tokens("400"), None);
        let requests = [
            ("x-ratelimit-remaining-requests", "1"),
            ("x-ratelimit-limit-requests", "14400"),
            ("x-ratelimit-reset-requests", "23h"),
        ];
        check(&requests, None);
    }

    #[test]
    fn the_longest_of_several_counts() {
        check(
            &[
                ("anthropic-ratelimit-requests-remaining", "0"),
                ("anthropic-ratelimit-requests-reset", "2025-07-29T15:40:25Z"),
                ("anthropic-ratelimit-tokens-remaining", "0"),
                ("anthropic-ratelimit-tokens-limit", "1000"),
                ("anthropic-ratelimit-tokens-reset", "2025-07-29T15:40:54Z"),
            ],
            Some(30_000),
        );
    }

    #[test]
    fn times_have_a_few_forms() {
        for (text, milliseconds) in [
            ("0s", Some(0)),
            ("1h2m3.5s", Some(3_723_500)),
            ("1d", Some(86_400_000)),
            ("500µs", Some(1)),
            ("9ms", Some(9)),
            ("1.5", Some(1500)),
            ("1753803634", Some(10_000)),
            ("1753803634000", Some(10_000)),
            ("2025-07-29T15:40:34Z", Some(10_000)),
            ("2025-07-29T15:40:34.25Z", Some(10_250)),
            ("2025-07-29T17:40:34+02:00", Some(10_000)),
            ("2025-07-29T10:10:34-05:30", Some(10_000)),
            ("2024-07-29T15:40:34Z", Some(0)),
            ("2025-13-29T15:40:34Z", None),
            ("2025-07-29T15:40", None),
            ("T", None),
            ("", None),
            ("s", None),
            ("5", Some(5000)),
            ("5x", None),
            ("1m2", None),
            ("-5", None),
            ("NaN", None),
            ("ANTHROPIC-RATELIMIT-TOKENS-RESET-XXX", None),
        ] {
            assert_eq!(wait(text, NOW), milliseconds, "{text}");
        }
    }

    #[test]
    fn every_row_is_its_own_and_in_lower_case() {
        for (index, limit) in LIMITS.iter().enumerate() {
            assert!(
                LIMITS.iter().skip(index + 1).all(|other| other.remaining != limit.remaining),
                "{}",
                limit.remaining
            );
            assert_eq!(limit.remaining, limit.remaining.to_ascii_lowercase());
            assert!(REMAINING.have(limit.remaining.as_bytes()), "`spent` does not see {}", limit.remaining);
            assert!(!limit.reset.is_empty() || limit.window > 0, "{}", limit.remaining);
        }
    }
}
