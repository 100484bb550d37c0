//! How much of what may be used by whom: a request reserves what it may use before it goes out, and settles what it used
//! when it is over. Accounts are records that all workers share, so that limits hold for all of them together.

mod account;
mod reserve;
mod shared;
pub mod window;

pub use self::reserve::{
    Account, Amounts, At, Attempted, Refused, Reservation, Room, Turn, Who, has_room, look, reserve,
};
pub use self::shared::{Asked, asked};
