//! From the account center's replies to the events of the flow.

use super::events::Performed;
use super::facts::Failure;
use super::failure::{self, Effect};
use super::state::{
    Asked, FaceQuestion, Handle, PhoneQuestion, RegistrationQuestion, SmsCodeQuestion, Step,
    VerificationQuestion,
};
use crate::api::{CallFailure, LoginPlace, LoginReply, NextStep};

/// A login's life where a reply does not say it. Seconds.
pub(super) const USUAL_LIFE: u64 = 600;

/// What the reply to the call with this key means. `now` is wall time in seconds.
pub(super) fn performed(
    key: String,
    result: Result<LoginReply, CallFailure>,
    now: u64,
) -> Performed {
    match result {
        Ok(LoginReply::Next(place)) => continued(key, place, None, now),
        Ok(LoginReply::Done(grant)) => Performed::Finished { key, grant },
        // Only a cancel is answered so, and cancels are not asked for here.
        Ok(LoginReply::Cancelled) => failed(key, &CallFailure::Unintelligible, true),
        Err(CallFailure::Problem(mut problem)) => match problem.place.take() {
            Some(place) => continued(key, place, Some(failure::of_problem(&problem)), now),
            None => match failure::effect(problem.code) {
                Effect::Nothing => failed(key, &CallFailure::Problem(problem), false),
                // Mendable, but the place can't be read: the next answer finds it.
                Effect::InWork | Effect::Mendable => {
                    failed(key, &CallFailure::Problem(problem), true)
                }
                Effect::Over => Performed::Over {
                    key,
                    stop: failure::stop_of(&problem),
                },
            },
        },
        Err(other) => failed(key, &other, true),
    }
}

fn failed(key: String, failure: &CallFailure, maybe_done: bool) -> Performed {
    Performed::Failed {
        key,
        failure: failure::of_call(failure),
        maybe_done,
    }
}

fn continued(key: String, place: LoginPlace, failure: Option<Failure>, now: u64) -> Performed {
    match step(place, failure, now) {
        Some(step) => Performed::Continued { key, step },
        None => Performed::Unknown { key },
    }
}

/// The step; nothing where this version does not know it.
fn step(place: LoginPlace, failure: Option<Failure>, now: u64) -> Option<Step> {
    let life = place.expires_in.map_or(USUAL_LIFE, |life| life.as_secs());
    let handle = Handle {
        login: place.login.0,
        step_id: place.step_id,
        expires_at: now.saturating_add(life.min(super::flow::LONGEST_LIFE)),
    };
    Some(match place.next {
        NextStep::Phone => Step::Phone(ask(handle, PhoneQuestion {}, failure)),
        NextStep::SmsCode {
            sent_to,
            digits,
            expires_in,
            resend_after,
            attempts_left,
        } => {
            let question = SmsCodeQuestion {
                sent_to,
                digits,
                attempts_left,
                resend_at: now.saturating_add(resend_after.as_secs()),
                code_expires_at: now.saturating_add(expires_in.as_secs()),
            };
            Step::SmsCode(ask(handle, question, failure))
        }
        NextStep::Verification {
            methods,
            attempts_left,
        } => {
            // Only ways of tomorrow: the person can't answer.
            if methods.is_empty() {
                return None;
            }
            let question = VerificationQuestion {
                methods,
                attempts_left,
            };
            Step::Verification(ask(handle, question, failure))
        }
        NextStep::Registration(rules) => {
            Step::Registration(ask(handle, RegistrationQuestion { rules }, failure))
        }
        NextStep::Face {
            request,
            alternative,
            attempts_left,
        } => {
            let question = FaceQuestion {
                face_session: request.face_session,
                url: request.url,
                nonce: request.nonce,
                alternative,
                attempts_left,
            };
            Step::Face(ask(handle, question, failure))
        }
        NextStep::Unknown => return None,
    })
}

fn ask<Q>(handle: Handle, question: Q, failure: Option<Failure>) -> Asked<Q> {
    Asked {
        handle,
        question,
        failure,
        unanswered: Vec::new(),
    }
}
