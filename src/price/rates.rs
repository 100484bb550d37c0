//! A model's prices: by part of the usage, size of the prompt, service tier and hour.
//!
//! Their short form, in USD per million tokens: sets separated by `;`, each of an optional selector and of parts:
//!
//! ```text
//! prices   = set *( ";" set )
//! set      = [ selector SP ] part *( SP part )
//! selector = [ "P" / "F" / "B" ] [ ">" number [ "k" ] ] *( "@" days "/" hours *( "+" hours ) )
//! days     = 1*( "1" … "7" )                    ; Monday is 1
//! hours    = 4DIGIT "-" 4DIGIT                  ; UTC
//! part     = letter decimal                     ; see Part
//! ```

use super::usd::{decimal, write_decimal};
pub use crate::chat::ServiceTier;

/// What is priced apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Input,
    Output,
    Cached,
    CacheWrite,
    CacheWrite1h,
    Reasoning,
    InputAudio,
    OutputAudio,
}

/// All of them, and their letters.
const PARTS: &[(Part, &str)] = &[
    (Part::Input, "i"),
    (Part::Output, "o"),
    (Part::Cached, "c"),
    (Part::CacheWrite, "w"),
    (Part::CacheWrite1h, "h"),
    (Part::Reasoning, "r"),
    (Part::InputAudio, "a"),
    (Part::OutputAudio, "b"),
];

/// What a provider takes for a model's tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Price {
    sets: Vec<Set>,
    /// Off every sum, in millionths.
    pub(super) discount: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Set {
    tier: ServiceTier,
    /// For prompts of more tokens than that; then for all of them.
    above: u64,
    /// Only then; empty: always.
    windows: Vec<Window>,
    /// In 10⁻¹² USD per token, in the order of [`PARTS`].
    rates: [Option<u64>; PARTS.len()],
}

/// Hours of some days.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    /// Bit 1 is Monday's.
    days: u8,
    /// Minutes of the day: from, and until. Past midnight if that is earlier.
    hours: Vec<(u16, u16)>,
}

/// The sets that say what one request costs, the closest first.
pub(super) struct Applicable<'a> {
    sets: [Option<&'a Set>; 3],
    /// How many of them may say what input and output cost.
    for_all: usize,
}

impl Price {
    /// Reads the short form; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let sets = text.split(';').map(Set::parse).collect::<Option<Vec<_>>>()?;
        Some(Self { sets, discount: 0 })
    }

    /// The short form, without a discount.
    pub fn write(&self, out: &mut String) {
        for (index, set) in self.sets.iter().enumerate() {
            if index > 0 {
                out.push(';');
            }
            set.write(out);
        }
    }

    /// In place of this part, at every size, tier and hour.
    pub(super) fn replace(&mut self, part: Part, rate: u64) {
        if self.sets.is_empty() {
            self.sets.push(Set::default());
        }
        for set in &mut self.sets {
            set.put(part, rate);
        }
    }

    /// What a prompt of that size costs by; `None` if it is not known for that tier.
    ///
    /// A tier that has no price for prompts of that size, where the standard has, has none.
    pub(super) fn applicable(&self, prompt: u64, tier: ServiceTier, now: u64) -> Option<Applicable<'_>> {
        let of = |tier: ServiceTier, above: u64| {
            self.sets.iter().find(move |set| set.tier == tier && set.above == above && set.windows.is_empty())
        };
        let passed = self
            .sets
            .iter()
            .filter(|set| (set.tier == tier || set.tier == ServiceTier::Standard) && prompt > set.above);
        let above = passed.map(|set| set.above).max().unwrap_or(0);
        let higher = of(ServiceTier::Standard, above).filter(|_| above > 0);
        let base = of(ServiceTier::Standard, 0);
        if tier != ServiceTier::Standard {
            let own = of(tier, above)?;
            return Some(Applicable { sets: [Some(own), higher, base], for_all: 1 });
        }
        let then = self.sets.iter().find(|set| set.tier == tier && set.is_in_window(now));
        Some(Applicable { sets: [higher, then, base], for_all: 3 })
    }
}

impl Applicable<'_> {
    /// What a token of this part costs, in 10⁻¹² USD; `None` if nobody knows.
    ///
    /// What a service tier or a size has no price for costs what it costs otherwise, but for input and output at a service
    /// tier. What has no price at all is the input or the output that it is; a cache write of an hour is another cache write.
    pub(super) fn rate(&self, part: Part) -> Option<u64> {
        let mut sets = self.sets.iter().flatten();
        match part {
            Part::Input | Part::Output => self.sets.iter().take(self.for_all).flatten().find_map(|set| set.get(part)),
            Part::Cached | Part::CacheWrite | Part::InputAudio => {
                sets.find_map(|set| set.get(part)).or_else(|| self.rate(Part::Input))
            }
            Part::OutputAudio => sets.find_map(|set| set.get(part)).or_else(|| self.rate(Part::Output)),
            Part::CacheWrite1h => {
                sets.find_map(|set| set.get(part).or(set.get(Part::CacheWrite))).or_else(|| self.rate(Part::Input))
            }
            Part::Reasoning => {
                sets.find_map(|set| set.get(part).or(set.get(Part::Output))).or_else(|| self.rate(Part::Output))
            }
        }
    }
}

impl Set {
    fn parse(text: &str) -> Option<Self> {
        let mut set = Self::default();
        for (index, word) in text.split(' ').enumerate() {
            let (letter, number) = word.split_at_checked(1)?;
            match PARTS.iter().find(|(_, of)| *of == letter) {
                Some((part, _)) => set.put(*part, decimal(number, 6).ok()?),
                None if index == 0 => set.select(word)?,
                None => return None,
            }
        }
        Some(set)
    }

    /// Reads a selector.
    fn select(&mut self, word: &str) -> Option<()> {
        let mut parts = word.split('@');
        let (tier, above) = parts.next()?.split_once('>').map_or((word, None), |(tier, above)| (tier, Some(above)));
        self.tier = match tier.split('@').next()? {
            "" => ServiceTier::Standard,
            "P" => ServiceTier::Priority,
            "F" => ServiceTier::Flex,
            "B" => ServiceTier::Batch,
            _ => return None,
        };
        self.above = match above {
            None => 0,
            Some(above) => match above.strip_suffix('k') {
                Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1000)?,
                None => above.parse().ok()?,
            },
        };
        self.windows = parts.map(Window::parse).collect::<Option<_>>()?;
        Some(())
    }

    fn write(&self, out: &mut String) {
        let mut words = Vec::new();
        let mut selector = String::from(match self.tier {
            ServiceTier::Standard => "",
            ServiceTier::Priority => "P",
            ServiceTier::Flex => "F",
            ServiceTier::Batch => "B",
        });
        if self.above > 0 {
            selector.push_str(&match self.above % 1000 {
                0 => format!(">{}k", self.above / 1000),
                _ => format!(">{}", self.above),
            });
        }
        selector.extend(self.windows.iter().map(Window::print));
        if !selector.is_empty() {
            words.push(selector);
        }
        for ((_, letter), rate) in PARTS.iter().zip(self.rates) {
            if let Some(rate) = rate {
                let mut word = String::from(*letter);
                // A `String` takes all that is written.
                let _ = write_decimal(rate, 6, &mut word);
                words.push(word);
            }
        }
        out.push_str(&words.join(" "));
    }

    fn put(&mut self, part: Part, rate: u64) {
        if let Some(place) = self.rates.get_mut(part as usize) {
            *place = Some(rate);
        }
    }

    fn get(&self, part: Part) -> Option<u64> {
        self.rates.get(part as usize).copied().flatten()
    }

    fn is_in_window(&self, now: u64) -> bool {
        self.windows.iter().any(|window| window.contains(now))
    }
}

const MINUTES_OF_A_DAY: u64 = 24 * 60;

impl Window {
    fn parse(text: &str) -> Option<Self> {
        let (days, hours) = text.split_once('/')?;
        let days = days.bytes().try_fold(0_u8, |days, day| match day {
            b'1'..=b'7' => Some(days | 1 << (day - b'0')),
            _ => None,
        })?;
        let minutes = |clock: &str| {
            let (hours, minutes) = clock.split_at_checked(2)?;
            let minutes = hours.parse::<u16>().ok()?.checked_mul(60)?.checked_add(minutes.parse().ok()?)?;
            (u64::from(minutes) <= MINUTES_OF_A_DAY).then_some(minutes)
        };
        let hours = hours.split('+').map(|range| {
            let (from, until) = range.split_once('-')?;
            Some((minutes(from)?, minutes(until)?))
        });
        Some(Self { days, hours: hours.collect::<Option<_>>()? })
    }

    fn print(&self) -> String {
        let days: String = (1..=7_u8).filter(|day| self.days & (1 << day) != 0).map(|day| day.to_string()).collect();
        let clock = |minutes: u16| format!("{:02}{:02}", minutes / 60, minutes % 60);
        let hours: Vec<_> =
            self.hours.iter().map(|(from, until)| format!("{}-{}", clock(*from), clock(*until))).collect();
        format!("@{days}/{}", hours.join("+"))
    }

    /// `now` in seconds since 1970. The day is that of `now`, also past midnight of a range that wraps.
    fn contains(&self, now: u64) -> bool {
        let minutes = now / 60;
        // 1970 began on a Thursday.
        let day = (minutes / MINUTES_OF_A_DAY + 3) % 7 + 1;
        let minute = minutes % MINUTES_OF_A_DAY;
        let is_in = |(from, until): &(u16, u16)| {
            let (from, until) = (u64::from(*from), u64::from(*until));
            if from < until { (from..until).contains(&minute) } else { minute >= from || minute < until }
        };
        self.days & (1 << day) != 0 && self.hours.iter().any(is_in)
    }
}

#[cfg(test)]
mod tests {
    use super::{Price, ServiceTier, Window};

    #[test]
    fn the_short_form_reads_and_writes_alike() {
        for text in [
            "i2.5 o10",
            "i2.5 o10 c1.25 w3.125 h5 r10 a100 b200",
            "i1.25 o10;>200k i2.5 o15;>32768 i2;P i2;F>200k i1;B i0.625 o5",
            "i0.3 o1.2;@12345/0000-0100+0400-0600+1000-0000@67/0000-2400 i0.15",
            "c0",
        ] {
            let mut written = String::new();
            Price::parse(text).unwrap_or_else(|| panic!("{text}")).write(&mut written);
            assert_eq!(written, text);
        }
        for text in [
            "",
            "x1",
            "i",
            "i-1",
            "i1.0000001",
            "i1 P",
            "Q i1",
            ">k i1",
            ">1m i1",
            "@8/0000-0100 i1",
            "@1/00-01 i1",
            "é1",
            ";",
        ] {
            assert!(Price::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn windows_are_of_their_days_and_wrap_midnight() {
        // 2026-11-22, a Sunday, 00:00 UTC.
        const SUNDAY: u64 = 1_795_305_600;
        const HOUR: u64 = 3600;
        for (window, hour, expected) in [
            ("7/0000-0000", 0, true),
            ("7/0000-2400", 23, true),
            ("7/0000-0000", 24, false),
            ("1/0000-0000", 24, true),
            ("123456/0000-0000", 0, false),
            ("67/1000-0000", 9, false),
            ("67/1000-0000", 10, true),
            ("67/1000-0000", 23, true),
            ("7/2200-0200", 1, true),
            ("7/2200-0200", 2, false),
            ("7/2200-0200", 22, true),
            ("7/0000-0100+0400-0600", 5, true),
            ("7/0000-0100+0400-0600", 6, false),
        ] {
            let parsed = Window::parse(window).unwrap();
            assert_eq!(parsed.contains(SUNDAY + hour * HOUR), expected, "{window} at {hour}");
        }
    }

    #[test]
    fn tiers_go_by_many_names() {
        for (kind, name, tier) in [
            ("openai", "default", ServiceTier::Standard),
            ("openai", "scale", ServiceTier::Standard),
            ("openai", "priority", ServiceTier::Priority),
            ("openai", "flex", ServiceTier::Flex),
            ("vertex", "ON_DEMAND_FLEX", ServiceTier::Flex),
            ("vertex", "PROVISIONED_THROUGHPUT", ServiceTier::Standard),
            ("anthropic", "batch", ServiceTier::Batch),
            ("groq", "flex", ServiceTier::Standard),
        ] {
            assert_eq!(ServiceTier::named(name).charged(kind), tier, "{kind} {name}");
        }
    }
}
