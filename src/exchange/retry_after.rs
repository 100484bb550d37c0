//! How long a provider asks to be left alone.

use std::borrow::Cow;

use crate::calendar;

/// In milliseconds, `now` being milliseconds since 1970. `retry-after-ms` (Azure, OpenAI) is the more exact one; `retry-after`
/// has seconds, fractions of them too, or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after<'h>(header: impl Fn(&str) -> Option<Cow<'h, str>>, now: u64) -> Option<u64> {
    let milliseconds = header("retry-after-ms").and_then(|value| number(&value));
    milliseconds
        .or_else(|| {
            let value = header("retry-after")?;
            number(&value).map(|seconds| seconds * 1000.0).or_else(|| {
                let then = seconds_since_1970(&value)? * 1000;
                Some(then.saturating_sub(now) as f64)
            })
        })
        .map(|milliseconds| milliseconds as u64)
}

/// A sane length of time: anything over some 30 years is none.
fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number| (0.0..1e12).contains(number))
}

/// `IMF-fixdate = day-name "," SP date1 SP time-of-day SP GMT`, as in `Sun, 06 Nov 1994 08:49:37 GMT`. The two obsolete forms
/// of RFC 9110 are sent by nobody.
fn seconds_since_1970(date: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = date.trim().split_once(", ")?.1.split(' ');
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let mut clock = time.split(':').map(|part| part.parse::<u64>().ok());
    calendar::seconds((year, month, day), (clock.next()??, clock.next()??, clock.next()??))
}

#[cfg(test)]
mod tests {
    use super::{retry_after, seconds_since_1970};
    use crate::headers::Headers;

    #[test]
    fn every_form_is_understood() {
        for (headers, expected) in [
            (&[("retry-after", "7")][..], Some(7000)),
            (&[("retry-after", " 0.25 ")], Some(250)),
            (&[("retry-after", "7"), ("retry-after-ms", "31")], Some(31)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], Some(6500)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT")], Some(0)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "NaN")], None),
            (&[], None),
        ] {
            let given: Headers = headers.iter().copied().collect();
            assert_eq!(retry_after(|name| given.first(name), 784_111_770_500), expected, "{headers:?}");
        }
    }

    #[test]
    fn dates_are_counted_from_1970() {
        for (date, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
            ("Fri, 01 Mar 2024 00:00:00 GMT", Some(1_709_251_200)),
            ("Sat, 21 Nov 2026 12:00:00 GMT", Some(1_795_262_400)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 24:49:37 GMT", None),
            ("Sun, 06 Nov 1994", None),
        ] {
            assert_eq!(seconds_since_1970(date), seconds, "{date}");
        }
    }
}
