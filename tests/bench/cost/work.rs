//! What is done again and again, and by how many of what its cost is told.

use std::sync::Arc;

use super::client::{Ask, Client};
use super::subject::Subject;
use super::upstream::{Order, Paces};
use crate::bodies::Dialect::{self, Anthropic, OpenAi};

/// Clients at once.
pub const MANY: usize = 16;
/// Pieces of a stream.
const PIECES: usize = 200;
/// Pieces of the stream that is taken off.
const FEW: usize = 8;
const KB: usize = 1 << 10;

/// One sort of request.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    pub name: &'static str,
    /// Of the request, about.
    pub bytes: usize,
    pub dialect: Dialect,
    /// In a round, a multiple of [`MANY`]: few, since what else the machine does comes and goes within seconds.
    pub requests: usize,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Whole,
    Dense,
    Burst,
    Fail,
}

use Kind::{Burst, Dense, Fail, Whole};

pub const WORKS: &[Work] = &[
    Work { name: "OpenAI, 2 KB", bytes: 2 * KB, dialect: OpenAi, requests: 480, kind: Whole },
    Work { name: "OpenAI, 32 KB", bytes: 32 * KB, dialect: OpenAi, requests: 240, kind: Whole },
    Work { name: "OpenAI, 200 KB", bytes: 200 * KB, dialect: OpenAi, requests: 96, kind: Whole },
    Work { name: "OpenAI, 1 MB", bytes: 1000 * KB, dialect: OpenAi, requests: 32, kind: Whole },
    Work { name: "Anthropic, 2 KB", bytes: 2 * KB, dialect: Anthropic, requests: 480, kind: Whole },
    Work { name: "Anthropic, 32 KB", bytes: 32 * KB, dialect: Anthropic, requests: 240, kind: Whole },
    Work { name: "Anthropic, 200 KB", bytes: 200 * KB, dialect: Anthropic, requests: 96, kind: Whole },
    Work { name: "Anthropic, 1 MB", bytes: 1000 * KB, dialect: Anthropic, requests: 32, kind: Whole },
    Work { name: "503, then Anthropic, 2 KB", bytes: 2 * KB, dialect: OpenAi, requests: 240, kind: Fail },
    Work { name: "OpenAI, a dense chunk", bytes: 2 * KB, dialect: OpenAi, requests: 32, kind: Dense },
    Work { name: "Anthropic, a dense chunk", bytes: 2 * KB, dialect: Anthropic, requests: 32, kind: Dense },
    Work { name: "OpenAI, a chunk in a burst", bytes: 2 * KB, dialect: OpenAi, requests: 96, kind: Burst },
    Work { name: "Anthropic, a chunk in a burst", bytes: 2 * KB, dialect: Anthropic, requests: 96, kind: Burst },
];

impl Work {
    /// What it costs, in microseconds of the processor, for a request or a chunk.
    pub async fn cost(&self, subject: &Subject, paces: &Paces) -> f64 {
        // What the subject before has left in the caches is not this one's to pay for.
        self.run(subject, paces, MANY, FEW).await;
        let streamed = self.run(subject, paces, self.requests, PIECES + FEW).await;
        match self.kind {
            Whole | Fail => streamed,
            // What a stream costs besides is taken off.
            Dense | Burst => (streamed - self.run(subject, paces, self.requests, FEW).await) / PIECES as f64,
        }
    }

    /// So many requests; what each took of the processor, in microseconds.
    pub async fn run(&self, subject: &Subject, paces: &Paces, requests: usize, pieces: usize) -> f64 {
        let ask = match self.kind {
            Fail => subject.failing(self.bytes),
            _ => subject.ask(self.dialect, self.bytes, matches!(self.kind, Dense | Burst)),
        };
        let since = subject.cpu();
        let clients: Vec<_> = (0..MANY)
            .map(|client| {
                let order = match self.kind {
                    Whole => Order::Whole,
                    Fail => Order::Fail,
                    Burst => Order::Burst { pieces },
                    Dense => Order::Dense { client, pieces },
                };
                let (address, ask, paces) = (subject.address.clone(), ask.clone(), paces.clone());
                tokio::spawn(repeat(address, ask, order, paces, requests / MANY))
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        (subject.cpu() - since).as_secs_f64() * 1e6 / requests as f64
    }
}

async fn repeat(address: Arc<str>, ask: Ask, order: Order, paces: Paces, times: usize) {
    let mut connection = Client::connect(&address).await;
    for _ in 0..times {
        connection.ask(&ask, order, &paces).await;
    }
}

/// Who goes first in this round, and who after whom: in as many rounds as there are subjects, or in twice as many if their
/// number is odd, everyone comes after every other equally often (Williams, 1949).
pub fn order(subjects: usize, round: usize) -> Vec<usize> {
    let zigzag = (0..subjects).map(|place| if place % 2 == 0 { place / 2 } else { subjects - 1 - place / 2 });
    let mut order: Vec<usize> = zigzag.map(|subject| (subject + round) % subjects).collect();
    if round / subjects % 2 == 1 {
        order.reverse();
    }
    order
}
