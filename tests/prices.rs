//! The table of prices: that it is what the command derives, and that recorded answers cost by it what a plain calculation
//! from LiteLLM's own table makes of the provider's own usage.
//!
//! The source is read in place, from `../shared/prices`; where there is none, tests say so and pass.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod recordings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use model_gateway::chat::{Delta, Sink, Usage};
use model_gateway::error::Error;
use model_gateway::json::{Document, Value as Node};
use model_gateway::price::{self, Cost, ServiceTier};
use model_gateway::providers::openai::OpenAi;
use model_gateway::providers::{Failure, Kind, Speech, find};
use model_gateway::splice::{self, Stream};
use recordings::{Recording, load};
use serde_json::Value;

/// 2026-11-23, a Monday, 02:00 UTC: nobody's off-peak.
const NOW: u64 = 1_795_399_200;

fn source() -> Option<PathBuf> {
    let folder = env::var_os("MODEL_GATEWAY_RECORDINGS").map(PathBuf::from);
    let shared = folder.as_deref().and_then(Path::parent).map(Path::to_owned);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let path = shared.join("prices/litellm_model_prices_and_context_window.json");
    if !path.is_file() {
        println!("skipped: no prices at {}", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn the_table_is_what_the_command_derives() {
    let Some(source) = source() else { return };
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/price/table");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prices");
    let told = price::table::SOURCE.split_once("`model-gateway prices FILE --of \"").unwrap().1;
    let (of, date) = told.split_once("\" --date ").unwrap();
    let date = date.split_once('`').unwrap().0;
    let mut command = Command::new(env!("CARGO_BIN_EXE_model-gateway"));
    command.arg("prices").arg(&source).args(["--of", of, "--date", date, "--out"]).arg(&out);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for file in ["SOURCE", "names.tsv", "prices.tsv", "facts.tsv"] {
        let (ours, derived) = (fs::read_to_string(table.join(file)), fs::read_to_string(out.join(file)));
        assert!(ours.unwrap() == derived.unwrap(), "{file} is another: derive the table again");
    }
    let notice = fs::read_to_string(source.with_file_name("LICENSE.litellm")).unwrap();
    assert_eq!(fs::read_to_string(table.join("LICENSE.litellm")).unwrap(), notice);
}

#[test]
fn what_cannot_be_derived_says_why() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join("no-prices.json");
    for (text, expected) in [
        (r#"{"a""#, "no-prices.json"),
        (
            r#"{"gpt":{"litellm_provider":"openai","mode":"chat","input_cost_per_token":"free"}}"#,
            "gpt: input_cost_per_token is no price",
        ),
    ] {
        fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_model-gateway"));
        command.arg("prices").arg(&file).args(["--of", "X", "--date", "D", "--out"]).arg(folder.join("no-prices"));
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(expected), "{told}");
    }
}

/// Kinds by the recordings' names of providers, and what LiteLLM calls and prefixes them.
const PROVIDERS: &[(&str, &str, &[&str], &str)] = &[
    ("anthropic", "anthropic", &["anthropic"], ""),
    ("azure", "azure-openai", &["azure", "azure_ai"], "azure/"),
    ("bedrock", "bedrock", &["bedrock", "bedrock_converse"], ""),
    ("cerebras", "cerebras", &["cerebras"], "cerebras/"),
    ("cohere", "cohere", &["cohere", "cohere_chat"], ""),
    ("deepseek", "deepseek", &["deepseek"], "deepseek/"),
    ("gemini", "gemini", &["gemini"], "gemini/"),
    ("groq", "groq", &["groq"], "groq/"),
    ("mistral", "mistral", &["mistral"], "mistral/"),
    ("openai", "openai", &["openai"], ""),
    ("perplexity", "perplexity", &["perplexity"], "perplexity/"),
    ("together", "together", &["together_ai"], "together_ai/"),
    ("vertex", "vertex", &["vertex_ai-language-models"], ""),
    ("xai", "xai", &["xai"], "xai/"),
    ("zai", "zhipu", &["zai"], "zai/"),
];

const ENDPOINTS: &[&str] = &[
    "chat_completions",
    "messages",
    "generateContent",
    "streamGenerateContent",
    "converse",
    "converse-stream",
    "chat_v2",
];

/// A price by its decimal text, as 10⁻¹⁵ USD: finer than any is.
fn exact(price: &Value) -> Option<u128> {
    let text = price.as_number()?.to_string();
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.parse::<i32>().unwrap() + 15 - fraction.len() as i32;
    let digits: u128 = format!("{whole}{fraction}").parse().unwrap();
    Some(if exponent >= 0 {
        digits * 10_u128.pow(exponent.unsigned_abs())
    } else {
        assert_eq!(digits % 10_u128.pow(exponent.unsigned_abs()), 0, "{text} is finer");
        digits / 10_u128.pow(exponent.unsigned_abs())
    })
}

/// The last usage object of a body, streamed or not, with all that earlier ones said.
fn usage_of(body: &str) -> Value {
    let mut all = Vec::new();
    match serde_json::from_str::<Value>(body) {
        Ok(Value::Array(chunks)) => all = chunks,
        Ok(whole) => all.push(whole),
        Err(_) => {
            let lines = body.lines().filter_map(|line| line.strip_prefix("data:").map(str::trim));
            all.extend(lines.filter_map(|line| serde_json::from_str(line).ok()));
        }
    }
    let mut usage = serde_json::Map::new();
    for chunk in &all {
        for place in ["/usage", "/message/usage", "/x_groq/usage", "/usageMetadata", "/delta/usage"] {
            let found = chunk.pointer(place).and_then(Value::as_object).into_iter().flatten();
            usage
                .extend(found.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())));
        }
    }
    usage.into()
}

/// By the provider's own convention: what the parts of the bill are, by LiteLLM's names of their prices.
fn bill(provider: &str, usage: &Value) -> Option<Vec<(u64, &'static [&'static str])>> {
    const IN: &[&str] = &["input_cost_per_token"];
    const OUT: &[&str] = &["output_cost_per_token"];
    const CACHED: &[&str] = &["cache_read_input_token_cost", "input_cost_per_token"];
    const WRITE: &[&str] = &["cache_creation_input_token_cost", "input_cost_per_token"];
    const HOUR: &[&str] =
        &["cache_creation_input_token_cost_above_1hr", "cache_creation_input_token_cost", "input_cost_per_token"];
    const THOUGHT: &[&str] = &["output_cost_per_reasoning_token", "output_cost_per_token"];
    const SOUND: &[&str] = &["input_cost_per_audio_token", "input_cost_per_token"];
    const SAID: &[&str] = &["output_cost_per_audio_token", "output_cost_per_token"];
    let n = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    Some(match provider {
        // Beside each other; an hour's writes are inside the writes.
        "anthropic" => {
            let hour = n("/cache_creation/ephemeral_1h_input_tokens");
            let thought = n("/output_tokens_details/thinking_tokens");
            vec![
                (n("/input_tokens"), IN),
                (n("/cache_read_input_tokens"), CACHED),
                (n("/cache_creation_input_tokens") - hour, WRITE),
                (hour, HOUR),
                (n("/output_tokens") - thought, OUT),
                (thought, THOUGHT),
            ]
        }
        "bedrock" => vec![
            (n("/inputTokens"), IN),
            (n("/cacheReadInputTokens"), CACHED),
            (n("/cacheWriteInputTokens"), WRITE),
            (n("/outputTokens"), OUT),
        ],
        // Thoughts are beside the candidates, the cache inside the prompt.
        "gemini" | "vertex" => {
            let of = |list: &str, wanted: &str| {
                let entries = usage[list].as_array().into_iter().flatten();
                entries
                    .filter(|entry| entry["modality"] == wanted)
                    .filter_map(|entry| entry["tokenCount"].as_u64())
                    .sum()
            };
            let sound: u64 = of("promptTokensDetails", "AUDIO");
            let said: u64 = of("candidatesTokensDetails", "AUDIO");
            let cached = n("/cachedContentTokenCount");
            let prompt = n("/promptTokenCount") + n("/toolUsePromptTokenCount");
            vec![
                (prompt - cached - sound, IN),
                (cached, CACHED),
                (sound, SOUND),
                (n("/candidatesTokenCount") - said, OUT),
                (n("/thoughtsTokenCount"), THOUGHT),
                (said, SAID),
            ]
        }
        "cohere" => vec![(n("/tokens/input_tokens"), IN), (n("/tokens/output_tokens"), OUT)],
        // Inside each other, but for xAI's thoughts and Voxtral's sound.
        _ => {
            let cached = n("/prompt_tokens_details/cached_tokens")
                .max(n("/prompt_cache_hit_tokens"))
                .max(n("/num_cached_tokens"))
                .min(n("/prompt_tokens"));
            let sound = n("/prompt_tokens_details/audio_tokens");
            let said = n("/completion_tokens_details/audio_tokens");
            let thought = n("/completion_tokens_details/reasoning_tokens");
            let answer = match n("/total_tokens") - n("/prompt_tokens") {
                total if provider == "xai" => total,
                _ => n("/completion_tokens"),
            };
            let prompt = if sound > n("/prompt_tokens") { n("/prompt_tokens") + sound } else { n("/prompt_tokens") };
            vec![
                (prompt - cached - sound, IN),
                (cached, CACHED),
                (sound, SOUND),
                (answer.checked_sub(thought + said)?, OUT),
                (thought, THOUGHT),
                (said, SAID),
            ]
        }
    })
}

fn classify(error: Node<'_>) -> Error {
    OpenAi.error(&Failure { status: 200, body: Some(error), name: None })
}

#[derive(Default)]
struct LastUsage(Option<Usage>);

impl Sink for LastUsage {
    fn push(&mut self, _choice: u32, delta: Delta<'_>) {
        if let Delta::Usage(usage) = delta {
            self.0 = Some(usage);
        }
    }
}

/// The usage as the gateway reads it.
fn read(kind: &dyn Kind, recording: &Recording) -> Option<Usage> {
    let is_stream = recording.body.is_empty() || serde_json::from_str::<Value>(&recording.body).is_err();
    let bytes = if recording.body.is_empty() { &recording.bytes } else { recording.body.as_bytes() };
    match (kind.speech(), is_stream) {
        (Speech::OpenAi, false) => splice::answer(bytes, "m", classify, &mut String::new()).ok()?.usage,
        (Speech::OpenAi, true) => {
            let mut stream = Stream::new("m", true);
            stream.push(bytes, classify, &mut String::new()).ok()?;
            stream.usage()
        }
        (Speech::Native(translator), false) => {
            let document = Document::parse(bytes).ok()?;
            translator.answer(&document).ok()?.usage
        }
        (Speech::Native(translator), true) => {
            let mut stream = translator.stream();
            let mut sink = LastUsage::default();
            stream.push(bytes, &mut sink).ok()?;
            sink.0
        }
    }
}

#[test]
fn recordings_cost_what_a_plain_calculation_says() {
    let Some(source) = source() else { return };
    let prices: Value = serde_json::from_slice(&fs::read(source).unwrap()).unwrap();
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for endpoint in ENDPOINTS {
        let known = |provider: &str| PROVIDERS.iter().any(|(name, ..)| *name == provider);
        let Some(recordings) = load(endpoint, known) else { return };
        for recording in recordings.iter().filter(|recording| recording.status == 200) {
            let (name, kind, theirs, prefix) = PROVIDERS.iter().find(|(name, ..)| *name == recording.provider).unwrap();
            // Claude at Vertex is not what the kind speaks.
            if *name == "vertex" && *endpoint == "messages" {
                continue;
            }
            let Some(usage) = read(find(kind).unwrap(), recording) else { continue };
            let count = counts.entry(name).or_default();
            let body = usage_of(&recording.body);
            let of_answer = body["service_tier"].as_str().unwrap_or_default();
            assert_eq!(ServiceTier::named(of_answer).charged(kind), ServiceTier::Standard, "{}", recording.id);
            // Bedrock's come from paths.
            let model = recording.model.replace("%3A", ":");
            let own = price::lookup(kind, None, &model);
            let cost = Cost::of(own.as_ref(), &usage, ServiceTier::Standard, NOW);

            let entry =
                [format!("{prefix}{}", recording.model), recording.model.clone()].into_iter().find_map(|name| {
                    let entry = &prices[&name];
                    theirs.iter().any(|theirs| entry["litellm_provider"] == *theirs).then_some(entry)
                });
            let price = |names: &[&str]| entry.and_then(|entry| names.iter().find_map(|name| exact(&entry[*name])));
            let expected = if recording.body.is_empty() {
                // A binary stream: `recordings_bedrock` compares its usage, so the plain parts are these.
                Some((usage.input - usage.cached - usage.cache_write, &["input_cost_per_token"][..]))
                    .filter(|_| usage.cached + usage.cache_write == 0)
                    .map(|input| vec![input, (usage.output, &["output_cost_per_token"][..])])
            } else {
                bill(name, &body)
            };
            let Some(expected) = expected.filter(|_| entry.is_some()) else {
                count[usize::from(cost.known().is_none()) + 1] += 1;
                continue;
            };
            let sum: Option<u128> = expected
                .iter()
                .filter(|(tokens, _)| *tokens > 0)
                .map(|(n, names)| Some(u128::from(*n) * price(names)?))
                .sum();
            let sum = sum.map(|sum| {
                assert_eq!(sum % 1000, 0);
                u64::try_from(sum / 1000).unwrap()
            });
            assert_eq!(cost.known(), sum, "{} {}: {usage:?} of {body}", recording.id, model);
            count[if sum.is_some() { 0 } else { 2 }] += 1;
        }
    }
    for (provider, [compared, other, unknown]) in &counts {
        println!("{provider}: {compared} cost the same, {other} priced under another name, {unknown} not priced");
    }
    let compared: usize = counts.values().map(|[compared, ..]| compared).sum();
    println!("{compared} compared");
    assert!(compared > 60, "{compared}");
}
