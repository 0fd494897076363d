//! The steps of `POST /v1/login` (L2 to L7): a pure decision per answer, and the engine that performs it.

pub mod decision;
pub mod parse;
pub mod wire;
