//! Points, and whose they are by now. Taking an event twice, or late, changes nothing.

use std::collections::HashMap;

use crate::event::{Event, Malformed};

/// What came of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is applied.
    Applied,
    /// It had been before.
    Before,
    /// One before it never came: ask the account center for it first. Nothing is changed.
    Gap,
}

/// What to do where an event before this one is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Say so, and change nothing.
    Refuse,
    /// Go on: the account center has been asked, and does not have it either.
    Accept,
}

/// Points by user id. Your line has these three as tables, and each method as one transaction.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    points: HashMap<String, i64>,
    successors: HashMap<String, String>,
    versions: HashMap<String, i64>,
}

impl Ledger {
    /// Whoever had this user id has that one now, over any number of replacements.
    pub fn resolve<'a>(&'a self, mut user_id: &'a str) -> &'a str {
        // As many steps as there are replacements is more than any chain has: a circle that somebody made by mistake ends too.
        for _ in 0..=self.successors.len() {
            match self.successors.get(user_id) {
                Some(successor) => user_id = successor,
                None => break,
            }
        }
        user_id
    }

    /// Adds points. A request may still carry a user id that was replaced meanwhile.
    pub fn earn(&mut self, user_id: &str, points: i64) {
        let owner = self.resolve(user_id).to_owned();
        *self.points.entry(owner).or_default() += points;
    }

    /// The points of whoever has this user id, or had it.
    pub fn points(&self, user_id: &str) -> i64 {
        self.points
            .get(self.resolve(user_id))
            .copied()
            .unwrap_or_default()
    }

    /// Takes an event of an account.
    pub fn take(&mut self, event: &Event, missing: Missing) -> Result<Taken, Malformed> {
        let user_id = event.text("user_id")?;
        let version = event.number("version")?;
        let last = self.versions.get(user_id).copied().unwrap_or(0);
        if version <= last {
            return Ok(Taken::Before);
        }
        let previous = event.previous_version().unwrap_or(0);
        if previous > last && missing == Missing::Refuse {
            return Ok(Taken::Gap);
        }
        if event.kind == "user_id.replaced" {
            let (from, to) = (event.text("from")?.to_owned(), event.text("to")?.to_owned());
            self.replace(&from, &to);
        }
        self.versions.insert(user_id.to_owned(), version);
        Ok(Taken::Applied)
    }

    /// What `from` has goes to whoever `to` is by now.
    fn replace(&mut self, from: &str, to: &str) {
        if self.resolve(to) == from {
            // The account center never makes a circle.
            return;
        }
        let points = self.points.remove(from).unwrap_or_default();
        // What was moved on before went with the successor of before.
        self.successors.insert(from.to_owned(), to.to_owned());
        self.earn(to, points);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn event(user_id: &str, version: i64, previous: Option<i64>, kind: &str, to: &str) -> Event {
        serde_json::from_value(json!({"type": kind, "timestamp": "2026-11-21T08:00:00.000Z", "data":
            {"user_id": user_id, "version": version, "previous_version": previous, "from": user_id, "to": to}}))
        .unwrap()
    }

    fn replaced(user_id: &str, version: i64, previous: Option<i64>, to: &str) -> Event {
        event(user_id, version, previous, "user_id.replaced", to)
    }

    #[test]
    fn w6_points_follow_their_owner_once_however_often_it_is_told() {
        let mut ledger = Ledger::default();
        ledger.earn("guest", 5);
        ledger.earn("li", 2);
        let event = replaced("guest", 2, None, "li");
        assert_eq!(ledger.take(&event, Missing::Refuse), Ok(Taken::Applied));
        assert_eq!(ledger.take(&event, Missing::Refuse), Ok(Taken::Before));
        // A request that was under way with the old id.
        ledger.earn("guest", 1);
        assert_eq!((ledger.points("li"), ledger.points("guest")), (8, 8));
    }

    #[test]
    fn an_event_after_a_missing_one_changes_nothing_until_it_is_asked_for() {
        let mut ledger = Ledger::default();
        ledger.earn("guest", 5);
        let first = event("guest", 2, None, "phone.changed", "");
        let last = replaced("guest", 4, Some(3), "li");
        assert_eq!(ledger.take(&first, Missing::Refuse), Ok(Taken::Applied));
        assert_eq!(ledger.take(&last, Missing::Refuse), Ok(Taken::Gap));
        assert_eq!(ledger.points("li"), 0);
        // The account center does not have it any more either: go on, or nothing ever would.
        assert_eq!(ledger.take(&last, Missing::Accept), Ok(Taken::Applied));
        assert_eq!(ledger.points("li"), 5);
    }

    #[test]
    fn an_event_without_what_it_needs_is_an_error_and_changes_nothing() {
        let mut ledger = Ledger::default();
        ledger.earn("guest", 5);
        for (member, value) in [
            ("user_id", json!(7)),
            ("version", json!("2")),
            ("to", json!(null)),
        ] {
            let mut event = replaced("guest", 2, None, "li");
            event.data.insert(member.to_owned(), value);
            assert!(ledger.take(&event, Missing::Refuse).is_err(), "{member}");
        }
        assert_eq!((ledger.points("guest"), ledger.points("li")), (5, 0));
        assert_eq!(
            ledger.take(&replaced("guest", 2, None, "li"), Missing::Refuse),
            Ok(Taken::Applied)
        );
    }

    /// Ids 0 to 9; each but the first may be replaced by an earlier one, and then hears again when that one is replaced in its turn, as the account center tells it.
    fn histories() -> impl Strategy<Value = Vec<Option<usize>>> {
        (1_usize..10).prop_flat_map(|count| {
            (0..count)
                .map(|id| {
                    if id == 0 {
                        Just(None).boxed()
                    } else {
                        proptest::option::of(0..id).boxed()
                    }
                })
                .collect::<Vec<_>>()
        })
    }

    /// Every account's events in its own order: its successor, then the successors of that, up the chain.
    fn told(successors: &[Option<usize>]) -> Vec<Vec<Event>> {
        let name = |id: usize| format!("u{id}");
        (0..successors.len())
            .map(|id| {
                let mut events = Vec::new();
                let mut next = successors[id];
                while let Some(to) = next {
                    let version = i64::try_from(events.len()).unwrap() + 2;
                    let previous = (version > 2).then_some(version - 1);
                    events.push(replaced(&name(id), version, previous, &name(to)));
                    next = successors[to];
                }
                events
            })
            .collect()
    }

    proptest! {
        #[test]
        fn w6_whatever_comes_twice_and_in_whatever_order_between_accounts_all_points_end_with_the_last_owner(
            successors in histories(),
            picks in proptest::collection::vec((any::<u16>(), any::<bool>(), 0_usize..10, 1_i64..100), 1..120),
        ) {
            let told = told(&successors);
            let root = |mut id: usize| { while let Some(to) = successors[id] { id = to; } id };
            let mut ledger = Ledger::default();
            let mut expected: HashMap<usize, i64> = HashMap::new();
            let mut next = vec![0; told.len()];
            let take = |ledger: &mut Ledger, next: &mut Vec<usize>, account: usize, again: bool| {
                let events: &[Event] = &told[account];
                let at = if again { next[account].saturating_sub(1) } else { next[account] };
                let Some(event) = events.get(at) else { return };
                let taken = ledger.take(event, Missing::Refuse).unwrap();
                assert_eq!(taken, if at < next[account] { Taken::Before } else { Taken::Applied });
                next[account] = next[account].max(at + 1);
            };
            for (pick, again, id, points) in picks {
                let id = id % told.len();
                ledger.earn(&format!("u{id}"), points);
                *expected.entry(root(id)).or_default() += points;
                take(&mut ledger, &mut next, usize::from(pick) % told.len(), again);
            }
            for account in (0..told.len()).rev() {
                for _ in 0..told[account].len() {
                    take(&mut ledger, &mut next, account, false);
                }
            }
            for id in 0..told.len() {
                prop_assert_eq!(ledger.points(&format!("u{id}")), expected.get(&root(id)).copied().unwrap_or(0));
            }
        }
    }
}
