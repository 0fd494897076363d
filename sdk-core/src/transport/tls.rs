//! TLS: rustls with ring, the platform's trust decision or the host's, then the pins.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use ring::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::{SpkiPin, crypto};

/// Decides whether a chain of certificates is to be trusted, as the platform would: on Android through `X509TrustManagerExtensions`, so that the
/// app's network security configuration counts. Name and signature of the handshake, and the pins, are checked besides.
pub trait TrustDecision: Send + Sync {
    /// Whether `chain` (DER, the server's own certificate first) is to be trusted for `host` now. May block for as long as a connection may take.
    fn is_trusted(&self, chain: &[&[u8]], host: &str) -> bool;
}

/// The pins in force; shared with whoever learns new ones.
pub(crate) type Pins = Arc<RwLock<Vec<SpkiPin>>>;

/// A client configuration. The platform's roots are read here, which takes a moment.
pub(crate) fn client_config(
    trust: Option<Arc<dyn TrustDecision>>,
    pins: Pins,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(crypto::provider());
    let chain = match trust {
        Some(trust) => Chain::Host(trust),
        None => platform(&provider)?,
    };
    let verifier = Verifier {
        chain,
        pins,
        algorithms: provider.signature_verification_algorithms,
    };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// Whether this system has a verifier of its own that needs no help from the host.
pub(crate) const PLATFORM_DECIDES: bool = cfg!(not(target_os = "android"));

#[cfg(not(target_os = "android"))]
fn platform(provider: &Arc<CryptoProvider>) -> Result<Chain, Error> {
    let verifier = rustls_platform_verifier::Verifier::new(Arc::clone(provider))?;
    Ok(Chain::Platform(Arc::new(verifier)))
}

#[cfg(target_os = "android")]
fn platform(_: &Arc<CryptoProvider>) -> Result<Chain, Error> {
    Err(Error::General("a trust decision is needed".to_owned()))
}

enum Chain {
    Platform(Arc<dyn ServerCertVerifier>),
    Host(Arc<dyn TrustDecision>),
}

struct Verifier {
    chain: Chain,
    pins: Pins,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.chain {
            Chain::Platform(platform) => {
                platform.verify_server_cert(leaf, intermediates, name, ocsp, now)?;
            }
            Chain::Host(host) => {
                // A host's trust manager looks at the chain; that the certificate is this name's is for us to see.
                verify_server_name(&ParsedCertificate::try_from(leaf)?, name)?;
                let mut chain: Vec<&[u8]> = vec![leaf.as_ref()];
                chain.extend(intermediates.iter().map(AsRef::as_ref));
                if !host.is_trusted(&chain, &name.to_str()) {
                    return Err(CertificateError::UnknownIssuer.into());
                }
            }
        }
        self.check_pins(leaf)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl Verifier {
    /// The server's own key must be pinned. A pinned intermediate would not do: anybody can send one along beside a chain that does not use it.
    fn check_pins(&self, leaf: &CertificateDer<'_>) -> Result<(), Error> {
        let pins = self.pins.read().unwrap_or_else(PoisonError::into_inner);
        if pins.is_empty() {
            return Ok(());
        }
        let key = ParsedCertificate::try_from(leaf)?.subject_public_key_info();
        let hash = digest::digest(&digest::SHA256, &key);
        if pins.iter().any(|pin| pin.0 == hash.as_ref()) {
            return Ok(());
        }
        tracing::warn!("the account center's certificate has none of the pinned keys");
        Err(CertificateError::ApplicationVerificationFailure.into())
    }
}
