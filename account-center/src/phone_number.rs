//! Phone numbers as they come over the wire: E.164, and nothing else. Making one of what a person types is the client's work (U2).

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A number in E.164: `+`, a country code, 15 digits at most. Wiped when dropped; `Debug` shows the masked form.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber(Zeroizing<String>);

/// Not a number that can be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a phone number in E.164")]
pub struct NotAPhoneNumber;

impl PhoneNumber {
    /// Takes E.164 only. A number of mainland China (+86) must be a mobile one: 11 digits, from 13 to 19.
    pub fn parse(text: &str) -> Result<Self, NotAPhoneNumber> {
        let digits = text.strip_prefix('+').ok_or(NotAPhoneNumber)?;
        let wellformed = (8..=15).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0');
        let mobile = digits.strip_prefix("86").is_none_or(|national| {
            let national = national.as_bytes();
            national.len() == 11 && national[0] == b'1' && (b'3'..=b'9').contains(&national[1])
        });
        if wellformed && mobile {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(NotAPhoneNumber)
        }
    }

    /// The number, for who sends to it or looks it up.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For people to recognise: `138****0000`; of another country `+141****2671`, or the last four digits alone where the number is short.
    pub fn masked(&self) -> String {
        let shown = self.0.strip_prefix("+86").unwrap_or(&self.0);
        let head = match shown.len() {
            11 if !shown.starts_with('+') => 3,
            12.. => 4,
            _ => 1,
        };
        format!("{}****{}", &shown[..head], &shown[shown.len() - 4..])
    }

    /// The digits without the country code of mainland China: what a password must not contain.
    pub fn national_digits(&self) -> &str {
        self.0.strip_prefix("+86").unwrap_or(&self.0[1..])
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber({})", self.masked())
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = NotAPhoneNumber;

    fn try_from(text: String) -> Result<Self, NotAPhoneNumber> {
        Self::parse(&text)
    }
}

impl From<PhoneNumber> for String {
    fn from(number: PhoneNumber) -> Self {
        number.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn u2_the_server_takes_what_the_client_makes_of_a_form_and_never_the_form_itself() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../contract/vectors/phone_numbers.json"))
                .unwrap();
        let forms = vectors["forms"].as_array().unwrap();
        assert!(forms.len() > 50);
        for form in forms {
            let typed = form["input"].as_str().unwrap();
            let e164 = form["e164"].as_str();
            if let Some(e164) = e164 {
                assert_eq!(PhoneNumber::parse(e164).unwrap().as_str(), e164);
            }
            assert_eq!(
                PhoneNumber::parse(typed).is_ok(),
                e164 == Some(typed),
                "{typed:?}"
            );
        }
    }

    #[test]
    fn u2_a_fixed_line_or_odd_bytes_are_no_number() {
        for bad in [
            "+86 13800138000",
            "+8602112345678",
            "+8613800138000\n",
            "+86138００138000",
            "+86138\u{200b}00138000",
            "+\u{0661}38001380001",
        ] {
            assert_eq!(PhoneNumber::parse(bad), Err(NotAPhoneNumber), "{bad:?}");
        }
    }

    #[test]
    fn a_masked_number_never_shows_more_than_seven_digits_nor_all() {
        for (number, masked) in [
            ("+8613812345678", "138****5678"),
            ("+14155552671", "+141****2671"),
            ("+85251234567", "+852****4567"),
            ("+29012345", "+****2345"),
        ] {
            let number = PhoneNumber::parse(number).unwrap();
            assert_eq!(number.masked(), masked);
            assert_eq!(format!("{number:?}"), format!("PhoneNumber({masked})"));
        }
    }
}
