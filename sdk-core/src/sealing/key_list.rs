//! The signed key list (contract section 5).

/// Why a key list is not used. No secret leaves the device then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyListError {
    /// It is not a signed key list, or lacks a member.
    #[error("malformed")]
    Malformed,
    /// The offline root did not sign it.
    #[error("not signed by the configured root")]
    Signature,
    /// It is another account center's.
    #[error("another issuer")]
    Issuer,
    /// It has expired.
    #[error("expired")]
    Expired,
    /// It is older than one that was accepted before.
    #[error("older than the last accepted")]
    RolledBack,
    /// None of its keys is of a suite that this version knows.
    #[error("no key of a known suite")]
    NoUsableKey,
}
