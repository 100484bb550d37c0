//! How far a clock is ahead of UTC, at any moment, by a rule as POSIX writes it: `CET-1CEST,M3.5.0,M10.5.0/3`.
//!
//! <https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html#tag_08_03>, with the hours up to 167 of RFC 9636, section 3.3.1.

use crate::calendar::{self, DAY};

/// A clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeZone {
    /// How far it is ahead of UTC, in seconds.
    standard: i64,
    daylight: Option<Daylight>,
}

/// The other half of the year, or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Daylight {
    /// How far it is ahead of UTC then, in seconds.
    ahead: i64,
    begin: Change,
    end: Change,
}

/// When a clock is changed, every year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    day: Day,
    /// In seconds after that day's midnight, by the clock before the change.
    time: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Day {
    /// The day of the year, from 0.
    Number(u64),
    /// The same from 1, where no year has a 29th of February.
    Julian(u64),
    /// So many a weekday (Sunday: 0) of a month; the fifth is the last.
    Weekday { month: u64, week: u64, day: u64 },
}

impl TimeZone {
    /// The clock that all others are told by.
    pub const UTC: Self = Self { standard: 0, daylight: None };

    /// A clock that is never changed, so many minutes ahead of UTC.
    pub fn fixed(minutes: i32) -> Self {
        Self { standard: i64::from(minutes) * 60, daylight: None }
    }

    /// Reads a rule.
    pub fn parse(rule: &str) -> Option<Self> {
        let (standard, rest) = offset(name(rule)?)?;
        if rest.is_empty() {
            return Some(Self { standard, daylight: None });
        }
        let rest = name(rest)?;
        let (ahead, rest) = if rest.starts_with(',') { (standard + 3600, rest) } else { offset(rest)? };
        let (begin, end) = rest.strip_prefix(',')?.split_once(',')?;
        let daylight = Daylight { ahead, begin: Change::parse(begin)?, end: Change::parse(end)? };
        Some(Self { standard, daylight: Some(daylight) })
    }

    /// What the clock shows at `now`, as if it were UTC's; both in milliseconds since 1970.
    pub fn local(&self, now: u64) -> u64 {
        shift(now, self.ahead(now))
    }

    /// The same by standard time, all year: it never goes back.
    pub fn standard(&self, now: u64) -> u64 {
        shift(now, self.standard)
    }

    /// When standard time shows `local`.
    pub fn of_standard(&self, local: u64) -> u64 {
        shift(local, -self.standard)
    }

    /// The first moment at which the clock shows `midnight` or later.
    pub fn begin(&self, midnight: u64) -> u64 {
        let standard = shift(midnight, -self.standard);
        let other = self.daylight.map_or(standard, |daylight| shift(midnight, -daylight.ahead));
        let (early, late) = (standard.min(other), standard.max(other));
        // What the clock skips does not begin before the change, and what it shows twice at the first time.
        if self.local(early) >= midnight { early } else { late }
    }

    fn ahead(&self, now: u64) -> i64 {
        let Some(Daylight { ahead, begin, end }) = self.daylight else { return self.standard };
        let seconds = i64::try_from(now / 1000).unwrap_or(i64::MAX / 2);
        // By standard time: no clock is changed around New Year, but where it is always or never in effect.
        let day = shift(now, self.standard) / DAY;
        let year = calendar::month(day).0;
        let at = |change: Change, before: i64| change.at(year).saturating_sub(before);
        let (begin, end) = (at(begin, self.standard), at(end, ahead));
        let within = if begin <= end { (begin..end).contains(&seconds) } else { !(end..begin).contains(&seconds) };
        if within { ahead } else { self.standard }
    }
}

impl Change {
    fn parse(text: &str) -> Option<Self> {
        let (day, time) = text.split_once('/').unwrap_or((text, "2"));
        let day = match day.as_bytes().first()? {
            b'M' => {
                let mut numbers = day.get(1..)?.split('.').map(number);
                let (month, week, day) = (numbers.next()??, numbers.next()??, numbers.next()??);
                let valid = (1..=12).contains(&month) && (1..=5).contains(&week) && day < 7 && numbers.next().is_none();
                valid.then_some(Day::Weekday { month, week, day })?
            }
            b'J' => number(day.get(1..)?).filter(|day| (1..=365).contains(day)).map(Day::Julian)?,
            _ => number(day).filter(|day| *day < 366).map(Day::Number)?,
        };
        let (time, rest) = clock(time)?;
        rest.is_empty().then_some(Self { day, time })
    }

    /// In seconds since 1970 by the clock that is changed.
    fn at(self, year: u64) -> i64 {
        let first = calendar::days(year, 1, 1).unwrap_or_default();
        let day = match self.day {
            Day::Number(day) => first + day,
            Day::Julian(day) => first + day - 1 + u64::from(day > 59 && calendar::length(year, 2) == 29),
            Day::Weekday { month, week, day } => {
                let first = calendar::days(year, month, 1).unwrap_or_default();
                // The first day of 1970 was a Thursday.
                let ahead = (day + 7 - (first + 4) % 7) % 7 + 7 * (week - 1);
                first + if ahead >= calendar::length(year, month) { ahead - 7 } else { ahead }
            }
        };
        i64::try_from(day * DAY / 1000).unwrap_or(i64::MAX / 4) + self.time
    }
}

fn shift(milliseconds: u64, seconds: i64) -> u64 {
    milliseconds.saturating_add_signed(seconds.saturating_mul(1000))
}

/// What follows a name: letters, or anything in angle brackets.
fn name(text: &str) -> Option<&str> {
    match text.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>').map(|(_, rest)| rest),
        None => {
            let rest = text.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
            (text.len() - rest.len() >= 3).then_some(rest)
        }
    }
}

/// Seconds ahead of UTC, which POSIX counts the other way, and what follows.
fn offset(text: &str) -> Option<(i64, &str)> {
    clock(text).map(|(seconds, rest)| (-seconds, rest))
}

/// `[+-]hh[:mm[:ss]]` in seconds, and what follows.
fn clock(text: &str) -> Option<(i64, &str)> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != ':').unwrap_or(text.len());
    let (clock, rest) = text.split_at_checked(end)?;
    let mut numbers = clock.split(':');
    let hours = number(numbers.next()?).filter(|hours| *hours <= 167)?;
    let mut next = || numbers.next().map_or(Some(0), |text| number(text).filter(|number| *number < 60));
    let (minutes, seconds) = (next()?, next()?);
    let seconds = i64::try_from((hours * 60 + minutes) * 60 + seconds).ok()?;
    numbers.next().is_none().then_some((sign * seconds, rest))
}

fn number(text: &str) -> Option<u64> {
    let valid = !text.is_empty() && text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::TimeZone;
    use crate::calendar::parse;

    #[test]
    fn clocks_go_as_their_rules_say() {
        for (rule, utc, local) in [
            ("UTC0", "2024-03-31T01:00:00Z", "2024-03-31T01:00:00Z"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2024-03-31T00:59:59Z", "2024-03-31T01:59:59Z"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2024-03-31T01:00:00Z", "2024-03-31T03:00:00Z"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2024-10-27T00:59:59Z", "2024-10-27T02:59:59Z"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2024-10-27T01:00:00Z", "2024-10-27T02:00:00Z"),
            ("EST5EDT,M3.2.0,M11.1.0", "2024-07-01T04:00:00Z", "2024-07-01T00:00:00Z"),
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2024-01-01T00:00:00Z", "2024-01-01T11:00:00Z"),
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2024-07-01T00:00:00Z", "2024-07-01T10:00:00Z"),
            ("<+0545>-5:45", "2024-07-01T00:00:00Z", "2024-07-01T05:45:00Z"),
            ("IST-1GMT0,M10.5.0,M3.5.0/1", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
            ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31T01:00:00Z", "2024-03-31T00:00:00Z"),
            ("XXX0YYY,J60,0/0", "2024-03-01T02:00:00Z", "2024-03-01T03:00:00Z"),
        ] {
            let zone = TimeZone::parse(rule).unwrap();
            assert_eq!(zone.local(parse(utc).unwrap()), parse(local).unwrap(), "{rule} {utc}");
        }
    }

    #[test]
    fn what_is_no_rule_is_none() {
        for rule in [
            "",
            "CET",
            "Europe/Berlin",
            "CET-1CEST",
            "CET-1CEST,M3.5.0",
            "CET-1CEST,M13.5.0,M10.5.0",
            "CET-200",
            "C-1",
            "CET-1x",
            "CET-1:99",
            "XXX0YYY,J0,1",
            "XXX0YYY,1,2/x",
            "<CET-1",
        ] {
            assert_eq!(TimeZone::parse(rule), None, "{rule}");
        }
    }
}
