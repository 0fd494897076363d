//! Where an operation stands between two requests: encrypted, because it holds phone numbers.

use serde::{Deserialize, Serialize};

use super::wire::OperationStep;
use super::wire_appeals::SuggestedQuestion;
use crate::context::{Context, Timestamp};
use crate::keys::{Keys, Purpose};
use crate::login::LoginPolicy;
use crate::login::decision::{CustomerRef, UserId};
use crate::login::judging::{DIGITS, Whose};
use crate::login::wire::{FaceRequest, Method};
use crate::phone_number::PhoneNumber;
use crate::ports::FaceSession;

/// What an operation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// L9: who holds the session proves who they are.
    Proof,
    /// U4: another phone number, or (U2) the first.
    PhoneChange,
    /// U6: somebody claims an account.
    Appeal,
    /// U6: what an approved appeal allows.
    Recovery,
}

impl Kind {
    /// Its name in the table.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Proof => "proof",
            Self::PhoneChange => "phone_change",
            Self::Appeal => "appeal",
            Self::Recovery => "recovery",
        }
    }
}

/// An operation between two requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) kind: Kind,
    /// The app of the session: fields are sealed for it.
    pub(super) app_id: String,
    /// The account; empty for an appeal, which claims one only at its end.
    pub(super) user_id: UserId,
    /// The appeal that allows it.
    #[serde(default)]
    pub(super) appeal_id: Option<String>,
    /// What is asked now.
    pub(super) stage: Stage,
}

/// What is asked, with exactly the data that exists then.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(super) enum Stage {
    /// The code of an SMS.
    Code {
        /// To which of the numbers it went.
        of: CodeOf,
        /// The number, and when.
        sent: Sent,
        /// A keyed hash of it, over operation and code.
        code_hash: String,
        /// Wrong codes so far, over all resends and numbers.
        attempts_used: u32,
    },
    /// The new phone number.
    Phone {
        /// Wrong codes so far.
        attempts_used: u32,
        /// The number that a message went to before it was changed, and when.
        last: Option<Sent>,
    },
    /// A password or a card.
    Verification {
        /// Whose.
        asked: Asked,
        /// What for.
        aim: Aim,
        /// Proofs tried so far.
        attempts_used: u32,
    },
    /// What is claimed (U6).
    Claim {
        /// The number that was proved.
        contact: PhoneNumber,
    },
    /// A new login password (U6).
    NewPassword {
        /// The number that was proved.
        phone: PhoneNumber,
        /// It is on this customer's contract: their proof comes next (L5).
        customer: Option<CustomerRef>,
    },
    /// A face.
    Face {
        /// Whose.
        customer: CustomerRef,
        /// What for.
        aim: Aim,
        /// The face service's session.
        session: FaceSession,
        /// What the session is bound to, besides operation, device and customer.
        nonce: String,
        /// Failures so far.
        attempts_used: u32,
    },
}

/// Which number a code went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CodeOf {
    /// The one that the account has (U4).
    Old,
    /// The one that it is to have.
    New,
    /// The one at which an appellant can be reached.
    Contact,
}

/// A message that was sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sent {
    pub(super) phone: PhoneNumber,
    /// Milliseconds since 1970 UTC.
    pub(super) at: i64,
}

/// Whose password or card is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Asked {
    /// The login password of an unsigned account.
    Account(UserId),
    /// L5: login password or card of a customer of the core, and then a face.
    Customer(CustomerRef),
}

impl Asked {
    pub(super) fn whose(&self) -> Whose<'_> {
        match self {
            Self::Account(user_id) => Whose::Account(user_id),
            Self::Customer(customer) => Whose::Customer(customer),
        }
    }
}

/// What is done once everything is proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Aim {
    /// The session is marked as proved (L9).
    Prove,
    /// The account gets this number (U4, U2).
    Phone {
        phone: PhoneNumber,
        /// The number is on this customer's contract: their proof is due too (L5).
        customer: Option<CustomerRef>,
        /// U6: argon2id of the new login password.
        #[serde(default)]
        new_password: Option<String>,
    },
}

impl State {
    /// Encrypts it for the row of this name.
    pub(super) fn seal(&self, keys: &Keys, context: &Context, hash: &str) -> String {
        let text = zeroize::Zeroizing::new(
            serde_json::to_vec(self).expect("a state has only strings and numbers"),
        );
        keys.seal(
            Purpose::Operation,
            hash.as_bytes(),
            &text,
            context.randomness(),
        )
    }

    /// Decrypts the state of the row of this name.
    pub(super) fn open(keys: &Keys, hash: &str, sealed: &str) -> Option<Self> {
        let text = keys
            .open(Purpose::Operation, hash.as_bytes(), sealed)
            .ok()?;
        serde_json::from_slice(&text).ok()
    }
}

impl Stage {
    /// As the client sees it.
    pub(super) fn step(
        &self,
        policy: &LoginPolicy,
        questions: &[SuggestedQuestion],
        now: Timestamp,
        ends_at: Timestamp,
    ) -> OperationStep {
        match self {
            Self::Code {
                of,
                sent,
                attempts_used,
                ..
            } => {
                let sent_at = Timestamp::from_millis(sent.at);
                let sent_to = sent.phone.masked();
                let expires_in = now.seconds_until(sent_at.plus(policy.code_lifetime).min(ends_at));
                let resend_after = now.seconds_until(sent_at.plus(policy.resend_after));
                let attempts_left = policy.code_attempts.saturating_sub(*attempts_used);
                match of {
                    CodeOf::Old => OperationStep::OldSmsCode {
                        sent_to,
                        digits: DIGITS,
                        expires_in,
                        resend_after,
                        attempts_left,
                    },
                    CodeOf::New | CodeOf::Contact => OperationStep::SmsCode {
                        sent_to,
                        digits: DIGITS,
                        expires_in,
                        resend_after,
                        attempts_left,
                    },
                }
            }
            Self::Phone { .. } => OperationStep::Phone,
            Self::Claim { .. } => OperationStep::Claim {
                questions: questions.to_vec(),
            },
            Self::NewPassword { .. } => OperationStep::Registration {
                password_rules: policy.password_rules,
            },
            Self::Verification {
                asked,
                attempts_used,
                ..
            } => OperationStep::Verification {
                methods: match asked {
                    Asked::Account(_) => vec![Method::LoginPassword],
                    Asked::Customer(_) => vec![Method::LoginPassword, Method::Card],
                },
                attempts_left: policy.proof_attempts.saturating_sub(*attempts_used),
            },
            Self::Face {
                session,
                nonce,
                attempts_used,
                ..
            } => OperationStep::Face {
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
}
