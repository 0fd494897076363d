//! Which login passwords are taken (L6).

use super::wire::PasswordRules;
use crate::phone_number::PhoneNumber;

/// Why a password is not taken: a sentence for developers that tells nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unacceptable {
    /// Fewer characters than the rules ask for.
    TooShort,
    /// More than they allow.
    TooLong,
    /// Too few kinds of characters.
    TooFewClasses,
    /// The phone number's digits are in it.
    ContainsPhone,
    /// A character that cannot be typed again for certain.
    ControlCharacter,
}

impl Unacceptable {
    /// For the problem's `detail`.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::TooShort => "too short",
            Self::TooLong => "too long",
            Self::TooFewClasses => "too few kinds of characters",
            Self::ContainsPhone => "contains the phone number",
            Self::ControlCharacter => "contains a control character",
        }
    }
}

/// Checks a new password.
pub(crate) fn check(
    rules: PasswordRules,
    password: &str,
    phone: &PhoneNumber,
) -> Result<(), Unacceptable> {
    let length = password.chars().count();
    if length < rules.min_length as usize {
        return Err(Unacceptable::TooShort);
    }
    if length > rules.max_length as usize {
        return Err(Unacceptable::TooLong);
    }
    if password.chars().any(char::is_control) {
        return Err(Unacceptable::ControlCharacter);
    }
    let kinds: [fn(char) -> bool; 4] = [
        |c| c.is_lowercase(),
        |c| c.is_uppercase(),
        |c| c.is_numeric(),
        |c| !c.is_lowercase() && !c.is_uppercase() && !c.is_numeric(),
    ];
    let classes = kinds
        .iter()
        .filter(|kind| password.chars().any(**kind))
        .count();
    if classes < rules.min_classes as usize {
        return Err(Unacceptable::TooFewClasses);
    }
    // Also with other characters between the digits.
    let digits: String = password.chars().filter(char::is_ascii_digit).collect();
    if password.contains(phone.national_digits()) || digits.contains(phone.national_digits()) {
        return Err(Unacceptable::ContainsPhone);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn l6_a_password_has_its_length_its_classes_and_not_the_phone_number() {
        let rules = PasswordRules {
            min_length: 8,
            max_length: 64,
            min_classes: 2,
        };
        let phone = PhoneNumber::parse("+8613812345678").unwrap();
        for (password, expected) in [
            ("Str0ng-enough", Ok(())),
            ("abcdefg1", Ok(())),
            ("密码密码密码密码1", Ok(())),
            ("abcdef1", Err(Unacceptable::TooShort)),
            ("abcdefgh", Err(Unacceptable::TooFewClasses)),
            ("12345678", Err(Unacceptable::TooFewClasses)),
            ("", Err(Unacceptable::TooShort)),
            ("x13812345678", Err(Unacceptable::ContainsPhone)),
            ("x138-1234-5678", Err(Unacceptable::ContainsPhone)),
            ("abcdefg\u{0}1", Err(Unacceptable::ControlCharacter)),
            (&"aB1".repeat(22), Err(Unacceptable::TooLong)),
        ] {
            assert_eq!(check(rules, password, &phone), expected, "{password}");
        }
        assert_eq!(check(rules, &"a1".repeat(32), &phone), Ok(()));
    }
}
