//! For the fuzzer and the property tests: everything of a provider's that is read by code of ours.

use super::{alipay, oidc, qq};

/// Reads any bytes as each kind of answer. What it gives says how much was taken, so that nothing is optimised away.
pub fn read_all(bytes: &[u8]) -> usize {
    let jsonp = qq::unwrapped(bytes).map_or(0, <[u8]>::len);
    let token = usize::from(qq::form_token(bytes).is_some());
    let cut = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| alipay::cut(text, "alipay_system_oauth_token_response"))
        .map_or(0, str::len);
    jsonp + token + cut + oidc::read_all(bytes)
}
