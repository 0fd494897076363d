//! What a login request carries (contract section 7).

use std::fmt;

use serde::Serialize;

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

/// A member of a request that is sealed: `{"sealed":"…"}`.
#[derive(Serialize)]
pub(crate) struct Sealed {
    sealed: String,
}

/// The body that begins a login.
#[derive(Serialize)]
pub(crate) struct StartBody<'a> {
    app_id: &'a str,
    start: WireStart<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum WireStart<'a> {
    Provider { provider: &'a str, code: &'a str },
}

impl<'a> StartBody<'a> {
    pub(crate) fn new(app_id: &'a str, start: &'a LoginStart) -> Self {
        let LoginStart::Provider { provider, code } = start;
        let code = code.expose();
        Self {
            app_id,
            start: WireStart::Provider { provider, code },
        }
    }
}

/// The body of an answer.
#[derive(Serialize)]
pub(crate) struct AnswerBody<'a> {
    pub(crate) login: &'a str,
    pub(crate) step_id: &'a str,
    pub(crate) answer: WireAnswer<'a>,
}

/// The empty object `{}`.
#[derive(Serialize)]
pub(crate) struct Nothing {}

/// An answer with its secrets sealed.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WireAnswer<'a> {
    Phone(&'a str),
    SmsCode(&'a str),
    Resend(Nothing),
    ChangePhone(Nothing),
    LoginPassword(Sealed),
    Card {
        number: Sealed,
        withdrawal_password: Sealed,
    },
    Registration {
        login_password: Sealed,
    },
    Face {
        ticket: &'a str,
    },
    Cancel(Nothing),
}

impl Answer {
    /// Whether it holds anything that leaves the device only sealed.
    pub(crate) fn has_sealed_fields(&self) -> bool {
        matches!(
            self,
            Self::LoginPassword(_) | Self::Card { .. } | Self::Registration { .. }
        )
    }

    /// As it goes over the wire; `seal(field, secret)` seals one field.
    pub(crate) fn to_wire<E>(
        &self,
        seal: impl Fn(&str, &SecretString) -> Result<String, E>,
    ) -> Result<WireAnswer<'_>, E> {
        let seal = |field: &str, secret: &SecretString| {
            seal(field, secret).map(|sealed| Sealed { sealed })
        };
        Ok(match self {
            Self::Phone(phone) => WireAnswer::Phone(phone.expose()),
            Self::SmsCode(code) => WireAnswer::SmsCode(code.expose()),
            Self::Resend => WireAnswer::Resend(Nothing {}),
            Self::ChangePhone => WireAnswer::ChangePhone(Nothing {}),
            Self::LoginPassword(password) => {
                WireAnswer::LoginPassword(seal("login_password", password)?)
            }
            Self::Card {
                number,
                withdrawal_password,
            } => WireAnswer::Card {
                number: seal("card.number", number)?,
                withdrawal_password: seal("card.withdrawal_password", withdrawal_password)?,
            },
            Self::Registration { login_password } => WireAnswer::Registration {
                login_password: seal("registration.login_password", login_password)?,
            },
            Self::Face { ticket } => WireAnswer::Face {
                ticket: ticket.expose(),
            },
            Self::Cancel => WireAnswer::Cancel(Nothing {}),
        })
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
