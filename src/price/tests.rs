//! Costs by each provider's conventions, and at the edges.

use super::{Cost, Missing, Price, ServiceTier, lookup};
use crate::chat::Usage;

/// 2026-11-23, a Monday, 02:00 UTC.
const MONDAY_2: u64 = 1_795_399_200;
const NONE: Usage = Usage {
    input: 0,
    cached: 0,
    cache_write: 0,
    cache_write_1h: 0,
    input_audio: 0,
    output: 0,
    reasoning: 0,
    output_audio: 0,
    tier: ServiceTier::Standard,
};

/// The cost at a price in short form, in 10⁻⁶ USD a million tokens: what one token costs at a price of 1.
fn cost(price: &str, usage: Usage, tier: ServiceTier) -> Cost {
    match Cost::of(Some(&Price::parse(price).unwrap()), &usage, tier, MONDAY_2) {
        Cost::Known(pico) => Cost::Known(pico / 1_000_000),
        unknown => unknown,
    }
}

fn check(price: &str, usage: Usage, expected: u64) {
    assert_eq!(cost(price, usage, ServiceTier::Standard), Cost::Known(expected), "{price} {usage:?}");
}

#[test]
fn each_part_has_its_price_and_is_counted_once() {
    let all = Usage {
        input: 1000,
        cached: 100,
        cache_write: 200,
        cache_write_1h: 300,
        input_audio: 50,
        output: 500,
        reasoning: 100,
        output_audio: 40,
        tier: ServiceTier::Standard,
    };
    check("i1 o10", all, 1000 + 5000);
    check("i1 o10 c0", all, 900 + 5000);
    check("i1 o10 c3", all, 900 + 300 + 5000);
    check("i1 o10 w3", all, 500 + 500 * 3 + 5000);
    check("i1 o10 w3 h7", all, 500 + 200 * 3 + 300 * 7 + 5000);
    check("i1 o10 h7", all, 700 + 300 * 7 + 5000);
    check("i1 o10 r20", all, 1000 + 400 * 10 + 100 * 20);
    check("i1 o10 a9 b30", all, 950 + 50 * 9 + 460 * 10 + 40 * 30);
    check("i1 o10 c2 w3 h4 a5 r6 b7", all, 350 + 200 + 600 + 1200 + 250 + 360 * 10 + 600 + 280);
}

#[test]
fn what_a_provider_miscounts_is_charged_once() {
    // Cached, written and sound are more than the whole: the whole is what is charged.
    let lie = Usage {
        input: 10,
        cached: 8,
        cache_write: 8,
        input_audio: 8,
        output: 5,
        reasoning: 9,
        output_audio: 9,
        ..NONE
    };
    check("i1 o10 c2 w3 a4 r20 b30", lie, 8 * 2 + 2 * 3 + 5 * 20);
    check("i1 o1 c2", Usage { cached: u64::MAX, ..NONE }, 0);
    check("i1 o1 c2", Usage { input: 1, cached: u64::MAX, cache_write: u64::MAX, ..NONE }, 2);
}

#[test]
fn a_tier_reprices_the_whole_request() {
    const PRICE: &str = "i1 o10 c0.5;>200k i2 o20;>272k i4 o40 c2";
    let prompt = |input| Usage { input, cached: 100, output: 1, ..NONE };
    check(PRICE, prompt(200_000), 199_900 + 50 + 10);
    // What the tier has no price for costs what it costs.
    check(PRICE, prompt(200_001), 199_901 * 2 + 50 + 20);
    check(PRICE, prompt(272_001), 271_901 * 4 + 200 + 40);
    check("i1 o1;>0k i2 o2", Usage { input: 1, ..NONE }, 1);
}

#[test]
fn a_service_tier_has_prices_of_its_own() {
    const PRICE: &str = "i1 o10 c0.5 r30;>200k i2 o20;F i0.5 o5;F>200k i1 o12;P i3 o30";
    let usage = |input| Usage { input, cached: 10, output: 2, reasoning: 1, ..NONE };
    for (tier, input, expected) in [
        (ServiceTier::Standard, 100, Ok(90 + 5 + 10 + 30)),
        (ServiceTier::Flex, 100, Ok(45 + 5 + 5 + 5)),
        (ServiceTier::Flex, 200_001, Ok(199_991 + 5 + 12 + 12)),
        (ServiceTier::Priority, 100, Ok(270 + 5 + 30 + 30)),
        (ServiceTier::Priority, 200_001, Err(Missing::ServiceTier)),
        (ServiceTier::Batch, 100, Err(Missing::ServiceTier)),
    ] {
        let expected = expected.map_or_else(Cost::Unknown, Cost::Known);
        assert_eq!(cost(PRICE, usage(input), tier), expected, "{tier:?} {input}");
    }
    let only_input = "i1 o10;F i0.5";
    assert_eq!(cost(only_input, usage(10), ServiceTier::Flex), Cost::Unknown(Missing::Output));
    assert_eq!(cost(only_input, Usage { input: 10, ..NONE }, ServiceTier::Flex), Cost::Known(5));
}

#[test]
fn hours_have_prices_of_their_own() {
    let price = Price::parse("i2 o4 c1 w0;@12345/0000-0100+1000-0000@67/0000-0000 i1 o2").unwrap();
    let usage = Usage { input: 10, cached: 5, output: 1, ..NONE };
    const HOUR: u64 = 3600;
    for (now, expected) in [
        (MONDAY_2, 10 + 5 + 4),
        (MONDAY_2 - 90 * 60, 5 + 5 + 2),
        (MONDAY_2 + 8 * HOUR, 5 + 5 + 2),
        (MONDAY_2 + 8 * HOUR - 1, 10 + 5 + 4),
        // Sunday.
        (MONDAY_2 - 10 * HOUR, 5 + 5 + 2),
    ] {
        let cost = Cost::of(Some(&price), &usage, ServiceTier::Standard, now);
        assert_eq!(cost, Cost::Known(expected * 1_000_000), "{now}");
    }
}

#[test]
fn the_unknown_is_not_nothing() {
    let usage = Usage { input: 1, output: 1, ..NONE };
    assert_eq!(Cost::of(None, &usage, ServiceTier::Standard, 0), Cost::Unknown(Missing::Model));
    assert_eq!(cost("i1", usage, ServiceTier::Standard), Cost::Unknown(Missing::Output));
    assert_eq!(cost("o1", usage, ServiceTier::Standard), Cost::Unknown(Missing::Input));
    assert_eq!(cost("i1", Usage { input: 1, ..NONE }, ServiceTier::Standard), Cost::Known(1));
    assert_eq!(cost("i0 o0", usage, ServiceTier::Standard), Cost::Known(0));
}

#[test]
fn amounts_do_not_wrap() {
    let most = Usage { input: u64::MAX, output: u64::MAX, ..NONE };
    assert_eq!(cost("i1 o1", most, ServiceTier::Standard), Cost::Unknown(Missing::Amount));
    assert_eq!(
        cost("i18446744073709.551615 o18446744073709.551615", most, ServiceTier::Standard),
        Cost::Unknown(Missing::Amount)
    );
    let price = Price::parse("i0.000001 o0.000001").unwrap();
    let pico = |usage| Cost::of(Some(&price), &usage, ServiceTier::Standard, 0);
    assert_eq!(pico(Usage { input: u64::MAX, ..NONE }), Cost::Known(u64::MAX));
    assert_eq!(pico(Usage { input: u64::MAX, output: 1, ..NONE }), Cost::Unknown(Missing::Amount));
}

/// The table's own prices, in 10⁻¹² USD.
fn check_model(kind: &str, model: &str, usage: Usage, tier: ServiceTier, expected: u64) {
    let price = lookup(kind, None, model).unwrap_or_else(|| panic!("{kind} {model} has no price"));
    assert_eq!(Cost::of(Some(&price), &usage, tier, MONDAY_2), Cost::Known(expected), "{kind} {model}");
}

/// Amounts in 10⁻¹² USD worked out by hand from the providers' price lists of the table's date.
#[test]
fn models_cost_what_their_providers_say() {
    use ServiceTier::{Flex, Priority, Standard};
    // https://developers.openai.com/api/docs/pricing: 2.50, cached 1.25, 10; priority 4.25, 2.125, 17.
    let usage = Usage { input: 1000, cached: 200, output: 100, ..NONE };
    check_model("openai", "gpt-4o", usage, Standard, 800 * 2_500_000 + 200 * 1_250_000 + 100 * 10_000_000);
    check_model("openai", "gpt-4o-2024-08-06", usage, Standard, 800 * 2_500_000 + 200 * 1_250_000 + 100 * 10_000_000);
    check_model("openai", "gpt-4o", usage, Priority, 800 * 4_250_000 + 200 * 2_125_000 + 100 * 17_000_000);
    check_model("openai", "text-embedding-3-small", Usage { input: 7, ..NONE }, Standard, 7 * 20_000);
    // https://platform.claude.com/docs/en/about-claude/pricing: 3, 15, writes 3.75 and 6, reads 0.30.
    let usage = Usage { input: 1000, cached: 500, cache_write: 200, cache_write_1h: 100, output: 10, ..NONE };
    check_model(
        "anthropic",
        "claude-sonnet-4-5-20250929",
        usage,
        Standard,
        200 * 3_000_000 + 500 * 300_000 + 200 * 3_750_000 + 100 * 6_000_000 + 10 * 15_000_000,
    );
    // A tenth more where the request stays in a geography: https://aws.amazon.com/bedrock/pricing/
    check_model(
        "bedrock",
        "arn:aws:bedrock:us-east-1:000000000000:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        Usage { input: 1000, output: 10, ..NONE },
        Standard,
        1000 * 3_300_000 + 10 * 16_500_000,
    );
    // https://ai.google.dev/gemini-api/docs/pricing: 1.25 and 10, above 200,000 tokens 2.50, cached 0.25, and 15.
    let usage = |input| Usage { input, cached: 1000, output: 100, reasoning: 60, ..NONE };
    check_model(
        "gemini",
        "models/gemini-2.5-pro",
        usage(200_000),
        Standard,
        199_000 * 1_250_000 + 1000 * 125_000 + 100 * 10_000_000,
    );
    check_model(
        "gemini",
        "gemini-2.5-pro",
        usage(200_001),
        Standard,
        199_001 * 2_500_000 + 1000 * 250_000 + 100 * 15_000_000,
    );
    // Sound 1.00, text 0.30, flex half of it.
    let usage = Usage { input: 1000, input_audio: 400, output: 50, reasoning: 20, ..NONE };
    check_model("gemini", "gemini-2.5-flash", usage, Standard, 600 * 300_000 + 400 * 1_000_000 + 50 * 2_500_000);
    check_model("gemini", "gemini-2.5-flash", usage, Flex, 600 * 150_000 + 400 * 500_000 + 50 * 1_250_000);
    // Thinking costs more than the rest of the answer: https://www.alibabacloud.com/help/en/model-studio/models
    let usage = Usage { input: 256_001, output: 10, reasoning: 4, ..NONE };
    check_model(
        "dashscope",
        "qwen-plus-2025-07-28",
        usage,
        Standard,
        256_001 * 1_200_000 + 6 * 3_600_000 + 4 * 12_000_000,
    );
}

#[test]
fn a_model_is_priced_by_its_own_provider_only() {
    assert!(lookup("openai", None, "gpt-4o").is_some());
    for (kind, model) in [
        ("vllm", "gpt-4o"),
        ("groq", "gpt-4o"),
        ("openrouter", "openai/gpt-4o"),
        ("openai", "claude-sonnet-4-5"),
        ("azure-openai", "my-deployment"),
        ("bedrock", "arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/abc"),
        ("openai", ""),
    ] {
        assert_eq!(lookup(kind, None, model), None, "{kind} {model}");
    }
}
