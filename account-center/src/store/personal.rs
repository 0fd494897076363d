//! What is kept of a person, table by table: what they get to see of it, and what becomes of it when they have it erased (PIPL, articles 45 and 47). Every table of
//! the schema stands here or in `NOT_PERSONAL`; a test compares, so that nobody adds one without deciding.

use serde_json::{Map, Value, json};
use sqlx::Row as _;

use super::{StoreError, Tx};
use crate::context::Timestamp;

/// What becomes of a table's rows when an account is closed. All SQL takes the user id as `$1`.
#[derive(Clone, Copy, Debug)]
pub enum Closing {
    /// Statements that erase or blank them.
    Erased(&'static [&'static str]),
    /// They stay as they are, and why.
    Kept(&'static str),
}

/// A column that the person sees.
#[derive(Clone, Copy, Debug)]
pub enum Shown {
    /// A text.
    Text(&'static str),
    /// An instant; shown as seconds since 1970 UTC.
    Instant(&'static str),
}

/// One table's part of what is kept of a person.
#[derive(Clone, Copy, Debug)]
pub struct Holding {
    /// The table.
    pub table: &'static str,
    /// Which rows are the person's, and in which order they are shown.
    pub rows: &'static str,
    /// What is shown. Hashes and sealed values are not: the number is shown by itself.
    pub shown: &'static [Shown],
    /// What becomes of them.
    pub closing: Closing,
}

use Closing::{Erased, Kept};
use Shown::{Instant, Text};

/// Everything that is kept of a person. Erased in this order: rows that name others come before them.
pub const HOLDINGS: &[Holding] = &[
    Holding {
        table: "open_ids",
        rows: "FROM open_ids WHERE binding_id IN (SELECT binding_id FROM bindings WHERE user_id = $1) ORDER BY first_seen_at, open_id",
        shown: &[
            Text("provider"),
            Text("app_id"),
            Text("open_id"),
            Instant("first_seen_at"),
        ],
        closing: Erased(&[
            "DELETE FROM open_ids WHERE binding_id IN (SELECT binding_id FROM bindings WHERE user_id = $1)",
        ]),
    },
    Holding {
        table: "bindings",
        rows: "FROM bindings WHERE user_id = $1 ORDER BY bound_at, binding_id",
        shown: &[
            Text("provider"),
            Text("platform"),
            Text("subject"),
            Instant("bound_at"),
            Instant("revoked_at"),
        ],
        closing: Erased(&["DELETE FROM bindings WHERE user_id = $1"]),
    },
    Holding {
        table: "binding_history",
        rows: "FROM binding_history WHERE user_id = $1 ORDER BY at, entry_id",
        shown: &[
            Text("provider"),
            Text("platform"),
            Text("subject"),
            Text("action"),
            Instant("at"),
        ],
        // That something was bound stays, as the bank has to be able to show; whom it named does not.
        closing: Erased(&["UPDATE binding_history SET subject = '' WHERE user_id = $1"]),
    },
    Holding {
        table: "subject_changes",
        rows: "FROM subject_changes WHERE user_id = $1 ORDER BY at, change_id",
        shown: &[
            Text("provider"),
            Text("app_id"),
            Text("old_platform"),
            Text("old_subject"),
            Text("new_platform"),
            Text("new_subject"),
            Instant("at"),
        ],
        closing: Erased(&[
            "UPDATE subject_changes SET old_subject = '', new_subject = '' WHERE user_id = $1",
        ]),
    },
    Holding {
        table: "account_history",
        rows: "FROM account_history WHERE user_id = $1 ORDER BY at, entry_id",
        shown: &[Text("action"), Instant("at")],
        closing: Kept(
            "names nobody beyond the user id; the bank has to be able to show what was done",
        ),
    },
    Holding {
        table: "login_passwords",
        rows: "FROM login_passwords WHERE user_id = $1 ORDER BY changed_at",
        shown: &[Instant("changed_at")],
        closing: Erased(&["DELETE FROM login_passwords WHERE user_id = $1"]),
    },
    Holding {
        table: "phones",
        rows: "FROM phones WHERE user_id = $1 ORDER BY bound_at",
        shown: &[Instant("bound_at")],
        closing: Erased(&["DELETE FROM phones WHERE user_id = $1"]),
    },
    Holding {
        table: "security_questions",
        rows: "FROM security_questions WHERE user_id = $1 ORDER BY position",
        shown: &[Instant("set_at")],
        closing: Erased(&["DELETE FROM security_questions WHERE user_id = $1"]),
    },
    Holding {
        table: "login_places",
        rows: "FROM login_places WHERE user_id = $1 ORDER BY last_seen_at, place_name",
        shown: &[Instant("last_seen_at")],
        closing: Erased(&["DELETE FROM login_places WHERE user_id = $1"]),
    },
    Holding {
        table: "appeals",
        rows: "FROM appeals WHERE user_id = $1 ORDER BY created_at, appeal_id",
        shown: &[
            Text("status"),
            Instant("created_at"),
            Instant("decided_at"),
            Text("reason"),
        ],
        // Who decided what stays in the audit log.
        closing: Erased(&["DELETE FROM appeals WHERE user_id = $1"]),
    },
    Holding {
        table: "provider_proofs",
        rows: "FROM provider_proofs WHERE session_id IN (SELECT session_id FROM sessions WHERE user_id = $1) ORDER BY proved_at",
        shown: &[Text("provider"), Instant("proved_at")],
        closing: Erased(&[
            "DELETE FROM provider_proofs WHERE session_id IN (SELECT session_id FROM sessions WHERE user_id = $1)",
        ]),
    },
    Holding {
        table: "operations",
        rows: "FROM operations WHERE session_id IN (SELECT session_id FROM sessions WHERE user_id = $1) ORDER BY created_at",
        shown: &[Text("kind"), Instant("created_at")],
        closing: Erased(&[
            "DELETE FROM operations WHERE session_id IN (SELECT session_id FROM sessions WHERE user_id = $1)",
        ]),
    },
    Holding {
        table: "sessions",
        rows: "FROM sessions WHERE user_id = $1 ORDER BY created_at, session_id",
        shown: &[
            Text("session_id"),
            Text("app_id"),
            Text("began_with"),
            Text("acr"),
            Instant("created_at"),
            Instant("last_used_at"),
            Instant("ended_at"),
            Text("end_reason"),
        ],
        closing: Kept(
            "ended with the account, and deleted thirty days after: until then their tokens are told apart from unknown ones",
        ),
    },
    Holding {
        table: "guest_cookies",
        rows: "FROM guest_cookies WHERE user_id IN (SELECT user_id FROM accounts WHERE user_id = $1 OR replaced_by = $1) ORDER BY seen_at",
        shown: &[Instant("seen_at")],
        closing: Erased(&[
            "DELETE FROM guest_cookies WHERE user_id IN (SELECT user_id FROM accounts WHERE user_id = $1 OR replaced_by = $1)",
        ]),
    },
    Holding {
        table: "guest_devices",
        rows: "FROM guest_devices WHERE user_id IN (SELECT user_id FROM accounts WHERE user_id = $1 OR replaced_by = $1) ORDER BY added_at",
        shown: &[Text("app_id"), Instant("added_at")],
        closing: Erased(&[
            "DELETE FROM guest_devices WHERE user_id IN (SELECT user_id FROM accounts WHERE user_id = $1 OR replaced_by = $1)",
        ]),
    },
    Holding {
        table: "guests",
        rows: "FROM guests WHERE user_id IN (SELECT user_id FROM accounts WHERE user_id = $1 OR replaced_by = $1) ORDER BY created_at",
        shown: &[
            Text("app_id"),
            Text("consent_version"),
            Instant("consented_at"),
        ],
        closing: Kept("shows that there was consent, and names nobody"),
    },
    Holding {
        table: "trial_members",
        rows: "FROM trial_members WHERE kind = 'user' AND member = $1 ORDER BY group_name",
        shown: &[Text("group_name")],
        closing: Erased(&["DELETE FROM trial_members WHERE kind = 'user' AND member = $1"]),
    },
    Holding {
        table: "account_activity",
        rows: "FROM account_activity WHERE user_id = $1 ORDER BY day, provider, app_id",
        shown: &[Text("provider"), Text("app_id")],
        closing: Kept("counts who was active in a month, and names nobody beyond the user id"),
    },
    Holding {
        table: "outbox",
        rows: "FROM outbox WHERE user_id = $1 ORDER BY version",
        shown: &[Text("kind"), Instant("created_at")],
        closing: Kept("names nobody beyond the user id; business lines may still have to be told"),
    },
    Holding {
        table: "accounts",
        rows: "FROM accounts WHERE user_id = $1 OR replaced_by = $1 ORDER BY created_at, user_id",
        shown: &[
            Text("user_id"),
            Text("kind"),
            Text("customer_ref"),
            Text("nickname"),
            Text("avatar_url"),
            Instant("created_at"),
        ],
        closing: Erased(&[
            "UPDATE accounts SET customer_ref = NULL, nickname = NULL, avatar_url = NULL, profile_at = NULL WHERE user_id = $1",
        ]),
    },
];

/// Tables that hold nothing of a person whom one could find in them, and why.
pub const NOT_PERSONAL: &[(&str, &str)] = &[
    (
        "logins",
        "encrypted, under a keyed name, gone twenty minutes after the login began",
    ),
    (
        "used_credentials",
        "keyed hashes, gone when the credential is",
    ),
    ("rate_buckets", "keyed hashes, gone with their window"),
    ("used_proofs", "hashes, gone with their nonce"),
    (
        "idempotency_keys",
        "encrypted under the caller's own key, gone after ten minutes",
    ),
    (
        "flow_events",
        "names a login by a keyed hash and no account",
    ),
    ("provider_requests", "keyed hashes, gone after ten minutes"),
    (
        "notices",
        "encrypted, deleted with their delivery, at most a day",
    ),
    ("provider_notifications", "keyed hashes"),
    ("imports", "how far a file was read, by its hash"),
    ("rollout_rules", "what is offered where"),
    ("trial_groups", "names of groups"),
    (
        "login_attempts",
        "keyed names of a login and of an attempt, and a region",
    ),
    ("client_events", "keyed names of a device and of an attempt"),
    ("funnel_days", "which days are counted"),
    ("funnel_daily", "counts"),
    (
        "outbox_places",
        "how far the outbox was read, no event of it",
    ),
    ("outbox_lines", "business lines, not people"),
    (
        "outbox_deliveries",
        "which event a business line has not taken yet; the event itself stands in outbox",
    ),
    ("admins", "operators, not customers"),
    ("admin_sessions", "operators, not customers"),
    (
        "audit_log",
        "what operators did; kept as it is, so that nobody can change it",
    ),
];

/// What is kept of a person, one list for each table that has something.
pub async fn export(tx: &mut Tx, user_id: &str) -> Result<Map<String, Value>, StoreError> {
    let mut all = Map::new();
    for holding in HOLDINGS {
        let names: Vec<&str> = holding
            .shown
            .iter()
            .map(|(Text(name) | Instant(name))| *name)
            .collect();
        // Constants of this file.
        let sql = format!("SELECT {} {}", names.join(", "), holding.rows);
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(user_id)
            .fetch_all(&mut *tx)
            .await?;
        let mut list = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut shown = Map::new();
            for (place, column) in holding.shown.iter().enumerate() {
                match column {
                    Text(name) => {
                        let text: Option<String> = row.try_get(place)?;
                        shown.insert((*name).to_owned(), json!(text));
                    }
                    Instant(name) => {
                        let millis: Option<i64> = row.try_get(place)?;
                        let seconds = millis.map(|millis| Timestamp::from_millis(millis).seconds());
                        shown.insert((*name).to_owned(), json!(seconds));
                    }
                }
            }
            list.push(Value::Object(shown));
        }
        if !list.is_empty() {
            all.insert(holding.table.to_owned(), Value::Array(list));
        }
    }
    Ok(all)
}

/// Erases what is kept of a person, and marks the account as closed. Its sessions are the caller's to end.
pub async fn erase(tx: &mut Tx, user_id: &str, now: Timestamp) -> Result<(), StoreError> {
    for holding in HOLDINGS {
        if let Erased(statements) = holding.closing {
            for statement in statements {
                sqlx::query(*statement)
                    .bind(user_id)
                    .execute(&mut *tx)
                    .await?;
            }
        }
    }
    sqlx::query("UPDATE accounts SET closed_at = $2 WHERE user_id = $1 AND closed_at IS NULL")
        .bind(user_id)
        .bind(now.millis())
        .execute(tx)
        .await?;
    Ok(())
}
