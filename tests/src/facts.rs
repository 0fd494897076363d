//! A state in the words of `contract/scenarios.md`: its name and its facts.

use postern_sdk_core::account::Identification;
use postern_sdk_core::login::{Failure, LoginState};
use serde_json::{Value, json};

/// The state's name.
pub fn name_of(state: &LoginState) -> &'static str {
    state.name()
}

/// The state's facts, as scenarios name them.
pub fn facts_of(state: &LoginState) -> Value {
    match state {
        LoginState::Ready(info, _) => json!({ "failure": code(info.failure.as_ref()) }),
        LoginState::Authorizing(request, _) => json!({
            "provider": request.provider.as_str(),
            "provider_app_id": request.provider_app_id,
            "scope": request.scope,
        }),
        LoginState::Refused(refusal, _) => json!({
            "provider": refusal.provider.as_str(),
            "kind": refusal.kind.as_str(),
        }),
        LoginState::Resolving => json!({}),
        LoginState::PhoneNeeded(info, _) => json!({ "failure": code(info.failure.as_ref()) }),
        LoginState::SmsCodeNeeded(info, _) => json!({
            "sent_to": info.sent_to,
            "digits": info.digits,
            "attempts_left": info.attempts_left,
            "failure": code(info.failure.as_ref()),
        }),
        LoginState::VerificationNeeded(info, _) => json!({
            "methods": info.methods,
            "attempts_left": info.attempts_left,
            "failure": code(info.failure.as_ref()),
        }),
        LoginState::RegistrationNeeded(info, _) => json!({
            "min_length": info.rules.min_length,
            "failure": code(info.failure.as_ref()),
        }),
        LoginState::FaceNeeded(info, _) => json!({
            "attempts_left": info.attempts_left,
            "failure": code(info.failure.as_ref()),
        }),
        LoginState::LoggedIn(account) => json!({
            "identification": identification(account.identification),
            "phone_masked": account.phone_masked,
            "nickname": account.nickname,
        }),
        LoginState::Stopped(stop, _) => json!({ "reason": stop.reason, "code": stop.code }),
    }
}

fn code(failure: Option<&Failure>) -> Value {
    failure.map_or(Value::Null, |failure| Value::from(failure.code.clone()))
}

fn identification(identification: Identification) -> Value {
    serde_json::to_value(identification).unwrap_or(Value::Null)
}
