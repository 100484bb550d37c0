//! Derives the module's table of prices and facts (`src/price/table`) from LiteLLM's. Its notice stands beside the table.
//!
//! - What has no price says so: an absent price is none, an explicit 0 is 0.
//! - `*_above_Nk_tokens` and `tiered_pricing` become sets for prompts above that size; `_priority`, `_flex`, `_batches` sets of
//!   their tier; `off_peak_pricing` sets with their hours.
//! - Prices are whole 10⁻¹² USD; the few that are finer are noise of somebody's division, and rounded.
//! - A model goes under a kind only if it is sold by the service that the kind speaks to, under that service's name for it.
//! - What a lookup would find under another name anyway is left out; and what says nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use model_gateway::facts::{Facts, Mode};
use model_gateway::json::{Document, Kind, Value};
use model_gateway::price::{PerMillion, Price, names};

/// What `model-gateway prices` is told.
#[derive(Args)]
pub struct Derive {
    /// LiteLLM's `model_prices_and_context_window.json`.
    file: PathBuf,
    /// What it is from, such as `LiteLLM 1.109.1`.
    #[arg(long, value_name = "NAME")]
    of: String,
    /// When it was taken, such as `2026-11-22`.
    #[arg(long, value_name = "DATE")]
    date: String,
    /// Where the table goes.
    #[arg(long, value_name = "DIR", default_value = "src/price/table")]
    out: PathBuf,
}

/// Whose models are ours: LiteLLM's provider, our kind, and what LiteLLM puts before the names that the provider gives. The
/// first line that has a name decides: Azure's own entries come before those of Foundry.
const SOURCES: &[(&str, &str, &str)] = &[
    ("anthropic", "anthropic", "anthropic/"),
    ("azure", "azure-openai", "azure/"),
    ("azure_ai", "azure-openai", "azure_ai/"),
    ("bedrock", "bedrock", "bedrock/"),
    ("bedrock_converse", "bedrock", "bedrock/"),
    ("cerebras", "cerebras", "cerebras/"),
    ("cloudflare", "cloudflare", "cloudflare/"),
    ("cohere", "cohere", "cohere/"),
    ("cohere_chat", "cohere", "cohere_chat/"),
    ("dashscope", "dashscope", "dashscope/"),
    ("databricks", "databricks", "databricks/"),
    ("deepinfra", "deepinfra", "deepinfra/"),
    ("deepseek", "deepseek", "deepseek/"),
    ("fireworks_ai", "fireworks", "fireworks_ai/"),
    ("fireworks_ai-embedding-models", "fireworks", "fireworks_ai/"),
    ("gemini", "gemini", "gemini/"),
    ("groq", "groq", "groq/"),
    ("minimax", "minimax", "minimax/"),
    ("mistral", "mistral", "mistral/"),
    ("moonshot", "moonshot", "moonshot/"),
    ("ollama", "ollama", "ollama/"),
    ("openai", "openai", "openai/"),
    ("text-completion-openai", "openai", "text-completion-openai/"),
    ("perplexity", "perplexity", "perplexity/"),
    ("sambanova", "sambanova", "sambanova/"),
    ("together_ai", "together", "together_ai/"),
    ("vertex_ai", "vertex", "vertex_ai/"),
    ("vertex_ai-embedding-models", "vertex", "vertex_ai/"),
    ("vertex_ai-language-models", "vertex", "vertex_ai/"),
    ("xai", "xai", "xai/"),
    ("zai", "zhipu", "zai/"),
];

/// Whose names stand in the source without a prefix too.
const BARE: &[&str] = &["anthropic", "bedrock", "cohere", "deepseek", "gemini", "openai", "vertex"];

const PARTS: &[(&str, &str)] = &[
    ("input_cost_per_token", "i"),
    ("output_cost_per_token", "o"),
    ("cache_read_input_token_cost", "c"),
    ("cache_creation_input_token_cost", "w"),
    ("cache_creation_input_token_cost_above_1hr", "h"),
    ("output_cost_per_reasoning_token", "r"),
    ("input_cost_per_audio_token", "a"),
    ("output_cost_per_audio_token", "b"),
];

const TIERS: &[(&str, &str)] = &[("_priority", "P"), ("_flex", "F"), ("_batches", "B")];

/// The short forms of a model's prices and facts; `-` is none.
type Row = (String, String);
/// Rows by `KIND/MODEL`.
type Rows = BTreeMap<String, Row>;

/// Writes the table.
///
/// # Errors
/// The source cannot be read or is not as it was, or the table cannot be written; the message says which.
pub fn derive(arguments: &Derive) -> Result<String, String> {
    let name = arguments.file.display();
    let bytes = std::fs::read(&arguments.file).map_err(|error| format!("{name}: {error}"))?;
    let document = Document::parse(&bytes).map_err(|error| format!("{name}: {error:?}"))?;
    let all = rows(document.root()).map_err(|error| format!("{name}: {error}"))?;
    let kept = without_the_findable(&all);
    for (name, row) in &all {
        if look_up(&kept, name, None) != Some(row) {
            return Err(format!("{name} would not be found any more"));
        }
    }
    write(&kept, arguments).map_err(|error| format!("{}: {error}", arguments.out.display()))
}

fn rows(root: Value<'_>) -> Result<Rows, String> {
    let mut rows = Rows::new();
    for (provider, kind, prefix) in SOURCES {
        let mut own = Rows::new();
        // Names with their prefix are the provider's; the bare ones are older.
        for prefixed in [true, false] {
            for (key, entry) in root.members() {
                let key = key.decode();
                let is = |member: &str, value: &str| {
                    entry.get(member).and_then(Value::as_str).is_some_and(|text| text == *value)
                };
                let is_ours = is("litellm_provider", provider)
                    && ["chat", "completion", "embedding", "responses"].iter().any(|mode| is("mode", mode));
                let name = match key.strip_prefix(prefix) {
                    Some(name) if prefixed => name,
                    None if !prefixed && BARE.contains(kind) => &key,
                    _ => continue,
                };
                if !is_ours || !is_a_name(kind, name) {
                    continue;
                }
                let row = (prices(entry).map_err(|error| format!("{key}: {error}"))?, facts(entry));
                if row.0 != "-" || row.1.contains(|c: char| c.is_ascii_digit()) {
                    own.entry(format!("{kind}/{}", names::canonical(kind, name))).or_insert(row);
                }
            }
        }
        for (name, row) in own {
            rows.entry(name).or_insert(row);
        }
    }
    Ok(rows)
}

/// Whether the provider calls a model so: prices of reserved capacity, of Azure's data zones, of another vendor's models at
/// Vertex and of classes of models are not looked up.
fn is_a_name(kind: &str, name: &str) -> bool {
    let is_plain = !name.contains([' ', '\t', '*']);
    // "model-router" costs something besides the model that it picks.
    let is_none = name.contains("commitment") || name.ends_with("container") || name == "model-router";
    let is_there = match (kind, name.split_once('/')) {
        ("azure-openai" | "vertex", slash) => slash.is_none(),
        ("bedrock", Some((region, model))) => {
            region.split('-').count() >= 3 && region.ends_with(|c: char| c.is_ascii_digit()) && !model.contains('/')
        }
        _ => true,
    };
    is_plain && !is_none && is_there
}

/// The short form that [`Price::parse`] reads; `-` without an input price, as nothing can be said then.
fn prices(entry: Value<'_>) -> Result<String, String> {
    let mut sets: BTreeMap<(String, u64), BTreeMap<&str, u64>> = BTreeMap::new();
    for (name, value) in entry.members() {
        let name = name.decode();
        if let (Some((part, tier, above)), false) = (part(&name), value.is_null()) {
            let set = sets.entry((tier.to_owned(), above)).or_default();
            set.insert(part, pico(value).ok_or_else(|| format!("{name} is no price"))?);
        }
    }
    for range in entry.get("tiered_pricing").into_iter().flat_map(Value::elements) {
        let Some(above) = range.get("range").and_then(|range| range.elements().next()) else { continue };
        let above = above.as_u64().ok_or("a range that begins with no number")?;
        parts(range, sets.entry((String::new(), above)).or_default())?;
    }
    if let Some(off_peak) = entry.get("off_peak_pricing") {
        // Hours are UTC; days of another zone's week would need its offset.
        if off_peak.get("weekday_timezone").is_some() {
            return Err("off_peak_pricing has weekdays of a time zone".to_owned());
        }
        let mut windows = String::new();
        for window in off_peak.get("windows").into_iter().flat_map(Value::elements) {
            windows.push_str(&self::window(window).ok_or("off_peak_pricing has a window that is none")?);
        }
        parts(off_peak, sets.entry((windows, 0)).or_default())?;
    }
    let is_known = sets.iter().any(|((tier, _), parts)| tier.is_empty() && parts.contains_key("i"));
    if !is_known {
        return Ok("-".to_owned());
    }
    let sets: Vec<_> = sets.iter().filter(|(_, parts)| !parts.is_empty()).map(set).collect();
    let mut written = String::new();
    let text = sets.join(";");
    Price::parse(&text).ok_or_else(|| format!("{text} does not read back"))?.write(&mut written);
    Ok(written)
}

/// `input_cost_per_token_above_200k_tokens_priority` in parts: `i`, `P`, 200,000.
fn part(name: &str) -> Option<(&'static str, &'static str, u64)> {
    let tier = TIERS.iter().find(|(suffix, _)| name.ends_with(suffix));
    let (name, tier) = tier.map_or((name, ""), |(suffix, tier)| (name.strip_suffix(suffix).unwrap_or(name), *tier));
    let above = name.strip_suffix("k_tokens").and_then(|name| name.rsplit_once("_above_"));
    let (name, above) = match above {
        Some((name, thousands)) => (name, thousands.parse::<u64>().ok()? * 1000),
        None => (name, 0),
    };
    let (_, part) = PARTS.iter().find(|(of, _)| *of == name)?;
    Some((part, tier, above))
}

fn parts(entry: Value<'_>, set: &mut BTreeMap<&str, u64>) -> Result<(), String> {
    for (name, letter) in PARTS {
        if let Some(value) = entry.get(name) {
            set.insert(letter, pico(value).ok_or_else(|| format!("{name} is no price"))?);
        }
    }
    Ok(())
}

fn set(((tier, above), parts): (&(String, u64), &BTreeMap<&str, u64>)) -> String {
    let mut words = Vec::new();
    let selector = if *above > 0 { format!("{tier}>{above}") } else { tier.clone() };
    words.extend((!selector.is_empty()).then_some(selector));
    words.extend(parts.iter().map(|(letter, pico)| format!("{letter}{}", PerMillion::from_pico(*pico))));
    words.join(" ")
}

/// `{"hours_utc": ["00:00-01:00", "10:00-00:00"], "weekdays": [1, 2]}` as `@12/0000-0100+1000-0000`; the hours may be one text.
fn window(window: Value<'_>) -> Option<String> {
    let hours = window.get("hours_utc")?;
    let hours: Vec<_> = match hours.as_str() {
        Some(one) => vec![one.decode().replace(':', "")],
        None => hours.elements().map(|range| Some(range.as_str()?.decode().replace(':', ""))).collect::<Option<_>>()?,
    };
    let days: Option<String> = match window.get("weekdays") {
        None => Some("1234567".to_owned()),
        Some(days) => days.elements().map(|day| Some(day.as_u64()?.to_string())).collect(),
    };
    Some(format!("@{}/{}", days?, hours.join("+")))
}

/// USD as 10⁻¹² USD, by its decimal text: `1.25e-07` is 125,000. To the nearest.
fn pico(value: Value<'_>) -> Option<u64> {
    let text = value.as_number()?.to_ascii_lowercase();
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let exponent = exponent.parse::<i32>().ok()? + 12 - i32::try_from(fraction.len()).ok()?;
    let power = 10_u128.checked_pow(exponent.unsigned_abs())?;
    let pico = if exponent >= 0 { digits.checked_mul(power)? } else { (digits + power / 2) / power };
    pico.try_into().ok()
}

fn facts(entry: Value<'_>) -> String {
    let fact = |names: &[&str]| names.iter().find_map(|name| entry.get(name).and_then(Value::as_bool));
    let number = |name: &str| entry.get(name).filter(|value| value.kind() == Kind::Number).and_then(Value::as_u64);
    let mode = entry.get("mode").and_then(Value::as_str);
    let mode = mode.and_then(|mode| match mode.decode().as_ref() {
        "chat" => Some(Mode::Chat),
        "completion" => Some(Mode::Completion),
        "embedding" => Some(Mode::Embedding),
        "responses" => Some(Mode::Responses),
        _ => None,
    });
    let facts = Facts {
        mode,
        context: number("max_input_tokens").filter(|tokens| *tokens > 0),
        // Embeddings have no tokens, and some lines say 0 of them.
        output: number("max_output_tokens").filter(|tokens| *tokens > 0),
        vision: fact(&["supports_vision", "supports_image_input"]),
        tools: fact(&["supports_function_calling"]),
        json_schema: fact(&["supports_response_schema", "supports_native_structured_output"]),
        audio: fact(&["supports_audio_input"]),
        pdf: fact(&["supports_pdf_input"]),
        reasoning: fact(&["supports_reasoning"]),
    };
    let mut text = String::new();
    facts.write(&mut text);
    text
}

fn look_up<'r>(rows: &'r Rows, name: &str, except: Option<&str>) -> Option<&'r Row> {
    let (kind, model) = name.split_once('/')?;
    let (region, model) = match model.split_once('/') {
        Some((region, model)) if kind == "bedrock" => (Some(region), model),
        _ => (None, model),
    };
    names::first(kind, region, model, &mut |parts| {
        let name = parts.join("/");
        if except == Some(name.as_str()) { None } else { rows.get(&name) }
    })
}

fn without_the_findable(all: &Rows) -> Rows {
    let mut kept = all.clone();
    for (name, row) in all {
        if look_up(&kept, name, Some(name)) == Some(row) {
            kept.remove(name);
        }
    }
    kept
}

fn write(rows: &Rows, arguments: &Derive) -> std::io::Result<String> {
    let prices = marks(rows.values().map(|(prices, _)| prices.as_str()));
    let facts = marks(rows.values().map(|(_, facts)| facts.as_str()));
    let names: String = rows
        .iter()
        .map(|(name, (own_prices, own_facts))| {
            format!("{name}\t{}\t{}\n", mark(&prices, own_prices), mark(&facts, own_facts))
        })
        .collect();
    let priced = rows.values().filter(|(prices, _)| prices != "-").count();
    let source = format!(
        "{}, model_prices_and_context_window.json, {}. MIT, see LICENSE.litellm.\n\
         Derived by `model-gateway prices FILE --of \"{}\" --date {}`; not edited by hand.\n",
        arguments.of, arguments.date, arguments.of, arguments.date
    );
    let mut bytes = 0;
    for (file, text) in
        [("SOURCE", source), ("names.tsv", names), ("prices.tsv", lines(&prices)), ("facts.tsv", lines(&facts))]
    {
        bytes += text.len();
        write_file(&arguments.out, file, &text)?;
    }
    Ok(format!("{}: {} models, {priced} with prices, {bytes} bytes\n", arguments.out.display(), rows.len()))
}

fn write_file(folder: &Path, file: &str, text: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(file), text)
}

/// Each distinct text by a mark of three characters.
fn marks<'t>(texts: impl Iterator<Item = &'t str>) -> BTreeMap<String, &'t str> {
    let mut marks = BTreeMap::new();
    for text in texts.filter(|text| *text != "-").collect::<BTreeSet<_>>() {
        // FNV-1a: what it is does not matter, that it stays does.
        let mut hash = text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        while marks.contains_key(&spell(hash)) {
            hash = hash.wrapping_add(1);
        }
        marks.insert(spell(hash), text);
    }
    marks
}

fn spell(hash: u64) -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let letters = [0, 5, 10].map(|shift| LETTERS.get((hash >> shift & 31) as usize).copied().unwrap_or(b'0'));
    String::from_utf8_lossy(&letters).into_owned()
}

fn mark<'m>(marks: &'m BTreeMap<String, &str>, text: &str) -> &'m str {
    marks.iter().find(|(_, of)| **of == text).map_or("-", |(mark, _)| mark)
}

fn lines(marks: &BTreeMap<String, &str>) -> String {
    marks.iter().map(|(mark, text)| format!("{mark}\t{text}\n")).collect()
}

#[cfg(test)]
mod tests {
    use model_gateway::json::Document;

    fn check(entry: &str, expected: (&str, &str)) {
        let document = Document::parse(entry.as_bytes()).unwrap();
        let row = (super::prices(document.root()).unwrap(), super::facts(document.root()));
        assert_eq!((row.0.as_str(), row.1.as_str()), expected, "{entry}");
    }

    #[test]
    fn entries_become_short() {
        check(r#"{"mode":"chat"}"#, ("-", "c - -"));
        check(r#"{"mode":"chat","output_cost_per_token":1e-6,"max_input_tokens":0}"#, ("-", "c - -"));
        check(
            r#"{"mode":"embedding","input_cost_per_token":1.3e-07,"output_cost_per_token":0.0,"max_input_tokens":8191}"#,
            ("i0.13 o0", "e 8191 -"),
        );
        check(
            r#"{"input_cost_per_token":0.0000029999900000000002,"output_cost_per_token":1.5E-5,
                "input_cost_per_token_above_200k_tokens":6e-06,"input_cost_per_token_priority":5e-06,
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens":1.2e-05,
                "output_cost_per_token_above_200k_tokens_flex":null,"cache_read_input_token_cost_batches":0,
                "supports_vision":true,"supports_pdf_input":false}"#,
            ("i2.99999 o15;>200k i6 h12;B c0;P i5", "- - - v-p"),
        );
        check(
            r#"{"tiered_pricing":[{"range":[0,256000.0],"input_cost_per_token":5e-08},
                {"range":[256000.0,1e6],"input_cost_per_token":2.5e-07,"output_cost_per_reasoning_token":4e-6}]}"#,
            ("i0.05;>256k i0.25 r4", "- - -"),
        );
        check(
            r#"{"input_cost_per_token":3e-07,"off_peak_pricing":{"input_cost_per_token":1.5e-07,"windows":[
                {"hours_utc":["00:00-01:00","10:00-00:00"],"weekdays":[1,2]},{"hours_utc":"00:00-00:00"}]}}"#,
            ("i0.3;@12/0000-0100+1000-0000@1234567/0000-0000 i0.15", "- - -"),
        );
    }

    #[test]
    fn what_is_no_price_is_a_mistake() {
        for entry in [
            r#"{"input_cost_per_token":"1e-6"}"#,
            r#"{"input_cost_per_token":-1}"#,
            r#"{"input_cost_per_token":1,"off_peak_pricing":{"weekday_timezone":"Asia/Shanghai","windows":[]}}"#,
            r#"{"input_cost_per_token":1,"off_peak_pricing":{"windows":[{}]}}"#,
        ] {
            let document = Document::parse(entry.as_bytes()).unwrap();
            assert!(super::prices(document.root()).is_err(), "{entry}");
        }
    }
}
