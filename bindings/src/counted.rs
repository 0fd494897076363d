//! Counts living objects, for the suites that look for leaks. Without the feature `test-hooks` it is nothing at all.

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Postern,
    Login,
    Step,
}

/// Counts for as long as it lives.
pub(crate) struct Counted {
    #[cfg(feature = "test-hooks")]
    kind: Kind,
}

#[cfg(feature = "test-hooks")]
static LIVING: [std::sync::atomic::AtomicI64; 3] =
    [const { std::sync::atomic::AtomicI64::new(0) }; 3];

impl Counted {
    #[cfg(feature = "test-hooks")]
    pub(crate) fn new(kind: Kind) -> Self {
        LIVING[kind as usize].fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Self { kind }
    }

    #[cfg(not(feature = "test-hooks"))]
    pub(crate) fn new(_: Kind) -> Self {
        Self {}
    }

    /// How many live now.
    #[cfg(feature = "test-hooks")]
    pub(crate) fn living(kind: Kind) -> i64 {
        LIVING[kind as usize].load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[cfg(feature = "test-hooks")]
impl Drop for Counted {
    fn drop(&mut self) {
        LIVING[self.kind as usize].fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
    }
}
