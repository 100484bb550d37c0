//! Who used how much: the few that matter, and all the others together.

use hashbrown::HashMap;

use super::Used;
use crate::chance::hash;

/// Counts for the subjects that had most requests, and for the others together. Subjects are known by the hashes of their names: who reads
/// knows the names.
///
/// A new subject takes the place of the one with the fewest requests where there is no room, of several the one that is there longest. So whoever
/// has many requests is sure to stay, and nothing is lost: what had its place taken is counted with the others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    rows: Vec<(u64, Counts)>,
    others: Counts,
}

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Requests, or attempts.
    pub requests: u64,
    /// Those that came to a good end.
    pub answered: u64,
    /// Those that failed, or were refused.
    pub failed: u64,
    /// What they used.
    pub used: Used,
    /// What those that came to a good end took together, in milliseconds.
    pub took: u64,
}

/// How many subjects have a row of their own.
pub const ROWS: usize = 12;
/// Numbers of one [`Counts`].
pub(super) const FIELDS: usize = 8;

impl Rows {
    /// Counts something of the subject with this name.
    pub fn add(&mut self, name: &str, counts: &Counts) {
        let subject = hash(0, name.as_bytes());
        if let Some((_, row)) = self.rows.iter_mut().find(|(other, _)| *other == subject) {
            row.add(counts);
            return;
        }
        if self.rows.len() >= ROWS {
            // The first of several: they are in the order in which they came.
            let least = self.rows.iter().enumerate().min_by_key(|(_, (_, row))| row.requests).map(|(place, _)| place);
            if let Some(place) = least {
                let (_, row) = self.rows.remove(place);
                self.others.add(&row);
            }
        }
        self.rows.push((subject, *counts));
    }

    /// What was counted of all.
    pub fn total(&self) -> Counts {
        let mut total = self.others;
        self.rows.iter().for_each(|(_, row)| total.add(row));
        total
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn write(&self, mut put: impl FnMut(u64)) {
        put(self.rows.len() as u64);
        for (subject, counts) in &self.rows {
            put(*subject);
            counts.fields().into_iter().for_each(&mut put);
        }
        self.others.fields().into_iter().for_each(put);
    }

    /// `None` if there are more rows than there can be.
    pub(super) fn read(mut next: impl FnMut() -> Option<u64>) -> Option<Self> {
        let count = usize::try_from(next()?).ok().filter(|count| *count <= ROWS)?;
        let mut rows = Vec::with_capacity(count + 1);
        for _ in 0..count {
            rows.push((next()?, Counts::read(&mut next)?));
        }
        Some(Self { rows, others: Counts::read(next)? })
    }
}

/// What was counted of each of `names`, in their order, where there is something; and of all others together.
pub fn by_name<'n>(rows: &[&Rows], names: impl Iterator<Item = &'n str>) -> (Vec<(&'n str, Counts)>, Counts) {
    let (mut subjects, mut others) = (HashMap::new(), Counts::default());
    for rows in rows {
        rows.rows.iter().for_each(|(subject, row)| subjects.entry(*subject).or_insert_with(Counts::default).add(row));
        others.add(&rows.others);
    }
    let named = names.filter_map(|name| Some((name, subjects.remove(&hash(0, name.as_bytes()))?))).collect();
    // Whose names nobody has any more.
    subjects.values().for_each(|row| others.add(row));
    (named, others)
}

impl Counts {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.answered = self.answered.saturating_add(other.answered);
        self.failed = self.failed.saturating_add(other.failed);
        self.used.add(&other.used);
        self.took = self.took.saturating_add(other.took);
    }

    fn fields(&self) -> [u64; FIELDS] {
        let Self { requests, answered, failed, used: Used { input, cached, output, usd }, took } = *self;
        [requests, answered, failed, input, cached, output, usd, took]
    }

    fn read(mut next: impl FnMut() -> Option<u64>) -> Option<Self> {
        let (requests, answered, failed) = (next()?, next()?, next()?);
        let used = Used { input: next()?, cached: next()?, output: next()?, usd: next()? };
        Some(Self { requests, answered, failed, used, took: next()? })
    }
}

impl Used {
    /// Adds what was used elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.input = self.input.saturating_add(other.input);
        self.cached = self.cached.saturating_add(other.cached);
        self.output = self.output.saturating_add(other.output);
        self.usd = self.usd.saturating_add(other.usd);
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, ROWS, Rows, by_name};

    fn one() -> Counts {
        Counts { requests: 1, ..Counts::default() }
    }

    #[test]
    fn whoever_has_many_requests_stays_among_any_number_of_others() {
        let mut rows = Rows::default();
        for number in 0..1000 {
            rows.add(&format!("u{number}"), &one());
            // Comes late, and with one request in ten.
            if number > 500 && number % 10 == 0 {
                rows.add("busy", &one());
            }
        }
        assert_eq!((rows.total().requests, rows.len()), (1049, ROWS));
        let (named, others) = by_name(&[&rows], ["nobody", "busy"].into_iter());
        assert_eq!((named[0].0, named[0].1.requests, named.len(), others.requests), ("busy", 49, 1, 1000));
    }

    #[test]
    fn what_loses_its_row_is_with_the_others() {
        let mut rows = Rows::default();
        (0..=ROWS).for_each(|number| rows.add(&number.to_string(), &one()));
        assert_eq!((rows.others, rows.total().requests), (one(), 1 + ROWS as u64));
        let (named, others) = by_name(&[&rows, &rows], ["0", "1"].into_iter());
        assert_eq!((named.len(), named[0].1.requests, others.requests), (1, 2, 2 * ROWS as u64));
    }
}
