//! From the state of the flow to the state that hosts see, with its step.

use std::sync::Weak;
use std::time::Duration;

use super::core::Core;
use super::facts::{
    AuthorizationRequest, FaceInfo, PhoneInfo, ReadyInfo, RegistrationInfo, SmsCodeInfo, Stop,
    StopReason, VerificationInfo,
};
use super::state::{State, Stopped};
use super::steps::{
    AuthorizingStep, FaceStep, LoginState, PhoneStep, ReadyStep, RefusedStep, RegistrationStep,
    SmsCodeStep, StoppedStep, Ticket, VerificationStep,
};
use crate::refusal::Refusal;
use crate::secret::SecretString;

/// The state as hosts see it. `now` is wall time in seconds.
pub(super) fn announced(
    state: &State,
    core: &Weak<Core>,
    epoch: u64,
    left_at: Option<Duration>,
    now: u64,
) -> LoginState {
    let ticket = Ticket {
        core: Weak::clone(core),
        epoch,
    };
    match state {
        State::Ready { failure } => LoginState::Ready(
            ReadyInfo {
                failure: failure.clone(),
            },
            ReadyStep(ticket),
        ),
        State::Authorizing(attempt) => {
            let request = AuthorizationRequest {
                provider: attempt.provider,
                provider_app_id: attempt.provider_app_id.clone(),
                scope: attempt.scope.clone(),
                state: attempt.state.clone(),
                resumed: attempt.resumed,
            };
            let step = AuthorizingStep {
                ticket,
                provider: attempt.provider,
                state: SecretString::from(attempt.state.as_str()),
                left_at,
            };
            LoginState::Authorizing(request, step)
        }
        State::Refused(refused) => LoginState::Refused(
            Refusal::of(refused.provider, refused.kind),
            RefusedStep(ticket),
        ),
        State::Resolving(_) => LoginState::Resolving,
        State::PhoneNeeded(asked) => LoginState::PhoneNeeded(
            PhoneInfo {
                failure: asked.failure.clone(),
                expires_in: asked.handle.expires_at.saturating_sub(now),
            },
            PhoneStep(ticket),
        ),
        State::SmsCodeNeeded(asked) => {
            let question = &asked.question;
            let info = SmsCodeInfo {
                sent_to: question.sent_to.clone(),
                digits: question.digits,
                attempts_left: question.attempts_left,
                resend_after: question.resend_at.saturating_sub(now),
                code_expires_in: question.code_expires_at.saturating_sub(now),
                failure: asked.failure.clone(),
                expires_in: asked.handle.expires_at.saturating_sub(now),
            };
            let digits = question.digits;
            LoginState::SmsCodeNeeded(info, SmsCodeStep { ticket, digits })
        }
        State::VerificationNeeded(asked) => {
            let methods = asked.question.methods.clone();
            let info = VerificationInfo {
                methods: methods.clone(),
                attempts_left: asked.question.attempts_left,
                failure: asked.failure.clone(),
                expires_in: asked.handle.expires_at.saturating_sub(now),
            };
            LoginState::VerificationNeeded(info, VerificationStep { ticket, methods })
        }
        State::RegistrationNeeded(asked) => {
            let rules = asked.question.rules;
            let info = RegistrationInfo {
                rules,
                failure: asked.failure.clone(),
                expires_in: asked.handle.expires_at.saturating_sub(now),
            };
            LoginState::RegistrationNeeded(info, RegistrationStep { ticket, rules })
        }
        State::FaceNeeded(asked) => {
            let question = &asked.question;
            let info = FaceInfo {
                face_session: question.face_session.clone(),
                url: question.url.clone(),
                nonce: question.nonce.clone(),
                alternative: question.alternative.clone(),
                attempts_left: question.attempts_left,
                failure: asked.failure.clone(),
                expires_in: asked.handle.expires_at.saturating_sub(now),
            };
            LoginState::FaceNeeded(info, FaceStep(ticket))
        }
        State::LoggedIn(account) => LoginState::LoggedIn(account.clone()),
        State::Stopped(stopped) => {
            let stop = match stopped {
                Stopped::Over(stop) => stop.clone(),
                Stopped::NotSaved { .. } => {
                    let mut stop =
                        Stop::of_this_device(StopReason::SessionNotSaved, "session_not_saved");
                    stop.can_try_again = true;
                    stop
                }
            };
            let can_try_again = stop.can_try_again;
            LoginState::Stopped(
                stop,
                StoppedStep {
                    ticket,
                    can_try_again,
                },
            )
        }
    }
}
