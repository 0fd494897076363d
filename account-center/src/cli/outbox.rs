//! `outbox`: what business lines have not taken, and what becomes of it. Works on the database, also beside running servers.

use std::collections::BTreeMap;
use std::io::Write;

use clap::{Args, Subcommand};

use super::Failure;
use super::database::DatabaseArguments;
use crate::context::{Context, Timestamp};
use crate::store::deliveries::{self, Backlog, DeadLetter};
use crate::store::outbox::{self as rows, LineRow};
use crate::store::{Store, StoreError};

/// `outbox …`
#[derive(Debug, Args)]
pub(super) struct OutboxArguments {
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Every line: what it has not taken, and whether anything is sent to it.
    List,
    /// The dead letters of a line, oldest first.
    Dead {
        /// The line's name in the settings; @nats is the broker.
        line: String,
    },
    /// Send dead letters again, with a new three days.
    Retry {
        /// The line's name in the settings.
        line: String,
        /// Only this one.
        #[arg(long)]
        position: Option<i64>,
    },
    /// Give one dead letter up, so that its account goes on without it. The line will find the gap.
    Skip {
        /// The line's name in the settings.
        line: String,
        /// Which one.
        position: i64,
    },
    /// Send to a disabled line again, from where it stopped, its dead letters too.
    Enable {
        /// The line's name in the settings.
        line: String,
    },
    /// Send nothing more to a line. What it has not taken is kept.
    Disable {
        /// The line's name in the settings.
        line: String,
    },
    /// A line that is out of the settings for good: keep nothing for it any more.
    Forget {
        /// The line's name.
        line: String,
    },
}

/// Runs one action.
pub(super) async fn outbox(
    arguments: OutboxArguments,
    environment: &BTreeMap<String, String>,
    context: &Context,
    output: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let config = arguments.database.settings(environment)?;
    let store = Store::open_with(&config.database.0, &config.database.1).await?;
    let done = act(&store, arguments.action, context.now(), output).await;
    store.close().await;
    done
}

async fn act(
    store: &Store,
    action: Action,
    now: Timestamp,
    output: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    match action {
        Action::List => {
            for (line, backlog) in every_line(store).await? {
                writeln!(output, "{}", described(&line, &backlog, now))?;
            }
        }
        Action::Dead { line } => {
            for letter in letters(store, line).await? {
                writeln!(output, "{}", letter_line(&letter, now))?;
            }
        }
        Action::Retry { line, position } => {
            let count = store
                .write(move |tx| {
                    let line = line.clone();
                    Box::pin(async move { deliveries::retry_dead(tx, &line, position, now).await })
                })
                .await?;
            writeln!(output, "{count} to be sent again")?;
        }
        Action::Skip { line, position } => {
            let skipped = store
                .write(move |tx| {
                    let line = line.clone();
                    Box::pin(async move { deliveries::skip_dead(tx, &line, position).await })
                })
                .await?;
            found(
                skipped,
                "there is no such dead letter; `outbox dead LINE` names them",
            )?;
            writeln!(output, "skipped")?;
        }
        Action::Enable { line } => {
            let enabled = store
                .write(move |tx| {
                    let line = line.clone();
                    Box::pin(async move {
                        deliveries::retry_dead(tx, &line, None, now).await?;
                        rows::enable_line(tx, &line).await
                    })
                })
                .await?;
            found(enabled, NO_LINE)?;
            writeln!(output, "enabled")?;
        }
        Action::Disable { line } => {
            let disabled = store
                .write(move |tx| {
                    let line = line.clone();
                    Box::pin(async move {
                        rows::disable_line(tx, &line, "an operator said so", now).await
                    })
                })
                .await?;
            found(disabled, "there is no such line, or it is disabled already")?;
            writeln!(output, "disabled")?;
        }
        Action::Forget { line } => {
            let forgotten = store
                .write(move |tx| {
                    let line = line.clone();
                    Box::pin(async move { rows::forget_line(tx, &line).await })
                })
                .await?;
            found(forgotten, NO_LINE)?;
            writeln!(output, "forgotten")?;
        }
    }
    Ok(())
}

const NO_LINE: &str = "there is no such line; `outbox list` names them";

fn found(found: bool, otherwise: &str) -> Result<(), Failure> {
    if found { Ok(()) } else { Err(otherwise.into()) }
}

async fn every_line(store: &Store) -> Result<Vec<(LineRow, Backlog)>, StoreError> {
    store
        .read(|tx| {
            Box::pin(async move {
                let mut all = Vec::new();
                for line in rows::lines(tx).await? {
                    let backlog = deliveries::backlog(tx, &line.line_id).await?;
                    all.push((line, backlog));
                }
                Ok(all)
            })
        })
        .await
}

async fn letters(store: &Store, line: String) -> Result<Vec<DeadLetter>, StoreError> {
    store
        .read(move |tx| {
            let line = line.clone();
            Box::pin(async move { deliveries::dead_letters(tx, &line).await })
        })
        .await
}

fn described(line: &LineRow, backlog: &Backlog, now: Timestamp) -> String {
    let lag = backlog.oldest_at.map_or(0, |at| at.seconds_until(now));
    let state = match (&line.disabled_reason, line.held_until > now) {
        (Some(reason), _) => format!("disabled: {reason}"),
        (None, true) => format!(
            "held for {} s as it asked",
            now.seconds_until(line.held_until)
        ),
        (None, false) => "enabled".to_owned(),
    };
    format!(
        "{}: {state}; {} waiting, {} of them dead letters, the oldest for {lag} s",
        line.line_id, backlog.waiting, backlog.dead
    )
}

fn letter_line(letter: &DeadLetter, now: Timestamp) -> String {
    format!(
        "{}: {} of {}, {} tries, given up {} s ago: {}",
        letter.position,
        letter.kind,
        letter.stream,
        letter.attempts,
        letter.dead_at.seconds_until(now),
        letter.last_failure
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::events::{self, OutboxRow};
    use crate::store::outbox::Placing;
    use crate::testing::TestDatabase;

    async fn say(store: &Store, action: Action, now: Timestamp) -> Result<String, String> {
        let mut output = Vec::new();
        act(store, action, now, &mut output)
            .await
            .map_err(|failure| failure.to_string())?;
        Ok(String::from_utf8(output).unwrap())
    }

    /// One dead letter of the line `points`, at place 1.
    async fn with_a_dead_letter(store: &Store, now: Timestamp) {
        store
            .write(move |tx| {
                Box::pin(async move {
                    rows::register_line(tx, "points", now).await?;
                    let event = OutboxRow {
                        event_id: "e1",
                        user_id: "u1",
                        version: 2,
                        kind: "account.created",
                        payload: "{}",
                        at: now,
                    };
                    events::announce(tx, &event).await?;
                    let placed = rows::place(tx, "me", now, now).await?;
                    assert_eq!(placed, Placing::Placed { events: 1, gaps: 0 });
                    let event = rows::after(tx, 0, 1).await?.remove(0);
                    rows::advance_line(tx, "points", 0, 1).await?;
                    deliveries::insert(tx, "points", &event, None, false, now).await?;
                    let lease = deliveries::Lease {
                        token: "t".to_owned(),
                        now,
                        until: now.plus(std::time::Duration::from_secs(9)),
                    };
                    let claim = deliveries::claim(tx, "points", false, &lease, 1)
                        .await?
                        .remove(0);
                    let failed = deliveries::Failed {
                        due_at: None,
                        why: "HTTP 500",
                        counts: true,
                    };
                    assert!(deliveries::put_back(tx, "points", &claim, &lease, &failed).await?);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn an_operator_sees_what_waits_and_decides_about_it() {
        let database = TestDatabase::new().await;
        let store = database.store().await;
        let now = Timestamp::from_seconds(1_800_000_000);
        with_a_dead_letter(&store, now).await;
        let line = || "points".to_owned();
        let later = Timestamp::from_seconds(1_800_000_060);
        let list = |state: &str, dead: u32| {
            Ok(format!(
                "points: {state}; 1 waiting, {dead} of them dead letters, the oldest for 60 s\n"
            ))
        };
        assert_eq!(say(&store, Action::List, later).await, list("enabled", 1));
        assert_eq!(
            say(&store, Action::Dead { line: line() }, later)
                .await
                .unwrap(),
            "1: account.created of u1, 1 tries, given up 60 s ago: HTTP 500\n"
        );
        let disabled = say(&store, Action::Disable { line: line() }, later).await;
        assert_eq!(disabled.unwrap(), "disabled\n");
        let state = "disabled: an operator said so";
        assert_eq!(say(&store, Action::List, later).await, list(state, 1));
        // Whoever enables a line wants what it missed sent.
        assert!(
            say(&store, Action::Enable { line: line() }, later)
                .await
                .is_ok()
        );
        assert_eq!(say(&store, Action::List, later).await, list("enabled", 0));
        let retry = Action::Retry {
            line: line(),
            position: None,
        };
        assert_eq!(
            say(&store, retry, later).await.unwrap(),
            "0 to be sent again\n"
        );
        // Only a dead letter can be skipped.
        let skip = Action::Skip {
            line: line(),
            position: 1,
        };
        assert!(say(&store, skip, later).await.is_err());
        assert!(
            say(&store, Action::Forget { line: line() }, later)
                .await
                .is_ok()
        );
        assert_eq!(say(&store, Action::List, later).await.unwrap(), "");
        let unknown = say(&store, Action::Enable { line: line() }, later).await;
        assert_eq!(unknown.unwrap_err(), NO_LINE);
    }
}
