//! The host's decision about certificates: Android's, so that the app's network security configuration counts.

use std::sync::Arc;

use postern_sdk_core::transport as sdk;

use crate::error::CallbackError;

/// Decides whether a chain of certificates is to be trusted, as the platform would. Called on the SDK's threads; may block.
#[uniffi::export(foreign)]
pub trait TrustDecision: Send + Sync {
    /// Whether `chain` (DER, the server's own certificate first) is to be trusted for `host` now. The name and the pins are checked besides.
    fn is_trusted(&self, chain: Vec<Vec<u8>>, host: String) -> Result<bool, CallbackError>;
}

/// A host's decision for the core. One that fails is a no.
pub(crate) struct HostTrust(pub(crate) Arc<dyn TrustDecision>);

impl sdk::TrustDecision for HostTrust {
    fn is_trusted(&self, chain: &[&[u8]], host: &str) -> bool {
        let chain = chain
            .iter()
            .map(|certificate| certificate.to_vec())
            .collect();
        self.0.is_trusted(chain, host.to_owned()).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdk::TrustDecision as _;

    struct Says(Result<bool, CallbackError>);
    impl TrustDecision for Says {
        fn is_trusted(&self, chain: Vec<Vec<u8>>, host: String) -> Result<bool, CallbackError> {
            assert_eq!(
                (chain, host.as_str()),
                (vec![vec![1], vec![2, 3]], "login.bank.example")
            );
            self.0
        }
    }

    #[test]
    fn a_decision_that_throws_is_a_no() {
        let ask = |answer| {
            HostTrust(Arc::new(Says(answer))).is_trusted(&[&[1], &[2, 3]], "login.bank.example")
        };
        assert!(ask(Ok(true)));
        assert!(!ask(Ok(false)));
        assert!(!ask(Err(CallbackError::Failed)));
    }
}
