//! OpenAI's dialect, as far as clients, providers and splice have to agree on it: the names of parameters, in what vendors
//! differ, what the id of a tool call carries, how a vector is written. It knows none of them.

mod differences;
mod edits;
mod operation;
mod parameters;
pub mod signed_id;
pub mod vector;

pub use self::differences::Differences;
pub use self::edits::Edits;
pub use self::operation::Operation;
pub use self::parameters::{Dropped, says_nothing};
