//! What the bank decides about logins: times, limits, the rules for passwords.

use std::time::Duration;

use super::wire::{PasswordRules, Text};
use crate::store::limits::Limit;

/// Times, limits and texts of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginPolicy {
    /// How long a login lasts.
    pub lifetime: Duration,
    /// How long an SMS code is good; never longer than its login.
    pub code_lifetime: Duration,
    /// Before another SMS may be asked for.
    pub resend_after: Duration,
    /// Wrong SMS codes in a login, over all resends.
    pub code_attempts: u32,
    /// Wrong passwords and cards in a login.
    pub proof_attempts: u32,
    /// Failed face recognitions in a login.
    pub face_attempts: u32,
    /// Messages to a number; all of these hold.
    pub sms_per_phone: Vec<Limit>,
    /// Messages caused from an address (IPv6: from a /64).
    pub sms_per_address: Vec<Limit>,
    /// Proofs of an account or a customer, over all logins.
    pub proofs_per_subject: Limit,
    /// Face sessions for a customer, and from a device, over all logins: each costs money, and each asks somebody for their face. All of these hold.
    pub faces: Vec<Limit>,
    /// How long a used provider credential is remembered: longer than any provider takes it.
    pub credential_memory: Duration,
    /// For all requests to a provider in one exchange: well below the lease of an Idempotency-Key.
    pub exchange_limit: Duration,
    /// The privacy notice that a guest must have consented to (W6); none: whichever version the app names.
    pub privacy_notice: Option<String>,
    /// Guests made from an address (IPv6: from a /64).
    pub guests_per_address: Vec<Limit>,
    /// Rules for a new login password (L6).
    pub password_rules: PasswordRules,
    /// What the bank offers to those who decline face recognition (L5).
    pub face_alternative: Text,
}

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

impl Default for LoginPolicy {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_mins(10),
            code_lifetime: Duration::from_mins(10),
            resend_after: Duration::from_mins(1),
            code_attempts: 5,
            proof_attempts: 5,
            face_attempts: 3,
            sms_per_phone: vec![
                Limit {
                    count: 5,
                    window: HOUR,
                },
                Limit {
                    count: 10,
                    window: DAY,
                },
            ],
            sms_per_address: vec![Limit {
                count: 100,
                window: HOUR,
            }],
            proofs_per_subject: Limit {
                count: 10,
                window: HOUR,
            },
            faces: vec![
                Limit {
                    count: 10,
                    window: HOUR,
                },
                Limit {
                    count: 30,
                    window: DAY,
                },
            ],
            credential_memory: DAY,
            exchange_limit: Duration::from_secs(15),
            privacy_notice: None,
            guests_per_address: vec![Limit {
                count: 1000,
                window: HOUR,
            }],
            password_rules: PasswordRules {
                min_length: 8,
                max_length: 64,
                min_classes: 2,
            },
            face_alternative: Text {
                zh: "请携带身份证到任一网点办理绑定".to_owned(),
                en: "Bring your identity card to any branch to have it bound there".to_owned(),
            },
        }
    }
}
