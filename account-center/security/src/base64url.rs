//! Base64url without padding (RFC 4648, section 5), in its one canonical spelling.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The text is not canonical base64url: a foreign character, padding, a length that cannot be, or bits set after the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not canonical base64url")]
pub struct NotCanonical;

/// Encodes bytes without padding.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes text of which there is only one spelling for each sequence of bytes.
pub fn decode(text: impl AsRef<[u8]>) -> Result<Vec<u8>, NotCanonical> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| NotCanonical)
}

/// Decodes text that must stand for exactly `N` bytes.
pub fn decode_array<const N: usize>(text: impl AsRef<[u8]>) -> Result<[u8; N], NotCanonical> {
    decode(text)?.try_into().map_err(|_| NotCanonical)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc4648_only_the_canonical_spelling_is_read() {
        assert_eq!(decode("-_8"), Ok(vec![0xfb, 0xff]));
        for other in [
            "-_8=", "+/8", "-_9", "-_8 ", " -_8", "-", "-_8\n", "-_\u{e9}",
        ] {
            assert_eq!(decode(other), Err(NotCanonical), "{other:?}");
        }
    }

    #[test]
    fn an_array_has_exactly_its_length() {
        assert_eq!(decode_array::<2>("-_8"), Ok([0xfb, 0xff]));
        assert_eq!(decode_array::<3>("-_8"), Err(NotCanonical));
        assert_eq!(decode_array::<1>("-_8"), Err(NotCanonical));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(bytes: Vec<u8>) {
            prop_assert_eq!(decode(encode(&bytes)), Ok(bytes));
        }

        #[test]
        fn what_is_decoded_has_one_spelling(text in "[A-Za-z0-9_-]{0,40}") {
            if let Ok(bytes) = decode(&text) {
                prop_assert_eq!(encode(bytes), text);
            }
        }
    }
}
