//! How much of what may be used by whom: a request reserves what it may use before it goes out, and settles what it used
//! when it is over. Accounts are records that all workers share, so that limits hold for all of them together.

mod account;
mod place;
mod reserve;
mod shared;
pub mod window;

pub use self::place::{At, Who};
pub use self::reserve::{Account, Amounts, Attempted, Refused, Reservation, Room, Turn, has_room, look, reserve};
pub use self::shared::{Asked, asked};
