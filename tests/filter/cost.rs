//! What a request costs in the module, by two counts that no noise touches: calls of the host, and instructions.
//!
//! `cargo test --test filter cost:: -- --nocapture` prints them. With keys, limits and prices; bounds are what was reached and a tenth.

use std::collections::BTreeMap;

use crate::bodies::Dialect;
use crate::host::{self, Wasm, meter};
use crate::scripted::chat::ENVIRONMENT;
use crate::scripted::envoy::{Script, run_on};
use crate::scripted::filters::Records;
use crate::typical::{config, script};

const KB: usize = 1 << 10;

/// A request that is not streamed, by the size of its body: the most calls, and the most thousand instructions.
const REQUESTS: &[(Dialect, usize, u64, u64)] = &[
    (Dialect::OpenAi, 2 * KB, 76, 90),
    (Dialect::OpenAi, 32 * KB, 76, 166),
    (Dialect::OpenAi, 200 * KB, 76, 520),
    (Dialect::OpenAi, 1000 * KB, 76, 2210),
    (Dialect::Anthropic, 2 * KB, 77, 103),
    (Dialect::Anthropic, 32 * KB, 78, 221),
    (Dialect::Anthropic, 200 * KB, 78, 800),
    (Dialect::Anthropic, 1000 * KB, 78, 3562),
];
/// A chunk of a stream, each in a piece of its own: the most calls, and the most instructions.
const CHUNKS: &[(Dialect, u64, u64)] = &[(Dialect::OpenAi, 3, 2270), (Dialect::Anthropic, 3, 5010)];

struct Meter {
    wasm: Wasm,
    records: Records,
}

/// Calls by name, and instructions by the number of the function.
struct Cost {
    calls: BTreeMap<&'static str, u64>,
    instructions: Vec<u64>,
}

impl Cost {
    /// What there is more of than in `before`, `times` as much.
    fn since(&self, before: &Self, times: u64) -> Self {
        let calls = self
            .calls
            .iter()
            .map(|(name, count)| (*name, count.saturating_sub(*before.calls.get(name).unwrap_or(&0)) / times));
        let instructions = self.instructions.iter().zip(&before.instructions);
        Self {
            calls: calls.filter(|(_, count)| *count > 0).collect(),
            instructions: instructions.map(|(after, before)| after.saturating_sub(*before) / times).collect(),
        }
    }
}

impl Meter {
    /// What `script` costs, the second time it is run: the first time there is more to be made.
    fn measure(&mut self, script: &Script) -> Cost {
        for _ in 0..2 {
            self.run(script);
        }
        let before = self.cost();
        self.run(script);
        self.cost().since(&before, 1)
    }

    fn cost(&self) -> Cost {
        let (calls, instructions) = self.wasm.cost();
        Cost { calls, instructions }
    }

    fn run(&mut self, script: &Script) {
        let outcome = run_on(&mut self.wasm, script, &self.records);
        assert_eq!((outcome.status, outcome.cut), (200, false), "{outcome:?}");
    }
}

#[test]
fn requests_and_chunks_cost_no_more_than_is_known() {
    let Some(module) = host::module() else { return };
    // Which is for development, and is not what the bounds are for.
    let quick = std::env::var_os("CARGO_PROFILE_RELEASE_OPT_LEVEL").is_some();
    let (names, module) = (meter::names(&module), meter::metered(&module));
    let mut meter = Meter { wasm: Wasm::with_roots(&module, &config(), ENVIRONMENT), records: Records::default() };
    let mut dear = Vec::new();
    println!("{:<30} {:>6} {:>14}", "", "calls", "instructions");
    let mut told = |what: String, cost: &Cost, most_calls: u64, most: u64| {
        let (calls, instructions): (u64, u64) = (cost.calls.values().sum(), cost.instructions.iter().sum());
        println!("{what:<30} {calls:>6} {instructions:>14}   {}", list(&cost.calls));
        print_functions(cost, &names);
        if calls > most_calls || (instructions > most && !quick) {
            dear.push(what);
        }
    };
    for (dialect, size, calls, thousands) in REQUESTS {
        let cost = meter.measure(&script(*dialect, *size, None));
        told(format!("{dialect:?}, {} KB", size / KB), &cost, *calls, thousands * 1000);
    }
    for (dialect, calls, instructions) in CHUNKS {
        let [few, many] = [10, 110].map(|chunks| meter.measure(&script(*dialect, 2 * KB, Some(chunks))));
        told(format!("{dialect:?}, 2 KB, streamed"), &few, u64::MAX, u64::MAX);
        told(format!("{dialect:?}, a chunk"), &many.since(&few, 100), *calls, *instructions);
    }
    assert!(dear.is_empty(), "dearer than they were: {dear:?}");
}

/// Those that take most, where the module has names: it is built with `CARGO_PROFILE_RELEASE_STRIP=false`.
fn print_functions(cost: &Cost, names: &BTreeMap<u32, String>) {
    let mut functions: Vec<(u64, &String)> =
        names.iter().map(|(number, name)| (cost.instructions[*number as usize], name)).collect();
    functions.sort_unstable_by(|one, other| other.cmp(one));
    for (instructions, name) in functions.iter().take(25) {
        println!("{instructions:>40} {name:.150}");
    }
}

fn list(calls: &BTreeMap<&str, u64>) -> String {
    let calls = calls.iter().map(|(name, count)| format!("{count} {}", name.trim_start_matches("proxy_")));
    calls.collect::<Vec<_>>().join(", ")
}
