//! Checked forms of what a person types. A value of one of these types can be sent; a mistake is found here and uses nothing up at the server.
//!
//! The server checks every form again (contract section 7): this is courtesy, not protection.

mod digits;

use crate::api::PasswordRules;
use crate::login::phone_number::PhoneNumberError;
use crate::secret::SecretString;

pub(crate) use digits::{Unwanted, fold};

/// Characters of a password that is sent at all; far above every rule for new ones.
pub const PASSWORD_LIMIT: usize = 128;
/// Digits of a withdrawal password.
pub const WITHDRAWAL_PASSWORD_DIGITS: usize = 6;
/// Bytes of a face ticket that is sent at all.
pub const FACE_TICKET_LIMIT: usize = 4096;

/// What is wrong with an input. Nothing was sent and nothing used up: show it and let the person correct it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidInput {
    /// The phone number is no number that can receive the code.
    #[error("phone number: {0}")]
    PhoneNumber(PhoneNumberError),
    /// The SMS code has exactly so many digits.
    #[error("the SMS code has {digits} digits")]
    SmsCode {
        /// How many digits it has.
        digits: u32,
    },
    /// There is no password.
    #[error("the password is empty")]
    PasswordEmpty,
    /// The password has fewer characters than `min_length`.
    #[error("the password has fewer than {min_length} characters")]
    PasswordTooShort {
        /// The least number of characters.
        min_length: u32,
    },
    /// The password has more characters than `max_length`.
    #[error("the password has more than {max_length} characters")]
    PasswordTooLong {
        /// The greatest number of characters.
        max_length: u32,
    },
    /// The password mixes fewer than `min_classes` of: small letters, capital letters, digits, others.
    #[error("the password needs {min_classes} kinds of characters")]
    PasswordTooSimple {
        /// The least number of kinds.
        min_classes: u32,
    },
    /// The card number is not made of 12 to 19 digits.
    #[error("a card number has 12 to 19 digits")]
    CardNumberForm,
    /// The card number's check digit (Luhn) is wrong: a digit was mistyped.
    #[error("the card number has a wrong digit")]
    CardNumberMistyped,
    /// The withdrawal password is not six digits.
    #[error("a withdrawal password has 6 digits")]
    WithdrawalPassword,
    /// The face service's ticket is missing or too long.
    #[error("there is no usable face ticket")]
    FaceTicket,
    /// This SDK has no such provider, or this way of proving is not offered in this step.
    #[error("not offered")]
    NotOffered,
    /// The provider's answer belongs to no attempt that is under way (its `state` differs); it is ignored.
    #[error("the answer belongs to another attempt")]
    StrayAnswer,
}

/// An existing login password (L5, U2): not empty, at most [`PASSWORD_LIMIT`] characters. Nothing is trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginPassword(SecretString);

impl LoginPassword {
    /// Checks the form of a password that the account has already.
    pub fn parse(typed: SecretString) -> Result<Self, InvalidInput> {
        if typed.is_empty() {
            return Err(InvalidInput::PasswordEmpty);
        }
        if typed.expose().chars().count() > PASSWORD_LIMIT {
            return Err(InvalidInput::PasswordTooLong {
                max_length: as_u32(PASSWORD_LIMIT),
            });
        }
        Ok(Self(typed))
    }

    /// Checks a new password against the server's rules (L6).
    pub fn parse_new(typed: SecretString, rules: PasswordRules) -> Result<Self, InvalidInput> {
        if typed.is_empty() {
            return Err(InvalidInput::PasswordEmpty);
        }
        let length = as_u32(typed.expose().chars().count());
        if length < rules.min_length {
            return Err(InvalidInput::PasswordTooShort {
                min_length: rules.min_length,
            });
        }
        if length > rules.max_length {
            return Err(InvalidInput::PasswordTooLong {
                max_length: rules.max_length,
            });
        }
        if classes(typed.expose()) < rules.min_classes {
            return Err(InvalidInput::PasswordTooSimple {
                min_classes: rules.min_classes,
            });
        }
        Ok(Self(typed))
    }

    /// The password, to be sealed.
    pub fn secret(&self) -> &SecretString {
        &self.0
    }
}

/// A card number (L5): 12 to 19 digits with a right check digit; spaces and dashes may separate them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardNumber(SecretString);

impl CardNumber {
    /// Checks what was typed; keeps the digits alone.
    pub fn parse(typed: &SecretString) -> Result<Self, InvalidInput> {
        let digits = fold(typed.expose()).map_err(|_| InvalidInput::CardNumberForm)?;
        if !(12..=19).contains(&digits.len()) || digits.starts_with('+') {
            return Err(InvalidInput::CardNumberForm);
        }
        if !luhn(digits.as_bytes()) {
            return Err(InvalidInput::CardNumberMistyped);
        }
        Ok(Self(SecretString::from(digits.as_str())))
    }

    /// The digits, to be sealed.
    pub fn secret(&self) -> &SecretString {
        &self.0
    }
}

/// The six digits of a card's withdrawal password (L5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawalPassword(SecretString);

impl WithdrawalPassword {
    /// Checks what was typed; full-width digits count as digits.
    pub fn parse(typed: &SecretString) -> Result<Self, InvalidInput> {
        only_digits(typed.expose(), WITHDRAWAL_PASSWORD_DIGITS)
            .map(Self)
            .ok_or(InvalidInput::WithdrawalPassword)
    }

    /// The digits, to be sealed.
    pub fn secret(&self) -> &SecretString {
        &self.0
    }
}

/// An SMS code (L4). It is a secret for its ten minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmsCode(SecretString);

impl SmsCode {
    /// Checks what was typed or pasted; `digits` is how many the step announced.
    pub fn parse(typed: &str, digits: u32) -> Result<Self, InvalidInput> {
        only_digits(typed, digits as usize)
            .map(Self)
            .ok_or(InvalidInput::SmsCode { digits })
    }

    /// The digits.
    pub fn secret(&self) -> &SecretString {
        &self.0
    }
}

/// The face service's ticket (L5), as its SDK gave it. What it says is for the server to find out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaceTicket(SecretString);

impl FaceTicket {
    /// Checks that there is one, of printable ASCII.
    pub fn parse(ticket: SecretString) -> Result<Self, InvalidInput> {
        let text = ticket.expose();
        let fits = (1..=FACE_TICKET_LIMIT).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(ticket))
        } else {
            Err(InvalidInput::FaceTicket)
        }
    }

    /// The ticket.
    pub fn secret(&self) -> &SecretString {
        &self.0
    }
}

fn as_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn only_digits(typed: &str, how_many: usize) -> Option<SecretString> {
    let digits = fold(typed).ok()?;
    let right = digits.len() == how_many && !digits.starts_with('+');
    right.then(|| SecretString::from(digits.as_str()))
}

fn classes(password: &str) -> u32 {
    let kinds: [fn(char) -> bool; 4] = [
        |c| c.is_ascii_lowercase(),
        |c| c.is_ascii_uppercase(),
        |c| c.is_ascii_digit(),
        |c| !c.is_ascii_alphanumeric(),
    ];
    as_u32(
        kinds
            .iter()
            .filter(|kind| password.chars().any(*kind))
            .count(),
    )
}

/// ISO/IEC 7812-1: every second digit from the right doubled, the sum of all digits divisible by ten.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0') * if place % 2 == 1 { 2 } else { 1 };
            value / 10 + value % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn l5_a_card_number_is_read_in_the_forms_people_type() {
        for typed in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "４１１１１１１１１１１１１１１１",
        ] {
            assert_eq!(
                CardNumber::parse(&secret(typed)).unwrap().secret().expose(),
                "4111111111111111"
            );
        }
        assert!(
            CardNumber::parse(&secret("6222020000000000000")).is_ok(),
            "19 digits"
        );
    }

    #[test]
    fn l5_a_mistyped_card_number_is_told_from_one_of_wrong_form() {
        assert_eq!(
            CardNumber::parse(&secret("4111111111111112")),
            Err(InvalidInput::CardNumberMistyped)
        );
        for form in [
            "",
            "41111111111",
            "62220200000000000000",
            "4111 1111 1111 111a",
            "+411111111111111",
        ] {
            assert_eq!(
                CardNumber::parse(&secret(form)),
                Err(InvalidInput::CardNumberForm),
                "{form}"
            );
        }
    }

    #[test]
    fn l5_a_withdrawal_password_is_six_digits() {
        assert_eq!(
            WithdrawalPassword::parse(&secret("１２３ 456"))
                .unwrap()
                .secret()
                .expose(),
            "123456"
        );
        for wrong in ["", "12345", "1234567", "12345a", "+12345"] {
            assert_eq!(
                WithdrawalPassword::parse(&secret(wrong)),
                Err(InvalidInput::WithdrawalPassword),
                "{wrong}"
            );
        }
    }

    #[test]
    fn l4_an_sms_code_is_folded_to_ascii_digits() {
        assert_eq!(
            SmsCode::parse(" 123 456\n", 6).unwrap().secret().expose(),
            "123456"
        );
        assert_eq!(
            SmsCode::parse("０１２３４５", 6).unwrap().secret().expose(),
            "012345"
        );
        for wrong in ["", "12345", "1234567", "12345x", "١٢٣٤٥٦"] {
            assert_eq!(
                SmsCode::parse(wrong, 6),
                Err(InvalidInput::SmsCode { digits: 6 }),
                "{wrong}"
            );
        }
    }

    #[test]
    fn l5_a_login_password_is_taken_as_typed() {
        assert_eq!(
            LoginPassword::parse(secret(" a "))
                .unwrap()
                .secret()
                .expose(),
            " a "
        );
        assert_eq!(
            LoginPassword::parse(secret("")),
            Err(InvalidInput::PasswordEmpty)
        );
        assert!(LoginPassword::parse(secret(&"密".repeat(PASSWORD_LIMIT))).is_ok());
        let long = LoginPassword::parse(secret(&"a".repeat(PASSWORD_LIMIT + 1)));
        assert_eq!(long, Err(InvalidInput::PasswordTooLong { max_length: 128 }));
    }

    #[test]
    fn l6_a_new_password_follows_the_servers_rules() {
        let rules = PasswordRules {
            min_length: 8,
            max_length: 12,
            min_classes: 2,
        };
        let parse = |typed: &str| LoginPassword::parse_new(secret(typed), rules).map(|_| ());
        assert_eq!(parse("abcdefg1"), Ok(()));
        assert_eq!(parse("密码密码密码密1"), Ok(()));
        assert_eq!(parse(""), Err(InvalidInput::PasswordEmpty));
        assert_eq!(
            parse("abc1"),
            Err(InvalidInput::PasswordTooShort { min_length: 8 })
        );
        assert_eq!(
            parse("abcdefghijkl1"),
            Err(InvalidInput::PasswordTooLong { max_length: 12 })
        );
        assert_eq!(
            parse("abcdefgh"),
            Err(InvalidInput::PasswordTooSimple { min_classes: 2 })
        );
    }

    #[test]
    fn a_face_ticket_is_printable_and_not_endless() {
        assert!(FaceTicket::parse(secret("ft_abc-1.2")).is_ok());
        for wrong in [
            String::new(),
            "a b".into(),
            "a\n".into(),
            "x".repeat(FACE_TICKET_LIMIT + 1),
        ] {
            assert_eq!(
                FaceTicket::parse(secret(&wrong)),
                Err(InvalidInput::FaceTicket)
            );
        }
    }

    #[test]
    fn checked_forms_print_no_secret() {
        let shown = format!(
            "{:?} {:?} {:?} {:?} {:?}",
            LoginPassword::parse(secret("hunter2hunter2")),
            CardNumber::parse(&secret("4111111111111111")),
            WithdrawalPassword::parse(&secret("918273")),
            SmsCode::parse("918273", 6),
            FaceTicket::parse(secret("ft_secret")),
        );
        for hidden in ["hunter2", "4111", "918273", "ft_secret"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}
