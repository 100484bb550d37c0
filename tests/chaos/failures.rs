//! What the chaos run tells the mock to do.

/// The providers, and the header by which the mock is told what to do at each.
pub const SITES: [(&str, &str); 3] = [("a", "x-mock-a"), ("b", "x-mock-b"), ("c", "x-mock-c")];

/// What is to happen at a provider.
#[derive(Debug, PartialEq)]
pub struct Failure {
    /// The mock's directives.
    pub told: &'static str,
    pub class: Class,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Class {
    /// It answers, though perhaps oddly or late.
    Good,
    /// It fails before any content.
    Before,
    /// Streamed it fails once there is content, not streamed like [`Self::Before`].
    Amid,
    /// It refuses for a fault of the client's: nobody else is asked.
    Final,
}

use Class::{Amid, Before, Final, Good};

pub const ALL: &[Failure] = &[
    Failure { told: "", class: Good },
    Failure { told: "coalesce", class: Good },
    Failure { told: "split=7", class: Good },
    Failure { told: "keepalive=5", class: Good },
    Failure { told: "chunk-delay=5", class: Good },
    Failure { told: "first-byte=80", class: Good },
    Failure { told: "headers-then-wait=80", class: Good },
    Failure { told: "status=500", class: Before },
    Failure { told: "status=502", class: Before },
    Failure { told: "status=503", class: Before },
    Failure { told: "status=529", class: Before },
    Failure { told: "status=503&first-byte=100", class: Before },
    Failure { told: "status=429", class: Before },
    Failure { told: "status=429&retry-after=1", class: Before },
    Failure { told: "status=429&retry-after-ms=300", class: Before },
    Failure { told: "error=quota", class: Before },
    Failure { told: "status=401", class: Before },
    Failure { told: "status=403", class: Before },
    Failure { told: "status=404", class: Before },
    Failure { told: "reset", class: Before },
    Failure { told: "reset&first-byte=50", class: Before },
    Failure { told: "close", class: Before },
    Failure { told: "hang", class: Before },
    Failure { told: "headers-then-wait=60000", class: Before },
    Failure { told: "empty", class: Before },
    Failure { told: "garbage", class: Before },
    Failure { told: "error-event=0", class: Before },
    Failure { told: "error-event=0&status=429", class: Before },
    Failure { told: "cut=0", class: Before },
    Failure { told: "end=0", class: Before },
    // Whether there is content in the first event depends on the dialect.
    Failure { told: "cut=1", class: Amid },
    Failure { told: "end=8&chunk-delay=3", class: Amid },
    Failure { told: "cut=8&chunk-delay=3", class: Amid },
    Failure { told: "error-event=8&chunk-delay=3", class: Amid },
    Failure { told: "status=400", class: Final },
    Failure { told: "error=context", class: Final },
    Failure { told: "error=policy", class: Final },
];

/// A provider is as well or as bad for so long, in milliseconds.
pub const SPELL: u64 = 1500;

/// What is to happen to a request at a provider, in this spell of its weather.
pub fn draw(draw: &mut Draw, seed: u64, site: u64, weather: u64) -> &'static Failure {
    // Of a hundred requests so many fail, in fair weather and foul.
    let failing = [2, 2, 10, 60, 100][Draw::new(&[seed, site, weather]).below(5) as usize];
    let fails = draw.below(100) < failing;
    // A client's fault is the client's whatever the weather: some of a hundred, not more.
    let faulty = draw.below(100) < 2;
    let fits = |class| if faulty { class == Final } else { (class == Good) != fails && class != Final };
    let fitting: Vec<_> = ALL.iter().filter(|failure| fits(failure.class)).collect();
    fitting[draw.below(fitting.len() as u64) as usize]
}

/// Numbers that follow from others: SplitMix64.
pub struct Draw(u64);

impl Draw {
    pub fn new(from: &[u64]) -> Self {
        let mut draw = Self(0);
        for number in from {
            draw.0 = draw.next() ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        }
        draw
    }

    /// From 0 to `bound` - 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
