//! Hooks for the suites of `bindings/kotlin` and `bindings/swift`. Only with the feature `test-hooks`, never in what ships.

use crate::boundary::guarded;
use crate::counted::{Counted, Kind};
use crate::error::StepError;

/// How many SDKs live.
#[uniffi::export]
pub fn testing_living_posterns() -> Result<i64, StepError> {
    Ok(Counted::living(Kind::Postern))
}

/// How many logins live.
#[uniffi::export]
pub fn testing_living_logins() -> Result<i64, StepError> {
    Ok(Counted::living(Kind::Login))
}

/// How many step objects live.
#[uniffi::export]
pub fn testing_living_steps() -> Result<i64, StepError> {
    Ok(Counted::living(Kind::Step))
}

/// Panics inside the boundary.
#[uniffi::export]
pub fn testing_panic() -> Result<(), StepError> {
    guarded(|| panic!("a panic that a test asked for"))
}
