//! A self-signed certificate, written by hand: the tests need one, and no crate for it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

const ECDSA_WITH_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];
const EC_PUBLIC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
const P256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1D, 0x11];

pub(super) struct TestCertificate {
    certificate: Vec<u8>,
    key: Vec<u8>,
    spki: Vec<u8>,
}

impl TestCertificate {
    /// For one DNS name, from 2020 to 2049.
    pub(super) fn new(name: &str) -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref(), &random)
            .unwrap();
        let algorithm = der(0x30, &[&der(6, &[ECDSA_WITH_SHA256])]);
        let named = der(
            0x30,
            &[&der(
                0x31,
                &[&der(
                    0x30,
                    &[&der(6, &[COMMON_NAME]), &der(0x0C, &[name.as_bytes()])],
                )],
            )],
        );
        let validity = der(
            0x30,
            &[
                &der(0x17, &[b"200101000000Z"]),
                &der(0x17, &[b"490101000000Z"]),
            ],
        );
        let spki = der(
            0x30,
            &[
                &der(0x30, &[&der(6, &[EC_PUBLIC_KEY]), &der(6, &[P256])]),
                &der(3, &[&[0], pair.public_key().as_ref()]),
            ],
        );
        let subject_names = der(4, &[&der(0x30, &[&der(0x82, &[name.as_bytes()])])]);
        let extensions = der(
            0xA3,
            &[&der(
                0x30,
                &[&der(0x30, &[&der(6, &[SUBJECT_ALT_NAME]), &subject_names])],
            )],
        );
        let version = der(0xA0, &[&der(2, &[&[2]])]);
        let to_sign = der(
            0x30,
            &[
                &version,
                &der(2, &[&[1]]),
                &algorithm,
                &named,
                &validity,
                &named,
                &spki,
                &extensions,
            ],
        );
        let signature = pair.sign(&random, &to_sign).unwrap();
        Self {
            certificate: der(
                0x30,
                &[&to_sign, &algorithm, &der(3, &[&[0], signature.as_ref()])],
            ),
            key: key.as_ref().to_vec(),
            spki,
        }
    }

    pub(super) fn pin(&self) -> String {
        format!(
            "sha256/{}",
            STANDARD.encode(digest::digest(&digest::SHA256, &self.spki))
        )
    }

    pub(super) fn server_config(&self) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(self.certificate.clone())],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone())),
            )
            .unwrap()
    }
}

/// Tag, length in its shortest form, content.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let mut out = vec![tag];
    match (high, low) {
        (0, 0..128) => out.push(low),
        (0, _) => out.extend([0x81, low]),
        _ => out.extend([0x82, high, low]),
    }
    out.extend(content);
    out
}
