//! Problems (RFC 9457): every failure that a client sees. Codes and statuses are exactly those of `contract/problems.json`.

use std::borrow::Cow;
use std::fmt;

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::store::{Failure, StoreError};

/// What becomes of a call after a problem (contract, `problems.json`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing changed: the call may be repeated or corrected.
    Nothing,
    /// The person stays in the step; `next` is given.
    Mendable,
    /// The login is over, or never began.
    LoginOver,
    /// The session is over: the client signs out.
    SessionOver,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $effect:ident, $title:literal;)*) => {
        /// A stable problem code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];

            /// As it goes over the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code,)* }
            }

            /// The HTTP status.
            pub fn status(self) -> StatusCode {
                StatusCode::from_u16(match self { $(Code::$name => $status,)* }).expect("every listed status is valid")
            }

            /// What becomes of the call.
            pub const fn effect(self) -> Effect {
                match self { $(Code::$name => Effect::$effect,)* }
            }

            /// The problem's title: a sentence for developers.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }
        }
    };
}

codes! {
    InvalidRequest = "invalid_request", 400, Nothing, "The request is not of the described form.";
    IdempotencyKeyRequired = "idempotency_key_required", 400, Nothing, "This call needs an Idempotency-Key.";
    SealedFieldInvalid = "sealed_field_invalid", 400, Nothing, "A sealed field does not open.";
    SealingKeyUnknown = "sealing_key_unknown", 400, Nothing, "A field is sealed to a key that is not ours.";
    ProviderCodeInvalid = "provider_code_invalid", 400, LoginOver, "The provider does not accept this credential.";
    ProviderConsentIncomplete = "provider_consent_incomplete", 400, LoginOver, "The person did not consent to all that is needed.";
    BankSessionInvalid = "bank_session_invalid", 400, LoginOver, "The bank's own login is not vouched for.";
    CursorInvalid = "cursor_invalid", 400, Nothing, "This cursor was not given out here.";
    UseDpopNonce = "use_dpop_nonce", 401, Nothing, "The proof needs the nonce of this reply.";
    InvalidDpopProof = "invalid_dpop_proof", 401, Nothing, "The proof is not good.";
    InvalidToken = "invalid_token", 401, Nothing, "The access token is not valid, or not any more.";
    SessionEnded = "session_ended", 401, SessionOver, "The session is over.";
    RefreshTokenInvalid = "refresh_token_invalid", 401, SessionOver, "The refresh token is not valid.";
    RefreshTokenReused = "refresh_token_reused", 401, SessionOver, "A refresh token was used that had been replaced; the session is over.";
    CredentialsInvalid = "credentials_invalid", 401, Nothing, "Name or password is wrong.";
    SignatureInvalid = "signature_invalid", 401, Nothing, "The signature of this request is not good.";
    NotOfferedHere = "not_offered_here", 403, LoginOver, "This provider is not offered here.";
    ReauthenticationRequired = "reauthentication_required", 403, Nothing, "This call needs a proof of the person that is under five minutes old.";
    ProviderLoginRequired = "provider_login_required", 403, Nothing, "This call needs a fresh login at the provider.";
    ConsentRequired = "consent_required", 403, Nothing, "The person has not consented to this.";
    Forbidden = "forbidden", 403, Nothing, "The holder of this token may not do this.";
    NotFound = "not_found", 404, Nothing, "There is nothing at this path.";
    AppUnknown = "app_unknown", 404, Nothing, "There is no app of this id.";
    LoginUnknown = "login_unknown", 404, LoginOver, "There is no such login.";
    BindingUnknown = "binding_unknown", 404, Nothing, "The account has no such binding.";
    OperationUnknown = "operation_unknown", 404, LoginOver, "There is no such operation.";
    AppealUnknown = "appeal_unknown", 404, Nothing, "There is no such appeal.";
    MethodNotAllowed = "method_not_allowed", 405, Nothing, "This path does not answer this method.";
    RequestInFlight = "request_in_flight", 409, Nothing, "The first request with this Idempotency-Key is still in work.";
    Superseded = "superseded", 409, Mendable, "The answer is to an earlier step.";
    AnswerNotExpected = "answer_not_expected", 409, Mendable, "The present step does not take this answer.";
    CustomerAmbiguous = "customer_ambiguous", 409, LoginOver, "The phone number is on the contracts of several customers.";
    PhoneBoundElsewhere = "phone_bound_elsewhere", 409, LoginOver, "The phone number is bound to another account.";
    IdentityBoundElsewhere = "identity_bound_elsewhere", 409, LoginOver, "The provider identity is bound to another account.";
    ProviderAlreadyBound = "provider_already_bound", 409, Nothing, "Another identity of this provider is bound to the account.";
    PhoneRequired = "phone_required", 409, Nothing, "The account needs a phone number first.";
    PhoneChangesAtBank = "phone_changes_at_bank", 409, LoginOver, "The number of a contract is changed at the bank first.";
    Conflict = "conflict", 409, Nothing, "This was changed meanwhile.";
    LoginExpired = "login_expired", 410, LoginOver, "The login took too long.";
    OperationExpired = "operation_expired", 410, LoginOver, "The operation took too long.";
    AccountClosed = "account_closed", 410, SessionOver, "The account is closed.";
    BodyTooLarge = "body_too_large", 413, Nothing, "The body is larger than 64 KiB.";
    UnsupportedMediaType = "unsupported_media_type", 415, Nothing, "The body must be application/json.";
    IdempotencyKeyReused = "idempotency_key_reused", 422, Nothing, "The Idempotency-Key was used with another body.";
    PhoneInvalid = "phone_invalid", 422, Mendable, "This is not a phone number that can be bound.";
    SmsCodeWrong = "sms_code_wrong", 422, Mendable, "The SMS code is wrong.";
    SmsCodeExpired = "sms_code_expired", 422, Mendable, "The SMS code has expired.";
    PasswordWrong = "password_wrong", 422, Mendable, "The login password is wrong.";
    CardWrong = "card_wrong", 422, Mendable, "The card or its withdrawal password is wrong.";
    PasswordUnacceptable = "password_unacceptable", 422, Mendable, "The new login password does not meet the rules.";
    FaceFailed = "face_failed", 422, Mendable, "Face recognition did not pass.";
    PhoneUnchanged = "phone_unchanged", 422, Mendable, "This is the account's number already.";
    ResendTooSoon = "resend_too_soon", 429, Mendable, "A new SMS code may not be sent yet.";
    SmsLimitReached = "sms_limit_reached", 429, Mendable, "No more SMS codes are sent for now.";
    TooManyAttempts = "too_many_attempts", 429, LoginOver, "Too many wrong answers.";
    RateLimited = "rate_limited", 429, Nothing, "Too many requests.";
    Internal = "internal", 500, Nothing, "Something went wrong here.";
    ProviderMisconfigured = "provider_misconfigured", 502, LoginOver, "The provider does not know this app as it is set up here.";
    ProviderUnavailable = "provider_unavailable", 503, Nothing, "The provider cannot be reached.";
    SmsUnavailable = "sms_unavailable", 503, Nothing, "The SMS gateway cannot be reached.";
    CoreUnavailable = "core_unavailable", 503, Nothing, "The bank's core cannot be reached.";
    FaceUnavailable = "face_unavailable", 503, Nothing, "The face service cannot be reached.";
    Busy = "busy", 503, Nothing, "Too much to do at this moment.";
}

/// A failure as the client sees it: see [`Parts`] for what it holds. Boxed, so that a `Result` with it stays small.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

/// What a problem holds. `detail` is for developers and has no personal data; the cause is logged and never sent.
#[derive(Debug)]
pub struct Parts {
    /// The stable code.
    pub code: Code,
    /// What was wrong in this case, where the title does not say it.
    pub detail: Option<Cow<'static, str>>,
    /// RFC 6901 pointer to the field that was refused.
    pub pointer: Option<String>,
    /// Seconds until a repetition makes sense; also the header.
    pub retry_after: Option<u64>,
    /// Answers that this step still takes.
    pub attempts_left: Option<u32>,
    /// The login's handle.
    pub login: Option<String>,
    /// The operation's handle.
    pub operation: Option<String>,
    /// The present step.
    pub step_id: Option<String>,
    /// The present step's description (contract section 7).
    pub next: Option<Value>,
    /// With `not_offered_here`: the providers that are.
    pub offered: Option<Vec<String>>,
    cause: Option<Cause>,
}

#[derive(Debug)]
enum Cause {
    Store(StoreError),
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl std::ops::Deref for Problem {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl std::ops::DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.0
    }
}

impl Problem {
    /// A problem with its code alone.
    pub fn new(code: Code) -> Self {
        Self(Box::new(Parts {
            code,
            detail: None,
            pointer: None,
            retry_after: None,
            attempts_left: None,
            login: None,
            operation: None,
            step_id: None,
            next: None,
            offered: None,
            cause: None,
        }))
    }

    /// 400 `invalid_request` for the field at `pointer` (RFC 6901; empty: the whole body).
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidRequest)
            .pointer(pointer)
            .detail(detail)
    }

    /// 500 `internal`; `cause` is logged, not sent.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(Code::Internal).caused_by(cause)
    }

    /// Whether the same request may succeed later: failures of ours, and limits that pass. Nothing that it cost is kept then.
    pub fn may_be_repeated(&self) -> bool {
        self.status().is_server_error() || self.code == Code::RateLimited
    }

    /// With a sentence for developers.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With the field that was refused.
    #[must_use]
    pub fn pointer(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// With the seconds until a repetition makes sense.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// With the number of answers left.
    #[must_use]
    pub fn attempts_left(mut self, left: u32) -> Self {
        self.attempts_left = Some(left);
        self
    }

    /// With the place where the login stands, so that the client needs no second request to go on.
    #[must_use]
    pub fn at_step(
        mut self,
        login: impl Into<String>,
        step_id: impl Into<String>,
        next: Value,
    ) -> Self {
        self.login = Some(login.into());
        self.step_id = Some(step_id.into());
        self.next = Some(next);
        self
    }

    /// As [`Problem::at_step`], for an operation.
    #[must_use]
    pub fn at_operation(
        mut self,
        operation: impl Into<String>,
        step_id: impl Into<String>,
        next: Value,
    ) -> Self {
        self.operation = Some(operation.into());
        self.step_id = Some(step_id.into());
        self.next = Some(next);
        self
    }

    /// With the providers that are offered instead.
    #[must_use]
    pub fn offered(mut self, providers: Vec<String>) -> Self {
        self.offered = Some(providers);
        self
    }

    /// With what is logged and never sent.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(Cause::Other(cause.into()));
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// Whether it goes into the ledger of replies, and so is given again to a repetition (contract section 3).
    pub fn may_be_kept(&self) -> bool {
        !self.may_be_repeated() && self.code != Code::RequestInFlight
    }

    /// What is logged: the causes, outermost first.
    pub fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.cause.as_ref()? {
            Cause::Store(error) => Some(error),
            Cause::Other(error) => Some(&**error),
        }
    }

    /// The body, byte for byte, as `application/problem+json`.
    pub fn to_json(&self, request_id: &str) -> Vec<u8> {
        let mut body = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        };
        put(
            "type",
            Some(format!("urn:postern:problem:{}", self.code.as_str()).into()),
        );
        put("title", Some(self.code.title().into()));
        put("status", Some(self.status().as_u16().into()));
        put("code", Some(self.code.as_str().into()));
        put("detail", self.detail.as_deref().map(Value::from));
        put("request_id", Some(request_id.into()));
        put("pointer", self.pointer.as_deref().map(Value::from));
        put("retry_after", self.retry_after.map(Value::from));
        put("attempts_left", self.attempts_left.map(Value::from));
        put("login", self.login.as_deref().map(Value::from));
        put("operation", self.operation.as_deref().map(Value::from));
        put("step_id", self.step_id.as_deref().map(Value::from));
        put("next", self.next.clone());
        put("offered", self.offered.clone().map(Value::from));
        Value::Object(body).to_string().into_bytes()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code.as_str())?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let mut problem = match error {
            StoreError::LeaseLost => Self::new(Code::RequestInFlight).retry_after(1),
            ref error if error.may_pass() => Self::new(Code::Busy).retry_after(1),
            _ => Self::new(Code::Internal),
        };
        problem.cause = Some(Cause::Store(error));
        problem
    }
}

impl Failure for Problem {
    fn store_error(&self) -> Option<&StoreError> {
        match &self.cause {
            Some(Cause::Store(error)) => Some(error),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn codes_statuses_and_effects_are_exactly_those_of_the_contract() {
        let contract: Value =
            serde_json::from_str(include_str!("../../contract/problems.json")).unwrap();
        let listed: Vec<(String, u64, String)> = contract["problems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| {
                (
                    p["code"].as_str().unwrap().to_owned(),
                    p["status"].as_u64().unwrap(),
                    p["effect"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        let ours: Vec<(String, u64, String)> = Code::ALL
            .iter()
            .map(|code| {
                let effect = match code.effect() {
                    Effect::Nothing => "nothing",
                    Effect::Mendable => "mendable",
                    Effect::LoginOver => "login_over",
                    Effect::SessionOver => "session_over",
                };
                (
                    code.as_str().to_owned(),
                    u64::from(code.status().as_u16()),
                    effect.to_owned(),
                )
            })
            .collect();
        assert_eq!(ours, listed);
    }

    #[test]
    fn rfc9457_the_body_names_its_code_and_never_its_cause() {
        let problem = Problem::internal("secret table layout")
            .detail("try later")
            .retry_after(3);
        let body: Value = serde_json::from_slice(&problem.to_json("req-1")).unwrap();
        assert_eq!(body["type"], "urn:postern:problem:internal");
        assert_eq!(body["status"], 500);
        assert_eq!(body["request_id"], "req-1");
        assert_eq!(body["retry_after"], 3);
        assert!(!body.to_string().contains("secret"));
        assert_eq!(problem.cause().unwrap().to_string(), "secret table layout");
    }
}
