//! What of OpenAI's requests each native kind can be told, found out from the code, and README's table of it.
//!
//! A probe is a request with something and the same without it. What the translator does with the difference is its depth;
//! a difference that leaves no trace, and is not named either, fails the test. `UPDATE=1 cargo test --test depth` writes the table.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::path::Path;

use model_gateway::clients::openai;
use model_gateway::dialect::{Operation, THOUGHTS_IN_CONTENT};
use model_gateway::json::Document;
use model_gateway::providers::{KINDS, Kind, RequestWriter, Speech, Target, Translator, find};
use serde_json::{Value, json};

/// Head of a column, kind, and a model that can do what the kind can.
const COLUMNS: &[(&str, &str, &str)] = &[
    ("`anthropic`", "anthropic", "claude-sonnet-4-5"),
    ("`bedrock`", "bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("`cohere`", "cohere", "command-a-reasoning-08-2025"),
    ("`gemini`", "gemini", "gemini-3-pro-preview"),
    ("`mistral`", "mistral", "mistral-small-latest"),
    ("`ollama`", "ollama", "qwen3"),
    ("`vertex`, Gemini", "vertex", "gemini-3-pro-preview"),
    ("`vertex`, Claude", "vertex", "claude-sonnet-4-5@20250929"),
];

/// What a translator does with something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Says it.
    Yes,
    /// Says it in another way than the provider's own, and names it.
    Emulated,
    /// Leaves it out, and names it.
    Dropped,
    /// Refuses the request with a 400.
    Refused,
}

impl Depth {
    fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Emulated => "emulated",
            Self::Dropped => "dropped",
            Self::Refused => "400",
        }
    }
}

/// Something that a request can have.
struct Probe {
    name: &'static str,
    with: Value,
    without: Value,
    /// What has to be found in the provider's body, one of them at least; nothing where it is enough that it differs.
    traces: &'static [&'static str],
    /// Whether it is what everyone does anyway.
    default: bool,
}

impl Probe {
    /// A parameter of a plain request.
    fn parameter(name: &'static str, parameters: Value) -> Self {
        let without = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
        Self { name, with: merged(&without, &parameters), without, traces: &[], default: false }
    }

    /// A parameter of a request with tools.
    fn of_tools(name: &'static str, parameters: Value) -> Self {
        let mut probe = Self::parameter(name, json!({}));
        probe.without["tools"] = json!([tool("one"), tool("two")]);
        probe.with = merged(&probe.without, &parameters);
        probe
    }

    /// Messages in which something has to be found.
    fn messages(name: &'static str, messages: Value, traces: &'static [&'static str]) -> Self {
        Self { traces, ..Self::parameter(name, json!({ "messages": messages })) }
    }

    /// A part of what the user says.
    fn part(name: &'static str, part: Value, traces: &'static [&'static str]) -> Self {
        let content = json!([{"type": "text", "text": "x"}, part]);
        Self::messages(name, json!([{"role": "user", "content": content}]), traces)
    }
}

fn merged(one: &Value, other: &Value) -> Value {
    let mut all = one.clone();
    all.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    all
}

fn tool(name: &str) -> Value {
    let parameters = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    json!({"type": "function", "function": {"name": name, "description": "a tool", "parameters": parameters}})
}

/// A call and what came of it, with `content` as the result.
fn called(content: Value) -> Value {
    json!([
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "call_12345", "type": "function", "function": {"name": "one", "arguments": "{\"a\":\"ARGUMENT\"}"}}]},
        {"role": "tool", "tool_call_id": "call_12345", "content": content},
    ])
}

fn probes(thoughts: &str) -> Vec<Probe> {
    const IMAGE: &str = "data:image/png;base64,iVBORw0KGgo=";
    let schema = json!({"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"], "additionalProperties": false});
    let held = |strict: bool| json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s", "strict": strict, "schema": schema}}});
    let file = |media: &str, name: &str, data: &str| json!({"type": "file", "file": {"filename": name, "file_data": format!("data:{media};base64,{data}")}});
    let user = json!({"role": "user", "content": "x"});
    let mut strict = Probe::of_tools("`strict` tools", json!({}));
    strict.with["tools"][0]["function"]["strict"] = true.into();
    let mut cache = Probe::part("`cache_control`", json!({"type": "text", "text": "y"}), &[]);
    cache.without = cache.with.clone();
    cache.with["messages"][0]["content"][1]["cache_control"] = json!({"type": "ephemeral"});
    let mut close = Probe::part("`detail` of an image", json!({"type": "image_url", "image_url": {"url": IMAGE}}), &[]);
    close.without = close.with.clone();
    close.with["messages"][0]["content"][1]["image_url"]["detail"] = "high".into();
    let details =
        json!([{"type": "reasoning.text", "text": "THOUGHT", "signature": "U0lHTkVE", "format": thoughts, "index": 0}]);
    let thought = json!([user, {"role": "assistant", "content": "y", "reasoning_content": "THOUGHT", "reasoning_details": details}, user]);
    let named = json!([user, {"role": "user", "name": "NAMED", "content": "y"}]);
    let mut speakers = Probe::messages("`name` of a message", named, &[]);
    speakers.without = speakers.with.clone();
    speakers.without["messages"][1].as_object_mut().unwrap().remove("name");
    let mut back = Probe::messages("thoughts back on the next turn", thought, &["THOUGHT", "U0lHTkVE"]);
    back.with["reasoning_effort"] = "high".into();
    back.without["reasoning_effort"] = "high".into();
    vec![
        Probe::messages("system messages", json!([{"role": "system", "content": "TRACE"}, user]), &["TRACE"]),
        Probe::messages("developer messages", json!([{"role": "developer", "content": "TRACE"}, user]), &["TRACE"]),
        Probe::messages("multi-turn", json!([user, {"role": "assistant", "content": "TRACE"}, user]), &["TRACE"]),
        speakers,
        Probe::part("images as data", json!({"type": "image_url", "image_url": {"url": IMAGE}}), &["iVBORw0KGgo="]),
        Probe::part(
            "images by address",
            json!({"type": "image_url", "image_url": {"url": "https://a.example/TRACE.png"}}),
            &["TRACE.png"],
        ),
        Probe::part("PDF", file("application/pdf", "a.pdf", "JVBERi0xLjQK"), &["JVBERi0xLjQK"]),
        Probe::part("text documents", file("text/plain", "a.txt", "VFJBQ0U="), &["VFJBQ0U=", "TRACE"]),
        Probe::part(
            "sound",
            json!({"type": "input_audio", "input_audio": {"data": "UklGRiQA", "format": "wav"}}),
            &["UklGRiQA"],
        ),
        Probe::part(
            "videos",
            json!({"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAAGGZ0"}}),
            &["AAAAGGZ0"],
        ),
        Probe::part(
            "files uploaded before",
            json!({"type": "file", "file": {"file_id": "file-TRACE"}}),
            &["file-TRACE"],
        ),
        close,
        Probe { traces: &["\"one\""], ..Probe::parameter("tools", json!({"tools": [tool("one")]})) },
        strict,
        Probe { default: true, ..Probe::of_tools("`tool_choice: auto`", json!({"tool_choice": "auto"})) },
        Probe::of_tools("`tool_choice: none`", json!({"tool_choice": "none"})),
        Probe::of_tools("`tool_choice: required`", json!({"tool_choice": "required"})),
        Probe::of_tools(
            "`tool_choice` by name",
            json!({"tool_choice": {"type": "function", "function": {"name": "two"}}}),
        ),
        Probe::of_tools("`parallel_tool_calls: false`", json!({"parallel_tool_calls": false})),
        Probe::messages("calls and results of tools", called(json!("TRACE")), &["TRACE"]),
        Probe::messages(
            "images in results of tools",
            called(json!([{"type": "image_url", "image_url": {"url": IMAGE}}])),
            &["iVBORw0KGgo="],
        ),
        Probe::parameter("`response_format: json_object`", json!({"response_format": {"type": "json_object"}})),
        Probe::parameter("`json_schema`, strict", held(true)),
        Probe::parameter("`json_schema`, not strict", held(false)),
        Probe::of_tools("`json_schema` beside tools", held(true)),
        Probe::parameter("`reasoning_effort`", json!({"reasoning_effort": "high"})),
        Probe::parameter("thinking budgets", json!({"reasoning": {"max_tokens": 2000}})),
        back,
        cache,
        Probe {
            traces: &["1234"],
            ..Probe::parameter("`max_tokens`, `max_completion_tokens`", json!({"max_completion_tokens": 1234}))
        },
        Probe { traces: &["0.25"], ..Probe::parameter("`temperature`", json!({"temperature": 0.25})) },
        Probe { traces: &["0.75"], ..Probe::parameter("`top_p`", json!({"top_p": 0.75})) },
        Probe { traces: &["17"], ..Probe::parameter("`top_k`", json!({"top_k": 17})) },
        Probe { traces: &["END"], ..Probe::parameter("`stop`", json!({"stop": ["END"]})) },
        Probe::parameter("`n` above 1", json!({"n": 3})),
        Probe { traces: &["4242"], ..Probe::parameter("`seed`", json!({"seed": 4242})) },
        Probe { traces: &["0.5"], ..Probe::parameter("`frequency_penalty`", json!({"frequency_penalty": 0.5})) },
        Probe { traces: &["0.5"], ..Probe::parameter("`presence_penalty`", json!({"presence_penalty": 0.5})) },
        Probe::parameter("`logit_bias`", json!({"logit_bias": {"17": 5}})),
        Probe::parameter("`logprobs`, `top_logprobs`", json!({"logprobs": true, "top_logprobs": 3})),
        Probe { traces: &["u-17"], ..Probe::parameter("`user`, `safety_identifier`", json!({"user": "u-17"})) },
        Probe { traces: &["v-17"], ..Probe::parameter("`metadata`", json!({"metadata": {"k": "v-17"}})) },
        Probe::parameter("`service_tier: priority`", json!({"service_tier": "priority"})),
        Probe::parameter("`verbosity`", json!({"verbosity": "low"})),
    ]
}

/// The provider's body and what was dropped, or nothing if the request is refused.
fn say(language: Language, model: &str, request: &Value) -> Option<(String, Vec<String>)> {
    let text = request.to_string();
    let document = Document::parse(text.as_bytes()).unwrap();
    let request = openai::request(&document).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let mut out = String::new();
    let target = Target::new(model);
    let dropped = match language {
        Language::Native(translator) => translator.request(&request, &target, &mut out).ok()?,
        Language::OpenAi(writer) => writer.request(&request, &target, &mut out).ok()?,
    };
    Some((out, dropped))
}

fn depth(language: Language, model: &str, probe: &Probe) -> Result<Depth, String> {
    let (plain, usual) = say(language, model, &probe.without).ok_or("the request without it is refused")?;
    let Some((body, dropped)) = say(language, model, &probe.with) else { return Ok(Depth::Refused) };
    let is_named = dropped.iter().any(|name| !usual.contains(name));
    let is_traced = probe.traces.is_empty() || probe.traces.iter().any(|trace| body.contains(trace));
    match (body != plain && is_traced, is_named) {
        (true, false) => Ok(Depth::Yes),
        (true, true) => Ok(Depth::Emulated),
        (false, true) => Ok(Depth::Dropped),
        (false, false) if probe.default => Ok(Depth::Yes),
        (false, false) => Err(format!("lost without a word in {body}")),
    }
}

/// Who says requests to a model.
#[derive(Clone, Copy)]
enum Language {
    Native(&'static dyn Translator),
    /// Answers are in OpenAI's dialect.
    OpenAi(&'static dyn RequestWriter),
}

impl Language {
    fn of(kind: &str, model: &str) -> Self {
        let kind = find(kind).unwrap();
        match (kind.speech_to(model), kind.writer()) {
            (Speech::Native(translator), _) => Self::Native(translator),
            (Speech::OpenAi, Some(writer)) => Self::OpenAi(writer),
            (Speech::OpenAi, None) => panic!("{} does not translate for {model}", kind.name()),
        }
    }

    fn thoughts(self) -> &'static str {
        match self {
            Self::Native(translator) => translator.thoughts(),
            Self::OpenAi(_) => THOUGHTS_IN_CONTENT,
        }
    }
}

fn table() -> Result<String, String> {
    let columns: Vec<_> = COLUMNS.iter().map(|(_, kind, model)| (*kind, *model, Language::of(kind, model))).collect();
    let all: Vec<_> = columns.iter().map(|(_, _, language)| probes(language.thoughts())).collect();
    let mut table = format!("| |{}\n| ---", COLUMNS.iter().map(|(head, ..)| format!(" {head} |")).collect::<String>());
    table += &" | ---".repeat(COLUMNS.len());
    table += " |\n";
    let mut wrong = Vec::new();
    for row in 0..all[0].len() {
        let name = all[0][row].name;
        table += &format!("| {name} |");
        for ((kind, model, language), probes) in columns.iter().zip(&all) {
            match depth(*language, model, &probes[row]) {
                Ok(depth) => table += &format!(" {} |", depth.word()),
                Err(why) => wrong.push(format!("{name}, {kind} ({model}): {why}")),
            }
        }
        table += "\n";
    }
    for (path, operation) in [
        ("`/v1/embeddings`", Operation::Embeddings),
        ("`/v1/completions`", Operation::Completions),
        ("`/v1/moderations`", Operation::Moderations),
    ] {
        let word = |kind, model| if find(kind).unwrap().offers(operation, model) { "yes" } else { "no" };
        let cells: String = COLUMNS.iter().map(|(_, kind, model)| format!(" {} |", word(kind, model))).collect();
        table += &format!("| {path} |{cells}\n");
    }
    if wrong.is_empty() { Ok(table) } else { Err(wrong.join("\n")) }
}

const BEGIN: &str = "<!-- The table is written by `UPDATE=1 cargo test --test depth`. -->\n";
const END: &str = "<!-- End of the table. -->\n";

#[test]
fn readme_has_the_table() {
    let table = table().unwrap_or_else(|wrong| panic!("\n{wrong}"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("README has the table's beginning");
    let (written, after) = rest.split_once(END).expect("README has the table's end");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, [before, BEGIN, &table, END, after].concat()).unwrap();
        return;
    }
    assert!(written == table, "README's table is not what the code does; UPDATE=1 cargo test --test depth\n{table}");
}

#[test]
fn every_native_kind_has_a_column() {
    let translates = |kind: &&dyn Kind| matches!(kind.speech(), Speech::Native(_)) || kind.writer().is_some();
    for kind in KINDS.iter().copied().filter(translates) {
        assert!(COLUMNS.iter().any(|(_, name, _)| *name == kind.name()), "{} has no column", kind.name());
    }
}

#[test]
fn what_is_lost_without_a_word_is_found() {
    let language = Language::of("gemini", "gemini-3-pro-preview");
    let mut probe = Probe::parameter("nothing", json!({}));
    assert!(depth(language, "m", &probe).is_err());
    // It differs, and yet what it is about is not there.
    probe = Probe { traces: &["9999"], ..Probe::parameter("seed", json!({"seed": 1})) };
    assert!(depth(language, "m", &probe).is_err());
}
