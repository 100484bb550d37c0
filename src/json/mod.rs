//! JSON as the gateway needs it: read once into a flat index over the caller's bytes, written once into one buffer.
//!
//! Bodies reach hundreds of kilobytes, nearly all of it in a few strings that go on unchanged. So nothing here builds a
//! tree, and nothing unescapes a string that only has to be copied: [`Str`] is the text as it stands between the quotes.
//! It knows nothing of LLMs. Configuration and other small documents use serde_json.

mod document;
mod parse;
mod scan;
mod str;
mod write;

pub use self::document::{Document, Elements, Kind, Members, Outline, Value};
pub use self::parse::{Invalid, MAX_DEPTH, MAX_NODES, literal_at};
pub use self::str::Str;
pub use self::write::{Quoted, Write, Writer};
