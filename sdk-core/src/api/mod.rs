//! The account-center client: wire types, problems, prepared calls, the nonce, and when a call is repeated.

mod answers;
mod call;
mod failure;
mod options;
mod problem;
mod replies;

pub use answers::{Answer, LoginStart};
pub use call::{KeptCall, PreparedCall};
pub use failure::CallFailure;
pub use options::{LoginOptions, OfferedProvider};
pub use problem::{Problem, ProblemCode};
pub use replies::{
    Alternative, FaceRequest, LoginHandle, LoginPlace, LoginReply, NextStep, PasswordRules,
    VerificationMethod,
};
