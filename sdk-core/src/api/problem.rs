//! Problems (RFC 9457, contract section 9).

use std::fmt;
use std::time::Duration;

use super::replies::{self, LoginPlace};
use crate::json;

macro_rules! codes {
    ($($variant:ident = $code:literal),+ $(,)?) => {
        /// The stable code of a problem; `contract/problems.json` says what each means.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum ProblemCode {
            $($variant,)+
            /// A code of 4xx that this version does not know: what was asked was not done.
            UnknownRefusal,
            /// A code of 5xx that this version does not know: may be asked again later.
            UnknownServerFailure,
        }

        impl ProblemCode {
            /// All codes that this version knows.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Reads a code; an unknown one is typed by its status.
            pub fn read(code: &str, status: u16) -> Self {
                match code {
                    $($code => Self::$variant,)+
                    _ if status >= 500 => Self::UnknownServerFailure,
                    _ => Self::UnknownRefusal,
                }
            }

            /// As it stands in `contract/problems.json`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                    Self::UnknownRefusal => "unknown_refusal",
                    Self::UnknownServerFailure => "unknown_server_failure",
                }
            }
        }
    };
}

codes! {
    InvalidRequest = "invalid_request",
    IdempotencyKeyRequired = "idempotency_key_required",
    SealedFieldInvalid = "sealed_field_invalid",
    SealingKeyUnknown = "sealing_key_unknown",
    ProviderCodeInvalid = "provider_code_invalid",
    ProviderConsentIncomplete = "provider_consent_incomplete",
    BankSessionInvalid = "bank_session_invalid",
    CursorInvalid = "cursor_invalid",
    UseDpopNonce = "use_dpop_nonce",
    InvalidDpopProof = "invalid_dpop_proof",
    InvalidToken = "invalid_token",
    SessionEnded = "session_ended",
    RefreshTokenInvalid = "refresh_token_invalid",
    RefreshTokenReused = "refresh_token_reused",
    CredentialsInvalid = "credentials_invalid",
    SignatureInvalid = "signature_invalid",
    NotOfferedHere = "not_offered_here",
    ReauthenticationRequired = "reauthentication_required",
    ProviderLoginRequired = "provider_login_required",
    ConsentRequired = "consent_required",
    Forbidden = "forbidden",
    NotFound = "not_found",
    AppUnknown = "app_unknown",
    LoginUnknown = "login_unknown",
    BindingUnknown = "binding_unknown",
    OperationUnknown = "operation_unknown",
    AppealUnknown = "appeal_unknown",
    MethodNotAllowed = "method_not_allowed",
    RequestInFlight = "request_in_flight",
    Superseded = "superseded",
    AnswerNotExpected = "answer_not_expected",
    CustomerAmbiguous = "customer_ambiguous",
    PhoneBoundElsewhere = "phone_bound_elsewhere",
    IdentityBoundElsewhere = "identity_bound_elsewhere",
    ProviderAlreadyBound = "provider_already_bound",
    PhoneRequired = "phone_required",
    PhoneChangesAtBank = "phone_changes_at_bank",
    Conflict = "conflict",
    LoginExpired = "login_expired",
    OperationExpired = "operation_expired",
    AccountClosed = "account_closed",
    BodyTooLarge = "body_too_large",
    UnsupportedMediaType = "unsupported_media_type",
    IdempotencyKeyReused = "idempotency_key_reused",
    PhoneInvalid = "phone_invalid",
    SmsCodeWrong = "sms_code_wrong",
    SmsCodeExpired = "sms_code_expired",
    PasswordWrong = "password_wrong",
    CardWrong = "card_wrong",
    PasswordUnacceptable = "password_unacceptable",
    FaceFailed = "face_failed",
    PhoneUnchanged = "phone_unchanged",
    ResendTooSoon = "resend_too_soon",
    SmsLimitReached = "sms_limit_reached",
    TooManyAttempts = "too_many_attempts",
    RateLimited = "rate_limited",
    Internal = "internal",
    ProviderMisconfigured = "provider_misconfigured",
    ProviderUnavailable = "provider_unavailable",
    SmsUnavailable = "sms_unavailable",
    CoreUnavailable = "core_unavailable",
    FaceUnavailable = "face_unavailable",
    Busy = "busy",
}

/// What an account center said no with.
#[derive(Clone, PartialEq)]
pub struct Problem {
    /// The stable code.
    pub code: ProblemCode,
    /// The HTTP status of the reply.
    pub status: u16,
    /// For developers, without personal data; not for the person.
    pub detail: Option<String>,
    /// The server's name for the request.
    pub request_id: Option<String>,
    /// The member that is wrong (RFC 6901).
    pub pointer: Option<String>,
    /// When to try again, from the body or the `Retry-After` header.
    pub retry_after: Option<Duration>,
    /// How many tries are left.
    pub attempts_left: Option<u32>,
    /// Where the login stands now, for a mendable failure. Without it the login is over, unless the code's effect is `nothing`.
    pub place: Option<LoginPlace>,
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problem")
            .field("code", &self.code.as_str())
            .field("status", &self.status)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the account center answered {} {}",
            self.status,
            self.code.as_str()
        )
    }
}

impl Problem {
    /// A failure of the server's side that came without a problem, such as a gateway's page.
    pub(crate) fn bare(status: u16, retry_after: Option<u64>) -> Self {
        Self {
            code: ProblemCode::UnknownServerFailure,
            status,
            detail: None,
            request_id: None,
            pointer: None,
            retry_after: retry_after.map(Duration::from_secs),
            attempts_left: None,
            place: None,
        }
    }

    /// Reads the body of a reply that is no success; nothing where it is no problem of ours.
    pub(crate) fn read(status: u16, body: &[u8], retry_after_header: Option<u64>) -> Option<Self> {
        // Loosely: a problem must be readable whatever else it holds.
        let mut problem = json::tree(body)?;
        let place = replies::place(&mut problem);
        let text = |name| json::text(&problem, name);
        Some(Self {
            code: ProblemCode::read(problem.get("code")?.as_str()?, status),
            status,
            detail: text("detail"),
            request_id: text("request_id"),
            pointer: text("pointer"),
            retry_after: json::number(&problem, "retry_after")
                .or(retry_after_header)
                .map(Duration::from_secs),
            attempts_left: json::number(&problem, "attempts_left"),
            place,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_code_of_the_contract_is_known_and_no_other() {
        let contract: Value =
            serde_json::from_str(include_str!("../../../contract/problems.json")).unwrap();
        let codes: Vec<&str> = contract["problems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|problem| problem["code"].as_str().unwrap())
            .collect();
        for code in &codes {
            assert_eq!(ProblemCode::read(code, 400).as_str(), *code);
        }
        assert_eq!(codes.len(), ProblemCode::ALL.len());
    }

    #[test]
    fn a_code_of_tomorrow_is_typed_by_its_status() {
        let read =
            |status| Problem::read(status, br#"{"code":"of_tomorrow","new":[1]}"#, None).unwrap();
        assert_eq!(read(422).code, ProblemCode::UnknownRefusal);
        assert_eq!(read(503).code, ProblemCode::UnknownServerFailure);
    }

    #[test]
    fn members_of_other_types_cost_only_themselves() {
        let body = json!({"code": "password_wrong", "detail": 5, "request_id": [], "pointer": {}, "retry_after": "soon",
            "attempts_left": -3, "login": 7, "step_id": null, "next": {"step": "phone"}});
        let problem = Problem::read(422, body.to_string().as_bytes(), Some(9)).unwrap();
        assert_eq!(problem.code, ProblemCode::PasswordWrong);
        assert_eq!(problem.retry_after, Some(Duration::from_secs(9)));
        assert_eq!(
            (
                problem.attempts_left,
                problem.place.is_some(),
                problem.detail
            ),
            (None, false, None)
        );
    }

    #[test]
    fn a_mendable_problem_says_where_the_login_stands() {
        let body = json!({"code": "sms_code_wrong", "attempts_left": 4, "login": "lg_1", "step_id": "st_2",
            "next": {"step": "sms_code", "sent_to": "138****0000", "digits": 6, "expires_in": 500, "resend_after": 10, "attempts_left": 4}});
        let problem = Problem::read(422, body.to_string().as_bytes(), None).unwrap();
        let place = problem.place.unwrap();
        assert_eq!(
            (place.step_id.as_str(), problem.attempts_left),
            ("st_2", Some(4))
        );
        assert!(matches!(
            place.next,
            replies::NextStep::SmsCode {
                attempts_left: 4,
                ..
            }
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512), status in 0_u16..1000) {
            let _ = Problem::read(status, &bytes, None);
            let _ = replies::login_reply(&bytes);
            let _ = replies::refresh_reply(&bytes);
            let _ = replies::account_reply(&bytes);
            let _ = replies::sessions_reply(&bytes);
        }
    }
}
