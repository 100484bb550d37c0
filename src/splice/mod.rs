//! OpenAI's dialect on both sides: the bytes go through as they came, but for the few spans that must differ.
//!
//! Members that the gateway has never heard of survive, and nothing is written again. What is found on the way (usage,
//! errors, the end) is told to the caller; nothing here decides what follows from it.

mod answer;
mod differ;
mod edit;
mod mend;
mod patch;
mod repeat;
mod request;
mod sift;
mod stream;
mod usage;

pub use self::answer::{answer, embeddings, list};
pub use self::edit::edit;
pub use self::request::{Facts, Spans, request};
pub use self::stream::Stream;
