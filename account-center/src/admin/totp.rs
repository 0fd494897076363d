//! The second factor: time-based one-time passwords (RFC 6238) over HMAC-SHA-1, six digits, steps of 30 seconds, as every authenticator app has them.

use ring::hmac;
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::Zeroizing;

use crate::context::{Context, Timestamp};

/// Bytes of a secret (RFC 4226 section 4, R6: 160 bits).
const LENGTH: usize = 20;
/// Seconds of a step.
const STEP: i64 = 30;
/// Steps before and after the present one whose code is taken: people are slow, and clocks differ.
const SLACK: i64 = 1;

/// A secret that an authenticator app shares. Wiped when dropped; it has no Debug.
pub(super) struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub(super) fn generate(context: &Context) -> Self {
        Self(Zeroizing::new(context.bytes::<LENGTH>().to_vec()))
    }

    pub(super) fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Base32 (RFC 4648 section 6) without padding: what a person types into the app.
    pub(super) fn base32(&self) -> Zeroizing<String> {
        const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let mut text = Zeroizing::new(String::with_capacity(self.0.len() * 8 / 5 + 1));
        let (mut bits, mut count) = (0_u32, 0);
        for byte in self.0.iter() {
            bits = (bits << 8) | u32::from(*byte);
            count += 8;
            while count >= 5 {
                count -= 5;
                text.push(char::from(ALPHABET[((bits >> count) & 31) as usize]));
            }
            bits &= (1 << count) - 1;
        }
        if count > 0 {
            text.push(char::from(ALPHABET[((bits << (5 - count)) & 31) as usize]));
        }
        text
    }

    /// The time step whose code this is, if it is one that is taken now. All steps are compared, so that the time taken tells nothing.
    pub(super) fn step_of(&self, code: &str, now: Timestamp) -> Option<i64> {
        let present = now.seconds().div_euclid(STEP);
        let mut found = i64::MIN;
        for step in present - SLACK..=present + SLACK {
            let right = self.code(step).as_bytes().ct_eq(code.as_bytes());
            found = i64::conditional_select(&found, &step, right);
        }
        (found != i64::MIN).then_some(found)
    }

    /// RFC 4226 section 5.3, of a time step.
    fn code(&self, step: i64) -> Zeroizing<String> {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let offset = usize::from(tag[19] & 15);
        let number = u32::from_be_bytes([
            tag[offset] & 0x7f,
            tag[offset + 1],
            tag[offset + 2],
            tag[offset + 3],
        ]);
        Zeroizing::new(format!("{:06}", number % 1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::from_bytes(Zeroizing::new(b"12345678901234567890".to_vec()))
    }

    #[test]
    fn codes_are_those_of_rfc_6238_appendix_b() {
        // The appendix has eight digits; six are the last of them.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(*secret().code(seconds / STEP), code, "{seconds}");
        }
    }

    #[test]
    fn a_code_is_taken_one_step_early_or_late_and_no_more() {
        let at = |seconds| secret().step_of("287082", Timestamp::from_seconds(seconds));
        assert_eq!(at(0), Some(1));
        assert_eq!(at(59), Some(1));
        assert_eq!(at(89), Some(1));
        assert_eq!(at(90), None);
        assert_eq!(at(-1), None);
        assert_eq!(secret().step_of("", Timestamp::from_seconds(59)), None);
        assert_eq!(
            secret().step_of("2870820", Timestamp::from_seconds(59)),
            None
        );
    }

    #[test]
    fn base32_is_that_of_rfc_4648_without_padding() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            let secret = Secret::from_bytes(Zeroizing::new(bytes.as_bytes().to_vec()));
            assert_eq!(*secret.base32(), text);
        }
    }
}
