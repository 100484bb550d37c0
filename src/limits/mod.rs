//! How much of what may be used by whom: a request reserves what it may use before it goes out, and settles what it used
//! when it is over. Accounts are records that all workers share, so that limits hold for all of them together.

mod account;
mod book;
mod place;
mod reservation;
mod reserve;
mod shared;
#[cfg(test)]
mod tests;
pub mod window;

pub use self::place::{At, Who};
pub use self::reservation::{Attempted, Reservation};
pub use self::reserve::{Account, Amounts, Refused, Room, Turn, has_room, look, reserve};
pub use self::shared::{Asked, asked};
