//! The errors of the core. Each says what happened; what the caller does next is decided in the bindings' one mapping file.

pub use crate::api::CallFailure;
pub use crate::config::ConfigError;
pub use crate::proof::DeviceKeyError;
pub use crate::sealing::KeyListError;
pub use crate::session::SessionFailure;
pub use crate::transport::TransportError;
pub use crate::vault::VaultError;

/// Why a [`crate::Postern`] was not built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The configuration is wrong; the developer mends it.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The folder for the install id can't be used.
    #[error("the data folder can't be used: {what}")]
    DataDir {
        /// The system's reason.
        what: String,
    },
    /// No vault was given.
    #[error("no vault was given")]
    NoVault,
    /// There is no tokio runtime: neither given nor current.
    #[error("no tokio runtime was given and none is current")]
    NoRuntime,
    /// On this system somebody must decide which certificates to trust, and nobody was given.
    #[error("this system needs a trust decision, or a transport of your own")]
    NoTrustDecision,
}
