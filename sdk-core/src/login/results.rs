//! The part of the flow that takes results: each counts only for what is being done.

use super::events::{Effect, Performed};
use super::facts::{Stop, StopReason};
use super::failure;
use super::flow::{Transition, asked, back, over, ready, save};
use super::state::{AfterCancel, Origin, Pending, Resolving, State, Stopped};
use crate::api::PreparedCall;

/// Results count only for what is being done.
pub(super) fn performed_in(resolving: Resolving, performed: Performed) -> Transition {
    match (resolving, performed) {
        (Resolving::Offering { provider }, Performed::Offered(attempt))
            if attempt.provider == provider =>
        {
            let keep = Effect::SavePending(Pending::AtProvider(attempt.clone()));
            Transition::resolving(Resolving::Leaving(attempt), vec![keep])
        }
        // Nobody has left yet: the buttons again.
        (Resolving::Offering { .. }, Performed::NotOffered(failure))
        | (Resolving::Leaving(_), Performed::PendingNotSaved(failure)) => ready(Some(failure)),

        (Resolving::Leaving(attempt), Performed::PendingSaved) => {
            Transition::to(State::Authorizing(attempt), vec![])
        }

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
