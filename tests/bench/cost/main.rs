//! What the gateway costs on the real Envoy, beside Envoy alone, a filter that does nothing, and earlier releases: all in turn,
//! in one run, on one worker of one processor. `make bench-cost`.
//!
//! Times of the processor are the kernel's count of the worker's thread, for so many requests; what is told is the median over
//! rounds of what a subject takes more than Envoy alone in the same round, how far the middle half of the rounds is apart, and
//! the least: the best round of the one over the best of the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../bodies.rs"]
mod bodies;
mod client;
mod report;
mod subject;
#[path = "../../support/mod.rs"]
mod support;
mod targets;
mod upstream;
mod work;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bodies::Dialect::{Anthropic, OpenAi};
use client::{Client, Took};
use report::Report;
use subject::{Features, Subject, empty_filter};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use upstream::{CLIENTS, Order, Paces};
use work::{WORKS, order};

/// The least that makes a run one to keep.
const ROUNDS: usize = 36;
/// The subjects whose difference is told, by their names.
const ALONE: &str = "Envoy alone";
const GATEWAY: &str = "gateway";
const OBSERVED: &str = "gateway, all observed";
const UNOBSERVED: &str = "gateway, nothing observed";

/// What has memory laid out otherwise can differ by 10 us in each request, for as long as it runs: what is to be told apart more
/// finely is so many Envoys.
const TWINS: usize = 3;

struct Bench {
    runtime: Runtime,
    paces: Paces,
    subjects: Vec<Subject>,
    /// More Envoys of some of them, by their places.
    twins: Vec<(usize, Subject)>,
    rounds: usize,
    /// For a closer look: a part of the names of what is to be done.
    only: String,
    report: Report,
}

fn main() {
    stay_off_the_first_processor();
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    let report = Report::new(Path::new(env!("CARGO_MANIFEST_DIR")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let paces: Paces = Arc::new((0..CLIENTS).map(|_| Semaphore::new(0)).collect());
    let upstream = runtime.block_on(upstream::serve(paces.clone()));
    let command = PathBuf::from(env!("CARGO_BIN_EXE_model-gateway"));
    let gateway = |name: &str, features| Subject::gateway(name, &command, &upstream, features);
    let mut subjects = vec![
        Subject::plain(ALONE, &upstream, None),
        Subject::plain("an empty filter, twice", &upstream, Some(&empty_filter())),
        gateway(GATEWAY, Features::Limits),
        gateway(OBSERVED, Features::Observed),
        gateway(UNOBSERVED, Features::Unobserved),
        gateway("gateway, bare", Features::None),
    ];
    let mut twins = Vec::new();
    for _ in 1..TWINS {
        for (name, features) in [(OBSERVED, Features::Observed), (UNOBSERVED, Features::Unobserved)] {
            twins.push((subjects.iter().position(|subject| subject.name == name).unwrap(), gateway(name, features)));
        }
    }
    let releases = releases();
    subjects
        .extend(releases.iter().map(|(name, command)| Subject::gateway(name, command, &upstream, Features::Limits)));
    let rounds = number("BENCH_ROUNDS").unwrap_or(ROUNDS);
    let only = std::env::var("BENCH_ONLY").unwrap_or_default();
    let mut bench = Bench { runtime, paces, subjects, twins, rounds, only, report };
    bench.start();
    // Before there is memory that was used and given back.
    bench.open_streams();
    bench.costs();
    bench.latencies();
    if let Some(thousands) = number("BENCH_THOUSANDS") {
        bench.endurance(&gateway(GATEWAY, Features::Limits), thousands * 1000);
    }
    bench.report.targets();
    if bench.only.is_empty() && bench.rounds >= ROUNDS {
        bench.report.keep();
    } else {
        println!("not kept: this was a part of it");
    }
}

/// The first one is the Envoys', which come by themselves.
fn stay_off_the_first_processor() {
    let processors = std::thread::available_parallelism().unwrap().get();
    if processors > 1 {
        let (others, own) = (format!("1-{}", processors - 1), std::process::id().to_string());
        assert!(Command::new("taskset").args(["-cp", &others, &own]).output().unwrap().status.success());
    }
}

/// Earlier releases, as `make bench-cost` has them: `NAME=COMMAND`, by blanks.
fn releases() -> Vec<(String, PathBuf)> {
    let all = std::env::var("BENCH_RELEASES").unwrap_or_default();
    let release = |release: &str| {
        let (name, command) = release.split_once('=').expect("NAME=COMMAND");
        (name.to_owned(), std::fs::canonicalize(command).unwrap_or_else(|error| panic!("{command}: {error}")))
    };
    all.split_whitespace().map(release).collect()
}

impl Bench {
    fn start(&mut self) {
        let module = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/wasm32-wasip1/release/model_gateway.wasm");
        self.report.tell("module, KB", std::fs::metadata(module).unwrap().len() as f64 / 1024.0);
        self.settle();
        let alone = self.subjects[0].memory();
        for subject in &self.subjects {
            let memory = subject.memory();
            self.report.tell(&format!("{}: start, ms", subject.name), subject.start.as_secs_f64() * 1e3);
            let name = format!("{}: memory, fresh, MB", subject.name);
            self.report.tell_over(&name, memory as f64 / 1024.0, alone as f64 / 1024.0);
        }
    }

    /// Waits until the Envoys have given back what they took to compile the module.
    fn settle(&self) {
        let all = || {
            let twins = self.twins.iter().map(|(_, subject)| subject);
            self.subjects.iter().chain(twins).map(Subject::memory).sum::<u64>()
        };
        loop {
            let before = all();
            std::thread::sleep(Duration::from_secs(4));
            // In kB.
            if all() + 1024 > before {
                return;
            }
        }
    }

    /// Whether it is to be done.
    fn is_wanted(&self, name: &str) -> bool {
        name.contains(&self.only)
    }

    fn costs(&mut self) {
        let place = |name: &str| self.subjects.iter().position(|subject| subject.name == name).unwrap();
        let (observed, unobserved) = (place(OBSERVED), place(UNOBSERVED));
        for work in WORKS.iter().filter(|work| work.name.contains(&self.only)) {
            let twins = self.twins.iter().map(|(place, subject)| (*place, subject));
            let all: Vec<(usize, &Subject)> = self.subjects.iter().enumerate().chain(twins).collect();
            let mut costs: Vec<Vec<f64>> = self.subjects.iter().map(|_| Vec::new()).collect();
            // The first rounds are for warmth.
            let warm = self.rounds.div_ceil(9);
            for round in 0..warm + self.rounds {
                let mut sums = vec![(0.0, 0.0); self.subjects.len()];
                for index in order(all.len(), round) {
                    let (place, subject) = all[index];
                    let (sum, count) = &mut sums[place];
                    *sum += self.runtime.block_on(work.cost(subject, &self.paces));
                    *count += 1.0;
                }
                if round >= warm {
                    costs.iter_mut().zip(sums).for_each(|(costs, (sum, count))| costs.push(sum / count));
                }
            }
            for (subject, all) in self.subjects.iter().zip(&costs) {
                self.report.cost(work.name, &subject.name, all, &costs[0]);
            }
            self.report.observability(work.name, &costs[observed], &costs[unobserved]);
        }
    }

    /// One request at a time, some hundred a second.
    fn latencies(&mut self) {
        const REQUESTS: usize = 300;
        let works = [("OpenAI, 2 KB: whole", false), ("OpenAI, 2 KB: first event", true)];
        for (name, stream) in works.into_iter().filter(|(name, _)| self.is_wanted(name)).collect::<Vec<_>>() {
            let mut times: Vec<Vec<Duration>> = self.subjects.iter().map(|_| Vec::new()).collect();
            self.runtime.block_on(async {
                let mut clients = Vec::new();
                for subject in &self.subjects {
                    clients.push((Client::connect(&subject.address).await, subject.ask(OpenAi, 2 * 1024, stream)));
                }
                for round in 0..REQUESTS {
                    for index in order(self.subjects.len(), round) {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                        let order = if stream { Order::Burst { pieces: 20 } } else { Order::Whole };
                        let (client, ask) = &mut clients[index];
                        let Took { first, whole } = client.ask(ask, order, &self.paces).await;
                        times[index].push(if stream { first } else { whole });
                    }
                }
            });
            let mut alone = None;
            for (subject, times) in self.subjects.iter().zip(&mut times) {
                times.sort();
                let [half, most] = [50, 99].map(|part| times[times.len() * part / 100].as_secs_f64() * 1e3);
                let alone = *alone.get_or_insert(half);
                self.report.tell_over(&format!("{name}, {}: median, ms", subject.name), half, alone);
                self.report.tell(&format!("{name}, {}: 99th of 100, ms", subject.name), most);
            }
        }
    }

    /// Memory of streams of both dialects, all of which stay open: what one gives back another would use.
    fn open_streams(&mut self) {
        const STREAMS: usize = 500;
        if !self.is_wanted("an open stream") {
            return;
        }
        let mut alone: Option<[f64; 2]> = None;
        for subject in &self.subjects {
            let mut open = Vec::new();
            // The first ones fill what the start has left free.
            let [_, openai, anthropic] = [OpenAi, OpenAi, Anthropic].map(|dialect| {
                let (before, ask) = (subject.memory(), subject.ask(dialect, 2 * 1024, true));
                self.runtime.block_on(async {
                    for _ in 0..STREAMS {
                        let mut client = Client::connect(&subject.address).await;
                        // Of a client that never lets it go on.
                        client.open(&ask, Order::Dense { client: CLIENTS - 1, pieces: 2 }).await;
                        open.push(client);
                    }
                });
                subject.memory().saturating_sub(before) as f64 / STREAMS as f64
            });
            let alone = *alone.get_or_insert([openai, anthropic]);
            for (dialect, each, alone) in [("OpenAI", openai, alone[0]), ("Anthropic", anthropic, alone[1])] {
                self.report.tell_over(&format!("{}: an open stream, {dialect}, KB", subject.name), each, alone);
            }
        }
    }

    /// Memory of a gateway over so many requests of all sorts: after the first twentieth, and after all. It has to be a new
    /// one: what open streams have given back would hide what is lost.
    fn endurance(&mut self, subject: &Subject, requests: usize) {
        let (mut done, mut early) = (0, None);
        let since = Instant::now();
        while done < requests || early.is_none_or(|(when, _)| when == done) {
            for work in WORKS.iter().filter(|work| work.bytes <= 32 * 1024) {
                self.runtime.block_on(work.run(subject, &self.paces, work.requests, 8));
                done += work.requests;
            }
            if done >= requests / 20 {
                early.get_or_insert_with(|| (done, subject.memory()));
            }
        }
        let ((when, early), late) = (early.unwrap(), subject.memory());
        println!("{done} requests took {:.0?}", since.elapsed());
        self.report.tell(&format!("{}: memory after {when} requests, MB", subject.name), early as f64 / 1024.0);
        self.report.tell(&format!("{}: memory after {done} requests, MB", subject.name), late as f64 / 1024.0);
        // With fewer it is still becoming warm.
        if requests >= 1_000_000 {
            let more = (late as f64 / early as f64 - 1.0) * 100.0;
            self.report.tell(&format!("{}: memory after a million over that after 50,000, %", subject.name), more);
        }
    }
}
