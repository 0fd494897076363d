//! The flow: a pure function from a state and an event to the next state and the effects to perform.
//!
//! There is no wildcard here: a new state or event does not compile until each pair is decided. `tests/rows.rs` names every pair and the tests compare.

use super::events::{
    AuthorizingEvent, Effect, Event, FaceEvent, PhoneEvent, ReadyEvent, RefusedEvent,
    RegistrationEvent, Request, Restored, SmsCodeEvent, StoppedEvent, VerificationEvent,
};
use super::facts::{Failure, Stop};
use super::results::performed_in;
use super::state::{
    AfterCancel, Asked, Attempt, Handle, Origin, Pending, Refused, Resolving, State, Step, Stopped,
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
    pub(super) fn to(next: State, effects: Vec<Effect>) -> Self {
        Self {
            next,
            effects,
            moved: true,
        }
    }

    pub(super) fn resolving(next: Resolving, effects: Vec<Effect>) -> Self {
        Self::to(State::Resolving(next), effects)
    }

    pub(super) fn ignored(state: State) -> Self {
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

pub(super) fn ready(failure: Option<Failure>) -> Transition {
    Transition::to(State::Ready { failure }, vec![Effect::ClearPending])
}

fn offer(provider: Provider) -> Transition {
    Transition::resolving(
        Resolving::Offering { provider },
        vec![Effect::FetchOffer(provider)],
    )
}

pub(super) fn save(grant: Box<SessionGrant>) -> Transition {
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

pub(super) fn over(stop: Stop) -> Transition {
    Transition::to(
        State::Stopped(Stopped::Over(stop)),
        vec![Effect::ClearPending],
    )
}

pub(super) fn asked(step: Step) -> Transition {
    let note = Effect::NotePending(Pending::AtStep(step.clone()));
    Transition::to(State::from(step), vec![note])
}

/// Back to where the call came from.
pub(super) fn back(origin: Origin, failure: Failure) -> Transition {
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
                Pending::AtProvider(attempt) => {
                    let found = Attempt {
                        resumed: true,
                        ..attempt
                    };
                    Transition::to(State::Authorizing(found), vec![])
                }
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
