//! What the gateway costs on the real Envoy, beside Envoy alone, a filter that does nothing, and earlier releases: all in turn,
//! in one run, on one worker of one processor. `make bench`.
//!
//! Times of the processor are the kernel's count of the worker's thread, for so many requests; what is told is the median over
//! rounds of what a subject takes more than Envoy alone in the same round, and how far the middle half of the rounds is apart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../bodies.rs"]
mod bodies;
mod client;
mod report;
mod subject;
#[path = "../../support/mod.rs"]
mod support;
mod upstream;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bodies::Dialect::{Anthropic, OpenAi};
use client::{Ask, Client, Took};
use report::Report;
use subject::{Features, Subject, empty_filter};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use upstream::{CLIENTS, Order, Paces};

const KB: usize = 1 << 10;
/// Clients at once.
const MANY: usize = 16;

struct Bench {
    runtime: Runtime,
    paces: Paces,
    subjects: Vec<Subject>,
    rounds: usize,
    report: Report,
}

/// What is done again and again: by how many of what its cost is told, and how.
struct Work {
    name: &'static str,
    bytes: usize,
    dialect: bodies::Dialect,
    requests: usize,
    order: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    Dense,
    Burst,
    Fail,
}

const PIECES: usize = 200;

const WORKS: &[Work] = &[
    Work { name: "OpenAI, 2 KB", bytes: 2 * KB, dialect: OpenAi, requests: 2000, order: Kind::Whole },
    Work { name: "OpenAI, 32 KB", bytes: 32 * KB, dialect: OpenAi, requests: 1000, order: Kind::Whole },
    Work { name: "OpenAI, 200 KB", bytes: 200 * KB, dialect: OpenAi, requests: 400, order: Kind::Whole },
    Work { name: "OpenAI, 1 MB", bytes: 1000 * KB, dialect: OpenAi, requests: 100, order: Kind::Whole },
    Work { name: "Anthropic, 2 KB", bytes: 2 * KB, dialect: Anthropic, requests: 2000, order: Kind::Whole },
    Work { name: "Anthropic, 32 KB", bytes: 32 * KB, dialect: Anthropic, requests: 1000, order: Kind::Whole },
    Work { name: "Anthropic, 200 KB", bytes: 200 * KB, dialect: Anthropic, requests: 400, order: Kind::Whole },
    Work { name: "Anthropic, 1 MB", bytes: 1000 * KB, dialect: Anthropic, requests: 100, order: Kind::Whole },
    Work { name: "503, then Anthropic, 2 KB", bytes: 2 * KB, dialect: OpenAi, requests: 1000, order: Kind::Fail },
    Work { name: "OpenAI, a dense chunk", bytes: 2 * KB, dialect: OpenAi, requests: 48, order: Kind::Dense },
    Work { name: "Anthropic, a dense chunk", bytes: 2 * KB, dialect: Anthropic, requests: 48, order: Kind::Dense },
    Work { name: "OpenAI, a chunk in a burst", bytes: 2 * KB, dialect: OpenAi, requests: 128, order: Kind::Burst },
    Work {
        name: "Anthropic, a chunk in a burst",
        bytes: 2 * KB,
        dialect: Anthropic,
        requests: 128,
        order: Kind::Burst,
    },
];

fn main() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let paces: Paces = Arc::new((0..CLIENTS).map(|_| Semaphore::new(0)).collect());
    let upstream = runtime.block_on(upstream::serve(paces.clone()));
    let command = PathBuf::from(env!("CARGO_BIN_EXE_model-gateway"));
    let mut subjects = vec![
        Subject::plain("Envoy alone", &upstream, None),
        Subject::plain("an empty filter, twice", &upstream, Some(&empty_filter())),
    ];
    for (name, command) in releases() {
        subjects.push(Subject::gateway(&name, &command, &upstream, Features::Limits));
    }
    subjects.push(Subject::gateway("gateway", &command, &upstream, Features::Limits));
    subjects.push(Subject::gateway("gateway, log too", &command, &upstream, Features::Log));
    subjects.push(Subject::gateway("gateway, bare", &command, &upstream, Features::None));
    let mut bench =
        Bench { runtime, paces, subjects, rounds: number("BENCH_ROUNDS").unwrap_or(9), report: Report::default() };
    bench.start();
    bench.costs();
    bench.latencies();
    bench.open_streams();
    if let Some(thousands) = number("BENCH_THOUSANDS") {
        bench.endurance(thousands * 1000);
    }
    bench.report.write(Path::new(env!("CARGO_MANIFEST_DIR")));
}

/// Earlier releases that `make bench` has built: `NAME=COMMAND`, by blanks.
fn releases() -> Vec<(String, PathBuf)> {
    let all = std::env::var("BENCH_RELEASES").unwrap_or_default();
    let releases = all.split_whitespace().filter_map(|release| release.split_once('='));
    releases.map(|(name, command)| (name.to_owned(), PathBuf::from(command))).collect()
}

impl Bench {
    fn start(&mut self) {
        let module = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/wasm32-wasip1/release/model_gateway.wasm");
        self.report.tell("module", "KB", std::fs::metadata(module).unwrap().len() as f64 / 1024.0);
        for subject in &self.subjects {
            self.report.tell(&format!("{}: start", subject.name), "ms", subject.start.as_secs_f64() * 1e3);
            self.report.tell(&format!("{}: memory, fresh", subject.name), "MB", subject.memory() as f64 / 1024.0);
        }
    }

    fn costs(&mut self) {
        // For a closer look at one.
        let only = std::env::var("BENCH_ONLY").unwrap_or_default();
        for work in WORKS.iter().filter(|work| work.name.contains(&only)) {
            let mut costs: Vec<Vec<f64>> = self.subjects.iter().map(|_| Vec::new()).collect();
            // The first round is for warmth.
            for round in 0..=self.rounds {
                for (subject, costs) in self.subjects.iter().zip(&mut costs) {
                    let cost = self.cost(subject, work);
                    if round > 0 {
                        costs.push(cost);
                    }
                }
            }
            let alone = costs[0].clone();
            for (subject, costs) in self.subjects.iter().zip(&costs) {
                let over: Vec<f64> = costs.iter().zip(&alone).map(|(cost, alone)| cost - alone).collect();
                self.report.cost(work.name, &subject.name, costs, &over);
            }
        }
    }

    /// In microseconds, for a request or a chunk.
    fn cost(&self, subject: &Subject, work: &Work) -> f64 {
        let streamed = matches!(work.order, Kind::Dense | Kind::Burst);
        let ask = match work.order {
            Kind::Fail => subject.failing(work.bytes),
            _ => subject.ask(work.dialect, work.bytes, streamed),
        };
        let run = |pieces: usize| {
            let since = subject.cpu();
            self.runtime.block_on(self.run(subject, &ask, work, pieces));
            (subject.cpu() - since).as_secs_f64() * 1e6 / work.requests as f64
        };
        match work.order {
            Kind::Whole | Kind::Fail => run(0),
            // What a stream costs besides is taken off.
            Kind::Dense | Kind::Burst => (run(PIECES + 8) - run(8)) / PIECES as f64,
        }
    }

    async fn run(&self, subject: &Subject, ask: &Ask, work: &Work, pieces: usize) {
        let clients: Vec<_> = (0..MANY)
            .map(|client| {
                let (address, ask, paces) = (subject.address.clone(), ask.clone(), self.paces.clone());
                let (times, kind) = (work.requests / MANY, work.order);
                tokio::spawn(async move {
                    let mut connection = Client::connect(&address).await;
                    for _ in 0..times {
                        let order = match kind {
                            Kind::Whole => Order::Whole,
                            Kind::Fail => Order::Fail,
                            Kind::Burst => Order::Burst { pieces },
                            Kind::Dense => Order::Dense { client, pieces },
                        };
                        connection.ask(&ask, order, &paces).await;
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    }

    /// One request at a time, some hundred a second.
    fn latencies(&mut self) {
        const REQUESTS: usize = 300;
        for (name, stream) in [("OpenAI, 2 KB: whole", false), ("OpenAI, 2 KB: first event", true)] {
            let mut times: Vec<Vec<Duration>> = self.subjects.iter().map(|_| Vec::new()).collect();
            self.runtime.block_on(async {
                let mut clients = Vec::new();
                for subject in &self.subjects {
                    clients.push((Client::connect(&subject.address).await, subject.ask(OpenAi, 2 * KB, stream)));
                }
                for _ in 0..REQUESTS {
                    for ((client, ask), times) in clients.iter_mut().zip(&mut times) {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                        let order = if stream { Order::Burst { pieces: 20 } } else { Order::Whole };
                        let Took { first, whole } = client.ask(ask, order, &self.paces).await;
                        times.push(if stream { first } else { whole });
                    }
                }
            });
            for (subject, times) in self.subjects.iter().zip(&mut times) {
                times.sort();
                let [half, most] = [50, 99].map(|part| times[times.len() * part / 100].as_secs_f64() * 1e3);
                self.report.tell(&format!("{name}, {}: median", subject.name), "ms", half);
                self.report.tell(&format!("{name}, {}: 99th of 100", subject.name), "ms", most);
            }
        }
    }

    fn open_streams(&mut self) {
        const STREAMS: usize = 500;
        for subject in &self.subjects {
            for dialect in [OpenAi, Anthropic] {
                let before = subject.memory();
                let ask = subject.ask(dialect, 2 * KB, true);
                let open = self.runtime.block_on(async {
                    let mut open = Vec::new();
                    for _ in 0..STREAMS {
                        let mut client = Client::connect(&subject.address).await;
                        // Of a client that never lets it go on.
                        client.open(&ask, Order::Dense { client: CLIENTS - 1, pieces: 2 }).await;
                        open.push(client);
                    }
                    open
                });
                let each = (subject.memory().saturating_sub(before)) as f64 / STREAMS as f64;
                drop(open);
                self.report.tell(&format!("{}: an open stream, {dialect:?}", subject.name), "KB", each);
            }
        }
    }

    /// Memory of the gateway over so many requests of all sorts.
    fn endurance(&mut self, requests: usize) {
        let Some(subject) = self.subjects.iter().find(|subject| subject.name == "gateway") else { return };
        let (mut done, mut early) = (0, None);
        let since = Instant::now();
        while done < requests {
            for work in WORKS.iter().filter(|work| work.bytes <= 32 * KB) {
                let ask = match work.order {
                    Kind::Fail => subject.failing(work.bytes),
                    _ => subject.ask(work.dialect, work.bytes, matches!(work.order, Kind::Dense | Kind::Burst)),
                };
                self.runtime.block_on(self.run(subject, &ask, work, 8));
                done += work.requests;
            }
            if done >= 50_000 {
                early.get_or_insert_with(|| subject.memory());
            }
        }
        let late = subject.memory();
        let early = early.unwrap_or(late);
        println!("{done} requests took {:?}", since.elapsed());
        self.report.tell("gateway: memory after 50,000 requests", "MB", early as f64 / 1024.0);
        self.report.tell(&format!("gateway: memory after {done} requests"), "MB", late as f64 / 1024.0);
    }
}
