//! The flow: a pure function from a state and an event to the next state and the effects to perform.
//!
//! There is no wildcard here: a new state or event does not compile until each pair is decided. `table.rs` names every pair and the tests compare.

use super::facts::{Failure, Stop, StopReason};
use super::failure;
use super::state::{
    AfterCancel, Asked, Attempt, AuthorizingEvent, Effect, Event, FaceEvent, Handle, Origin,
    Pending, Performed, PhoneEvent, ReadyEvent, Refused, RefusedEvent, RegistrationEvent, Request,
    Resolving, Restored, SmsCodeEvent, State, Step, Stopped, StoppedEvent, VerificationEvent,
};
use crate::api::{Answer, PreparedCall};
use crate::providers::{Provider, ProviderOutcome};
use crate::refusal::RefusalKind;
use crate::secret::SecretString;
use crate::session::SessionGrant;

/// No login lives longer; a kept one that claims to was written under a wrong clock. Seconds.
pub(crate) const LONGEST_LIFE: u64 = 3600;

/// What follows from an event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Transition {
    pub(crate) next: State,
    /// To be performed in this order.
    pub(crate) effects: Vec<Effect>,
    /// Whether the event meant anything in this state.
    pub(crate) moved: bool,
}

impl Transition {
    fn to(next: State, effects: Vec<Effect>) -> Self {
        Self {
            next,
            effects,
            moved: true,
        }
    }

    fn resolving(next: Resolving, effects: Vec<Effect>) -> Self {
        Self::to(State::Resolving(next), effects)
    }

    fn ignored(state: State) -> Self {
        Self {
            next: state,
            effects: Vec::new(),
            moved: false,
        }
    }
}

/// How every login begins: with a look for a kept one.
pub(crate) fn begin() -> Transition {
    Transition::resolving(Resolving::Restoring, vec![Effect::ReadPending])
}

/// The next state and what is to be done.
pub(crate) fn transition(state: State, event: Event) -> Transition {
    match state {
        State::Ready { .. } => match event {
            Event::Ready(ReadyEvent::Choose(provider)) => offer(provider),
            Event::Restarted(_)
            | Event::Authorizing(_)
            | Event::Refused(_)
            | Event::Phone(_)
            | Event::SmsCode(_)
            | Event::Verification(_)
            | Event::Registration(_)
            | Event::Face(_)
            | Event::Stopped(_)
            | Event::Performed(_) => Transition::ignored(state),
        },
        State::Authorizing(attempt) => match event {
            Event::Authorizing(event) => at_provider(attempt, event),
            Event::Restarted(_)
            | Event::Ready(_)
            | Event::Refused(_)
            | Event::Phone(_)
            | Event::SmsCode(_)
            | Event::Verification(_)
            | Event::Registration(_)
            | Event::Face(_)
            | Event::Stopped(_)
            | Event::Performed(_) => Transition::ignored(State::Authorizing(attempt)),
        },
        State::Refused(refused) => match event {
            Event::Refused(RefusedEvent::AskAgain) => offer(refused.provider),
            Event::Refused(RefusedEvent::Dismiss) => {
                Transition::to(State::Ready { failure: None }, vec![])
            }
            Event::Restarted(_)
            | Event::Ready(_)
            | Event::Authorizing(_)
            | Event::Phone(_)
            | Event::SmsCode(_)
            | Event::Verification(_)
            | Event::Registration(_)
            | Event::Face(_)
            | Event::Stopped(_)
            | Event::Performed(_) => Transition::ignored(State::Refused(refused)),
        },
        State::Resolving(resolving) => match event {
            Event::Performed(performed) => performed_in(resolving, performed),
            Event::Restarted(restored) => match resolving {
                Resolving::Restoring => restore(restored),
                Resolving::Offering { .. }
                | Resolving::Leaving(_)
                | Resolving::Preparing { .. }
                | Resolving::Keeping { .. }
                | Resolving::Calling { .. }
                | Resolving::Saving(_)
                | Resolving::Cancelling(_) => Transition::ignored(State::Resolving(resolving)),
            },
            Event::Ready(_)
            | Event::Authorizing(_)
            | Event::Refused(_)
            | Event::Phone(_)
            | Event::SmsCode(_)
            | Event::Verification(_)
            | Event::Registration(_)
            | Event::Face(_)
            | Event::Stopped(_) => Transition::ignored(State::Resolving(resolving)),
        },
        State::PhoneNeeded(asked) => match event {
            Event::Phone(PhoneEvent::Submit(phone)) => answer(
                asked,
                Step::Phone,
                Answer::Phone(SecretString::from(phone.as_e164())),
            ),
            Event::Phone(PhoneEvent::Cancel) => cancel(asked.handle, AfterCancel::Ready),
            Event::Restarted(_)
            | Event::Ready(_)
            | Event::Authorizing(_)
            | Event::Refused(_)
            | Event::SmsCode(_)
            | Event::Verification(_)
            | Event::Registration(_)
            | Event::Face(_)
            | Event::Stopped(_)
            | Event::Performed(_) => Transition::ignored(State::PhoneNeeded(asked)),
        },
        State::SmsCodeNeeded(asked) => match event {
            Event::SmsCode(SmsCodeEvent::Submit(code)) => {
                answer(asked, Step::SmsCode, Answer::SmsCode(code.secret().clone()))
            }
            Event::SmsCode(SmsCodeEvent::Resend) => answer(asked, Step::SmsCode, Answer::Resend),
            Event::SmsCode(SmsCodeEvent::ChangePhone) => {
                answer(asked, Step::SmsCode, Answer::ChangePhone)
            }
            Event::SmsCode(SmsCodeEvent::Cancel) => cancel(asked.handle, AfterCancel::Ready),
            Event::Restarted(_)
            | Event::Ready(_)
            | Event::Authorizing(_)
            | Event::Refused(_)
            | Event::Phone(_)
            | Event::Verification(_)
            | Event::Registration(_)
            | Event::Face(_)
            | Event::Stopped(_)
            | Event::Performed(_) => Transition::ignored(State::SmsCodeNeeded(asked)),
        },
        State::VerificationNeeded(asked) => match event {
            Event::Verification(VerificationEvent::SubmitLoginPassword(password)) => answer(
                asked,
                Step::Verification,
                Answer::LoginPassword(password.secret().clone()),
            ),
            Event::Verification(VerificationEvent::SubmitCard(number, withdrawal_password)) => {
                let card = Answer::Card {
                    number: number.secret().clone(),
                    withdrawal_password: withdrawal_password.secret().clone(),
                };
                answer(asked, Step::Verification, card)
            }
            Event::Verification(VerificationEvent::Cancel) => {
                cancel(asked.handle, AfterCancel::Ready)
            }
            Event::Restarted(_)
            | Event::Ready(_)
            | Event::Authorizing(_)
            | Event::Refused(_)
            | Event::Phone(_)
            | Event::SmsCode(_)
            | Event::Registration(_)
            | Event::Face(_)
            | Event::Stopped(_)
            | Event::Performed(_) => Transition::ignored(State::VerificationNeeded(asked)),
        },
        State::RegistrationNeeded(asked) => match event {
            Event::Registration(RegistrationEvent::Submit(password)) => {
                let registration = Answer::Registration {
                    login_password: password.secret().clone(),
                };
                answer(asked, Step::Registration, registration)
            }
            Event::Registration(RegistrationEvent::Cancel) => {
                cancel(asked.handle, AfterCancel::Ready)
            }
            Event::Restarted(_)
            | Event::Ready(_)
            | Event::Authorizing(_)
            | Event::Refused(_)
            | Event::Phone(_)
            | Event::SmsCode(_)
            | Event::Verification(_)
            | Event::Face(_)
            | Event::Stopped(_)
            | Event::Performed(_) => Transition::ignored(State::RegistrationNeeded(asked)),
        },
        State::FaceNeeded(asked) => match event {
            Event::Face(FaceEvent::Submit(ticket)) => {
                let face = Answer::Face {
                    ticket: ticket.secret().clone(),
                };
                answer(asked, Step::Face, face)
            }
            Event::Face(FaceEvent::Decline) => {
                let alternative = asked.question.alternative;
                cancel(asked.handle, AfterCancel::FaceDeclined { alternative })
            }
            Event::Face(FaceEvent::Cancel) => cancel(asked.handle, AfterCancel::Ready),
            Event::Restarted(_)
            | Event::Ready(_)
            | Event::Authorizing(_)
            | Event::Refused(_)
            | Event::Phone(_)
            | Event::SmsCode(_)
            | Event::Verification(_)
            | Event::Registration(_)
            | Event::Stopped(_)
            | Event::Performed(_) => Transition::ignored(State::FaceNeeded(asked)),
        },
        State::LoggedIn(account) => match event {
            Event::Restarted(_)
            | Event::Ready(_)
            | Event::Authorizing(_)
            | Event::Refused(_)
            | Event::Phone(_)
            | Event::SmsCode(_)
            | Event::Verification(_)
            | Event::Registration(_)
            | Event::Face(_)
            | Event::Stopped(_)
            | Event::Performed(_) => Transition::ignored(State::LoggedIn(account)),
        },
        State::Stopped(stopped) => match event {
            Event::Stopped(event) => match (event, stopped) {
                // What was kept goes too: after a session that was not saved it is still the last call.
                (StoppedEvent::StartOver, Stopped::Over(_) | Stopped::NotSaved { .. }) => {
                    ready(None)
                }
                (StoppedEvent::TryAgain, Stopped::NotSaved { grant, .. }) => save(grant),
                (StoppedEvent::TryAgain, stopped @ Stopped::Over(_)) => {
                    Transition::ignored(State::Stopped(stopped))
                }
            },
            Event::Restarted(_)
            | Event::Ready(_)
            | Event::Authorizing(_)
            | Event::Refused(_)
            | Event::Phone(_)
            | Event::SmsCode(_)
            | Event::Verification(_)
            | Event::Registration(_)
            | Event::Face(_)
            | Event::Performed(_) => Transition::ignored(State::Stopped(stopped)),
        },
    }
}

fn ready(failure: Option<Failure>) -> Transition {
    Transition::to(State::Ready { failure }, vec![Effect::ClearPending])
}

fn offer(provider: Provider) -> Transition {
    Transition::resolving(
        Resolving::Offering { provider },
        vec![Effect::FetchOffer(provider)],
    )
}

fn save(grant: Box<SessionGrant>) -> Transition {
    Transition::resolving(
        Resolving::Saving(grant.clone()),
        vec![Effect::SaveSession(grant)],
    )
}

fn at_provider(attempt: Attempt, event: AuthorizingEvent) -> Transition {
    match event {
        // Somebody else's answer, or one of an earlier attempt.
        AuthorizingEvent::Answer { state, .. }
            if state.as_deref() != Some(attempt.state.as_str()) =>
        {
            Transition::ignored(State::Authorizing(attempt))
        }
        AuthorizingEvent::Answer {
            outcome: ProviderOutcome::Consented(code),
            ..
        } => {
            let start = Request::Start {
                provider: attempt.provider,
                code,
            };
            let origin = Origin::Ready {
                expires_at: attempt.expires_at,
            };
            Transition::resolving(
                Resolving::Preparing { origin },
                vec![Effect::Prepare(start)],
            )
        }
        AuthorizingEvent::Answer {
            outcome: ProviderOutcome::Refused(kind),
            ..
        } => refused(attempt, kind),
        AuthorizingEvent::AppMissing => refused(attempt, RefusalKind::AppMissing),
        AuthorizingEvent::ReturnedWithoutAnswer => {
            refused(attempt, RefusalKind::ReturnedWithoutAnswer)
        }
        AuthorizingEvent::Cancel => ready(None),
    }
}

fn refused(attempt: Attempt, kind: RefusalKind) -> Transition {
    let provider = attempt.provider;
    let mut effects = vec![Effect::ClearPending];
    if kind.is_remembered() {
        effects.push(Effect::RememberRefusal {
            provider,
            operation: attempt.operation,
        });
    }
    Transition::to(State::Refused(Refused { provider, kind }), effects)
}

fn answer<Q>(asked: Asked<Q>, step: fn(Asked<Q>) -> Step, answer: Answer) -> Transition {
    let request = Request::Answer {
        handle: asked.handle.clone(),
        answer,
    };
    let origin = Origin::Step(step(asked));
    Transition::resolving(
        Resolving::Preparing { origin },
        vec![Effect::Prepare(request)],
    )
}

fn cancel(handle: Handle, then: AfterCancel) -> Transition {
    // Forgotten first: a process that dies now comes back at the buttons.
    let effects = vec![Effect::ClearPending, Effect::TellCancel(handle)];
    Transition::resolving(Resolving::Cancelling(then), effects)
}

fn over(stop: Stop) -> Transition {
    Transition::to(
        State::Stopped(Stopped::Over(stop)),
        vec![Effect::ClearPending],
    )
}

fn asked(step: Step) -> Transition {
    let note = Effect::NotePending(Pending::AtStep(step.clone()));
    Transition::to(State::from(step), vec![note])
}

/// Back to where the call came from.
fn back(origin: Origin, failure: Failure) -> Transition {
    match origin {
        Origin::Ready { .. } => ready(Some(failure)),
        Origin::Step(mut step) => {
            step.fail(failure);
            asked(step)
        }
    }
}

fn restore(restored: Restored) -> Transition {
    match restored {
        Restored::Nothing => Transition::to(State::Ready { failure: None }, vec![]),
        Restored::Unusable => ready(None),
        // It is still there and may be read next time.
        Restored::Unavailable(failure) => Transition::to(
            State::Ready {
                failure: Some(failure),
            },
            vec![],
        ),
        Restored::Found { pending, now } => {
            let left = pending.expires_at().checked_sub(now);
            if !left.is_some_and(|left| (1..=LONGEST_LIFE).contains(&left)) {
                return ready(None);
            }
            match pending {
                Pending::AtProvider(attempt) => Transition::to(State::Authorizing(attempt), vec![]),
                Pending::AtStep(step) => Transition::to(State::from(step), vec![]),
                Pending::InCall { origin, call } => {
                    let call = PreparedCall::from(call);
                    let repeat = vec![Effect::Repeat(call.clone())];
                    Transition::resolving(Resolving::Calling { origin, call }, repeat)
                }
            }
        }
    }
}

/// Results count only for what is being done.
fn performed_in(resolving: Resolving, performed: Performed) -> Transition {
    match (resolving, performed) {
        (Resolving::Offering { provider }, Performed::Offered(attempt))
            if attempt.provider == provider =>
        {
            let keep = Effect::SavePending(Pending::AtProvider(attempt.clone()));
            Transition::resolving(Resolving::Leaving(attempt), vec![keep])
        }
        (Resolving::Offering { .. }, Performed::NotOffered(failure)) => ready(Some(failure)),

        (Resolving::Leaving(attempt), Performed::PendingSaved) => {
            Transition::to(State::Authorizing(attempt), vec![])
        }
        (Resolving::Leaving(_), Performed::PendingNotSaved(failure)) => ready(Some(failure)),

        (Resolving::Preparing { origin }, Performed::Prepared(call)) => {
            let pending = Pending::InCall {
                origin: origin.clone(),
                call: (&call).into(),
            };
            let keep = Effect::SavePending(pending);
            Transition::resolving(Resolving::Keeping { origin, call }, vec![keep])
        }
        (Resolving::Preparing { origin }, Performed::NotPrepared(failure)) => back(origin, failure),

        (Resolving::Keeping { origin, call }, Performed::PendingSaved) => {
            let send = Effect::Send(call.clone());
            Transition::resolving(Resolving::Calling { origin, call }, vec![send])
        }
        // Not kept, so not sent.
        (Resolving::Keeping { origin, .. }, Performed::PendingNotSaved(failure)) => {
            back(origin, failure)
        }

        (Resolving::Calling { origin, call }, performed) => called(origin, call, performed),

        (Resolving::Saving(grant), Performed::SessionSaved) => Transition::to(
            State::LoggedIn(grant.account),
            vec![Effect::ClearPending, Effect::ForgetRefusals],
        ),
        // The last call stays kept: a process that dies now repeats it and gets the same session.
        (Resolving::Saving(grant), Performed::SessionNotSaved(failure)) => {
            Transition::to(State::Stopped(Stopped::NotSaved { grant, failure }), vec![])
        }

        (Resolving::Cancelling(AfterCancel::Ready), Performed::CancelTold) => {
            Transition::to(State::Ready { failure: None }, vec![])
        }
        (
            Resolving::Cancelling(AfterCancel::FaceDeclined { alternative }),
            Performed::CancelTold,
        ) => {
            let mut stop = Stop::of_this_device(StopReason::FaceDeclined, "face_declined");
            stop.alternative = Some(alternative);
            Transition::to(State::Stopped(Stopped::Over(stop)), vec![])
        }

        (
            resolving @ (Resolving::Restoring
            | Resolving::Offering { .. }
            | Resolving::Leaving(_)
            | Resolving::Preparing { .. }
            | Resolving::Keeping { .. }
            | Resolving::Saving(_)
            | Resolving::Cancelling(_)),
            Performed::Offered(_)
            | Performed::NotOffered(_)
            | Performed::Prepared(_)
            | Performed::NotPrepared(_)
            | Performed::PendingSaved
            | Performed::PendingNotSaved(_)
            | Performed::Continued { .. }
            | Performed::Over { .. }
            | Performed::Unknown { .. }
            | Performed::Failed { .. }
            | Performed::Finished { .. }
            | Performed::SessionSaved
            | Performed::SessionNotSaved(_)
            | Performed::CancelTold,
        ) => Transition::ignored(State::Resolving(resolving)),
    }
}

/// What a call under way led to. The result of any other call changes nothing.
fn called(origin: Origin, call: PreparedCall, performed: Performed) -> Transition {
    let ours = |key: &str| key == call.idempotency_key;
    match performed {
        Performed::Continued { key, step } if ours(&key) => asked(step),
        Performed::Over { key, stop } if ours(&key) => match origin {
            Origin::Ready { .. } => ready(Some(failure::of_start(stop))),
            Origin::Step(mut step) => match step.take_unanswered() {
                // The earlier answer, whose reply was lost, may be what ended the login, and ended it well.
                Some(call) => {
                    let repeat = vec![Effect::Repeat(call.clone())];
                    let origin = Origin::Step(step);
                    Transition::resolving(Resolving::Calling { origin, call }, repeat)
                }
                None => over(stop),
            },
        },
        Performed::Unknown { key } if ours(&key) => over(Stop::of_this_device(
            StopReason::UpdateNeeded,
            "update_needed",
        )),
        Performed::Failed {
            key,
            failure,
            maybe_done,
        } if ours(&key) => match origin {
            Origin::Step(mut step) if maybe_done => {
                step.leave_unanswered(&call);
                back(Origin::Step(step), failure)
            }
            Origin::Step(_) | Origin::Ready { .. } => back(origin, failure),
        },
        Performed::Finished { key, grant } if ours(&key) => save(grant),
        Performed::Continued { .. }
        | Performed::Over { .. }
        | Performed::Unknown { .. }
        | Performed::Failed { .. }
        | Performed::Finished { .. }
        | Performed::Offered(_)
        | Performed::NotOffered(_)
        | Performed::Prepared(_)
        | Performed::NotPrepared(_)
        | Performed::PendingSaved
        | Performed::PendingNotSaved(_)
        | Performed::SessionSaved
        | Performed::SessionNotSaved(_)
        | Performed::CancelTold => {
            Transition::ignored(State::Resolving(Resolving::Calling { origin, call }))
        }
    }
}
