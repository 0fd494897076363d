//! Samples of every state and event, for the tests of the flow.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use crate::account::{AccountSummary, Identification};
use crate::api::{KeptCall, PasswordRules, PreparedCall, VerificationMethod};
use crate::login::events::*;
use crate::login::facts::{Failure, FailureKind, Stop, StopReason};
use crate::login::phone_number::{DefaultRegion, PhoneNumber};
use crate::login::state::*;
use crate::providers::{Provider, ProviderOutcome};
use crate::refusal::RefusalKind;
use crate::secret::{SecretBytes, SecretString};
use crate::session::{SessionGrant, SessionTokens};
use crate::text::LocalizedText;
use crate::verification::{CardNumber, FaceTicket, LoginPassword, SmsCode, WithdrawalPassword};

pub(super) const NOW: u64 = 1_800_000_000;
/// The `state` of the attempt under way, and the key of the call under way.
pub(super) const PRESENT: &str = "present";

pub(super) fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

pub(super) fn attempt(state: &str) -> Attempt {
    Attempt {
        provider: Provider::WeChat,
        provider_app_id: "wx1".into(),
        scope: "snsapi_userinfo".into(),
        state: state.into(),
        operation: Some("order.list".into()),
        expires_at: NOW + 600,
        resumed: false,
    }
}

pub(super) fn call(key: &str) -> PreparedCall {
    PreparedCall {
        path: "/v1/login".into(),
        idempotency_key: key.into(),
        body: SecretBytes::from(key.as_bytes()),
        to_seal_again: None,
    }
}

pub(super) fn grant() -> Box<SessionGrant> {
    Box::new(SessionGrant {
        account: AccountSummary {
            user_id: "u1".into(),
            identification: Identification::Unsigned,
            phone_masked: "138****0000".into(),
            nickname: None,
            avatar_url: None,
            bindings: Vec::new(),
        },
        tokens: SessionTokens {
            session_id: "s1".into(),
            access_token: secret("at"),
            expires_in: Duration::from_mins(5),
            refresh_token: secret("rt"),
            refresh_expires_in: Duration::from_mins(150),
        },
    })
}

pub(super) fn failure() -> Failure {
    Failure::of_this_device(FailureKind::Network, "network")
}

pub(super) fn stop() -> Stop {
    Stop::of_this_device(StopReason::TooManyAttempts, "too_many_attempts")
}

fn asked<Q>(step_id: &str, question: Q) -> Asked<Q> {
    Asked {
        handle: Handle {
            login: "lg_1".into(),
            step_id: step_id.into(),
            expires_at: NOW + 600,
        },
        question,
        failure: None,
        unanswered: Vec::new(),
    }
}

/// One step of each kind.
pub(super) fn steps(step_id: &str) -> Vec<Step> {
    vec![
        Step::Phone(asked(step_id, PhoneQuestion {})),
        Step::SmsCode(asked(
            step_id,
            SmsCodeQuestion {
                sent_to: "138****0000".into(),
                digits: 6,
                attempts_left: 5,
                resend_at: NOW + 60,
                code_expires_at: NOW + 600,
            },
        )),
        Step::Verification(asked(
            step_id,
            VerificationQuestion {
                methods: vec![VerificationMethod::LoginPassword, VerificationMethod::Card],
                attempts_left: 5,
            },
        )),
        Step::Registration(asked(
            step_id,
            RegistrationQuestion {
                rules: PasswordRules {
                    min_length: 8,
                    max_length: 64,
                    min_classes: 2,
                },
            },
        )),
        Step::Face(asked(
            step_id,
            FaceQuestion {
                face_session: "fs".into(),
                url: "http://face".into(),
                nonce: "n".into(),
                alternative: LocalizedText::new("柜台", "branch"),
                attempts_left: 3,
            },
        )),
    ]
}

/// Everywhere a call may come from: the start, each step, and a step with an answer whose reply was lost.
pub(super) fn origins() -> Vec<Origin> {
    let mut origins = vec![Origin::Ready {
        expires_at: NOW + 600,
    }];
    origins.extend(steps("s1").into_iter().map(Origin::Step));
    let mut after_lost_reply = steps("s1").remove(3);
    after_lost_reply.leave_unanswered(&call("lost"));
    origins.push(Origin::Step(after_lost_reply));
    origins
}

/// Samples of every state.
pub(super) fn states() -> Vec<State> {
    let mut states = vec![
        State::Ready { failure: None },
        State::Ready {
            failure: Some(failure()),
        },
        State::Authorizing(attempt(PRESENT)),
        State::Refused(Refused {
            provider: Provider::WeChat,
            kind: RefusalKind::Denied,
        }),
        State::Resolving(Resolving::Restoring),
        State::Resolving(Resolving::Offering {
            provider: Provider::WeChat,
        }),
        State::Resolving(Resolving::Leaving(attempt(PRESENT))),
        State::Resolving(Resolving::Saving(grant())),
        State::Resolving(Resolving::Cancelling(AfterCancel::Ready)),
        State::Resolving(Resolving::Cancelling(AfterCancel::FaceDeclined {
            alternative: LocalizedText::new("柜台", "branch"),
        })),
        State::LoggedIn(grant().account),
        State::Stopped(Stopped::Over(stop())),
        State::Stopped(Stopped::NotSaved {
            grant: grant(),
            failure: failure(),
        }),
    ];
    states.extend(steps("s1").into_iter().map(State::from));
    for origin in origins() {
        states.push(State::Resolving(Resolving::Preparing {
            origin: origin.clone(),
        }));
        states.push(State::Resolving(Resolving::Keeping {
            origin: origin.clone(),
            call: call(PRESENT),
        }));
        states.push(State::Resolving(Resolving::Calling {
            origin,
            call: call(PRESENT),
        }));
    }
    states
}

/// Samples of every event; results of calls bear `key`.
pub(super) fn events(key: &str) -> Vec<Event> {
    let found = |pending, now| Event::Restarted(Restored::Found { pending, now });
    let in_call = |origin| Pending::InCall {
        origin,
        call: KeptCall::from(&call("kept")),
    };
    let answer = |state: Option<&str>, outcome| {
        Event::Authorizing(AuthorizingEvent::Answer {
            state: state.map(str::to_owned),
            outcome,
        })
    };
    let consented = || ProviderOutcome::Consented(secret("0815"));
    let password = || LoginPassword::parse(secret("Str0ng-enough")).unwrap();
    let phone = PhoneNumber::parse("13800000000", DefaultRegion::MainlandChina).unwrap();
    let card = CardNumber::parse(&secret("4111111111111111")).unwrap();
    let pin = WithdrawalPassword::parse(&secret("123456")).unwrap();
    let mut events = vec![
        Event::Restarted(Restored::Nothing),
        Event::Restarted(Restored::Unusable),
        Event::Restarted(Restored::Unavailable(failure())),
        found(Pending::AtProvider(attempt(PRESENT)), NOW),
        found(Pending::AtProvider(attempt(PRESENT)), NOW + 601),
        found(Pending::AtProvider(attempt(PRESENT)), NOW - 86_400),
        found(
            in_call(Origin::Ready {
                expires_at: NOW + 600,
            }),
            NOW,
        ),
        Event::Ready(ReadyEvent::Choose(Provider::WeChat)),
        answer(Some(PRESENT), consented()),
        answer(Some(PRESENT), ProviderOutcome::Refused(RefusalKind::Denied)),
        answer(
            Some(PRESENT),
            ProviderOutcome::Refused(RefusalKind::Cancelled),
        ),
        answer(Some("old"), consented()),
        answer(Some(""), consented()),
        answer(None, consented()),
        answer(None, ProviderOutcome::Refused(RefusalKind::Denied)),
        Event::Authorizing(AuthorizingEvent::AppMissing),
        Event::Authorizing(AuthorizingEvent::ReturnedWithoutAnswer),
        Event::Authorizing(AuthorizingEvent::Cancel),
        Event::Refused(RefusedEvent::AskAgain),
        Event::Refused(RefusedEvent::Dismiss),
        Event::Phone(PhoneEvent::Submit(phone)),
        Event::Phone(PhoneEvent::Cancel),
        Event::SmsCode(SmsCodeEvent::Submit(SmsCode::parse("123456", 6).unwrap())),
        Event::SmsCode(SmsCodeEvent::Resend),
        Event::SmsCode(SmsCodeEvent::ChangePhone),
        Event::SmsCode(SmsCodeEvent::Cancel),
        Event::Verification(VerificationEvent::SubmitLoginPassword(password())),
        Event::Verification(VerificationEvent::SubmitCard(card, pin)),
        Event::Verification(VerificationEvent::Cancel),
        Event::Registration(RegistrationEvent::Submit(password())),
        Event::Registration(RegistrationEvent::Cancel),
        Event::Face(FaceEvent::Submit(FaceTicket::parse(secret("ft")).unwrap())),
        Event::Face(FaceEvent::Decline),
        Event::Face(FaceEvent::Cancel),
        Event::Stopped(StoppedEvent::TryAgain),
        Event::Stopped(StoppedEvent::StartOver),
    ];
    for step in steps("s1") {
        events.push(found(Pending::AtStep(step.clone()), NOW));
        events.push(found(in_call(Origin::Step(step)), NOW));
    }
    events.extend(results(key).into_iter().map(Event::Performed));
    events
}

/// Samples of every result; those of calls bear `key`.
pub(super) fn results(key: &str) -> Vec<Performed> {
    let mut results = vec![
        Performed::Offered(attempt(PRESENT)),
        Performed::NotOffered(failure()),
        Performed::Prepared(call(PRESENT)),
        Performed::NotPrepared(failure()),
        Performed::PendingSaved,
        Performed::PendingNotSaved(failure()),
        Performed::SessionSaved,
        Performed::SessionNotSaved(failure()),
        Performed::CancelTold,
    ];
    results.extend(results_of_call(key));
    results
}

/// Samples of every result of a call.
pub(super) fn results_of_call(key: &str) -> Vec<Performed> {
    let key = || key.to_owned();
    let mut results = vec![
        Performed::Over {
            key: key(),
            stop: stop(),
        },
        Performed::Unknown { key: key() },
        Performed::Failed {
            key: key(),
            failure: failure(),
            maybe_done: true,
        },
        Performed::Failed {
            key: key(),
            failure: failure(),
            maybe_done: false,
        },
        Performed::Finished {
            key: key(),
            grant: grant(),
        },
    ];
    for mut step in steps("s2") {
        results.push(Performed::Continued {
            key: key(),
            step: step.clone(),
        });
        step.fail(failure());
        results.push(Performed::Continued { key: key(), step });
    }
    results
}
