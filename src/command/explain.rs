//! `model-gateway explain`: where a request would go, and why. It asks no provider; how targets have done is in a file, if
//! anywhere.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use model_gateway::config::Duration;
use model_gateway::exchange::{Ending, Host, explain};
use model_gateway::headers::Headers;
use model_gateway::route::{Explanation, Health, Line, Shared, Version, key, update};
use serde::Deserialize;

use crate::load;

/// Say where a request would go, and why.
#[derive(Args)]
pub struct Arguments {
    /// The configuration file.
    file: PathBuf,
    /// The request's body, a JSON file; `-`: standard input.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// A header of the request; for several, several times.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Whose request it is: the name of a key. Default: one that may do anything.
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// The request's path.
    #[arg(long, default_value = "/v1/chat/completions")]
    path: String,
    /// How targets have done of late, in YAML or JSON: `openai/gpt-4o: { cooled: 20s }`, or `due: true`, `in_flight: 3`,
    /// `first_token: 300ms`, `token: 20ms`.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// What is left to chance follows from this number.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// How a target has done of late.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    /// It is left alone for so long.
    cooled: Option<Duration>,
    /// It was left alone for long enough.
    #[serde(default)]
    due: bool,
    /// Requests that are out.
    #[serde(default)]
    in_flight: u32,
    /// From a request to the first content of its answer.
    first_token: Option<Duration>,
    /// From one token to the next.
    token: Option<Duration>,
}

/// The request as the machines see it, at a time and in a state that are given.
struct Desk {
    headers: Headers,
    seed: u64,
    records: RefCell<BTreeMap<String, (Vec<u8>, u32)>>,
}

/// Any time will do: all that is told is told relative to it.
const NOW: u64 = 1_000_000_000_000;

/// Explains.
///
/// # Errors
/// A file cannot be read, or the request is none that goes anywhere.
pub fn run(arguments: &Arguments) -> Result<String, String> {
    let loaded = load::load(&arguments.file).map_err(|mistakes| mistakes.to_string())?;
    let body = read(&arguments.request)?;
    let given = arguments.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let headers = [(":method", "POST"), (":path", &arguments.path)].into_iter().chain(given).collect();
    let desk = Desk { headers, seed: arguments.seed, records: RefCell::default() };
    if let Some(file) = &arguments.state {
        let text = String::from_utf8(read(file)?).map_err(|_| format!("{}: not UTF-8", file.display()))?;
        desk.remember(
            &text,
            &loaded.config.ways().flat_map(|model| &model.targets).map(|it| it.id()).collect::<Vec<_>>(),
        )
        .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let keys = || loaded.config.keys.iter().map(|key| key.name.as_str());
    let key = match &arguments.key {
        Some(name) => match loaded.config.keys.iter().find(|key| key.name == *name) {
            Some(key) => Some(key.as_ref()),
            None => return Err(model_gateway::config::unknown("key", name, keys())),
        },
        None => None,
    };
    let explanation = explain(&loaded.config, key, &desk, &body)
        .map_err(|error| format!("the request is refused with {}: {}", error.client_status(), error.message))?;
    Ok(match arguments.format {
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&explanation).unwrap_or_default()),
        Format::Text => text(&explanation),
    })
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected `NAME: VALUE`")?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

fn read(path: &PathBuf) -> Result<Vec<u8>, String> {
    let bytes = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    bytes.map_err(|error| format!("{}: cannot be read: {error}", path.display()))
}

impl Desk {
    /// Gives every target the health that `text` tells of it.
    fn remember(&self, text: &str, known: &[String]) -> Result<(), String> {
        let node = load::yaml::parse(text).map_err(|error| format!("line {}: {}", error.line, error.message))?;
        let told: BTreeMap<String, Told> = serde_json::from_value(node.to_json()).map_err(|error| error.to_string())?;
        for (id, told) in told {
            if !known.contains(&id) {
                return Err(model_gateway::config::unknown("target", &id, known.iter().map(String::as_str)));
            }
            update(self, &key(&id), |health: &mut Health| {
                if told.due {
                    health.leave_until(NOW);
                }
                if let Some(cooled) = told.cooled {
                    health.leave_until(NOW + cooled.as_millis());
                }
                (0..told.in_flight).for_each(|_| health.begins(NOW));
                if told.first_token.is_some() || told.token.is_some() {
                    let millis = |duration: Option<Duration>| duration.map_or(0, Duration::as_millis);
                    health.took(NOW, millis(told.first_token), millis(told.token), u64::from(told.token.is_some()));
                }
                Some(())
            });
        }
        Ok(())
    }
}

impl Host for Desk {
    fn now(&self) -> u64 {
        NOW
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name)
    }

    fn headers(&self) -> Headers {
        self.headers.clone()
    }

    fn property(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn client(&self) -> Option<String> {
        None
    }

    fn ending(&self) -> Ending {
        Ending::Complete
    }
}

impl Shared for Desk {
    fn get(&self, key: &str) -> (Option<Vec<u8>>, Version) {
        let (record, version) = self.records.borrow().get(key).cloned().unzip();
        (record, Version(version.unwrap_or_default()))
    }

    fn set(&self, key: &str, record: &[u8], Version(version): Version) -> bool {
        self.records.borrow_mut().insert(key.to_owned(), (record.to_vec(), version + 1));
        true
    }
}

/// The explanation for people. Writing to a `String` cannot fail.
fn text(it: &Explanation) -> String {
    let mut out = String::new();
    let streamed = if it.stream { ", streamed" } else { "" };
    let _ = match it.found_by {
        "name" => writeln!(out, "The request asks for {}{streamed}.", it.asked),
        "alias" => writeln!(out, "The request asks for {}{streamed}, another name of {}.", it.asked, it.model),
        _ => writeln!(out, "The request asks for {}{streamed}, which the pattern {} stands for.", it.asked, it.model),
    };
    for rule in &it.rules {
        let _ = writeln!(out, "Rule {}: {}.", rule.rule, rule.outcome);
    }
    if it.line.is_empty() {
        let _ = writeln!(out, "No target can be asked: the request is refused.");
    }
    let by = match (&it.answered_by, &it.rule) {
        (Some(model), _) => format!("model {model}"),
        (None, rule) => format!("the targets of rule {}", rule.as_deref().unwrap_or_default()),
    };
    let strategy = serde_json::to_value(it.strategy).ok().and_then(|it| it.as_str().map(str::to_owned));
    let sticks = if it.sticks { ", to which it sticks" } else { "" };
    if !it.line.is_empty() {
        let _ = writeln!(out, "It goes to {by}, by the strategy {}{sticks}:", strategy.unwrap_or_default());
        lines(&it.line, &mut out);
    }
    for (what, list) in [
        ("If the prompt does not fit:", &it.context_window),
        ("If a provider will not answer the prompt:", &it.content_policy),
    ] {
        if !list.is_empty() {
            let _ = writeln!(out, "{what}");
            lines(list, &mut out);
        }
    }
    for left in &it.left_out {
        let _ = writeln!(out, "Left out: {}{}: {}.", left.target, of(&left.of), left.why);
    }
    let (attempt, whole) = (Duration::from_millis(it.attempt_timeout_ms), Duration::from_millis(it.whole_timeout_ms));
    let _ = writeln!(out, "At most {} attempts of {attempt} each, {whole} in all.", it.attempts);
    for (cause, times) in &it.retries {
        let _ = writeln!(out, "After {cause} at most {times} more.");
    }
    if let Some(mirror) = &it.mirror {
        let whether = if mirror.copied { "this one too" } else { "not this one" };
        let _ = writeln!(out, "Of a hundred requests {} are copied to {}: {whether}.", mirror.share, mirror.target);
    }
    out
}

fn lines(lines: &[Line], out: &mut String) {
    for (place, line) in lines.iter().enumerate() {
        let mut notes = vec![format!("weight {}", line.weight)];
        if line.order != 0 {
            notes.push(format!("order {}", line.order));
        }
        notes.extend(line.slowness_us.map(|it| match it {
            0 => "pace unknown".to_owned(),
            _ => format!("{} ms for a typical answer", it / 1000),
        }));
        notes.extend(line.in_flight.map(|it| format!("{it} in flight")));
        notes.extend(line.cost.map(|it| format!("about {:.6} USD", it as f64 / 1e12)));
        notes.extend(line.draw.map(|it| format!("drew {it:.3}")));
        notes.push(match line.cooled_ms {
            Some(left) => format!("left alone for another {}", Duration::from_millis(left)),
            None if line.standing == "due" => "may be well again: this request would see".to_owned(),
            None => line.standing.to_owned(),
        });
        if line.beyond {
            notes.push("no attempt left for it".to_owned());
        }
        let sent_as = match line.target.ends_with(&format!("/{}", line.sent_as)) {
            true => String::new(),
            false => format!(" as {}", line.sent_as),
        };
        let _ = writeln!(out, "  {}. {}{sent_as}{}: {}", place + 1, line.target, of(&line.of), notes.join(", "));
    }
}

fn of(model: &str) -> String {
    if model.is_empty() { String::new() } else { format!(" (of {model})") }
}
