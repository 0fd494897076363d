//! As much of X.509 as Alipay's certificate mode asks for: a certificate's serial number in Alipay's sense, and its public key.
//!
//! Alipay names a certificate by the MD5 of its issuer (attributes backwards, joined by commas) and its serial number in decimal. MD5 is a name here and
//! protects nothing: answers are verified with the key itself.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_ID: u8 = 0x06;
/// `[0]`, the version.
const VERSION: u8 = 0xa0;
/// 1.2.840.113549.1.1: RSA, and signatures with it.
const RSA: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];

/// What is read of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// Alipay's name for it.
    pub(super) serial: String,
    /// Signed with RSA.
    pub(super) rsa_signed: bool,
    /// Its RSA public key (PKCS#1), where it has one.
    pub(super) public_key: Option<Vec<u8>>,
}

/// A reader of DER (X.690): tag, length, content.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl Der<'_> {
    fn next(&mut self) -> Option<(u8, Self)> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            let count = usize::from(first & 0x7f);
            if !(1..=4).contains(&count) {
                return None;
            }
            let (bytes, after) = rest.split_at_checked(count)?;
            length = bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            rest = after;
        }
        let (content, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some((tag, Self(content)))
    }

    fn take(&mut self, tag: u8) -> Option<Self> {
        self.next()
            .filter(|(found, _)| *found == tag)
            .map(|(_, content)| content)
    }

    fn is_at(&self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }
}

/// Every certificate of a PEM file, in its order; `None` where one cannot be read or there is none.
pub(super) fn certificates(pem: &str) -> Option<Vec<Certificate>> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let all: Vec<_> = pem
        .split(BEGIN)
        .skip(1)
        .map(|part| {
            let (body, _) = part.split_once(END)?;
            certificate(&decode(body)?)
        })
        .collect::<Option<_>>()?;
    Some(all).filter(|all| !all.is_empty())
}

/// Base64 with white space and PEM's lines in it.
pub(super) fn decode(text: &str) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    let plain: zeroize::Zeroizing<String> = zeroize::Zeroizing::new(
        text.lines()
            .filter(|line| !line.starts_with("-----"))
            .flat_map(str::chars)
            .filter(|c| !c.is_whitespace())
            .collect(),
    );
    STANDARD.decode(plain.as_bytes()).ok().map(Into::into)
}

fn certificate(der: &[u8]) -> Option<Certificate> {
    let mut outer = Der(der).take(SEQUENCE)?;
    let mut inner = outer.take(SEQUENCE)?;
    if inner.is_at(VERSION) {
        inner.take(VERSION)?;
    }
    let serial = inner.take(INTEGER)?;
    let mut algorithm = inner.take(SEQUENCE)?;
    let rsa_signed = algorithm.take(OBJECT_ID)?.0.starts_with(&RSA);
    let issuer = name(inner.take(SEQUENCE)?)?;
    let _validity = inner.take(SEQUENCE)?;
    let _subject = inner.take(SEQUENCE)?;
    let info = inner.next()?.1;
    let hash = Md5::digest(format!("{issuer}{}", decimal(serial.0)));
    let mut serial = String::new();
    for byte in hash {
        write!(serial, "{byte:02x}").ok()?;
    }
    Some(Certificate {
        serial,
        rsa_signed,
        public_key: public_key_of(info).map(<[u8]>::to_vec),
    })
}

/// The RSA key (PKCS#1) in a `SubjectPublicKeyInfo`.
pub(super) fn rsa_public_key(der: &[u8]) -> Option<&[u8]> {
    public_key_of(Der(der).take(SEQUENCE)?)
}

fn public_key_of(mut info: Der<'_>) -> Option<&[u8]> {
    let mut algorithm = info.take(SEQUENCE)?;
    if !algorithm.take(OBJECT_ID)?.0.starts_with(&RSA) {
        return None;
    }
    // The first byte counts unused bits.
    info.take(BIT_STRING)?.0.strip_prefix(&[0])
}

/// A name's attributes, the last first: `CN=…,OU=…,O=…,C=CN`.
fn name(mut name: Der<'_>) -> Option<String> {
    let mut attributes = Vec::new();
    while !name.0.is_empty() {
        let mut set = name.take(SET)?;
        while !set.0.is_empty() {
            let mut pair = set.take(SEQUENCE)?;
            let kind = short_name(pair.take(OBJECT_ID)?.0);
            let (tag, value) = pair.next()?;
            attributes.push(format!("{kind}={}", text(tag, value.0)?));
        }
    }
    attributes.reverse();
    Some(attributes.join(","))
}

fn short_name(id: &[u8]) -> String {
    let known = match id {
        [0x55, 0x04, 0x03] => "CN",
        [0x55, 0x04, 0x06] => "C",
        [0x55, 0x04, 0x07] => "L",
        [0x55, 0x04, 0x08] => "ST",
        [0x55, 0x04, 0x0a] => "O",
        [0x55, 0x04, 0x0b] => "OU",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01] => "EMAILADDRESS",
        _ => return dotted(id),
    };
    known.to_owned()
}

fn dotted(id: &[u8]) -> String {
    let mut numbers: Vec<u64> = Vec::new();
    let mut number = 0;
    for byte in id {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.extend([first, number - first * 40]);
            } else {
                numbers.push(number);
            }
            number = 0;
        }
    }
    let texts: Vec<_> = numbers.iter().map(u64::to_string).collect();
    texts.join(".")
}

fn text(tag: u8, value: &[u8]) -> Option<String> {
    match tag {
        // UTF8String, PrintableString, IA5String.
        0x0c | 0x13 | 0x16 => std::str::from_utf8(value).ok().map(str::to_owned),
        // TeletexString, read as Latin-1 as everybody does.
        0x14 => Some(value.iter().map(|byte| char::from(*byte)).collect()),
        // BMPString.
        0x1e => {
            let units = value.chunks(2).map(|pair| match pair {
                [high, low] => u16::from_be_bytes([*high, *low]),
                _ => 0xfffd,
            });
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        _ => None,
    }
}

/// A big-endian number in decimal.
fn decimal(number: &[u8]) -> String {
    let mut digits = vec![0u8];
    for byte in number {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = u8::try_from(carry % 10).unwrap_or(0);
            carry /= 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).unwrap_or(0));
            carry /= 10;
        }
    }
    digits
        .iter()
        .rev()
        .map(|digit| char::from(b'0' + digit))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_are_written_in_decimal() {
        assert_eq!(decimal(&[]), "0");
        assert_eq!(decimal(&[0, 0]), "0");
        assert_eq!(decimal(&[0xff]), "255");
        assert_eq!(
            decimal(&[1, 0, 0, 0, 0, 0, 0, 0, 0]),
            "18446744073709551616"
        );
        assert_eq!(decimal(&[0xff; 16]), u128::MAX.to_string());
    }

    #[test]
    fn object_identifiers_are_written_with_dots() {
        assert_eq!(
            dotted(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b]),
            "1.2.840.113549.1.1.11"
        );
        assert_eq!(dotted(&[0x55, 0x04, 0x05]), "2.5.4.5");
    }

    #[test]
    fn rubbish_is_no_certificate() {
        for bad in [
            "",
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        ] {
            assert_eq!(certificates(bad), None);
        }
        for length in 0..64_u8 {
            let mut bytes: Vec<u8> = (0..length).collect();
            assert_eq!(certificate(&bytes), None);
            bytes.insert(0, SEQUENCE);
            assert_eq!(certificate(&bytes), None);
        }
    }
}
