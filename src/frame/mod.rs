//! From bytes to frames. Knows nothing of JSON, and nothing of LLMs.

pub mod eventstream;
pub mod json_lines;
pub mod sse;
