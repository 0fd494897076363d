//! TC3-HMAC-SHA256.

use ring::digest::{SHA256, digest};
use ring::hmac;

use crate::calendar::Civil;
use crate::context::Timestamp;
use crate::secret::SecretText;

/// Whose signature.
pub(super) struct Signer<'a> {
    pub(super) secret_id: &'a str,
    pub(super) secret_key: &'a SecretText,
    pub(super) service: &'a str,
}

/// What is signed: a POST to `/` without a query.
pub(super) struct Request<'a> {
    /// Those that are signed, with small letters, in the order of their names.
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
    pub(super) at: Timestamp,
}

impl Signer<'_> {
    /// The value of `Authorization`.
    pub(super) fn authorization(&self, request: &Request<'_>) -> String {
        let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let headers: String = request
            .headers
            .iter()
            .flat_map(|(name, value)| [*name, ":", *value, "\n"])
            .collect();
        let body = hex(digest(&SHA256, request.body));
        let canonical = format!("POST\n/\n\n{headers}\n{names}\n{body}");
        let date = Civil::utc(request.at).date();
        let scope = format!("{date}/{}/tc3_request", self.service);
        let text = format!(
            "TC3-HMAC-SHA256\n{}\n{scope}\n{}",
            request.at.seconds(),
            hex(digest(&SHA256, canonical.as_bytes()))
        );
        let first = zeroize::Zeroizing::new(format!("TC3{}", self.secret_key.expose()));
        let key = mac(first.as_bytes(), &date);
        let key = mac(key.as_ref(), self.service);
        let key = mac(key.as_ref(), "tc3_request");
        let signature = hex(mac(key.as_ref(), &text));
        format!(
            "TC3-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.secret_id
        )
    }
}

fn mac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    let digits = b"0123456789abcdef";
    bytes
        .as_ref()
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|half| char::from(digits[usize::from(half)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendors_own_example_is_signed_as_its_documents_say() {
        // "Signature v3" in the vendor's documents; the names and the payload are theirs.
        let signer = Signer {
            secret_id: "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE",
            secret_key: &"Gu5t9xGARNpq86cd98joQYCN3EXAMPLE".into(),
            service: "cvm",
        };
        let request = Request {
            headers: &[
                ("content-type", "application/json; charset=utf-8"),
                ("host", "cvm.tencentcloudapi.com"),
            ],
            body: br#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}"#,
            at: Timestamp::from_seconds(1_551_113_065),
        };
        assert_eq!(
            signer.authorization(&request),
            "TC3-HMAC-SHA256 Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE/2019-02-25/cvm/tc3_request, SignedHeaders=content-type;host, \
             Signature=72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"
        );
    }
}
