//! The device key and its proofs of possession (RFC 9449, contract section 2).

pub(crate) mod dpop;
mod identity;
pub(crate) mod jws;
mod key;
mod software;

pub(crate) use identity::{DeviceIdentity, Proved};
pub use key::{DeviceKey, DeviceKeyError, PublicJwk, signature_from_der};
pub use software::SoftwareDeviceKey;
pub(crate) use software::VaultedDeviceKey;
