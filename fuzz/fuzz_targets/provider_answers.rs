//! Any bytes as the answer of a provider: JSONP, a form, what Alipay signed, an issuer's configuration, keys and ID tokens.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_account_center::providers::untrusted::read_all;

fuzz_target!(|data: &[u8]| {
    let _ = read_all(data);
});
