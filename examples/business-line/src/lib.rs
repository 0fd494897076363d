//! A business line of the bank: loyalty points that follow their owner, whatever user id that is at present (W6).

pub mod catch_up;
pub mod event;
pub mod ledger;
pub mod server;

pub use catch_up::AccountCenter;
pub use event::Event;
pub use ledger::{Ledger, Taken};
pub use server::{BusinessLine, router};
