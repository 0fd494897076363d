//! What speaks for an appeal and what against it (U6). It is shown to the person who decides, orders their queue, and grants nothing by itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::context::Timestamp;
use crate::store::appeals::Use;

/// An account that was not used for so long may well have lost its number to somebody else.
const SILENCE: Duration = Duration::from_hours(90 * 24);
/// A number that was changed so lately may have been changed by somebody else.
const LATELY: Duration = Duration::from_hours(30 * 24);

/// Evidence, without personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// There is an account of the number that was claimed.
    pub account_known: bool,
    /// It has security questions.
    pub questions_set: bool,
    /// How many were answered.
    pub answers_given: u32,
    /// How many of them rightly.
    pub answers_right: u32,
    /// The appeal came from a device that was logged in to the account.
    pub device_known: bool,
    /// And from a network from which the account was logged in to.
    pub place_known: bool,
    /// The contact number is the account's own number.
    pub contact_is_own_number: bool,
    /// The contact number is on the contract of the account's customer.
    pub contact_on_contract: bool,
    /// Seconds since 1970 UTC: when the account was last used.
    pub last_used_at: Option<i64>,
    /// It was not used for 90 days.
    pub long_silence: bool,
    /// Its number was changed within the last 30 days.
    pub number_changed_lately: bool,
    /// Other appeals for the account that are open.
    pub other_open_appeals: u32,
    /// All of it in one number, from -100 to 100: orders the queue.
    pub score: i32,
}

/// What is put together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signals {
    pub(super) account_known: bool,
    pub(super) questions_set: bool,
    pub(super) answers_given: u32,
    pub(super) answers_right: u32,
    pub(super) contact_is_own_number: bool,
    pub(super) contact_on_contract: bool,
    pub(super) usage: Use,
}

impl Evidence {
    pub(super) fn of(signals: Signals, now: Timestamp) -> Self {
        let Signals {
            account_known,
            questions_set,
            answers_given,
            answers_right,
            contact_is_own_number,
            contact_on_contract,
            usage,
        } = signals;
        let long_silence = usage.last_used_at.is_none_or(|at| at.plus(SILENCE) < now);
        let number_changed_lately = usage
            .phone_changed_at
            .is_some_and(|at| now < at.plus(LATELY));
        let other_open_appeals = u32::try_from(usage.open_appeals).unwrap_or(u32::MAX);
        let wrong = answers_given.saturating_sub(answers_right);
        let weigh = |holds: bool, weight: i32| if holds { weight } else { 0 };
        let many = |count: u32, weight: i32| i32::try_from(count.min(5)).unwrap_or(0) * weight;
        let score = if account_known {
            many(answers_right, 15)
                + many(wrong, -10)
                + weigh(usage.device_known, 25)
                + weigh(usage.place_known, 10)
                + weigh(contact_is_own_number, 5)
                + weigh(contact_on_contract, 25)
                + weigh(long_silence, -10)
                + weigh(number_changed_lately, -20)
                + many(other_open_appeals, -10)
        } else {
            -100
        };
        Self {
            account_known,
            questions_set,
            answers_given,
            answers_right,
            device_known: usage.device_known,
            place_known: usage.place_known,
            contact_is_own_number,
            contact_on_contract,
            last_used_at: usage.last_used_at.map(Timestamp::seconds),
            long_silence,
            number_changed_lately,
            other_open_appeals,
            score: score.clamp(-100, 100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn signals() -> Signals {
        Signals {
            account_known: true,
            questions_set: true,
            answers_given: 0,
            answers_right: 0,
            contact_is_own_number: false,
            contact_on_contract: false,
            usage: Use {
                device_known: false,
                place_known: false,
                last_used_at: Some(NOW),
                phone_changed_at: None,
                open_appeals: 0,
            },
        }
    }

    #[test]
    fn u6_evidence_raises_the_score_and_doubt_lowers_it() {
        let plain = Evidence::of(signals(), NOW).score;
        let right = Signals {
            answers_given: 3,
            answers_right: 3,
            ..signals()
        };
        let wrong = Signals {
            answers_given: 3,
            ..signals()
        };
        assert!(Evidence::of(right, NOW).score > plain);
        assert!(Evidence::of(wrong, NOW).score < plain);
        let with = |usage: Use| Evidence::of(Signals { usage, ..signals() }, NOW);
        let usage = signals().usage;
        assert!(
            with(Use {
                device_known: true,
                ..usage
            })
            .score
                > plain
        );
        let silent = with(Use {
            last_used_at: Some(NOW.minus(Duration::from_hours(91 * 24))),
            ..usage
        });
        assert!(silent.long_silence && silent.score < plain);
        let changed = with(Use {
            phone_changed_at: Some(NOW.minus(Duration::from_hours(24))),
            ..usage
        });
        assert!(changed.number_changed_lately && changed.score < plain);
        let crowded = with(Use {
            open_appeals: 2,
            ..usage
        });
        assert!(crowded.score < plain);
        assert!(
            with(Use {
                last_used_at: None,
                ..usage
            })
            .long_silence
        );
    }

    #[test]
    fn u6_nothing_speaks_for_an_appeal_to_no_account() {
        let nobody = Signals {
            account_known: false,
            answers_given: 3,
            answers_right: 3,
            contact_on_contract: true,
            ..signals()
        };
        assert_eq!(Evidence::of(nobody, NOW).score, -100);
    }
}
