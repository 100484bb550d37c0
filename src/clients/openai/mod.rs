//! OpenAI's chat completions and embeddings, as clients write and read them, with the members that other gateways and providers added
//! to carry thoughts and cache marks: `reasoning_content`, `reasoning_details`, `thinking_blocks`, `cache_control`.
//!
//! <https://platform.openai.com/docs/api-reference/chat>

mod answer;
mod embeddings;
mod error;
mod field;
mod media;
mod message;
mod models;
mod request;
mod stream;
mod thinking;

pub use self::answer::answer;
pub use self::embeddings::{embeddings, embeddings_encoding, embeddings_request};
pub use self::error::{error_body, error_event};
pub use self::models::{model, models};
pub use self::request::request;
pub use self::stream::StreamEncoder;
