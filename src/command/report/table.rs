//! What a report has, and as a text for people or for programs.

use serde_json::{Map, Value, json};

use super::advice::Advice;
use super::money::{Money, grouped};
use super::sums::Sums;
use super::tally::Lines;

/// What is to be told.
pub struct Report {
    /// Of when, in words.
    pub period: String,
    /// The names of the dimensions.
    pub by: Vec<String>,
    /// Each with its values of the dimensions.
    pub rows: Vec<(Vec<String>, Sums)>,
    /// All of them together.
    pub total: Sums,
    /// What was read.
    pub lines: Lines,
    /// What has to be known besides.
    pub notes: Vec<String>,
    /// What could be had for less.
    pub advice: Vec<Advice>,
}

/// A value of a row.
pub enum Cell {
    /// Of whatever it is.
    Count(u64),
    /// In USD.
    Usd(Money),
    /// The same, without what so many requests cost of which nobody knows it.
    Cost(Money, u64),
    /// Of a hundred; `None`: of nothing.
    Percent(Option<f64>),
}

/// What is told of each row.
pub struct Column {
    /// Its name for programs; they are spared what follows from others.
    pub name: Option<&'static str>,
    /// Its name for people; they are spared what is of less interest.
    pub heading: Option<&'static str>,
    /// What there is in it.
    pub cell: fn(&Sums) -> Cell,
}

const fn column(name: &'static str, heading: &'static str, cell: fn(&Sums) -> Cell) -> Column {
    Column { name: Some(name), heading: Some(heading), cell }
}

const fn of_programs(name: &'static str, cell: fn(&Sums) -> Cell) -> Column {
    Column { name: Some(name), heading: None, cell }
}

/// All of them.
pub static COLUMNS: &[Column] = &[
    column("requests", "requests", |sums| Cell::Count(sums.requests)),
    column("errors", "errors", |sums| Cell::Count(sums.errors)),
    column("input_tokens", "input", |sums| Cell::Count(sums.usage.input)),
    column("cached_tokens", "cached", |sums| Cell::Count(sums.usage.cached)),
    of_programs("cache_write_tokens", |sums| {
        Cell::Count(sums.usage.cache_write.saturating_add(sums.usage.cache_write_1h))
    }),
    column("output_tokens", "output", |sums| Cell::Count(sums.usage.output)),
    column("reasoning_tokens", "reasoning", |sums| Cell::Count(sums.usage.reasoning)),
    column("cost_usd", "cost USD", |sums| Cell::Cost(sums.cost, sums.unpriced)),
    column("cache_savings_usd", "saved by caches", |sums| Cell::Usd(sums.saved)),
    of_programs("cache_writes_usd", |sums| Cell::Usd(sums.written)),
    of_programs("estimated_requests", |sums| Cell::Count(sums.estimated)),
    of_programs("estimated_usd", |sums| Cell::Usd(sums.cost_estimated)),
    Column {
        name: None,
        heading: Some("estimated"),
        cell: |sums| Cell::Percent(sums.cost_estimated.share_of(sums.cost)),
    },
    column("unpriced_requests", "unpriced", |sums| Cell::Count(sums.unpriced)),
];

impl Cell {
    /// What is not known is not 0.
    fn is_unknown(&self) -> bool {
        matches!(self, Self::Cost(amount, 1..) if *amount == Money::default())
    }

    /// For people.
    pub fn readable(&self) -> String {
        match self {
            Self::Count(0) | Self::Percent(None | Some(0.0)) => "-".to_owned(),
            Self::Count(number) => grouped((*number).into()),
            Self::Usd(amount) | Self::Cost(amount, 0) => amount.rounded(),
            Self::Cost(..) if self.is_unknown() => "unknown".to_owned(),
            Self::Cost(amount, _) => format!("≥{}", amount.rounded()),
            Self::Percent(Some(percent)) => format!("{percent:.1}%"),
        }
    }

    fn exact(&self) -> String {
        match self {
            Self::Count(number) => number.to_string(),
            Self::Cost(..) if self.is_unknown() => String::new(),
            Self::Usd(amount) | Self::Cost(amount, _) => amount.to_string(),
            Self::Percent(percent) => percent.map_or_else(String::new, |percent| percent.to_string()),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Count(number) => json!(number),
            Self::Cost(..) if self.is_unknown() => Value::Null,
            // A number would go through a double.
            Self::Usd(amount) | Self::Cost(amount, _) => json!(amount.to_string()),
            Self::Percent(percent) => json!(percent),
        }
    }
}

/// Columns for people, with their headings.
pub fn headed() -> impl Iterator<Item = (&'static str, &'static Column)> {
    COLUMNS.iter().filter_map(|column| Some((column.heading?, column)))
}

/// Columns for programs, with their names.
fn named() -> impl Iterator<Item = (&'static str, &'static Column)> {
    COLUMNS.iter().filter_map(|column| Some((column.name?, column)))
}

impl Report {
    /// As a table with aligned columns, then what has to be known besides.
    pub fn text(&self) -> String {
        let heads = self.by.iter().map(String::as_str).chain(headed().map(|(heading, _)| heading));
        let mut table: Vec<Vec<String>> = vec![heads.map(str::to_owned).collect()];
        let line = |values: &[String], sums: &Sums| -> Vec<String> {
            let values = values.iter().map(|value| if value.is_empty() { "-" } else { value }.to_owned());
            values.chain(headed().map(|(_, column)| (column.cell)(sums).readable())).collect()
        };
        table.extend(self.rows.iter().map(|(values, sums)| line(values, sums)));
        let mut names = vec!["total".to_owned()];
        names.resize_with(self.by.len(), || " ".to_owned());
        table.push(line(&names, &self.total));

        let mut widths = vec![0; table.first().map_or(0, Vec::len)];
        for line in &table {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = cell.chars().count().max(*width);
            }
        }
        let mut out = format!("{}\n\n", self.period);
        let last = table.len() - 1;
        for (number, line) in table.iter().enumerate() {
            if number == 1 || number == last {
                let rules: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
                out.push_str(&format!("{}\n", rules.join("  ")));
            }
            let cells =
                line.iter().zip(&widths).enumerate().map(|(place, (cell, &width))| match place < self.by.len() {
                    true => format!("{cell:<width$}"),
                    false => format!("{cell:>width$}"),
                });
            let cells: Vec<_> = cells.collect();
            out.push_str(&format!("{}\n", cells.join("  ").trim_end()));
        }
        for (place, note) in self.notes.iter().enumerate() {
            out.push_str(&format!("{}{note}\n", if place == 0 { "\n" } else { "" }));
        }
        if !self.advice.is_empty() {
            out.push_str("\nAdvice\n");
        }
        for advice in &self.advice {
            out.push_str(&format!("- {}\n", advice.text));
        }
        out
    }

    /// As comma-separated values (RFC 4180), exact, without the total.
    pub fn csv(&self) -> String {
        let names = self.by.iter().map(String::as_str).chain(named().map(|(name, _)| name));
        let mut out = names.map(field).collect::<Vec<_>>().join(",") + "\r\n";
        for (values, sums) in &self.rows {
            let values = values.iter().map(|value| field(value));
            let cells: Vec<_> = values.chain(named().map(|(_, column)| (column.cell)(sums).exact())).collect();
            out.push_str(&(cells.join(",") + "\r\n"));
        }
        out
    }

    /// As JSON, exact: amounts of USD are texts.
    pub fn json(&self) -> String {
        let sums = |sums: &Sums| -> Map<String, Value> {
            named().map(|(name, column)| (name.to_owned(), (column.cell)(sums).json())).collect()
        };
        let row = |(values, of): &(Vec<String>, Sums)| -> Value {
            let value = |value: &String| if value.is_empty() { Value::Null } else { json!(value) };
            let values = self.by.iter().zip(values).map(|(name, text)| (name.clone(), value(text)));
            values.chain(sums(of)).collect::<Map<_, _>>().into()
        };
        let advice = self.advice.iter().map(|advice| {
            let saves = advice.saves.map(|saves| saves.to_string());
            json!({ "kind": advice.kind, "subject": advice.subject, "saves_usd": saves, "text": advice.text })
        });
        let Lines { requests, outside, other, foreign } = self.lines;
        let report = json!({
            "period": self.period,
            "by": self.by,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "total": sums(&self.total),
            "lines": { "requests": requests, "outside": outside, "other": other, "foreign": foreign },
            "notes": self.notes,
            "advice": advice.collect::<Vec<_>>(),
        });
        format!("{report:#}\n")
    }
}

/// A value of a CSV file. Spreadsheets take what begins with these letters for a formula, and names are of clients' making:
/// <https://owasp.org/www-community/attacks/CSV_Injection>
fn field(value: &str) -> String {
    let value = if value.starts_with(['=', '+', '-', '@']) { format!("'{value}") } else { value.to_owned() };
    match value.contains(['"', ',', '\r', '\n', '\'']) {
        true => format!("\"{}\"", value.replace('"', "\"\"")),
        false => value,
    }
}
