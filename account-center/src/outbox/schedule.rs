//! When a delivery that failed is tried again (contract/webhooks.md has these numbers).

use std::time::Duration;

use crate::context::Timestamp;

/// After the first try, the second, …: 15 tries over about 62 hours.
const WEBHOOK: [u64; 14] = [
    5, 30, 120, 600, 1800, 3600, 7200, 14_400, 21_600, 28_800, 36_000, 36_000, 36_000, 36_000,
];
/// No try is begun later than this after the first.
const WEBHOOK_DAYS: Duration = Duration::from_hours(72);
/// Ended sessions, then every minute.
const URGENT: [u64; 7] = [1, 1, 2, 4, 8, 15, 30];
/// Tokens of an ended session are refused by themselves after five minutes: then nobody needs to know any more.
pub(super) const URGENT_FOR: Duration = Duration::from_mins(10);
/// The bank's own broker, then every half minute, for ever.
const BROKER: [u64; 5] = [1, 2, 5, 10, 20];
/// The longest time that a Retry-After is honoured for.
const LONGEST_HOLD: Duration = Duration::from_hours(24);

/// When a delivery is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schedule {
    /// A webhook: up to three days, then a dead letter.
    Webhook,
    /// A webhook about an ended session: ten minutes, then nothing.
    Urgent,
    /// The broker: for ever.
    Broker,
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is tried again then.
    Again(Timestamp),
    /// Nobody needs it any more.
    Moot,
    /// It stays, and is not tried any more by itself.
    Dead,
}

/// A try that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tried {
    /// Tries so far, this one included.
    pub(super) tries: u32,
    /// When it was first tried.
    pub(super) first_at: Timestamp,
    /// Now.
    pub(super) now: Timestamp,
    /// What the receiver asked for.
    pub(super) retry_after: Option<Duration>,
    /// From 0 to 1, so that those that failed together do not come back together.
    pub(super) jitter: f64,
}

impl Schedule {
    /// What becomes of a delivery after a try that failed.
    pub(super) fn after(self, tried: Tried) -> Fate {
        let n = usize::try_from(tried.tries.saturating_sub(1)).unwrap_or(usize::MAX);
        let (seconds, end) = match self {
            Self::Webhook => match WEBHOOK.get(n) {
                Some(seconds) => (*seconds, Some((WEBHOOK_DAYS, Fate::Dead))),
                None => return Fate::Dead,
            },
            Self::Urgent => (
                URGENT.get(n).copied().unwrap_or(60),
                Some((URGENT_FOR, Fate::Moot)),
            ),
            Self::Broker => (BROKER.get(n).copied().unwrap_or(30), None),
        };
        // Ten per cent either way.
        let delay = Duration::from_secs(seconds).mul_f64(0.9 + 0.2 * tried.jitter.clamp(0.0, 1.0));
        let asked = tried.retry_after.unwrap_or_default().min(LONGEST_HOLD);
        let due = tried.now.plus(delay.max(asked));
        match end {
            Some((limit, fate)) if due > tried.first_at.plus(limit) => fate,
            _ => Fate::Again(due),
        }
    }
}

/// Until when a receiver that said Retry-After is left alone.
pub(super) fn hold(now: Timestamp, retry_after: Duration) -> Timestamp {
    now.plus(retry_after.min(LONGEST_HOLD))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn run(schedule: Schedule, jitter: f64) -> (Vec<i64>, Fate) {
        let mut now = at(0);
        let mut when = Vec::new();
        for tries in 1..100 {
            let tried = Tried {
                tries,
                first_at: at(0),
                now,
                retry_after: None,
                jitter,
            };
            match schedule.after(tried) {
                Fate::Again(due) => {
                    assert!(due > now);
                    when.push(due.seconds() - now.seconds());
                    now = due;
                }
                end => return (when, end),
            }
        }
        (when, Fate::Again(now))
    }

    #[test]
    fn a_webhook_is_tried_fifteen_times_over_less_than_three_days() {
        let (when, end) = run(Schedule::Webhook, 0.5);
        assert_eq!(
            when,
            WEBHOOK.map(|seconds| i64::try_from(seconds).unwrap_or(0))
        );
        assert_eq!(end, Fate::Dead);
        for jitter in [0.0, 1.0] {
            let (when, end) = run(Schedule::Webhook, jitter);
            assert!(when.iter().sum::<i64>() <= 72 * 3600);
            assert_eq!(when.len(), 14);
            assert_eq!(end, Fate::Dead);
        }
    }

    #[test]
    fn jitter_is_ten_per_cent_either_way() {
        let first = |jitter| {
            let tried = Tried {
                tries: 2,
                first_at: at(0),
                now: at(0),
                retry_after: None,
                jitter,
            };
            Schedule::Webhook.after(tried)
        };
        assert_eq!(first(0.0), Fate::Again(at(27)));
        assert_eq!(first(1.0), Fate::Again(at(33)));
    }

    #[test]
    fn an_ended_session_is_told_within_ten_seconds_four_times_and_not_for_longer_than_it_matters() {
        let (when, end) = run(Schedule::Urgent, 1.0);
        assert!(when.iter().take(4).sum::<i64>() <= 10);
        assert!(when.iter().sum::<i64>() <= 600);
        assert_eq!(end, Fate::Moot);
    }

    #[test]
    fn the_broker_is_tried_for_ever() {
        let (when, end) = run(Schedule::Broker, 0.5);
        assert!(matches!(end, Fate::Again(_)));
        assert!(when.iter().all(|seconds| *seconds <= 30));
    }

    #[test]
    fn a_retry_after_is_honoured_up_to_a_day() {
        let after = |seconds| {
            Schedule::Webhook.after(Tried {
                tries: 1,
                first_at: at(0),
                now: at(100),
                retry_after: Some(Duration::from_secs(seconds)),
                jitter: 0.5,
            })
        };
        assert_eq!(after(3600), Fate::Again(at(3700)));
        assert_eq!(after(1), Fate::Again(at(105)));
        assert_eq!(after(u64::from(u32::MAX)), Fate::Again(at(100 + 86_400)));
        assert_eq!(hold(at(0), Duration::from_secs(99_999_999)), at(86_400));
    }
}
