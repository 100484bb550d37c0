//! Dates: between days since 1970 and the civil calendar, and as RFC 3339 writes them. Without leap seconds, as Unix time is.
//!
//! <https://howardhinnant.github.io/date_algorithms.html>

/// Milliseconds of a day.
pub const DAY: u64 = 86_400_000;

/// Days since 1970 of a date; `month` from 1 to 12, `day` from 1. Years before 1970 are `None`.
pub fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    // Years taken to begin in March, so that the leap day is a year's last.
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year).checked_sub(719_468)
}

/// Year and month (1 to 12) of a day since 1970.
pub fn month(days: u64) -> (u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month)
}

/// How many days the month has.
pub fn length(year: u64, month: u64) -> u64 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Seconds since 1970 of a year, month and day, an hour, minute and second, if there is such a moment.
pub fn seconds((year, month, day): (u64, u64, u64), (hours, minutes, seconds): (u64, u64, u64)) -> Option<u64> {
    let is_date = (1970..=9999).contains(&year) && (1..=12).contains(&month);
    if !is_date || !(1..=length(year, month)).contains(&day) || hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    Some(days(year, month, day)? * 86_400 + (hours * 60 + minutes) * 60 + seconds)
}

/// Milliseconds since 1970 of a date (`2027-01-31`, its beginning in UTC) or a time (`2027-01-31T12:00:00Z`, with fractions of a
/// second or an offset such as `+02:00`): RFC 3339, section 5.6.
pub fn parse(text: &str) -> Option<u64> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-').map(number);
    let date = (parts.next()??, parts.next()??, parts.next()??);
    let midnight = seconds(date, (0, 0, 0)).filter(|_| parts.next().is_none())? * 1000;
    let Some(time) = time else { return Some(midnight) };
    let at = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(at)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.split(':').map(number);
    let clock = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || number(fraction).is_none() {
        return None;
    }
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    let time = seconds(date, clock)? * 1000 + number(&digits)?;
    if zone.eq_ignore_ascii_case("z") {
        return Some(time);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let offset = (hours * 60 + minutes) * 60_000;
    if zone.starts_with('+') { time.checked_sub(offset) } else { Some(time + offset) }
}

/// Digits only, at most eighteen.
fn number(text: &str) -> Option<u64> {
    (!text.is_empty() && text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::{DAY, days, length, month, parse};

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        let (mut year, mut of_year, mut day) = (1970, 1, 1);
        for number in 0..146_097 {
            assert_eq!((days(year, of_year, day), month(number)), (Some(number), (year, of_year)));
            day += 1;
            if day > length(year, of_year) {
                (of_year, day) = (of_year + 1, 1);
            }
            if of_year > 12 {
                (year, of_year) = (year + 1, 1);
            }
        }
        // The Gregorian calendar repeats itself after 400 years.
        assert_eq!((year, of_year, day), (2370, 1, 1));
    }

    #[test]
    fn times_are_read() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("1970-01-02T00:00:00Z", Some(DAY)),
            ("2024-02-29T23:59:59.25Z", Some(1_709_251_199_250)),
            ("2024-03-01 02:00:00+02:00", Some(1_709_251_200_000)),
            ("2024-02-29t19:00:00-05:00", Some(1_709_251_200_000)),
            ("2023-02-29", None),
            ("2024-13-01", None),
            ("2024-01-01T24:00:00Z", None),
            ("2024-01-01T00:00:00", None),
            ("2024-01-01T00:00Z", None),
            ("24-1-1-", None),
            ("", None),
            ("1970-01-01T00:00:00+01:00", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
