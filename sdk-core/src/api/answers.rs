//! What a login request carries (contract section 7).

use std::fmt;

use crate::secret::SecretString;

/// How a login begins.
#[derive(Clone, PartialEq, Eq)]
pub enum LoginStart {
    /// With a provider's credential (M2: the server exchanges it).
    Provider {
        /// The provider's name on the wire, such as `wechat`.
        provider: String,
        /// Its one-time code.
        code: SecretString,
    },
}

/// The answer to a login's step. Passwords and card numbers leave the device only sealed.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    /// A phone number, E.164.
    Phone(SecretString),
    /// The code from the SMS.
    SmsCode(SecretString),
    /// Another SMS, please.
    Resend,
    /// Back to the phone number.
    ChangePhone,
    /// The login password (L5); sealed.
    LoginPassword(SecretString),
    /// A card and its withdrawal password (L5); both sealed.
    Card {
        /// The card's number.
        number: SecretString,
        /// Its withdrawal password.
        withdrawal_password: SecretString,
    },
    /// The login password of a new account (L6); sealed.
    Registration {
        /// The new login password.
        login_password: SecretString,
    },
    /// The face service's ticket.
    Face {
        /// The ticket.
        ticket: SecretString,
    },
    /// The person gave up; the login is over at the server too.
    Cancel,
}

impl LoginStart {
    fn name(&self) -> &'static str {
        match self {
            Self::Provider { .. } => "provider",
        }
    }
}

impl Answer {
    /// The answer's member name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Phone(_) => "phone",
            Self::SmsCode(_) => "sms_code",
            Self::Resend => "resend",
            Self::ChangePhone => "change_phone",
            Self::LoginPassword(_) => "login_password",
            Self::Card { .. } => "card",
            Self::Registration { .. } => "registration",
            Self::Face { .. } => "face",
            Self::Cancel => "cancel",
        }
    }
}

impl fmt::Debug for LoginStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
