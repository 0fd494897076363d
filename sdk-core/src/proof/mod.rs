//! The device key and its proofs of possession (RFC 9449, contract section 2).

mod key;

pub use key::{DeviceKey, DeviceKeyError, PublicJwk, signature_from_der};
