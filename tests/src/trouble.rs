//! What can go wrong around a test.

/// Why a world could not be started or a scenario not be played as described.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A file or a process.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A request to the simulator.
    #[error("the simulator: {0}")]
    Simulator(#[from] reqwest::Error),
    /// JSON that is not what it should be.
    #[error("{what}: {source}")]
    Json {
        /// Whose.
        what: String,
        /// Why it can't be read.
        source: serde_json::Error,
    },
    /// Anything that went otherwise than described.
    #[error("{0}")]
    Unexpected(String),
}

/// A result of the harness.
pub type Result<T> = std::result::Result<T, Trouble>;

impl Trouble {
    /// For `map_err`: an I/O error and what was being done.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// For `map_err`: a JSON error and whose text it was.
    pub(crate) fn json(what: impl Into<String>) -> impl FnOnce(serde_json::Error) -> Self {
        let what = what.into();
        move |source| Self::Json { what, source }
    }
}

/// An error with this text.
pub(crate) fn unexpected<T>(text: impl Into<String>) -> Result<T> {
    Err(Trouble::Unexpected(text.into()))
}
