//! What a failed call means for the person: to the words of `facts.rs`, and to what becomes of the login (contract section 9).

use super::facts::{Failure, FailureKind, Stop, StopReason};
use crate::api::{CallFailure, Problem, ProblemCode};
use crate::transport::TransportError;
use crate::vault::VaultError;

/// What a problem without a place does to the login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing changed; the same answer may be sent again.
    Nothing,
    /// Nobody knows: a call with these bytes may be in work.
    InWork,
    /// The person stays, with the reason.
    Mendable,
    /// The login is over.
    Over,
}

/// The effect of a code, as `contract/problems.json` has it; codes of sessions count as `Over`, for no login gives them.
pub(super) fn effect(code: ProblemCode) -> Effect {
    use ProblemCode as C;
    match code {
        C::InvalidRequest
        | C::CursorInvalid
        | C::CredentialsInvalid
        | C::SignatureInvalid
        | C::ReauthenticationRequired
        | C::ProviderLoginRequired
        | C::ConsentRequired
        | C::Forbidden
        | C::BindingUnknown
        | C::AppealUnknown
        | C::ProviderAlreadyBound
        | C::PhoneRequired
        | C::Conflict
        | C::IdempotencyKeyRequired
        | C::SealedFieldInvalid
        | C::SealingKeyUnknown
        | C::UseDpopNonce
        | C::InvalidDpopProof
        | C::InvalidToken
        | C::NotFound
        | C::AppUnknown
        | C::MethodNotAllowed
        | C::BodyTooLarge
        | C::UnsupportedMediaType
        | C::IdempotencyKeyReused
        | C::RateLimited
        | C::ProviderUnavailable
        | C::SmsUnavailable
        | C::CoreUnavailable
        | C::FaceUnavailable
        | C::Busy => Effect::Nothing,
        C::RequestInFlight | C::Internal | C::UnknownServerFailure => Effect::InWork,
        C::Superseded
        | C::AnswerNotExpected
        | C::PhoneInvalid
        | C::SmsCodeWrong
        | C::SmsCodeExpired
        | C::PasswordWrong
        | C::CardWrong
        | C::PasswordUnacceptable
        | C::FaceFailed
        | C::ResendTooSoon
        | C::SmsLimitReached
        | C::PhoneUnchanged => Effect::Mendable,
        C::ProviderCodeInvalid
        | C::BankSessionInvalid
        | C::OperationUnknown
        | C::PhoneChangesAtBank
        | C::OperationExpired
        | C::AccountClosed
        | C::ProviderConsentIncomplete
        | C::SessionEnded
        | C::RefreshTokenInvalid
        | C::RefreshTokenReused
        | C::NotOfferedHere
        | C::LoginUnknown
        | C::CustomerAmbiguous
        | C::PhoneBoundElsewhere
        | C::IdentityBoundElsewhere
        | C::LoginExpired
        | C::TooManyAttempts
        | C::ProviderMisconfigured
        | C::UnknownRefusal => Effect::Over,
    }
}

fn kind(code: ProblemCode) -> FailureKind {
    use ProblemCode as C;
    match code {
        C::PhoneInvalid
        | C::SmsCodeWrong
        | C::PasswordWrong
        | C::CardWrong
        | C::PasswordUnacceptable
        | C::FaceFailed
        | C::PhoneUnchanged => FailureKind::AnswerWrong,
        C::SmsCodeExpired => FailureKind::CodeExpired,
        C::ResendTooSoon
        | C::SmsLimitReached
        | C::TooManyAttempts
        | C::RateLimited
        | C::RequestInFlight
        | C::Busy => FailureKind::Wait,
        C::Superseded | C::AnswerNotExpected => FailureKind::Moved,
        C::ProviderCodeInvalid
        | C::ProviderConsentIncomplete
        | C::ProviderMisconfigured
        | C::ProviderUnavailable => FailureKind::ProviderTrouble,
        C::NotOfferedHere | C::AppUnknown => FailureKind::NotOffered,
        C::Internal
        | C::SmsUnavailable
        | C::CoreUnavailable
        | C::FaceUnavailable
        | C::UnknownServerFailure => FailureKind::ServerTrouble,
        C::InvalidRequest
        | C::BankSessionInvalid
        | C::CursorInvalid
        | C::CredentialsInvalid
        | C::SignatureInvalid
        | C::ReauthenticationRequired
        | C::ProviderLoginRequired
        | C::ConsentRequired
        | C::Forbidden
        | C::BindingUnknown
        | C::OperationUnknown
        | C::AppealUnknown
        | C::ProviderAlreadyBound
        | C::PhoneRequired
        | C::PhoneChangesAtBank
        | C::Conflict
        | C::OperationExpired
        | C::AccountClosed
        | C::IdempotencyKeyRequired
        | C::SealedFieldInvalid
        | C::SealingKeyUnknown
        | C::UseDpopNonce
        | C::InvalidDpopProof
        | C::InvalidToken
        | C::SessionEnded
        | C::RefreshTokenInvalid
        | C::RefreshTokenReused
        | C::NotFound
        | C::MethodNotAllowed
        | C::LoginUnknown
        | C::CustomerAmbiguous
        | C::PhoneBoundElsewhere
        | C::IdentityBoundElsewhere
        | C::LoginExpired
        | C::BodyTooLarge
        | C::UnsupportedMediaType
        | C::IdempotencyKeyReused
        | C::UnknownRefusal => FailureKind::Refused,
    }
}

fn reason(code: ProblemCode) -> StopReason {
    use ProblemCode as C;
    match code {
        C::LoginExpired | C::LoginUnknown => StopReason::LoginExpired,
        C::TooManyAttempts => StopReason::TooManyAttempts,
        C::CustomerAmbiguous => StopReason::CustomerAmbiguous,
        C::PhoneBoundElsewhere => StopReason::PhoneBoundElsewhere,
        C::IdentityBoundElsewhere => StopReason::IdentityBoundElsewhere,
        _ => StopReason::Refused,
    }
}

/// The failure of a problem.
pub(super) fn of_problem(problem: &Problem) -> Failure {
    Failure {
        kind: kind(problem.code),
        code: match problem.code {
            ProblemCode::UnknownServerFailure => "server_unavailable".to_owned(),
            code => code.as_str().to_owned(),
        },
        retry_after: problem.retry_after.map(|wait| wait.as_secs()),
        request_id: problem.request_id.clone(),
    }
}

/// The end that a problem without a place is.
pub(super) fn stop_of(problem: &Problem) -> Stop {
    Stop {
        reason: reason(problem.code),
        code: problem.code.as_str().to_owned(),
        retry_after: problem.retry_after.map(|wait| wait.as_secs()),
        alternative: None,
        request_id: problem.request_id.clone(),
        can_try_again: false,
    }
}

/// The same, for a login that ended with its first call: the person is at the buttons and may try again.
pub(super) fn of_start(stop: Stop) -> Failure {
    // A code of this device, such as `update_needed`, is no server's; it reads as a refusal.
    let code = ProblemCode::read(&stop.code, 400);
    Failure {
        kind: kind(code),
        code: stop.code,
        retry_after: stop.retry_after,
        request_id: stop.request_id,
    }
}

/// The failure of a vault.
pub(super) fn of_vault(_: &VaultError) -> Failure {
    Failure::of_this_device(FailureKind::Device, "vault")
}

/// The failure of a call, whatever it was.
pub(super) fn of_call(failure: &CallFailure) -> Failure {
    match failure {
        CallFailure::Problem(problem) => of_problem(problem),
        CallFailure::Network(TransportError::Tls) => {
            Failure::of_this_device(FailureKind::Untrusted, "network")
        }
        CallFailure::Network(_) => Failure::of_this_device(FailureKind::Network, "network"),
        CallFailure::Unintelligible => {
            Failure::of_this_device(FailureKind::ServerTrouble, "server_unintelligible")
        }
        CallFailure::KeyListRejected(_) => {
            Failure::of_this_device(FailureKind::Untrusted, "key_list_rejected")
        }
        CallFailure::Vault(error) => of_vault(error),
        CallFailure::DeviceKey(_) => Failure::of_this_device(FailureKind::Device, "device_key"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::Value;

    #[test]
    fn every_code_has_the_effect_that_the_contract_gives_it() {
        let text = include_str!("../../../contract/problems.json");
        let contract: Value = serde_json::from_str(text).unwrap();
        let problems = contract["problems"].as_array().unwrap();
        for problem in problems {
            let status = u16::try_from(problem["status"].as_u64().unwrap()).unwrap();
            let name = problem["code"].as_str().unwrap();
            let code = ProblemCode::read(name, status);
            assert_eq!(code.as_str(), name, "known to this version");
            let expected: &[Effect] = match problem["effect"].as_str().unwrap() {
                // What changed nothing may still be in work.
                "nothing" => &[Effect::Nothing, Effect::InWork],
                "mendable" => &[Effect::Mendable],
                "login_over" | "session_over" => &[Effect::Over],
                other => panic!("an effect that the client does not know: {other}"),
            };
            assert!(expected.contains(&effect(code)), "{name}");
        }
    }

    #[test]
    fn codes_of_tomorrow_are_taken_by_their_status() {
        assert_eq!(effect(ProblemCode::read("brand_new", 503)), Effect::InWork);
        assert_eq!(effect(ProblemCode::read("brand_new", 409)), Effect::Over);
    }
}
