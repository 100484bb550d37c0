//! Streams as providers send them, and what the client gets.

use std::rc::Rc;

use super::Stream;
use crate::chat::Usage;
use crate::error::{Cause, Error};

/// The client's bytes, how it ended, the usage, and whether content was seen.
type Outcome = (String, Result<(), Cause>, Option<Usage>, bool);

fn run<'c>(chunks: impl Iterator<Item = &'c [u8]>, include_usage: bool) -> Outcome {
    let mut stream = Stream::new("asked", include_usage);
    let mut out = String::new();
    let classify = |_: crate::json::Value<'_>| Error::new(Cause::Overloaded, "");
    let mut result = Ok(());
    for chunk in chunks {
        result = result.and_then(|()| stream.push(chunk, classify, &mut out));
    }
    let result = result.and_then(|()| stream.end(classify, &mut out)).map_err(|error| error.cause);
    (out, result, stream.usage(), stream.has_content())
}

/// Whole, byte by byte, and cut in two at every place.
fn check(stream: &str, include_usage: bool, expected: &str, result: Result<(), Cause>) -> (Option<Usage>, bool) {
    let bytes = stream.as_bytes();
    let whole = run(std::iter::once(bytes), include_usage);
    assert_eq!((whole.0.as_str(), whole.1), (expected, result));
    assert_eq!(run(bytes.chunks(1), include_usage), whole);
    for at in 0..bytes.len() {
        let (first, second) = bytes.split_at(at);
        assert_eq!(run([first, second].into_iter(), include_usage), whole, "cut at {at}");
    }
    (whole.2, whole.3)
}

const ROLE: &str =
    "data: {\"model\":\"m-1\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"x\":1}\n\n";
const TEXT: &str =
    "data: {\"model\":\"m-1\",\"choices\":[{\"delta\":{\"content\":\"h\u{e9}\"}}],\"obfuscation\":\"a\"}\n\n";
const END: &str = "data: {\"model\":\"m-1\",\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn asked(stream: &str) -> String {
    stream.replace("m-1", "asked")
}

#[test]
fn events_pass_as_they_came_but_for_the_models_name() {
    let expected = asked(&[ROLE, TEXT, END, USAGE, DONE].concat());
    let (usage, content) = check(&[ROLE, TEXT, END, USAGE, DONE].concat(), true, &expected, Ok(()));
    assert_eq!((usage.map(|usage| (usage.input, usage.output)), content), (Some((3, 2)), true));
}

/// Those that are alike are not parsed; nothing may come of that but speed.
#[test]
fn events_that_are_like_the_one_before_are_still_looked_at() {
    let text = |text: &str| TEXT.replace("h\u{e9}", text);
    let alike = [
        TEXT.to_owned(),
        text("a\\\"b\\n\\u00e9"),
        text(""),
        TEXT.replace("\"a\"}", "\"bcd\"}"),
        text("\u{1f980}").replace("m-1", "m-2"),
        text("c").replace("m-1", "m-2"),
        text("c").replace("content", "reasoning"),
        text("d").replace("content", "reasoning"),
        text("e"),
    ];
    let sent = alike.concat() + END + USAGE + DONE;
    let expected = asked(&sent).replace("m-2", "asked").replace(USAGE, "");
    let (usage, _) = check(&sent, false, &expected, Ok(()));
    assert_eq!(usage.map(|usage| usage.output), Some(2));
    for wrong in ["a\nb", "\\x", "\"", "a"] {
        let wrong = if wrong == "a" { text(wrong).replace('}', "") } else { text(wrong) };
        check(&(TEXT.to_owned() + &wrong), true, &asked(TEXT), Err(Cause::BadAnswer));
    }
    let ended = text("a\"},\"finish_reason\":\"end_turn\",\"x\":{\"y\":\"b");
    let mended = asked(&ended).replace("\"end_turn\"", "\"stop\",\"native_finish_reason\":\"end_turn\"");
    check(&(TEXT.to_owned() + &ended + DONE), true, &(asked(TEXT) + &mended + DONE), Ok(()));
    let used = text("a").replace("\"x\"", "").replace("\"obfuscation\"", "\"usage\":{\"prompt_tokens\":1},\"o\"");
    let expected = asked(&(text("b") + &used + END + DONE));
    assert_eq!(check(&(text("b") + &used + END + DONE), true, &expected, Ok(())).0.map(|usage| usage.input), Some(1));
}

#[test]
fn names_of_members_may_be_escaped() {
    let escaped = |event: &str| event.replace("\"choices", "\"\\u0063hoices").replace("\"model", "\"m\\u006fdel");
    let expected = asked(&[escaped(ROLE), escaped(TEXT), escaped(END), DONE.to_owned()].concat());
    let sent = [ROLE, TEXT, END, DONE].map(escaped).concat();
    check(&sent, true, &expected, Ok(()));
}

#[test]
fn thoughts_of_the_content_go_where_a_null_stands() {
    let sent = r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":"hm"}],"reasoning_content":null},"finish_reason":"stop"}]}"#;
    let got = r#"{"choices":[{"delta":{"content":null,"reasoning_details":[{"type":"reasoning.text","text":"hm","format":"mistral-v1","index":0}],"reasoning_content":"hm"},"finish_reason":"stop"}]}"#;
    check(&format!("data: {sent}\n\n{DONE}"), true, &format!("data: {got}\n\n{DONE}"), Ok(()));
}

#[test]
fn thoughts_of_the_content_are_numbered() {
    let (mut sent, mut got) = (String::new(), String::new());
    for (number, piece) in
        [(0, ""), (0, r#","signature":"s","closed":true"#), (1, ""), (1, r#","closed":false"#), (9, "text"), (2, "")]
    {
        let event = |delta: &str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{{delta}}}}}]}}\n\n");
        if piece == "text" {
            sent += &event(r#""content":"a""#);
            got += &event(r#""content":"a""#);
            continue;
        }
        sent +=
            &event(&format!(r#""content":[{{"type":"thinking","thinking":[{{"type":"text","text":"t"}}]{piece}}}]"#));
        let signature = if piece.contains("signature") { r#""signature":"s","# } else { "" };
        got += &event(&format!(
            r#""content":null,"reasoning_content":"t","reasoning_details":[{{"type":"reasoning.text","text":"t",{signature}"format":"mistral-v1","index":{number}}}]"#
        ));
    }
    check(&[&sent, END, DONE].concat(), true, &[&got, &asked(END), DONE].concat(), Ok(()));
}

#[test]
fn usage_is_seen_and_removed_when_the_client_did_not_ask() {
    let expected = asked(&[ROLE, TEXT, END, DONE].concat());
    let (usage, _) = check(&[ROLE, TEXT, END, USAGE, DONE].concat(), false, &expected, Ok(()));
    assert_eq!(usage.map(|usage| usage.input), Some(3));
    let beside = END.replace("}]}", "}],\"usage\":{\"prompt_tokens\":1}}");
    let expected = asked(&[TEXT, &END.replace("}]}", "}],\"usage\":null}"), DONE].concat());
    check(&[TEXT, &beside, DONE].concat(), false, &expected, Ok(()));
}

#[test]
fn a_missing_done_is_added_only_to_a_complete_answer() {
    check(&[TEXT, END].concat(), true, &asked(&[TEXT, END, DONE].concat()), Ok(()));
    check(TEXT, true, &asked(TEXT), Err(Cause::BadAnswer));
    check("", true, "", Err(Cause::BadAnswer));
    check(DONE, true, "", Err(Cause::BadAnswer));
    let unsaid = "data: {\"model\":\"asked\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    check(&[TEXT, DONE].concat(), true, &[&asked(TEXT), unsaid, DONE].concat(), Ok(()));
    let two = TEXT.replace("{\"delta", "{\"index\":1,\"delta");
    check(&[TEXT, &two, END].concat(), true, &asked(&[TEXT, &two, END].concat()), Err(Cause::BadAnswer));
    check(&[TEXT, END, DONE, TEXT, ": c\n\n", DONE].concat(), true, &asked(&[TEXT, END, DONE].concat()), Ok(()));
    check(&[TEXT, END.trim_end()].concat(), true, &asked(&[TEXT, END, DONE].concat()), Ok(()));
}

#[test]
fn errors_end_the_stream_wherever_they_come() {
    let error = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
    check(error, true, "", Err(Cause::Overloaded));
    check(&[TEXT, error, DONE].concat(), true, &asked(TEXT), Err(Cause::Overloaded));
    check(&[TEXT, "event: error\ndata: {}\n\n"].concat(), true, &asked(TEXT), Err(Cause::Overloaded));
    check("data: <html>\n\n", true, "", Err(Cause::BadAnswer));
    let (_, content) = check(ROLE, true, &asked(ROLE), Err(Cause::BadAnswer));
    assert!(!content);
}

#[test]
fn what_looks_like_content_is_not_always_some() {
    for delta in [
        r#"{"role":"assistant","channel":"analysis"}"#,
        r#"{"content":null,"graph_data":{"sources":null},"tool_calls":[]}"#,
    ] {
        let event = format!("data: {{\"choices\":[{{\"delta\":{delta},\"finish_reason\":\"\"}}]}}\n\n");
        let passed = event.replace("\"finish_reason\":\"\"", "\"finish_reason\":null");
        let (_, content) = check(&event, true, &passed, Err(Cause::BadAnswer));
        assert!(!content, "{delta}");
    }
    check(
        &["data:\n\n", TEXT, "data: \n\n", END].concat(),
        true,
        &asked(&[TEXT, "data: \n\n", END, DONE].concat()),
        Ok(()),
    );
}

#[test]
fn errors_have_many_places() {
    for error in [
        r#"{"object":"error","message":"m"}"#,
        r#"{"choices":[],"error":"m"}"#,
        r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
        r#"{"choices":[{"error":{"message":"m"},"finish_reason":"stop"}]}"#,
    ] {
        check(&[TEXT, &format!("data: {error}\n\n")].concat(), true, &asked(TEXT), Err(Cause::Overloaded));
    }
    let filter =
        r#"{"choices":[{"content_filter_result":{"error":{"code":"x"}},"finish_reason":"stop"}],"error":null}"#;
    // Azure's has no delta either.
    let told = filter.replace("[{", r#"[{"delta":{},"#);
    check(&format!("data: {filter}\n\n"), true, &format!("data: {told}\n\n{DONE}"), Ok(()));
}

/// `choices` of each event, and what becomes of them.
fn check_choices(choices: &[&str], expected: &[&str]) {
    let events = |choices: &[&str], model: &str| -> String {
        let event = |choices| format!("data: {{\"id\":\"c-9\",\"model\":\"{model}\",\"choices\":[{choices}]}}\n\n");
        choices.iter().map(event).collect()
    };
    check(&(events(choices, "m-1") + DONE), true, &(events(expected, "asked") + DONE), Ok(()));
}

#[test]
fn tool_calls_are_mended() {
    let call = |call: &str| format!(r#"{{"index":0,"delta":{{"tool_calls":[{call}]}},"finish_reason":null}}"#);
    let bare = |number: u32| {
        format!(
            r#"{{"index":0,"delta":{{"tool_calls":[{{"index":{number},"function":{{"arguments":"{{}}"}}}}]}},"finish_reason":null}}"#
        )
    };
    let end = r#"{"index":0,"delta":{},"finish_reason":"tool_calls"}"#;
    let stop = r#"{"index":0,"delta":{},"finish_reason":"stop"}"#;
    let stopped = r#"{"index":0,"delta":{},"finish_reason":"tool_calls","native_finish_reason":"stop"}"#;

    // Without arguments; and `stop` though there is a call.
    let first = call(r#"{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}"#);
    check_choices(&[&first, end], &[&first, &bare(0), end]);
    check_choices(&[&first, stop], &[&first, &bare(0), stopped]);
    check_choices(&[&first], &[&first, &bare(0), end]);

    // The same again with every piece.
    let more = |id: &str, name: &str, more: &str| {
        call(&format!(r#"{{"index":0,"id":{id},"function":{{"name":{name},"arguments":"{more}"}}}}"#))
    };
    check_choices(
        &[&first, &more("\"a\"", "\"f\"", "{"), &more("\"\"", "null", "}"), end],
        &[&first, &more("null", "null", "{"), &more("\"\"", "null", "}"), end],
    );

    // No index, no type, no id.
    let whole = call(
        r#"{"id":"b","function":{"name":"f","arguments":"{}"}},{"id":"","function":{"name":"g","arguments":{"a": 1}}}"#,
    );
    let mended = call(
        r#"{"type":"function","index":0,"id":"b","function":{"name":"f","arguments":"{}"}},{"type":"function","index":1,"id":"call_9c_1","function":{"name":"g","arguments":"{\"a\":1}"}}"#,
    );
    check_choices(&[&whole, end], &[&mended, end]);

    // One index for all.
    let other = call(r#"{"index":0,"id":"b","type":"function","function":{"name":"f","arguments":"1"}}"#);
    let more = |index: u32| call(&format!(r#"{{"index":{index},"function":{{"arguments":"2"}}}}"#));
    let second = other.replace("\"index\":0,\"id\"", "\"index\":1,\"id\"");
    check_choices(&[&first, &other, &more(0), end], &[&first, &second, &more(1), &bare(0), end]);

    // The end in the same chunk.
    let all = first.replace("\"finish_reason\":null", "\"finish_reason\":\"tool_calls\"");
    check_choices(&[&all], &[&all.replace("\"arguments\":\"\"", "\"arguments\":\"{}\"")]);

    // What is not a function's call is left alone.
    let custom = call(r#"{"index":0,"id":"a","type":"custom","custom":{"name":"f","input":""}}"#);
    check_choices(&[&custom, end], &[&custom, end]);
}

#[test]
fn finish_reasons_are_openais() {
    let finish = |finish: &str| format!(r#"{{"index":0,"delta":{{"content":"a"}},"finish_reason":{finish}}}"#);
    for (said, told) in [
        (r#""eos""#, r#""stop","native_finish_reason":"eos""#),
        (r#""model_length""#, r#""length","native_finish_reason":"model_length""#),
        (r#""SAFETY""#, r#""content_filter","native_finish_reason":"SAFETY""#),
        (r#""never heard""#, r#""stop","native_finish_reason":"never heard""#),
        (r#""function_call""#, r#""function_call""#),
    ] {
        check_choices(&[&finish("null"), &finish(said)], &[&finish("null"), &finish(told)]);
    }
    check_choices(&[&finish("\"\""), &finish("\"stop\"")], &[&finish("null"), &finish("\"stop\"")]);
}

#[test]
fn groqs_agents_tell_the_usage_elsewhere() {
    let end = END.replace("}]}", "}],\"x_groq\":{\"usage\":{\"prompt_tokens\":5}}}");
    let (usage, _) = check(&[TEXT, &end, DONE].concat(), true, &asked(&[TEXT, &end, DONE].concat()), Ok(()));
    assert_eq!(usage.map(|usage| usage.input), Some(5));
}

#[test]
fn comments_pass_once_there_is_content() {
    let comment = ": keep-alive\n\n";
    let stream = [comment, ROLE, comment, TEXT, comment, END, DONE].concat();
    check(&stream, true, &asked(&[ROLE, TEXT, comment, END, DONE].concat()), Ok(()));
    check(
        &[&TEXT.replace('\n', "\r\n"), END, DONE].concat(),
        true,
        &asked(&[&TEXT.replace('\n', "\r\n"), END, DONE].concat()),
        Ok(()),
    );
}

#[test]
fn what_stands_beside_the_data_need_not_be_text() {
    let stream = [b"event: \xff\n", END.as_bytes()].concat();
    let (out, ..) = run(std::iter::once(&stream[..]), true);
    assert_eq!(out, ["event: \u{fffd}\n", &asked(END), DONE].concat());
}

#[test]
fn completions_have_text_in_the_place_of_deltas() {
    let text =
        "data: {\"id\":\"c\",\"choices\":[{\"text\":\"h\",\"index\":0,\"finish_reason\":null}],\"model\":\"m-1\"}\n\n";
    let end = "data: {\"id\":\"c\",\"model\":\"asked\",\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\n";
    let (_, content) = check(&[text, DONE].concat(), true, &[&asked(text), end, DONE].concat(), Ok(()));
    assert!(content);
}

#[test]
fn several_data_lines_are_one_event() {
    let stream = "data: {\"model\":\"m-1\",\ndata: \"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    check(stream, true, &[&asked(stream), DONE].concat(), Ok(()));
}

#[test]
fn a_usage_that_was_asked_for_has_its_cost_unless_the_provider_tells_one() {
    use crate::price::{Price, Tariff};
    let tariff = |before| Tariff { price: Price::parse("i2 o10;F i1 o5").map(Rc::new), kind: "openai", now: 0, before };
    let cost = |usage: &str, include_usage, tariff| {
        let mut stream = Stream::new("asked", include_usage).priced(tariff);
        let (mut out, classify) = (String::new(), |_: crate::json::Value<'_>| Error::new(Cause::Overloaded, ""));
        stream.push([ROLE, TEXT, END, usage, DONE].concat().as_bytes(), classify, &mut out).unwrap();
        out.split_once("\"cost\":").map(|(_, rest)| rest.split_once('}').unwrap().0.to_owned())
    };
    assert_eq!(cost(USAGE, true, Some(tariff(0))).as_deref(), Some("0.000026"));
    assert_eq!(cost(USAGE, true, Some(tariff(1_000_000))).as_deref(), Some("0.000027"));
    // Whichever stands first.
    for flex in [
        USAGE.replace("{\"choices", "{\"service_tier\":\"flex\",\"choices"),
        USAGE.replace("2}}", "2},\"service_tier\":\"flex\"}"),
    ] {
        assert_eq!(cost(&flex, true, Some(tariff(0))).as_deref(), Some("0.000013"));
    }
    assert_eq!(cost(&USAGE.replace("2}}", "2,\"cost\":0.5}}"), true, Some(tariff(0))).as_deref(), Some("0.5"));
    assert_eq!(cost(USAGE, false, Some(tariff(0))), None);
    assert_eq!(cost(USAGE, true, None), None);
    assert_eq!(cost(USAGE, true, Some(Tariff { price: None, ..tariff(0) })), None);
}
