//! How a call can fail.

use super::Problem;
use crate::proof::DeviceKeyError;
use crate::transport::TransportError;
use crate::vault::VaultError;

/// How a call failed, after the repetitions that were allowed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CallFailure {
    /// The account center said no, and why.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// No reply. The call may have been carried out; repeating it with the same bytes and key is safe.
    #[error("network: {0}")]
    Network(TransportError),
    /// A reply that is not the contract's.
    #[error("the reply can't be understood")]
    Unintelligible,
    /// The key list failed a check: no secret leaves the device (contract section 5).
    #[error("the key list was rejected: {0}")]
    KeyListRejected(crate::sealing::KeyListError),
    /// Something that had to be read or kept could not be.
    #[error("{0}")]
    Vault(VaultError),
    /// The device key did not sign.
    #[error("{0}")]
    DeviceKey(DeviceKeyError),
}

impl CallFailure {
    /// The problem, where the account center gave one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }
}

impl From<Problem> for CallFailure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<TransportError> for CallFailure {
    fn from(error: TransportError) -> Self {
        Self::Network(error)
    }
}

impl From<VaultError> for CallFailure {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

impl From<DeviceKeyError> for CallFailure {
    fn from(error: DeviceKeyError) -> Self {
        Self::DeviceKey(error)
    }
}

impl From<crate::sealing::KeyListError> for CallFailure {
    fn from(error: crate::sealing::KeyListError) -> Self {
        Self::KeyListRejected(error)
    }
}
