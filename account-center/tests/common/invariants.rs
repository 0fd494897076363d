//! What is true of the database between any two transactions, as SQL that finds what breaks it: for races, crashes and fail-overs. Each question gives one text for
//! each row that is half done; there should be none. Runs on both databases.
//!
//! Used by the tests in `src/` and in `tests/` too.

/// What must be, and the rows that break it.
pub const INVARIANTS: &[(&str, &str)] = &[
    (
        "a phone number belongs to an account that is there and was not replaced (U2)",
        "SELECT p.user_id FROM phones p LEFT JOIN accounts a ON a.user_id = p.user_id WHERE a.user_id IS NULL OR a.replaced_by IS NOT NULL",
    ),
    (
        "a binding belongs to a real account that is there (W6)",
        "SELECT b.binding_id FROM bindings b LEFT JOIN accounts a ON a.user_id = b.user_id WHERE a.user_id IS NULL OR a.kind <> 'real'",
    ),
    (
        "one subject has one account, and one account has one subject of a platform (W3)",
        "SELECT MIN(binding_id) FROM bindings GROUP BY provider, platform, subject HAVING COUNT(*) > 1 \
         UNION SELECT MIN(binding_id) FROM bindings GROUP BY provider, platform, user_id HAVING COUNT(*) > 1",
    ),
    (
        "a phone number has one account, and an account one number (U2)",
        "SELECT MIN(blind_index) FROM phones GROUP BY blind_index HAVING COUNT(*) > 1 \
         UNION SELECT MIN(blind_index) FROM phones GROUP BY user_id HAVING COUNT(*) > 1",
    ),
    (
        "a binding has its line in the history (L8)",
        "SELECT b.binding_id FROM bindings b WHERE NOT EXISTS (SELECT 1 FROM binding_history h \
         WHERE h.user_id = b.user_id AND h.provider = b.provider AND h.platform = b.platform AND h.action = 'bound')",
    ),
    (
        "what an account's business lines are told has no gap and no repetition (W6)",
        "SELECT user_id FROM outbox GROUP BY user_id HAVING COUNT(*) <> MAX(version) - MIN(version) + 1 OR COUNT(DISTINCT version) <> COUNT(*)",
    ),
    (
        "an account's version is that of its last announcement",
        "SELECT a.user_id FROM accounts a JOIN outbox o ON o.user_id = a.user_id GROUP BY a.user_id, a.version HAVING MAX(o.version) <> a.version",
    ),
    (
        "nobody is told of an account that is not there",
        "SELECT o.event_id FROM outbox o LEFT JOIN accounts a ON a.user_id = o.user_id WHERE a.user_id IS NULL",
    ),
    (
        "an open id leads to a binding that is there (W1)",
        "SELECT o.open_id FROM open_ids o LEFT JOIN bindings b ON b.binding_id = o.binding_id WHERE o.binding_id IS NOT NULL AND b.binding_id IS NULL",
    ),
    (
        "a session and a login password are of an account that is there",
        "SELECT s.session_id FROM sessions s LEFT JOIN accounts a ON a.user_id = s.user_id WHERE a.user_id IS NULL \
         UNION SELECT p.user_id FROM login_passwords p LEFT JOIN accounts a ON a.user_id = p.user_id WHERE a.user_id IS NULL",
    ),
    (
        "a reply is stored whole or not at all",
        "SELECT scope_hash FROM idempotency_keys WHERE (http_status IS NULL AND sealed_reply IS NOT NULL) OR (http_status IS NOT NULL AND sealed_reply IS NULL)",
    ),
];

/// What must be besides, where nothing but logins was made: account, phone, binding, password and announcements come together (U1, L6).
pub const AFTER_LOGINS: &[(&str, &str)] = &[
    (
        "an account has a number",
        "SELECT a.user_id FROM accounts a WHERE NOT EXISTS (SELECT 1 FROM phones p WHERE p.user_id = a.user_id)",
    ),
    (
        "an account has a binding",
        "SELECT a.user_id FROM accounts a WHERE NOT EXISTS (SELECT 1 FROM bindings b WHERE b.user_id = a.user_id)",
    ),
    (
        "an unsigned person's account has a login password",
        "SELECT a.user_id FROM accounts a WHERE a.customer_ref IS NULL AND NOT EXISTS (SELECT 1 FROM login_passwords p WHERE p.user_id = a.user_id)",
    ),
    (
        "an account was announced",
        "SELECT a.user_id FROM accounts a WHERE NOT EXISTS (SELECT 1 FROM outbox o WHERE o.user_id = a.user_id AND o.kind = 'account.created')",
    ),
    (
        "an account has a session that its login ended in",
        "SELECT a.user_id FROM accounts a WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.user_id = a.user_id)",
    ),
];

/// Asks every question of `lists` and says what is broken. `rows` runs a query and gives its first column.
pub async fn broken(
    lists: &[&[(&'static str, &'static str)]],
    mut rows: impl AsyncFnMut(&'static str) -> Vec<String>,
) -> Vec<String> {
    let mut broken = Vec::new();
    for (rule, sql) in lists.iter().copied().flatten() {
        for row in rows(sql).await {
            broken.push(format!("not so: {rule}: {row}"));
        }
    }
    broken
}
