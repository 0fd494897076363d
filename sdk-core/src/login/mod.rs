//! The login: a pure flow, the driver that performs its effects, and the steps that hosts see.

pub mod facts;
mod failure;
pub(crate) mod flow;
pub mod phone_number;
pub(crate) mod state;
