//! The flow against its table, and under random sequences of events.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::rows::{Row, TABLE};
use super::samples::*;
use super::table::{EventKind, StateKind, diagram, kind_of_event, kind_of_state};
use crate::api::PreparedCall;
use crate::login::events::*;
use crate::login::flow::{LONGEST_LIFE, Transition, begin, transition};
use crate::login::state::*;
use crate::providers::{Provider, ProviderOutcome};
use crate::refusal::RefusalKind;

fn row(kind: StateKind) -> &'static Row {
    let mut rows = TABLE.iter().filter(|row| row.state == kind);
    let row = rows.next().unwrap();
    assert!(rows.next().is_none(), "{kind:?} has one row");
    row
}

fn all_events() -> Vec<Event> {
    let mut events = events(PRESENT);
    events.extend(results_of_call("another").into_iter().map(Event::Performed));
    events
}

#[test]
fn every_pair_of_state_and_event_is_named_in_the_table_exactly_once() {
    for state in StateKind::ALL {
        let row = row(*state);
        for event in EventKind::ALL {
            let moves = row.moves.iter().filter(|(kind, _)| kind == event).count();
            let ignores = row
                .ignores
                .iter()
                .flat_map(|group| group.iter())
                .filter(|kind| *kind == event)
                .count();
            assert_eq!(moves + ignores, 1, "{state:?} x {event:?}");
        }
    }
}

#[test]
fn there_is_a_sample_of_every_state_and_every_event() {
    let states: BTreeSet<_> = states().iter().map(kind_of_state).collect();
    assert_eq!(states, StateKind::ALL.iter().copied().collect());
    let events: BTreeSet<_> = all_events().iter().map(kind_of_event).collect();
    assert_eq!(events, EventKind::ALL.iter().copied().collect());
}

#[test]
fn the_flow_does_what_the_table_says_for_every_pair() {
    for kind in StateKind::ALL {
        let row = row(*kind);
        let samples: Vec<State> = states()
            .into_iter()
            .filter(|state| kind_of_state(state) == *kind)
            .collect();
        for event_kind in EventKind::ALL {
            let expected: BTreeSet<_> = row
                .moves
                .iter()
                .filter(|(event, _)| event == event_kind)
                .flat_map(|(_, landings)| landings.iter().copied())
                .collect();
            let mut landed = BTreeSet::new();
            for event in all_events()
                .into_iter()
                .filter(|event| kind_of_event(event) == *event_kind)
            {
                for state in &samples {
                    let Transition {
                        next,
                        effects,
                        moved,
                    } = transition(state.clone(), event.clone());
                    if expected.is_empty() {
                        assert!(
                            !moved && effects.is_empty() && next == *state,
                            "{kind:?} ignores {event_kind:?}"
                        );
                    } else {
                        assert!(moved, "{kind:?} x {event_kind:?}");
                        landed.insert(kind_of_state(&next));
                    }
                }
            }
            assert_eq!(landed, expected, "{kind:?} x {event_kind:?}");
        }
    }
}

#[test]
fn whoever_waits_waits_for_one_thing_and_nobody_else_waits() {
    let begun = begin();
    assert!(matches!(begun.next, State::Resolving(Resolving::Restoring)));
    assert_eq!(begun.effects, [Effect::ReadPending]);
    for state in states() {
        for event in all_events() {
            let after = transition(state.clone(), event);
            let reports = after
                .effects
                .iter()
                .filter(|effect| effect.reports())
                .count();
            let waits = after.moved && matches!(after.next, State::Resolving(_));
            assert_eq!(reports, usize::from(waits), "{:?}", after.next);
            if waits {
                assert!(
                    after.effects.last().unwrap().reports(),
                    "what is waited for comes last"
                );
            }
        }
    }
}

#[test]
fn m4_only_a_denial_is_remembered_with_the_operation_it_was_asked_for() {
    for kind in [
        RefusalKind::Denied,
        RefusalKind::Cancelled,
        RefusalKind::ReturnedWithoutAnswer,
        RefusalKind::AppMissing,
        RefusalKind::Misconfigured,
        RefusalKind::ProviderFailed,
        RefusalKind::Network,
    ] {
        let answer = AuthorizingEvent::Answer {
            state: Some(PRESENT.into()),
            outcome: ProviderOutcome::Refused(kind),
        };
        let after = transition(
            State::Authorizing(attempt(PRESENT)),
            Event::Authorizing(answer),
        );
        let remembered = Effect::RememberRefusal {
            provider: Provider::WeChat,
            operation: Some("order.list".into()),
        };
        assert_eq!(
            after.effects.contains(&remembered),
            kind == RefusalKind::Denied,
            "{kind:?}"
        );
        assert!(after.effects.contains(&Effect::ClearPending));
    }
}

#[test]
fn a_login_that_seems_over_asks_for_lost_replies_before_it_gives_up() {
    let mut step = steps("s1").remove(3);
    step.leave_unanswered(&call("first"));
    step.leave_unanswered(&call("second"));
    let mut state = State::Resolving(Resolving::Calling {
        origin: Origin::Step(step),
        call: call("third"),
    });
    for (asked, lost) in [("third", "second"), ("second", "first")] {
        let over = Performed::Over {
            key: asked.into(),
            stop: stop(),
        };
        let after = transition(state, Event::Performed(over));
        assert_eq!(after.effects, [Effect::Repeat(call(lost))]);
        state = after.next;
    }
    // The first answer had been what registered the person: its stored reply is the session.
    let finished = Performed::Finished {
        key: "first".into(),
        grant: grant(),
    };
    let after = transition(state, Event::Performed(finished));
    assert!(matches!(after.next, State::Resolving(Resolving::Saving(_))));
}

#[test]
fn a_kept_login_means_something_only_within_a_plausible_time() {
    let found = |expires_at: u64, now: u64| {
        let mut attempt = attempt(PRESENT);
        attempt.expires_at = expires_at;
        let pending = Pending::AtProvider(attempt);
        let event = Event::Restarted(Restored::Found { pending, now });
        matches!(transition(begin().next, event).next, State::Authorizing(_))
    };
    assert!(found(NOW + 600, NOW));
    assert!(found(NOW + 1, NOW));
    // The clock was set back by half an hour since: the server will know.
    assert!(found(NOW + 600, NOW - 1800));
    assert!(!found(NOW, NOW), "over");
    assert!(!found(NOW, NOW + 86_400), "over for long");
    assert!(
        !found(NOW + LONGEST_LIFE + 1, NOW),
        "written under a wrong clock"
    );
    assert!(!found(u64::MAX, NOW));
}

#[test]
fn an_attempt_that_a_new_process_found_says_so_and_a_new_one_does_not() {
    let pending = Pending::AtProvider(attempt(PRESENT));
    let event = Event::Restarted(Restored::Found { pending, now: NOW });
    let State::Authorizing(found) = transition(begin().next, event).next else {
        panic!("the person is still at the provider")
    };
    assert!(found.resumed);
    let mut kept = serde_json::to_value(Pending::AtProvider(found)).unwrap();
    assert!(!kept.to_string().contains("resumed"), "{kept}");
    let again: Pending = crate::json::FromJson::from_json(&mut kept).unwrap();
    assert_eq!(again, Pending::AtProvider(attempt(PRESENT)));
}

/// What is read by hand is all that serde wrote, of every kind of kept login; and nothing less is taken for one.
#[test]
fn every_kept_login_is_read_as_it_was_written() {
    let read = |tree: &serde_json::Value| -> Option<Pending> {
        crate::json::FromJson::from_json(&mut tree.clone())
    };
    let failed = |step: &Step| {
        let mut step = step.clone();
        step.fail(failure());
        step.leave_unanswered(&call("earlier"));
        step
    };
    let in_call = |origin| Pending::InCall {
        origin,
        call: (&call("key")).into(),
    };
    let mut all = vec![Pending::AtProvider(attempt(PRESENT))];
    all.extend(steps("st").iter().map(failed).map(Pending::AtStep));
    all.extend(steps("st").into_iter().map(Pending::AtStep));
    all.extend(origins().into_iter().map(in_call));
    for pending in all {
        let written = serde_json::to_value(&pending).unwrap();
        assert_eq!(read(&written), Some(pending), "{written}");
        for path in leaves(&written) {
            let mut short = written.clone();
            let (parent, name) = path.rsplit_once('/').unwrap();
            let parent = short.pointer_mut(parent).unwrap();
            let optional = written.pointer(&path).unwrap().is_null();
            if let Some(object) = parent.as_object_mut() {
                object.remove(name);
                let may_be_missing = optional
                    || [
                        "failure",
                        "operation",
                        "retry_after",
                        "request_id",
                        "zh",
                        "en",
                    ]
                    .contains(&name);
                assert_eq!(
                    read(&short).is_some(),
                    may_be_missing,
                    "{path} of {written}"
                );
            }
        }
    }
}

/// Pointers to all that is in a tree.
fn leaves(tree: &serde_json::Value) -> Vec<String> {
    let Some(object) = tree.as_object() else {
        return Vec::new();
    };
    let below = |(name, value): (&String, &serde_json::Value)| {
        let mut paths = vec![format!("/{name}")];
        paths.extend(leaves(value).iter().map(|path| format!("/{name}{path}")));
        paths
    };
    object.iter().flat_map(below).collect()
}

#[test]
fn the_diagram_in_the_readme_is_the_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/login/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (head, rest) = readme.split_once("```mermaid\n").unwrap();
    let (drawn, tail) = rest.split_once("\n```").unwrap();
    if std::env::var_os("POSTERN_DRAW").is_some() {
        let drawn = diagram();
        std::fs::write(path, format!("{head}```mermaid\n{drawn}\n```{tail}")).unwrap();
        return;
    }
    assert!(
        drawn == diagram(),
        "the diagram is old: POSTERN_DRAW=1 cargo test -p postern-sdk-core the_diagram"
    );
}

/// A world around the flow: it performs effects honestly, or lets them fail, and counts.
struct World {
    state: State,
    /// What is being waited for.
    waiting: Option<Effect>,
    /// What the vault holds.
    kept: Option<Pending>,
    /// Calls that were ever prepared, so that a repetition can be compared.
    prepared: Vec<PreparedCall>,
    counter: u32,
    last: Option<EventKind>,
}

impl World {
    fn new() -> Self {
        let begun = begin();
        Self {
            state: begun.next,
            waiting: begun.effects.into_iter().next(),
            kept: None,
            prepared: Vec::new(),
            counter: 0,
            last: None,
        }
    }

    fn fresh(&mut self, what: &str) -> String {
        self.counter += 1;
        format!("{what}{}", self.counter)
    }

    /// One of the results that the effect waited for can have.
    fn result(&mut self, choice: usize) -> Option<Event> {
        let effect = self.waiting.take()?;
        let performed = match effect {
            Effect::ReadPending => {
                let restored = match (&self.kept, choice % 6) {
                    (_, 0) => Restored::Unavailable(failure()),
                    (Some(pending), _) => Restored::Found {
                        pending: pending.clone(),
                        now: NOW,
                    },
                    (None, _) => Restored::Nothing,
                };
                return Some(Event::Restarted(restored));
            }
            Effect::FetchOffer(_) if choice.is_multiple_of(4) => Performed::NotOffered(failure()),
            Effect::FetchOffer(_) => Performed::Offered(attempt(&self.fresh("attempt"))),
            Effect::SavePending(_) if choice.is_multiple_of(5) => {
                Performed::PendingNotSaved(failure())
            }
            Effect::SavePending(pending) => {
                self.kept = Some(pending);
                Performed::PendingSaved
            }
            Effect::Prepare(_) if choice.is_multiple_of(5) => Performed::NotPrepared(failure()),
            Effect::Prepare(_) => {
                let call = call(&self.fresh("call"));
                self.prepared.push(call.clone());
                Performed::Prepared(call)
            }
            Effect::Send(call) | Effect::Repeat(call) => {
                let results = results_of_call(&call.idempotency_key);
                results[choice % results.len()].clone()
            }
            Effect::SaveSession(_) if choice.is_multiple_of(3) => {
                Performed::SessionNotSaved(failure())
            }
            Effect::SaveSession(_) => Performed::SessionSaved,
            Effect::TellCancel(_) => Performed::CancelTold,
            Effect::NotePending(_)
            | Effect::ClearPending
            | Effect::RememberRefusal { .. }
            | Effect::ForgetRefusals => unreachable!("reports nothing"),
        };
        Some(Event::Performed(performed))
    }

    /// Something that a person, a provider or an old call does, fitting or not.
    fn outside(&self, choice: usize) -> Event {
        let mut pool: Vec<Event> = events("an old call")
            .into_iter()
            .filter(|event| !matches!(event, Event::Restarted(_) | Event::Performed(_)))
            .collect();
        pool.extend(
            results_of_call("an old call")
                .into_iter()
                .map(Event::Performed),
        );
        if let State::Authorizing(attempt) = &self.state {
            for outcome in [
                ProviderOutcome::Consented(secret("0815")),
                ProviderOutcome::Refused(RefusalKind::Denied),
            ] {
                // Likely, so that sequences get somewhere.
                for _ in 0..20 {
                    pool.push(Event::Authorizing(AuthorizingEvent::Answer {
                        state: Some(attempt.state.clone()),
                        outcome: outcome.clone(),
                    }));
                }
            }
        }
        pool.swap_remove(choice % pool.len())
    }

    fn happen(&mut self, event: Event) {
        let before = self.state.clone();
        let kind = kind_of_event(&event);
        let after = transition(before.clone(), event);
        if !after.moved {
            assert_eq!(after.next, before, "what is ignored changes nothing");
            assert!(after.effects.is_empty());
            return;
        }
        self.last = Some(kind);
        self.state = after.next;
        for effect in after.effects {
            if let Effect::Send(sent) = &effect {
                let is_kept = matches!(&self.kept, Some(Pending::InCall { call, .. }) if PreparedCall::from(call.clone()) == *sent);
                assert!(
                    is_kept,
                    "nothing is sent that a new process could not send again"
                );
            }
            if let Effect::Repeat(repeated) = &effect {
                assert!(
                    self.prepared.contains(repeated),
                    "a repetition has the bytes of the first time"
                );
            }
            match effect {
                Effect::NotePending(pending) => self.kept = Some(pending),
                Effect::ClearPending => self.kept = None,
                Effect::RememberRefusal { .. } | Effect::ForgetRefusals => {}
                reporting => {
                    assert!(self.waiting.is_none(), "never two things under way");
                    self.waiting = Some(reporting);
                }
            }
        }
        self.check(&before, kind);
    }

    fn check(&self, before: &State, event: EventKind) {
        assert_eq!(
            self.waiting.is_some(),
            matches!(self.state, State::Resolving(_))
        );
        match &self.state {
            State::LoggedIn(_) => {
                assert_eq!(
                    event,
                    EventKind::SessionSaved,
                    "no LoggedIn without a saved session"
                );
                assert_eq!(self.kept, None);
            }
            State::Authorizing(attempt) => {
                let kept = Attempt {
                    resumed: false,
                    ..attempt.clone()
                };
                assert_eq!(self.kept, Some(Pending::AtProvider(kept)));
            }
            State::PhoneNeeded(_)
            | State::SmsCodeNeeded(_)
            | State::VerificationNeeded(_)
            | State::RegistrationNeeded(_)
            | State::FaceNeeded(_) => {
                let Some(Pending::AtStep(step)) = &self.kept else {
                    panic!("a step is kept")
                };
                assert_eq!(State::from(step.clone()), self.state);
            }
            State::Ready { failure } => {
                let unread = event == EventKind::FoundUnavailable;
                assert!(unread || self.kept.is_none(), "nothing kept at the buttons");
                let asked_for = matches!(
                    event,
                    EventKind::CancelAuthorizing
                        | EventKind::Dismiss
                        | EventKind::CancelTold
                        | EventKind::StartOver
                );
                assert!(
                    !asked_for || failure.is_none(),
                    "who goes back willingly is told of no failure"
                );
            }
            State::Refused(_) => {
                assert!(matches!(before, State::Authorizing(_)));
                assert_eq!(self.kept, None);
            }
            State::Stopped(Stopped::Over(_)) => assert_eq!(self.kept, None),
            State::Stopped(Stopped::NotSaved { .. }) => assert!(
                matches!(self.kept, Some(Pending::InCall { .. })),
                "the last call can be repeated"
            ),
            State::Resolving(_) => {}
        }
        let State::Resolving(
            Resolving::Preparing { origin }
            | Resolving::Keeping { origin, .. }
            | Resolving::Calling { origin, .. },
        ) = before
        else {
            return;
        };
        if matches!(
            event,
            EventKind::NotPrepared | EventKind::PendingNotSaved | EventKind::Failed
        ) {
            match origin {
                Origin::Ready { .. } => {
                    assert!(matches!(self.state, State::Ready { failure: Some(_) }));
                }
                Origin::Step(step) => {
                    let at_origin = kind_of_state(&State::from(step.clone()));
                    assert_eq!(
                        kind_of_state(&self.state),
                        at_origin,
                        "a failure lands where the call came from"
                    );
                }
            }
        }
    }

    /// The process dies; a new one looks at the same vault.
    fn die(&mut self) {
        let before = self.state.clone();
        let begun = begin();
        self.state = begun.next;
        self.waiting = None;
        let restored = match self.kept.clone() {
            Some(pending) => Restored::Found { pending, now: NOW },
            None => Restored::Nothing,
        };
        self.happen(Event::Restarted(restored));
        match before {
            State::Authorizing(attempt) => {
                let found = Attempt {
                    resumed: true,
                    ..attempt
                };
                assert_eq!(
                    self.state,
                    State::Authorizing(found),
                    "still at the provider"
                );
            }
            State::PhoneNeeded(_)
            | State::SmsCodeNeeded(_)
            | State::VerificationNeeded(_)
            | State::RegistrationNeeded(_)
            | State::FaceNeeded(_) => {
                assert_eq!(self.state, before, "where the person was, they are");
            }
            State::Resolving(Resolving::Calling { .. } | Resolving::Saving(_))
            | State::Stopped(Stopped::NotSaved { .. }) => {
                assert!(
                    matches!(self.state, State::Resolving(Resolving::Calling { .. })),
                    "the call is made again"
                );
            }
            State::Ready { .. }
            | State::Refused(_)
            | State::Resolving(_)
            | State::LoggedIn(_)
            | State::Stopped(Stopped::Over(_)) => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: see the assertions of `World`.
    #[test]
    fn the_flow_keeps_its_promises_under_any_sequence(choices in prop::collection::vec((0_u8..20, 0_usize..1000), 1..80)) {
        let mut world = World::new();
        for (what, choice) in choices {
            match what {
                0 => world.die(),
                1..=11 => {
                    let event = world.result(choice).unwrap_or_else(|| world.outside(choice));
                    world.happen(event);
                }
                _ => {
                    let event = world.outside(choice);
                    world.happen(event);
                }
            }
        }
    }
}
