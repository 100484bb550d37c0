//! How much of what may be used by whom.

pub mod account;
pub mod window;
