//! OpenAI's chat completions and embeddings, as clients write and read them, with the members that other gateways and
//! providers added to carry thoughts, cache marks, sources and images: `reasoning_content`, `reasoning_details`,
//! `thinking_blocks`, `cache_control`, `citations`, `images`.
//!
//! <https://platform.openai.com/docs/api-reference/chat>

mod answer;
mod citations;
mod embeddings;
mod error;
mod field;
mod logprobs;
mod media;
mod message;
mod models;
mod produced;
mod request;
mod stream;
mod thinking;
mod tools;

pub use self::answer::{answer, finishes};
pub use self::embeddings::{embeddings, embeddings_encoding, embeddings_request};
pub use self::error::{error_body, error_event};
pub use self::models::{model, models};
pub use self::request::request;
pub use self::stream::StreamEncoder;
