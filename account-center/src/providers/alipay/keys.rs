//! The keys of one app at Alipay: its own private key, and what Alipay's answers are verified with (RSA2: RSASSA-PKCS1-v1_5 with SHA-256).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};

use super::certificate::{Certificate, certificates, decode, rsa_public_key};
use super::message::content;
use crate::secret::SecretText;

/// What Alipay's answers are verified with.
#[derive(Clone, Copy)]
pub enum Theirs<'a> {
    /// Key mode: Alipay's public key (base64 of a `SubjectPublicKeyInfo`, PEM or bare).
    PublicKey(&'a str),
    /// Certificate mode, three PEM files.
    Certificates {
        /// The app's certificate, `appCertPublicKey_….crt`.
        app: &'a str,
        /// Alipay's, `alipayCertPublicKey_RSA2.crt`.
        alipay: &'a str,
        /// Its roots, `alipayRootCert.crt`.
        root: &'a str,
    },
}

/// Which of the keys cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlipayKeyFault {
    /// The app's private key.
    #[error("is not an RSA private key of at least 2048 bits (PKCS#8)")]
    PrivateKey,
    /// Alipay's public key.
    #[error("is not an RSA public key")]
    PublicKey,
    /// The app's certificate.
    #[error("is not a certificate of this private key")]
    AppCertificate,
    /// Alipay's certificate.
    #[error("is not a certificate with an RSA key")]
    AlipayCertificate,
    /// The roots.
    #[error("has no certificate that is signed with RSA")]
    RootCertificate,
}

/// Certificate mode: how the certificates are named in requests and answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Serials {
    /// `app_cert_sn`.
    pub(super) app: String,
    /// `alipay_root_cert_sn`.
    pub(super) root: String,
    /// `alipay_cert_sn` of answers.
    pub(super) alipay: String,
}

/// The keys of one app.
pub struct AlipayKeys {
    own: KeyPair,
    theirs: Vec<u8>,
    serials: Option<Serials>,
}

impl fmt::Debug for AlipayKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlipayKeys")
            .field("serials", &self.serials)
            .finish_non_exhaustive()
    }
}

impl AlipayKeys {
    /// Reads the keys. The private key is PEM or bare base64, PKCS#8, or PKCS#1 as Alipay's tool makes it for other languages than Java.
    pub fn new(private_key: &SecretText, theirs: Theirs<'_>) -> Result<Self, AlipayKeyFault> {
        let der = decode(private_key.expose()).ok_or(AlipayKeyFault::PrivateKey)?;
        let own = KeyPair::from_pkcs8(&der)
            .or_else(|_| KeyPair::from_der(&der))
            .map_err(|_| AlipayKeyFault::PrivateKey)?;
        if own.public().modulus_len() < 256 {
            return Err(AlipayKeyFault::PrivateKey);
        }
        let (theirs, serials) = match theirs {
            Theirs::PublicKey(text) => {
                let der = decode(text).ok_or(AlipayKeyFault::PublicKey)?;
                let key = rsa_public_key(&der).ok_or(AlipayKeyFault::PublicKey)?;
                (key.to_vec(), None)
            }
            Theirs::Certificates { app, alipay, root } => {
                let first = |pem: &str| Some(certificates(pem)?.swap_remove(0));
                let app = first(app)
                    .filter(|app| app.public_key.as_deref() == Some(own.public().as_ref()))
                    .ok_or(AlipayKeyFault::AppCertificate)?;
                let alipay = first(alipay).ok_or(AlipayKeyFault::AlipayCertificate)?;
                let key = alipay.public_key.ok_or(AlipayKeyFault::AlipayCertificate)?;
                let root = roots(&certificates(root).unwrap_or_default())
                    .ok_or(AlipayKeyFault::RootCertificate)?;
                let serials = Serials {
                    app: app.serial,
                    root,
                    alipay: alipay.serial,
                };
                (key, Some(serials))
            }
        };
        Ok(Self {
            own,
            theirs,
            serials,
        })
    }

    /// Certificate mode's names.
    pub(super) fn serials(&self) -> Option<&Serials> {
        self.serials.as_ref()
    }

    /// Whether this key verifies Alipay's answers: production refuses the simulator's.
    pub fn verifies_with(&self, public_key: &str) -> bool {
        decode(public_key).is_some_and(|der| rsa_public_key(&der) == Some(self.theirs.as_slice()))
    }

    /// Signs text; base64. `None` where the system has no memory or randomness for it.
    pub(super) fn sign(&self, text: &str) -> Option<String> {
        let mut signature = vec![0; self.own.public().modulus_len()];
        // The signature is the same each time; randomness only hides the computation.
        self.own
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                text.as_bytes(),
                &mut signature,
            )
            .ok()?;
        Some(STANDARD.encode(signature))
    }

    /// Whether Alipay signed these parameters of a message to us.
    pub fn signed_by_alipay(&self, parameters: &[(&str, &str)], signature: &str) -> bool {
        self.verifies(&content(parameters), signature)
    }

    /// Signs parameters as the app does: in tests the simulator's Alipay has a key of ours.
    #[cfg(test)]
    pub(crate) fn sign_parameters(&self, parameters: &[(&str, &str)]) -> Option<String> {
        self.sign(&content(parameters))
    }

    /// Whether Alipay signed this text.
    pub(super) fn verifies(&self, text: &str, signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else {
            return false;
        };
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.theirs)
            .verify(text.as_bytes(), &signature)
            .is_ok()
    }
}

/// `alipay_root_cert_sn`: the roots that are signed with RSA, joined by underscores.
fn roots(all: &[Certificate]) -> Option<String> {
    let serials: Vec<_> = all
        .iter()
        .filter(|root| root.rsa_signed)
        .map(|root| root.serial.as_str())
        .collect();
    (!serials.is_empty()).then(|| serials.join("_"))
}
