//! `model-gateway report`: what was used and what it cost, from the access logs that the gateway writes.

mod advice;
mod dimension;
mod html;
mod line;
mod money;
mod prices;
mod source;
mod sums;
mod table;
mod tally;

use std::path::PathBuf;
use std::thread::available_parallelism;

use clap::{Args, ValueEnum};
use model_gateway::calendar;

use self::advice::Instead;
use self::dimension::Dimension;
use self::money::{Money, grouped};
use self::prices::Prices;
use self::source::Source;
use self::sums::Sums;
use self::table::Report;
use self::tally::{Ask, Lines, SEPARATOR, Tally, tally};

/// Say what was used and what it cost, from access logs.
#[derive(Args)]
pub struct Arguments {
    /// Access logs, plain or gzip; `-`: standard input.
    #[arg(required = true, value_name = "LOGFILE")]
    logs: Vec<PathBuf>,
    /// What to tell apart: team, key, model, target_model, provider, operation, outcome, error, rule, user, month, day, hour, label:NAME.
    #[arg(long, value_delimiter = ',', default_value = "model")]
    by: Vec<Dimension>,
    /// Requests of this month only, in UTC: 2026-11.
    #[arg(long, value_name = "MONTH", value_parser = month, conflicts_with_all = ["from", "to"])]
    month: Option<(u64, u64)>,
    /// Requests from this date or time on: 2026-11-22, 2026-11-22T13:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<u64>,
    /// Requests before this date or time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<u64>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Only the rows that cost most; the others in one.
    #[arg(long, value_name = "ROWS")]
    top: Option<usize>,
    /// The configuration file, for the kinds of providers and the prices that it has. Default: providers are of the kind that they
    /// are named after, and prices those of the built-in table.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say what could be had for less.
    #[arg(long)]
    advice: bool,
    /// Say what requests for this model would have cost on another: its name for clients, or PROVIDER/MODEL.
    #[arg(long, value_name = "MODEL", requires = "instead")]
    instead_of: Option<String>,
    /// The other one: MODEL at the same provider, or PROVIDER/MODEL.
    #[arg(id = "instead", long = "use", value_name = "MODEL", requires = "instead_of")]
    instead: Option<String>,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Table,
    /// For spreadsheets.
    Csv,
    /// For programs.
    Json,
    /// A page for browsers and printers.
    Html,
}

/// What to print.
///
/// # Errors
/// A log cannot be read, the configuration has mistakes, or a model has no price.
pub fn run(arguments: &Arguments) -> Result<String, String> {
    let (from, to) = arguments.month.unwrap_or((arguments.from.unwrap_or(0), arguments.to.unwrap_or(u64::MAX)));
    let prices = Prices::load(arguments.config.as_deref())?;
    let instead = match (&arguments.instead_of, &arguments.instead) {
        (Some(of), Some(name)) => Some(other(of, name, &prices)?),
        _ => None,
    };
    let (by, advice) = (arguments.by.clone(), arguments.advice || instead.is_some());
    let ask = Ask { by, from, to, prices, advice, instead };
    let sources = arguments.logs.iter().map(|log| Source::open(log)).collect::<Result<Vec<_>, _>>()?;
    let threads = available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let report = report(&ask, tally(&ask, sources, threads)?, arguments);
    Ok(match arguments.format {
        Format::Table => report.text(),
        Format::Csv => report.csv(),
        Format::Json => report.json(),
        Format::Html => html::page(&report),
    })
}

/// Past these they wait for each other.
const MOST_THREADS: usize = 8;

/// The model that another one is to be held against.
fn other(of: &str, name: &str, prices: &Prices) -> Result<Instead, String> {
    let (provider, model) = match prices.split(name) {
        Some((provider, model)) => (Some(provider.to_owned()), model.to_owned()),
        None => (None, name.to_owned()),
    };
    let known = match &provider {
        Some(provider) => prices.find(provider, &model).is_some(),
        None => !prices.places(&model).is_empty(),
    };
    if known {
        return Ok(Instead { of: of.to_owned(), provider, model });
    }
    let places = prices.places(&model);
    Err(match places.is_empty() {
        true => {
            format!("--use: no price is known of `{name}`; give it as the `price` of a target in the file of --config")
        }
        false => format!("--use: no price is known of `{name}`; there are: {}", places.join(", ")),
    })
}

fn report(ask: &Ask, tally: Tally<'_>, arguments: &Arguments) -> Report {
    let total = tally.groups.values().fold(Sums::default(), |mut total, sums| {
        total += sums;
        total
    });
    let (by, lines, span) = (ask.by.iter().map(ToString::to_string).collect(), tally.lines, tally.span);
    let notes = notes(&total, tally.lines);
    let advice = match span.filter(|_| ask.advice) {
        Some((_, last)) => tally.gathered.advise(ask.instead.as_ref(), &ask.prices, last),
        None => Vec::new(),
    };
    let mut rows: Vec<(Vec<String>, Sums)> = tally.groups.into_iter().map(|(key, sums)| (values(&key), sums)).collect();
    rows.sort_by(|(one, sums), (another, others)| {
        others.cost.cmp(&sums.cost).then(others.requests.cmp(&sums.requests)).then_with(|| one.cmp(another))
    });
    if let Some(top) = arguments.top.filter(|top| *top < rows.len()) {
        let rest = rows.split_off(top);
        let mut others = Sums::default();
        rest.iter().for_each(|(_, sums)| others += sums);
        rows.push((vec![format!("({} others)", grouped(rest.len() as u128)); ask.by.len()], others));
    } else if ask.by.first().is_some_and(Dimension::is_time) {
        rows.sort_by(|(one, _), (another, _)| one.cmp(another));
    }
    Report { period: period(span), by, rows, total, lines, notes, advice }
}

fn values(key: &str) -> Vec<String> {
    key.split(SEPARATOR).map(str::to_owned).collect()
}

fn notes(total: &Sums, lines: Lines) -> Vec<String> {
    let count = |number: u64| grouped(number.into());
    let notes = [
        (total.unpriced > 0).then(|| {
            format!(
                "Requests whose price is not known: {}. What they cost is in no sum; give it as the `price` of their targets.",
                count(total.unpriced)
            )
        }),
        (total.estimated > 0).then(|| {
            format!(
                "Requests whose tokens are partly estimated, since a provider did not tell them: {}, for {} USD.",
                count(total.estimated),
                total.cost_estimated.rounded()
            )
        }),
        (total.written > Money::default()).then(|| {
            format!("Writing to caches cost {} USD more than the same tokens without caches.", total.written.rounded())
        }),
        (total.unsaved > 0).then(|| {
            format!(
                "Requests of which it is not known what caches saved: {}. --config FILE tells prices, and the kinds of providers.",
                count(total.unsaved)
            )
        }),
        (lines.outside > 0).then(|| format!("Requests at other times: {}.", count(lines.outside))),
        (lines.other > 0).then(|| format!("Lines of requests that were for no model: {}.", count(lines.other))),
        (lines.foreign > 0).then(|| {
            format!("Lines that are not of the gateway's access log, and left out: {}.", count(lines.foreign))
        }),
    ];
    notes.into_iter().flatten().collect()
}

/// From the first request to the last.
fn period(span: Option<(u64, u64)>) -> String {
    match span {
        Some((first, last)) => format!("From {} to {} (UTC)", written(first), written(last)),
        None => "No requests".to_owned(),
    }
}

fn written(time: u64) -> String {
    let days = time / calendar::DAY;
    let (year, month) = calendar::month(days);
    let day = days - calendar::days(year, month, 1).unwrap_or(days) + 1;
    let minutes = time % calendar::DAY / 60_000;
    format!("{year}-{month:02}-{day:02} {:02}:{:02}", minutes / 60, minutes % 60)
}

fn month(text: &str) -> Result<(u64, u64), String> {
    let begin = calendar::parse(&format!("{text}-01")).filter(|_| text.len() == "2026-11".len());
    let begin = begin.ok_or("expected a month such as `2026-11`")?;
    let (year, month) = calendar::month(begin / calendar::DAY);
    let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    let end = calendar::days(year, month, 1).ok_or("too far away")?;
    Ok((begin, end * calendar::DAY))
}

fn time(text: &str) -> Result<u64, &'static str> {
    calendar::parse(text).ok_or("expected a date such as `2026-11-22`, or a time such as `2026-11-22T13:00:00Z`")
}

#[cfg(test)]
mod tests {
    use super::{month, written};
    use model_gateway::calendar::parse;

    #[test]
    fn months_are_whole() {
        for (text, from, to) in [("2026-11", "2026-11-01", "2026-12-01"), ("2027-12", "2027-12-01", "2028-01-01")] {
            assert_eq!(month(text), Ok((parse(from).unwrap(), parse(to).unwrap())));
        }
        for text in ["2026-13", "2026-1", "2026", "2026-11-01", ""] {
            assert!(month(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_are_written() {
        for (text, expected) in [("2026-11-22T13:05:59Z", "2026-11-22 13:05"), ("2024-02-29", "2024-02-29 00:00")] {
            assert_eq!(written(parse(text).unwrap()), expected);
        }
    }
}
