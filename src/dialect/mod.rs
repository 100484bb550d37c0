//! OpenAI's dialect, as far as clients, providers and splice have to agree on it: the names of parameters, in what vendors
//! differ, what the id of a tool call carries, how a vector is written. It knows none of them.

mod differences;
mod edits;
mod operation;
mod parameters;
mod short_id;
pub mod signed_id;
pub mod vector;

pub use self::differences::Differences;
pub use self::edits::Edits;
pub use self::operation::Operation;
pub use self::parameters::{Dropped, says_nothing};
pub use self::short_id::short_id;

/// By what name thoughts are known that are parts of `content`, which are Mistral's, so that they are shown to no other:
/// `reasoning_details[].format`, where OpenRouter has no word of its own for them.
pub const THOUGHTS_IN_CONTENT: &str = "mistral-v1";
