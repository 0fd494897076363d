//! A phone number as typed, to E.164 (U2: the client checks the form). Examples: `contract/vectors/phone_numbers.json`.

use std::fmt;

use crate::verification::{Unwanted, fold};

/// The country whose national numbers may be typed without a country code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DefaultRegion {
    /// Mainland China, +86.
    #[default]
    MainlandChina,
    /// None: every number begins with `+` and its country code.
    Nowhere,
}

/// Why what was typed is no phone number that can receive the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhoneNumberError {
    /// Nothing was typed.
    #[error("empty")]
    Empty,
    /// A letter or sign that belongs in no phone number.
    #[error("a character that belongs in no phone number")]
    Characters,
    /// Too few digits.
    #[error("too few digits")]
    TooShort,
    /// Too many digits.
    #[error("too many digits")]
    TooLong,
    /// A mainland number that is no mobile number: it can't receive the code.
    #[error("not a mobile number")]
    NotMobile,
    /// A number of another country is written with `+` and its country code.
    #[error("the country code is missing")]
    CountryCode,
}

/// A phone number in E.164, such as `+8613800000000`. Debug prints the masked form.
#[derive(Clone, PartialEq, Eq)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// Reads what a person typed or pasted.
    ///
    /// Mainland mobile numbers (`1[3-9]` and nine digits) in any usual form, with `+86`, `0086`, `86` or nothing before them; numbers of other
    /// countries with `+`, 8 to 15 digits in all.
    pub fn parse(typed: &str, default_region: DefaultRegion) -> Result<Self, PhoneNumberError> {
        let folded = fold(typed).map_err(|unwanted| match unwanted {
            Unwanted::Character => PhoneNumberError::Characters,
            Unwanted::Endless => PhoneNumberError::TooLong,
        })?;
        if folded.is_empty() {
            return Err(PhoneNumberError::Empty);
        }
        if let Some(international) = folded.strip_prefix('+') {
            return match international.strip_prefix("86") {
                Some(national) => mainland_mobile(national),
                None => other_country(international),
            };
        }
        match default_region {
            DefaultRegion::MainlandChina => {
                let national = folded
                    .strip_prefix("0086")
                    .or_else(|| folded.strip_prefix("86").filter(|rest| rest.len() >= 11))
                    .unwrap_or(&folded);
                mainland_mobile(national)
            }
            DefaultRegion::Nowhere => Err(PhoneNumberError::CountryCode),
        }
    }

    /// The number in E.164. Personal data: for the request, not for logs.
    pub fn as_e164(&self) -> &str {
        &self.0
    }

    /// The number with its middle hidden, such as `+86138****0000`; for people and for logs.
    pub fn masked(&self) -> String {
        let hidden_from = self.0.len().saturating_sub(8).max(3);
        let hidden_to = self.0.len() - 4;
        format!("{}****{}", &self.0[..hidden_from], &self.0[hidden_to..])
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

fn mainland_mobile(national: &str) -> Result<PhoneNumber, PhoneNumberError> {
    let mobile = matches!(national.as_bytes(), [b'1', b'3'..=b'9', ..]);
    match national.len() {
        // A single 1 may still become a mobile number; everything else that starts differently can't.
        _ if !mobile && national.len() > 1 => Err(PhoneNumberError::NotMobile),
        0..=10 => Err(PhoneNumberError::TooShort),
        11 => Ok(PhoneNumber(format!("+86{national}"))),
        _ => Err(PhoneNumberError::TooLong),
    }
}

fn other_country(digits: &str) -> Result<PhoneNumber, PhoneNumberError> {
    if digits.starts_with('0') {
        return Err(PhoneNumberError::CountryCode);
    }
    match digits.len() {
        0..=7 => Err(PhoneNumberError::TooShort),
        8..=15 => Ok(PhoneNumber(format!("+{digits}"))),
        _ => Err(PhoneNumberError::TooLong),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(typed: &str) -> Result<String, PhoneNumberError> {
        PhoneNumber::parse(typed, DefaultRegion::MainlandChina)
            .map(|number| number.as_e164().to_owned())
    }

    #[test]
    fn u2_a_mainland_mobile_number_is_read_in_any_usual_form() {
        for typed in [
            "13800000000",
            "138 0000 0000",
            "138-0000-0000",
            "(138)0000.0000",
            "+8613800000000",
            "+86 138 0000 0000",
            "0086 138 0000 0000",
            "8613800000000",
            "86-138-0000-0000",
            "１３８００００００００",
            "＋８６１３８００００００００",
            "\u{202d}138 0000 0000\u{202c}",
            " 13800000000\n",
            "138\u{a0}0000\u{3000}0000",
        ] {
            assert_eq!(parse(typed).as_deref(), Ok("+8613800000000"), "{typed}");
        }
    }

    #[test]
    fn u2_a_number_of_another_country_needs_its_country_code() {
        assert_eq!(parse("+44 7400 123456").unwrap(), "+447400123456");
        assert_eq!(parse("+65 8123 4567").unwrap(), "+6581234567");
        assert_eq!(parse("+1234567"), Err(PhoneNumberError::TooShort));
        assert_eq!(parse("+1234567890123456"), Err(PhoneNumberError::TooLong));
        assert_eq!(parse("+0447400123456"), Err(PhoneNumberError::CountryCode));
        let nowhere = PhoneNumber::parse("13800000000", DefaultRegion::Nowhere);
        assert_eq!(nowhere, Err(PhoneNumberError::CountryCode));
    }

    #[test]
    fn u2_the_rest_is_refused_with_a_reason() {
        for (typed, reason) in [
            ("", PhoneNumberError::Empty),
            (" - ", PhoneNumberError::Empty),
            ("1", PhoneNumberError::TooShort),
            ("1380000000", PhoneNumberError::TooShort),
            ("138000000000", PhoneNumberError::TooLong),
            ("12800000000", PhoneNumberError::NotMobile),
            ("010-12345678", PhoneNumberError::NotMobile),
            ("+86 10 1234 5678", PhoneNumberError::NotMobile),
            ("138O0000000", PhoneNumberError::Characters),
            ("13800000000 ext 1", PhoneNumberError::Characters),
            ("138+00000000", PhoneNumberError::Characters),
        ] {
            assert_eq!(parse(typed), Err(reason), "{typed}");
        }
    }

    #[test]
    fn debug_and_masked_hide_the_middle() {
        let number = PhoneNumber::parse("13812345678", DefaultRegion::MainlandChina).unwrap();
        assert_eq!(number.masked(), "+86138****5678");
        assert_eq!(format!("{number:?}"), "+86138****5678");
        let short = PhoneNumber::parse("+12345678", DefaultRegion::MainlandChina).unwrap();
        assert_eq!(short.masked(), "+12****5678");
    }

    #[test]
    fn u2_the_contracts_examples_are_read_as_it_says() {
        let text = include_str!("../../../contract/vectors/phone_numbers.json");
        let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
        let forms = vectors["forms"].as_array().unwrap();
        assert!(forms.len() > 50);
        for form in forms {
            assert_eq!(form["default_region"], "CN");
            let input = form["input"].as_str().unwrap();
            assert_eq!(
                parse(input).ok().as_deref(),
                form["e164"].as_str(),
                "{input:?}: {}",
                form["why"]
            );
        }
    }
}
