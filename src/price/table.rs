//! The table as it stands in the module: sorted lines, found by halving.
//!
//! `names.tsv` has a line `KIND/MODEL`, its prices' mark and its facts' mark; `prices.tsv` and `facts.tsv` have each distinct
//! set of them once, under its mark (a hash, so that a new model moves no other line). `-` is none.

use core::cmp::Ordering;

/// Where the table is from, and when: see `table/SOURCE`.
pub const SOURCE: &str = include_str!("table/SOURCE");

const NAMES: &str = include_str!("table/names.tsv");
const PRICES: &str = include_str!("table/prices.tsv");
const FACTS: &str = include_str!("table/facts.tsv");

/// What the table has on a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    prices: &'static str,
    facts: &'static str,
}

impl Row {
    /// Its prices in short form, as [`super::Price::parse`] reads them.
    pub fn prices(self) -> Option<&'static str> {
        search(PRICES, &[self.prices])
    }

    /// Its facts in short form, as [`crate::facts::Facts::parse`] reads them.
    pub fn facts(self) -> Option<&'static str> {
        search(FACTS, &[self.facts])
    }
}

/// The row under that name, which is these parts joined by `/`.
pub fn find(name: &[&str]) -> Option<Row> {
    let (prices, facts) = search(NAMES, name)?.split_once('\t')?;
    Some(Row { prices, facts })
}

/// All names that have a row.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.lines().filter_map(|line| Some(line.split_once('\t')?.0))
}

/// What stands after the name in its line of a sorted text.
fn search<'t>(text: &'t str, name: &[&str]) -> Option<&'t str> {
    let mut rest = text;
    while !rest.is_empty() {
        let middle = rest.as_bytes().get(..rest.len() / 2)?;
        let start = memchr::memrchr(b'\n', middle).map_or(0, |at| at + 1);
        let (before, from) = rest.split_at_checked(start)?;
        let (line, after) = from.split_once('\n').unwrap_or((from, ""));
        let (found, value) = line.split_once('\t')?;
        match order(found, name) {
            Ordering::Equal => return Some(value),
            Ordering::Less => rest = after,
            Ordering::Greater => rest = before,
        }
    }
    None
}

fn order(found: &str, name: &[&str]) -> Ordering {
    let parts = name.iter().enumerate();
    let bytes = parts.flat_map(|(at, part)| (at > 0).then_some(b'/').into_iter().chain(part.bytes()));
    found.bytes().cmp(bytes)
}

#[cfg(test)]
mod tests {
    use super::{FACTS, NAMES, PRICES, find, names, search};
    use crate::facts::Facts;
    use crate::price::Price;

    #[test]
    fn a_line_is_found_wherever_it_is() {
        let text = "a\t1\na/b\t2\na/b/c\t3\nb\t4\nbb\t5\n";
        for (name, expected) in [
            (&["a"][..], Some("1")),
            (&["a", "b"], Some("2")),
            (&["a/b"], Some("2")),
            (&["a", "b", "c"], Some("3")),
            (&["b"], Some("4")),
            (&["bb"], Some("5")),
            (&["0"], None),
            (&["a", "a"], None),
            (&["c"], None),
            (&[], None),
        ] {
            assert_eq!(search(text, name), expected, "{name:?}");
        }
        assert_eq!(search("", &["a"]), None);
    }

    #[test]
    fn every_line_can_be_found_and_read() {
        for text in [NAMES, PRICES, FACTS] {
            let keys: Vec<_> = text.lines().map(|line| line.split_once('\t').unwrap().0).collect();
            assert!(keys.is_sorted() && keys.len() > 100);
            assert!(text.ends_with('\n') && !text.contains('\r'));
        }
        let mut priced = 0;
        for name in names() {
            let (kind, _) = name.split_once('/').unwrap();
            assert!(crate::providers::find(kind).is_some(), "{name}");
            let row = find(&[name]).unwrap_or_else(|| panic!("{name} is not found"));
            assert!(row.prices != "-" || row.facts != "-", "{name} says nothing");
            if row.prices != "-" {
                priced += 1;
                assert!(Price::parse(row.prices().unwrap()).is_some(), "{name}");
            }
            if row.facts != "-" {
                assert!(Facts::parse(row.facts().unwrap()).is_some(), "{name}");
            }
        }
        assert!(priced > 1000, "{priced}");
    }

    #[test]
    fn the_table_is_small() {
        let bytes = NAMES.len() + PRICES.len() + FACTS.len();
        assert!(bytes <= 120_000, "{bytes} bytes in every worker");
    }
}
