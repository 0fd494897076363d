//! What the host supplies: vault, device key, transport. Each is a synchronous foreign trait, wrapped in an adapter for the core.
//!
//! An adapter catches what the host throws, bounds what it answers, and keeps no text of a foreign exception.

mod device_key;
mod transport;
mod trust;
mod vault;

pub use device_key::{DeviceKey, DeviceKeyError};
pub use transport::{HttpExchange, Transport, TransportFailure};
pub use trust::TrustDecision;
pub use vault::{Vault, VaultError};

pub(crate) use device_key::HostDeviceKey;
pub(crate) use transport::HostTransport;
pub(crate) use trust::HostTrust;
pub(crate) use vault::HostVault;
