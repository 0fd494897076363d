//! Where a login stands, as it is kept between two requests: encrypted, because it holds a phone number, a provider subject and a profile.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::decision::{CustomerRef, UserId};
use super::policy::LoginPolicy;
use super::wire::{FaceRequest, Method, Step};
use crate::context::{Context, Timestamp};
use crate::identity::KnownIdentity;
use crate::keys::{Keys, Purpose};
use crate::phone_number::PhoneNumber;
use crate::ports::FaceSession;

/// A login between two requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LoginState {
    /// Whom the provider vouched for, in this very login (W4).
    pub(super) identity: KnownIdentity,
    /// What is asked now.
    pub(super) stage: Stage,
    /// The guest of the device key is brought in at the end (W6).
    #[serde(default)]
    pub(super) bring_guest: bool,
}

/// What is asked, with exactly the data that exists then.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(super) enum Stage {
    /// A phone number.
    Phone {
        /// Wrong codes so far: they are counted over numbers too.
        attempts_used: u32,
        /// The number that a message went to before it was changed, and when.
        last: Option<Sent>,
    },
    /// The code of an SMS.
    SmsCode {
        /// To which number it went, and when.
        sent: Sent,
        /// A keyed hash of it, over login and code.
        code_hash: String,
        /// Wrong codes so far, over all resends.
        attempts_used: u32,
    },
    /// A password or a card.
    Verification {
        /// The number that was proved.
        phone: PhoneNumber,
        /// Whose.
        asked: ProofAsked,
        /// Proofs tried so far.
        attempts_used: u32,
    },
    /// A new login password.
    Registration {
        /// The number that was proved.
        phone: PhoneNumber,
    },
    /// A face.
    Face {
        /// What for.
        purpose: FacePurpose,
        /// The face service's session.
        session: FaceSession,
        /// What the session is bound to, besides login, device and customer.
        nonce: String,
        /// Failures so far.
        attempts_used: u32,
    },
}

/// A message that was sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sent {
    /// To which number.
    pub(super) phone: PhoneNumber,
    /// Milliseconds since 1970 UTC.
    pub(super) at: i64,
}

/// Whose password or card is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ProofAsked {
    /// U2: the login password of an unsigned account.
    Account {
        /// That account.
        user_id: UserId,
        /// Whose proof comes after it.
        customer: Option<CustomerRef>,
    },
    /// L5: login password or card of a customer of the core.
    Customer {
        /// Whose.
        customer: CustomerRef,
        /// The unsigned account proved before.
        account: Option<UserId>,
    },
}

/// What a face is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FacePurpose {
    /// L5: then the number is bound.
    Bind {
        /// The number that was proved.
        phone: PhoneNumber,
        /// Whose face.
        customer: CustomerRef,
        /// The unsigned account proved before.
        account: Option<UserId>,
    },
    /// L7: then the person is logged in.
    Return {
        /// Whose face.
        customer: CustomerRef,
    },
}

impl FacePurpose {
    /// Whose face.
    pub(super) fn customer(&self) -> &CustomerRef {
        match self {
            Self::Bind { customer, .. } | Self::Return { customer } => customer,
        }
    }
}

/// A stored state cannot be read: it is of another version of this server, or another server secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

impl LoginState {
    /// Encrypts it for the row of this name.
    pub(super) fn seal(&self, keys: &Keys, context: &Context, login_hash: &str) -> String {
        let text = zeroize::Zeroizing::new(
            serde_json::to_vec(self).expect("a state has only strings and numbers"),
        );
        keys.seal(
            Purpose::LoginState,
            login_hash.as_bytes(),
            &text,
            context.randomness(),
        )
    }

    /// Decrypts the state of the row of this name.
    pub(super) fn open(keys: &Keys, login_hash: &str, sealed: &str) -> Result<Self, Unreadable> {
        let text = keys
            .open(Purpose::LoginState, login_hash.as_bytes(), sealed)
            .map_err(|_| Unreadable)?;
        serde_json::from_slice(&text).map_err(|_| Unreadable)
    }
}

impl Stage {
    /// As the client sees it (contract section 7).
    pub(super) fn step(
        &self,
        policy: &LoginPolicy,
        now: Timestamp,
        login_ends_at: Timestamp,
    ) -> Step {
        match self {
            Self::Phone { .. } => Step::Phone,
            Self::SmsCode {
                sent,
                attempts_used,
                ..
            } => {
                let sent_at = Timestamp::from_millis(sent.at);
                Step::SmsCode {
                    sent_to: sent.phone.masked(),
                    digits: super::judging::DIGITS,
                    expires_in: now
                        .seconds_until(sent_at.plus(policy.code_lifetime).min(login_ends_at)),
                    resend_after: now.seconds_until(sent_at.plus(policy.resend_after)),
                    attempts_left: policy.code_attempts.saturating_sub(*attempts_used),
                }
            }
            Self::Verification {
                asked,
                attempts_used,
                ..
            } => Step::Verification {
                methods: match asked {
                    ProofAsked::Account { .. } => vec![Method::LoginPassword],
                    ProofAsked::Customer { .. } => vec![Method::LoginPassword, Method::Card],
                },
                attempts_left: policy.proof_attempts.saturating_sub(*attempts_used),
            },
            Self::Registration { .. } => Step::Registration {
                password_rules: policy.password_rules,
            },
            Self::Face {
                session,
                nonce,
                attempts_used,
                ..
            } => Step::Face {
                request: FaceRequest {
                    face_session: session.face_session.clone(),
                    url: session.url.clone(),
                    nonce: nonce.clone(),
                },
                alternative: policy.face_alternative.clone(),
                attempts_left: policy.face_attempts.saturating_sub(*attempts_used),
            },
        }
    }

    /// The stage's name, for events (L11).
    pub(super) const fn name(&self) -> StageName {
        match self {
            Self::Phone { .. } => StageName("phone"),
            Self::SmsCode { .. } => StageName("sms_code"),
            Self::Verification { .. } => StageName("verification"),
            Self::Registration { .. } => StageName("registration"),
            Self::Face { .. } => StageName("face"),
        }
    }
}

/// A stage's name: safe to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StageName(&'static str);

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
