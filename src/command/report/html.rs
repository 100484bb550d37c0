//! A report as one page that needs nothing else: light and dark, on screens and on paper.

use std::fmt::Write;

use super::money::{Money, grouped};
use super::sums::Sums;
use super::table::{Cell, Report, headed};

/// The page.
pub fn page(report: &Report) -> String {
    let mut out = String::from(HEAD);
    let (period, total) = (escaped(&report.period), &report.total);
    // A `String` takes all that is written.
    let _ = write!(out, "<h1>Model Gateway: usage and cost</h1>\n<p>{period}</p>\n<dl>\n");
    let share = total.cost_estimated.share_of(total.cost);
    for (name, value) in [
        ("cost in USD", Cell::Cost(total.cost, total.unpriced).readable()),
        ("requests", grouped(total.requests.into())),
        ("errors", grouped(total.errors.into())),
        (
            "tokens in and out",
            format!("{} + {}", grouped(total.usage.input.into()), grouped(total.usage.output.into())),
        ),
        ("saved by caches, in USD", total.saved.rounded()),
        ("estimated", Cell::Percent(share).readable()),
        ("unpriced requests", grouped(total.unpriced.into())),
    ] {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    let by = escaped(&report.by.join(", "));
    let _ = write!(out, "</dl>\n<div class=\"wide\"><table>\n<caption>By {by}</caption>\n<thead><tr>");
    for name in &report.by {
        let _ = write!(out, "<th scope=\"col\" class=\"name\">{}</th>", escaped(name));
    }
    for (heading, _) in headed() {
        let _ = write!(out, "<th scope=\"col\">{heading}</th>");
    }
    out.push_str("<th scope=\"col\" class=\"share\"><span>share of cost</span></th></tr></thead>\n<tbody>\n");
    for (values, sums) in &report.rows {
        row(&mut out, values, sums, total.cost);
    }
    out.push_str("</tbody>\n<tfoot>\n");
    let mut names = vec!["total".to_owned()];
    names.resize_with(report.by.len(), || " ".to_owned());
    row(&mut out, &names, total, Money::default());
    out.push_str("</tfoot>\n</table></div>\n");
    list(&mut out, "Notes", report.notes.iter().map(String::as_str));
    list(&mut out, "Advice", report.advice.iter().map(|advice| advice.text.as_str()));
    out.push_str("</body>\n</html>\n");
    out
}

fn row(out: &mut String, values: &[String], sums: &Sums, whole: Money) {
    out.push_str("<tr>");
    for value in values {
        let value = if value.is_empty() { "-" } else { value };
        let _ = write!(out, "<th scope=\"row\" class=\"name\">{}</th>", escaped(value));
    }
    for (_, column) in headed() {
        let _ = write!(out, "<td>{}</td>", escaped(&(column.cell)(sums).readable()));
    }
    match sums.cost.share_of(whole) {
        Some(share) => {
            let _ = write!(out, "<td class=\"share\"><meter max=\"100\" value=\"{share:.1}\">{share:.1}%</meter></td>");
        }
        None => out.push_str("<td class=\"share\"></td>"),
    }
    out.push_str("</tr>\n");
}

fn list<'t>(out: &mut String, heading: &str, mut items: impl Iterator<Item = &'t str>) {
    let Some(first) = items.next() else { return };
    let _ = writeln!(out, "<h2>{heading}</h2>\n<ul>");
    for item in std::iter::once(first).chain(items) {
        let _ = writeln!(out, "<li>{}</li>", escaped(item));
    }
    out.push_str("</ul>\n");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const HEAD: &str = include_str!("head.html");
