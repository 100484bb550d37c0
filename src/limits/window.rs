//! Over what time a limit counts: a piece of the calendar, or always the last so many minutes.

use serde::{Deserialize, Serialize};

use super::account::SLICES;
use crate::calendar::{self, DAY};

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
    /// A piece of the calendar; `offset` is how many minutes its clock is ahead of UTC.
    Calendar {
        /// Which.
        per: Per,
        /// In minutes.
        offset: i32,
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
            Self::Calendar { per, offset } => per.number(local(now, offset)),
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
            Self::Calendar { per, offset } => {
                let end = per.begin(newest + 1);
                let ahead = u64::from(offset.unsigned_abs()) * 60_000;
                if offset < 0 { end.saturating_add(ahead) } else { end.saturating_sub(ahead) }
            }
            Self::Rolling(length) => (newest + (SLICES - age) as u64).saturating_mul(slice_length(length)),
            Self::Now => 0,
        }
    }
}

fn slice_length(length: u64) -> u64 {
    length.div_ceil(SLICES as u64 - 1).max(1)
}

fn local(now: u64, offset: i32) -> u64 {
    let ahead = u64::from(offset.unsigned_abs()) * 60_000;
    if offset < 0 { now.saturating_sub(ahead) } else { now.saturating_add(ahead) }
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
            Self::Second => number * 1000,
            Self::Minute => number * 60_000,
            Self::Hour => number * 3_600_000,
            Self::Day => number * DAY,
            Self::Month => calendar::days(number / 12, number % 12 + 1, 1).unwrap_or(0) * DAY,
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
    use super::{Per, Window};
    use crate::calendar::parse;

    #[test]
    fn windows_end_where_the_calendar_says() {
        for (per, offset, now, end) in [
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
            let window = Window::Calendar { per, offset };
            let (now, end) = (parse(now).unwrap(), parse(end).unwrap());
            let slice = window.slice(now);
            assert_eq!(window.forgotten(slice, 0), end, "{per:?} {offset}");
            assert_eq!((window.slice(end - 1), window.slice(end)), (slice, slice + 1), "{per:?} {offset}");
        }
    }
}
