//! What counts, what does not, and that nothing is read as text that is none.

use super::{Estimate, Rules, estimate};
use crate::dialect::Operation;
use crate::facts::Needs;
use crate::json::Document;

fn of(operation: Operation, body: &str) -> Estimate {
    estimate(operation, &Document::parse(body.as_bytes()).unwrap(), Rules::of("gpt-4o"))
}

fn chat(body: &str) -> Estimate {
    of(Operation::Chat, body)
}

fn message(content: &str) -> Estimate {
    chat(&format!(r#"{{"messages":[{{"role":"user","content":{content}}}]}}"#))
}

#[test]
fn text_counts_wherever_it_stands_in_a_conversation() {
    let word = "internationalisation of everything";
    let nothing = message(r#""""#).input;
    let one = message(&format!(r#""{word}""#)).input - nothing;
    assert!((4..8).contains(&one), "{one}");
    for body in [
        format!(r#"{{"messages":[{{"content":[{{"type":"text","text":"{word}"}}]}}]}}"#),
        format!(r#"{{"messages":[{{"refusal":"{word}"}}]}}"#),
        format!(r#"{{"messages":[{{"name":"{word}"}}]}}"#),
    ] {
        assert_eq!(chat(&body).input - nothing, one, "{body}");
    }
    let call =
        format!(r#"{{"messages":[{{"tool_calls":[{{"id":"x","function":{{"name":"","arguments":"{word}"}}}}]}}]}}"#);
    assert_eq!(chat(&call).input - nothing, one + 8);
    // Nobody gets past it by writing names otherwise.
    let escaped =
        format!(r#"{{"mess\u0061ges":[{{"c\u006fntent":[{{"t\u0079pe":"te\u0078t","te\u0078t":"{word}"}}]}}]}}"#);
    assert_eq!(chat(&escaped).input - nothing, one);
    // Ids, labels and the like are not shown to a model.
    for body in [
        format!(
            r#"{{"messages":[{{"role":"{word}","tool_call_id":"{word}"}}],"user":"{word}","metadata":{{"a":"{word}"}}}}"#
        ),
        format!(
            r#"{{"messages":[{{"content":[{{"type":"{word}"}}],"reasoning_content":"{word}"}}],"prompt":"{word}"}}"#
        ),
    ] {
        assert_eq!(chat(&body).input, nothing, "{body}");
    }
}

#[test]
fn prompts_and_inputs_are_texts_tokens_or_lists_of_them() {
    let word = "internationalisation of everything";
    let one = of(Operation::Embeddings, &format!(r#"{{"input":"{word}"}}"#)).input;
    for (operation, body, expected) in [
        (Operation::Completions, format!(r#"{{"prompt":"{word}"}}"#), one),
        (Operation::Embeddings, format!(r#"{{"input":["{word}"]}}"#), one),
        (Operation::Embeddings, r#"{"input":[1,2,3]}"#.to_owned(), 3),
        (Operation::Embeddings, r#"{"input":[[1,2],[3,4]]}"#.to_owned(), 4),
        (Operation::Embeddings, r#"{"input":[[[[1]]]]}"#.to_owned(), 1),
        (Operation::Embeddings, r#"{"input":""}"#.to_owned(), 1),
        (Operation::Embeddings, "[]".to_owned(), 1),
    ] {
        assert_eq!(of(operation, &body).input, expected, "{body}");
    }
    let several = of(Operation::Embeddings, &format!(r#"{{"input":["{word}","{word}","{word}"]}}"#)).input;
    assert!((3 * one - 2..=3 * one + 3).contains(&several), "{several} of {one}");
}

#[test]
fn media_is_never_read_as_text() {
    let base64 = "iVBORw0KGgoAAAANSUhEUgAABAAAAAMACAYAAAA".to_owned() + &"QUJD".repeat(100_000);
    let nothing = message("[]").input;
    for (part, tokens, needs) in [
        (
            format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{base64}"}}}}"#),
            85 + 4 * 170,
            Needs { vision: true, ..Needs::default() },
        ),
        (
            format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{base64}","detail":"low"}}}}"#),
            85,
            Needs { vision: true, ..Needs::default() },
        ),
        (
            r#"{"type":"image_url","image_url":"https://example.com/cat.png"}"#.to_owned(),
            765,
            Needs { vision: true, ..Needs::default() },
        ),
        (
            format!(r#"{{"type":"input_audio","input_audio":{{"data":"{}","format":"mp3"}}}}"#, "A".repeat(64_000)),
            30,
            Needs { audio: true, ..Needs::default() },
        ),
        (
            format!(r#"{{"type":"file","file":{{"file_data":"data:application/pdf;base64,{base64}"}}}}"#),
            7 * 1500,
            Needs { pdf: true, ..Needs::default() },
        ),
        (r#"{"type":"file","file":{"file_id":"file-1"}}"#.to_owned(), 1500, Needs { pdf: true, ..Needs::default() }),
    ] {
        let estimate = message(&format!("[{part}]"));
        assert_eq!((estimate.input - nothing, estimate.needs), (tokens, needs), "{:.90}", part);
    }
}

#[test]
fn tools_and_schemas_count_and_are_needs() {
    let tool = r#"{"type":"function","function":{"name":"weather","description":"Says what the weather is like.","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}"#;
    let nothing = message(r#""""#).input;
    let with = |members: &str| chat(&format!(r#"{{"messages":[{{"content":""}}],{members}}}"#));
    let one = with(&format!(r#""tools":[{tool}]"#));
    let two = with(&format!(r#""tools":[{tool},{tool}]"#));
    assert_eq!(one.needs, Needs { tools: true, ..Needs::default() });
    // OpenAI says of such a one some 50.
    assert!((35..65).contains(&(one.input - nothing)), "{one:?}");
    assert!((10..35).contains(&(two.input - one.input)), "{two:?}");
    assert_eq!(with(r#""tools":[]"#), chat(r#"{"messages":[{"content":""}]}"#));
    let schema =
        with(r#""response_format":{"type":"json_schema","json_schema":{"name":"city","schema":{"type":"object"}}}"#);
    assert!(schema.needs.json_schema && schema.input > nothing + 5);
    assert!(!with(r#""response_format":{"type":"json_object"}"#).needs.json_schema);
}

#[test]
fn the_most_output_is_what_the_client_says_for_every_choice() {
    for (members, expected) in [
        ("", None),
        (r#","max_tokens":100"#, Some(100)),
        (r#","max_completion_tokens":200"#, Some(200)),
        (r#","max_tokens":100,"n":3"#, Some(300)),
        (r#","max_tokens":null"#, None),
        (r#","max_tokens":"many""#, None),
        (r#","max_tokens":18446744073709551615,"n":2"#, Some(u64::MAX)),
        (r#","max_tokens":5,"n":0"#, Some(5)),
    ] {
        assert_eq!(chat(&format!(r#"{{"messages":[]{members}}}"#)).most_output, expected, "{members}");
    }
}

#[test]
fn nonsense_counts_little_and_breaks_nothing() {
    for body in [
        "null",
        "[]",
        r#"{"messages":1}"#,
        r#"{"messages":[1,null,"x",[[]]]}"#,
        r#"{"messages":[{"content":[1,{"type":"image_url"},{"type":"input_audio"},{"type":"file"}]}],"tools":{}}"#,
        r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:"}}]}]}"#,
        r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,\/\/8="}}]}]}"#,
    ] {
        assert!((1..4000).contains(&chat(body).input), "{body}");
    }
}

#[test]
fn a_rough_estimate_reads_little_and_comes_out_alike() {
    let text = "All happy families are alike; each unhappy family is unhappy in its own way. ".repeat(2000);
    let rough = |text: &str| {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#);
        let document = Document::parse(body.as_bytes()).unwrap();
        let rules = Rules::of("gpt-4o");
        (super::rough(Operation::Chat, &document, rules), estimate(Operation::Chat, &document, rules).input)
    };
    let (some, all) = rough(&text);
    assert!(some.abs_diff(all) * 50 < all, "{some} {all}");
    assert_eq!(rough("short").0, rough("short").1);
    // The border falls within a character.
    let (some, all) = rough(&"\u{e9}\u{1f980}".repeat(3000));
    assert!(some.abs_diff(all) * 10 < all, "{some} {all}");
}
