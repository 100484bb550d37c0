//! One HTTP request, and the answer to it, as a machine without a host: bytes and headers in, a [`Step`] out.
//!
//! [`Gateway`] stands before the router, once per client request: it decides where the request goes, and writes that down
//! as a [`crate::route::Plan`]. [`Attempt`] stands in the provider's cluster, once per attempt: it says the request in the
//! provider's dialect and the answer in the client's, and decides whether Envoy is to try the next target.
//!
//! [`Single`] is both in one place, where there is no other.
//!
//! None of them knows a clock, randomness, or the host; all are driven by `crate::shell` and by tests alike.

mod access;
mod account;
mod attempt;
mod credentials;
mod endpoint;
mod fleet;
mod gateway;
mod headers;
mod identity;
mod images;
mod labels;
mod ledger;
mod log;
mod metrics;
mod page;
mod payload;
mod question;
mod queue;
mod rate_limit;
mod record;
mod relay;
mod retry_after;
mod single;
mod status;
mod step;
mod sticky;
mod subject;
mod tally;
mod traffic;
mod usage;
mod verdict;

pub use self::attempt::{Attempt, Upstream};
pub use self::endpoint::{ENDPOINTS, Endpoint};
pub use self::gateway::Gateway;
pub use self::ledger::{Ledger, Tried};
pub use self::question::explain;
pub use self::queue::Queue;
pub use self::record::{Asked, Attempted, Outcome, Record, Refusal, Used};
pub use self::single::Single;
pub use self::step::{Ending, Flow, Host, Machine, Notice, Reply, Step, Want};
pub use self::tally::Tally;
