//! One proof: a statement, signed with the device key, about one request (RFC 9449, contract section 2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use serde::Serialize;
use url::Url;

use super::{DeviceKey, DeviceKeyError, jws};
use crate::secret::to_secret_json;

/// What a proof states.
#[derive(Serialize)]
pub(crate) struct ProofClaims<'a> {
    pub(crate) jti: &'a str,
    pub(crate) htm: &'a str,
    pub(crate) htu: &'a str,
    pub(crate) iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bh: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ath: Option<&'a str>,
}

/// SHA-256 in base64url: `bh` of a body, `ath` of a token.
pub(crate) fn hash(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, bytes))
}

/// `htu`: the URL without query and fragment (RFC 9449 section 4.2).
pub(crate) fn htu(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// The proof as it stands in the `DPoP` header. Blocks where the key's hardware does.
pub(crate) fn prove(
    key: &dyn DeviceKey,
    claims: &ProofClaims<'_>,
) -> Result<String, DeviceKeyError> {
    let jwk = key.public_jwk()?.to_json();
    let header = format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{jwk}}}"#);
    let payload = to_secret_json(claims).map_err(|_| DeviceKeyError::Failed {
        what: "the proof's claims are no JSON".to_owned(),
    })?;
    jws::sign(key, &header, payload.expose())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;
    use crate::proof::{PublicJwk, SoftwareDeviceKey};
    use crate::secret::SecretBytes;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../contract/vectors/dpop.json")).unwrap()
    }

    fn decoded(text: &Value) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
    }

    fn json_part(jws: &str, part: usize) -> Value {
        let part = jws.split('.').nth(part).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn thumbprints_are_those_of_the_contract_and_of_rfc_9449() {
        let vectors = vectors();
        let all = vectors["keys"].as_array().unwrap().iter();
        for case in all.chain(vectors["thumbprints"].as_array().unwrap()) {
            let point = [
                vec![4],
                decoded(&case["jwk"]["x"]),
                decoded(&case["jwk"]["y"]),
            ]
            .concat();
            let jwk = PublicJwk::from_sec1(&point).unwrap();
            assert_eq!(jwk.thumbprint(), case["thumbprint"].as_str().unwrap());
            assert_eq!(
                serde_json::from_str::<Value>(&jwk.to_json()).unwrap(),
                case["jwk"]
            );
        }
    }

    #[test]
    fn proofs_say_what_the_contracts_good_proofs_say_and_are_signed() {
        let vectors = vectors();
        let pkcs8 = SecretBytes::new(decoded(&vectors["keys"][0]["pkcs8"]));
        let key = SoftwareDeviceKey::from_pkcs8(&pkcs8).unwrap();
        let base = vectors["public_url"].as_str().unwrap();
        let mut compared = 0;
        for case in vectors["good"].as_array().unwrap() {
            let claims = &case["claims"];
            // What only other clients send: other spellings of the URL, claims that are not ours, odd clocks.
            let ours = [
                "login without a token",
                "account with a token, no body",
                "the last second of a nonce",
            ];
            if !ours.contains(&case["name"].as_str().unwrap()) {
                continue;
            }
            let url =
                Url::parse(&format!("{base}{}?x=1#y", case["path"].as_str().unwrap())).unwrap();
            let ath = case["access_token"]
                .as_str()
                .map(|token| hash(token.as_bytes()));
            let proof = prove(
                &key,
                &ProofClaims {
                    jti: claims["jti"].as_str().unwrap(),
                    htm: case["method"].as_str().unwrap(),
                    htu: &htu(&url),
                    iat: claims["iat"].as_u64().unwrap(),
                    nonce: claims["nonce"].as_str(),
                    bh: Some(&hash(case["body"].as_str().unwrap().as_bytes())),
                    ath: ath.as_deref(),
                },
            )
            .unwrap();
            assert_eq!(json_part(&proof, 1), *claims, "{}", case["name"]);
            let header =
                json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": vectors["keys"][0]["jwk"]});
            assert_eq!(json_part(&proof, 0), header);
            let point = key.public_jwk().unwrap().to_sec1();
            let theirs = case["proof"].as_str().unwrap();
            for signed in [proof.as_str(), theirs] {
                assert!(jws::Parts::read(signed).unwrap().is_signed_by(&point));
            }
            let other = SoftwareDeviceKey::generate()
                .unwrap()
                .0
                .public_jwk()
                .unwrap();
            assert!(
                !jws::Parts::read(&proof)
                    .unwrap()
                    .is_signed_by(&other.to_sec1())
            );
            compared += 1;
        }
        assert!(compared >= 2);
    }
}
