//! The border to the foreign language: no panic crosses it, and every exported call answers with a `Result`.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// An error that can also say that the SDK itself is at fault, or is closed.
pub(crate) trait Crossing {
    /// A panic was caught: a bug of ours, and the call's outcome is not known.
    fn internal() -> Self;
    /// The runtime is shut down.
    fn closed() -> Self;
}

/// Performs `call`; a panic in it becomes [`Crossing::internal`].
///
/// uniffi would catch it too, but hands it on as an exception that no signature names, and in Swift as an abort where the function does not throw.
pub(crate) fn guarded<T, E: Crossing>(call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        forget_panic(panic);
        Err(E::internal())
    })
}

/// Drops what a panic carried. Dropping it may itself panic, and that must not cross either.
pub(crate) fn forget_panic(panic: Box<dyn std::any::Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(move || drop(panic))) {
        std::mem::forget(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Failure {
        Internal,
        Closed,
    }
    impl Crossing for Failure {
        fn internal() -> Self {
            Self::Internal
        }
        fn closed() -> Self {
            Self::Closed
        }
    }

    struct PanicsWhenDropped;
    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            panic!("and again");
        }
    }

    #[test]
    fn a_panic_becomes_an_internal_error_of_the_call() {
        assert_eq!(
            guarded::<(), Failure>(|| panic!("a bug")),
            Err(Failure::Internal)
        );
        assert_eq!(guarded::<_, Failure>(|| Ok(7)), Ok(7));
        assert_eq!(
            guarded::<(), _>(|| Err(Failure::Closed)),
            Err(Failure::Closed)
        );
    }

    #[test]
    fn a_panic_whose_payload_panics_when_dropped_does_not_cross() {
        let outcome = guarded::<(), Failure>(|| std::panic::panic_any(PanicsWhenDropped));
        assert_eq!(outcome, Err(Failure::Internal));
    }
}
