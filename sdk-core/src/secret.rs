//! Values that must not be seen: zeroized when dropped, never printed, compared in constant time.

use std::fmt;
use std::io;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// What Debug and Display print in place of a secret.
pub const PLACEHOLDER: &str = "[redacted]";

/// Secret text. It has no `Serialize`: what writes one down says so with [`SecretString::expose`].
#[derive(Clone, Default)]
pub struct SecretString(Zeroizing<String>);

/// Secret bytes; as [`SecretString`].
#[derive(Clone, Default)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretString {
    /// Takes the text over; its memory is wiped when the secret is dropped.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Each use is a place to look at in a review.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is any text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl SecretBytes {
    /// Takes the bytes over; their memory is wiped when the secret is dropped.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves. Each use is a place to look at in a review.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether there are any bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<&str> for SecretString {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}

impl From<String> for SecretString {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&[u8]> for SecretBytes {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec())
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

macro_rules! redacted {
    ($($type:ty),+) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(PLACEHOLDER)
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(PLACEHOLDER)
            }
        }
        impl PartialEq for $type {
            /// Constant in time for equal lengths; the length itself is no secret.
            fn eq(&self, other: &Self) -> bool {
                let (mine, theirs): (&[u8], &[u8]) = (self.0.as_ref(), other.0.as_ref());
                mine.ct_eq(theirs).into()
            }
        }
        impl Eq for $type {}
    )+};
}
redacted!(SecretString, SecretBytes);

/// Collects secret bytes as they are written and leaves no copy behind when it grows.
#[derive(Default)]
pub(crate) struct SecretWriter(Zeroizing<Vec<u8>>);

impl SecretWriter {
    pub(crate) fn finish(self) -> SecretBytes {
        SecretBytes(self.0)
    }
}

impl io::Write for SecretWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(256) * 2));
            larger.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// JSON of a value that holds secrets, in memory that is wiped.
///
/// # Errors
/// Only where a map has keys that are no text, which no type of ours has.
pub(crate) fn to_secret_json<T: serde::Serialize>(
    value: &T,
) -> Result<SecretBytes, serde_json::Error> {
    let mut writer = SecretWriter::default();
    serde_json::to_writer(&mut writer, value)?;
    Ok(writer.finish())
}

/// For `#[serde(with = "in_vault")]`: a secret inside a record that is written to the vault, and nowhere else.
pub(crate) mod in_vault {
    use serde::Serializer;

    use super::SecretString;

    pub(crate) fn serialize<S: Serializer>(
        secret: &SecretString,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write as _;

    #[test]
    fn secrets_print_a_placeholder_in_every_format() {
        let text = SecretString::from("hunter2hunter2");
        let bytes = SecretBytes::from(&b"hunter2hunter2"[..]);
        for shown in [
            format!("{text}"),
            format!("{text:?}"),
            format!("{text:#?}"),
            format!("{bytes}"),
            format!("{bytes:?}"),
            format!("{:?}", Some(text)),
        ] {
            assert!(
                shown.contains(PLACEHOLDER) && !shown.contains("hunter2"),
                "{shown}"
            );
        }
    }

    #[test]
    fn secrets_are_equal_by_content_only() {
        assert_eq!(SecretString::from("a"), SecretString::from("a"));
        assert_ne!(SecretString::from("a"), SecretString::from("b"));
        assert_ne!(SecretString::from("a"), SecretString::from("aa"));
        assert_eq!(SecretBytes::from(vec![1, 2]), SecretBytes::from(vec![1, 2]));
    }

    #[test]
    fn the_secret_writer_keeps_what_is_written_while_it_grows() {
        let mut writer = SecretWriter::default();
        let piece = [7_u8; 100];
        for _ in 0..50 {
            writer.write_all(&piece).unwrap();
        }
        assert_eq!(writer.finish().expose(), &[7_u8; 5000][..]);
    }
}
