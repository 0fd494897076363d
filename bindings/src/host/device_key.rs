//! A device key of the host: Android Keystore, Secure Enclave.

use std::sync::Arc;

use postern_sdk_core::proof as sdk;

/// Why the device key did not sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum DeviceKeyError {
    /// It can't be used at the moment (locked device, busy hardware). Nobody is signed out.
    #[error("the device key is not available at the moment")]
    Unavailable,
    /// It is lost for good; a session bound to it can't go on.
    #[error("the device key is lost")]
    Invalidated,
    /// Anything else.
    #[error("the device key failed")]
    Failed,
}

impl From<uniffi::UnexpectedUniFFICallbackError> for DeviceKeyError {
    /// The reason may be a whole stack trace, so it is dropped.
    fn from(_: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed
    }
}

impl From<DeviceKeyError> for sdk::DeviceKeyError {
    fn from(error: DeviceKeyError) -> Self {
        match error {
            DeviceKeyError::Unavailable => Self::Unavailable,
            DeviceKeyError::Invalidated => Self::Invalidated,
            DeviceKeyError::Failed => Self::Failed {
                what: "the host's device key".to_owned(),
            },
        }
    }
}

/// An ES256 key that never leaves the device (RFC 9449). Called on the SDK's threads; may block, even for seconds.
#[uniffi::export(foreign)]
pub trait DeviceKey: Send + Sync {
    /// The public half, an uncompressed SEC1 point (65 bytes that begin with 4); makes the key where there is none yet.
    fn public_key(&self) -> Result<Vec<u8>, DeviceKeyError>;
    /// ECDSA on P-256 with SHA-256 over `message`, encoded in DER, as Android and Apple give it.
    fn sign(&self, message: Vec<u8>) -> Result<Vec<u8>, DeviceKeyError>;
}

/// A host's device key for the core.
pub(crate) struct HostDeviceKey(pub(crate) Arc<dyn DeviceKey>);

fn failed(what: &str) -> sdk::DeviceKeyError {
    sdk::DeviceKeyError::Failed {
        what: what.to_owned(),
    }
}

impl sdk::DeviceKey for HostDeviceKey {
    fn public_jwk(&self) -> Result<sdk::PublicJwk, sdk::DeviceKeyError> {
        let point = self.0.public_key()?;
        sdk::PublicJwk::from_sec1(&point)
            .ok_or_else(|| failed("the host's public key is no uncompressed point on P-256"))
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], sdk::DeviceKeyError> {
        let der = self.0.sign(message.to_vec())?;
        sdk::signature_from_der(&der)
            .ok_or_else(|| failed("the host's signature is no DER-encoded ES256 signature"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use sdk::DeviceKey as _;

    struct Gives(Result<Vec<u8>, DeviceKeyError>);
    impl DeviceKey for Gives {
        fn public_key(&self) -> Result<Vec<u8>, DeviceKeyError> {
            self.0.clone()
        }
        fn sign(&self, _: Vec<u8>) -> Result<Vec<u8>, DeviceKeyError> {
            self.0.clone()
        }
    }
    fn key(answer: Result<Vec<u8>, DeviceKeyError>) -> HostDeviceKey {
        HostDeviceKey(Arc::new(Gives(answer)))
    }

    #[test]
    fn a_der_signature_becomes_r_and_s_of_rfc_7518() {
        let mut der = vec![0x30, 0x25, 0x02, 0x01, 0x05, 0x02, 0x20];
        der.extend([7; 32]);
        let raw = key(Ok(der)).sign(b"m").unwrap();
        assert_eq!(
            (raw[31], raw[..31].iter().max(), &raw[32..]),
            (5, Some(&0), &[7; 32][..])
        );
    }

    #[test]
    fn rubbish_from_the_host_is_a_failure_and_no_panic() {
        for rubbish in [
            vec![],
            vec![0x30],
            vec![0x30, 0x00],
            vec![4; 65],
            vec![0x30; 300],
        ] {
            assert!(key(Ok(rubbish)).sign(b"m").is_err());
        }
        for rubbish in [vec![], vec![4; 64], vec![2; 65], vec![4; 66]] {
            assert!(key(Ok(rubbish)).public_jwk().is_err());
        }
    }

    #[test]
    fn a_locked_key_is_not_a_lost_one() {
        assert_eq!(
            key(Err(DeviceKeyError::Unavailable)).sign(b"m"),
            Err(sdk::DeviceKeyError::Unavailable)
        );
        assert_eq!(
            key(Err(DeviceKeyError::Invalidated)).sign(b"m"),
            Err(sdk::DeviceKeyError::Invalidated)
        );
    }
}
