//! The account-center client: wire types, problems, prepared calls, the nonce, and when a call is repeated.

mod answers;
mod call;
mod center;
mod exchange;
mod failure;
mod options;
mod problem;
pub(crate) mod replies;
mod retry;
#[cfg(test)]
mod tests;

pub use answers::{Answer, LoginStart};
pub use call::{KeptCall, PreparedCall};
pub use center::AccountCenter;
pub(crate) use center::CenterParts;
pub use failure::CallFailure;
pub use options::{LoginOptions, OfferedProvider};
pub use problem::{Problem, ProblemCode};
pub use replies::{
    FaceRequest, LoginHandle, LoginPlace, LoginReply, NextStep, PasswordRules, VerificationMethod,
};
pub use retry::RetryPolicy;

#[cfg(test)]
pub(crate) use replies::login_reply as read_login_reply;
