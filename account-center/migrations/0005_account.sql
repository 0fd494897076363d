-- What somebody who is logged in does with their account (L8, L9, U3 to U5).

-- L9: when the holder last proved who they are in this session (password or card, and face).
ALTER TABLE sessions ADD COLUMN proved_at BIGINT;

-- U5: in this session the holder has logged in anew at a provider that is bound to the account.
CREATE TABLE provider_proofs (
    session_id     TEXT NOT NULL,
    provider       TEXT NOT NULL,
    proved_at      BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    PRIMARY KEY (session_id, provider)
);
CREATE INDEX provider_proofs_expires_at ON provider_proofs (expires_at);

-- A change in several steps, under way: as logins, but of a device key AND (unless it needs none) a session.
CREATE TABLE operations (
    operation_hash TEXT PRIMARY KEY,
    kind           TEXT NOT NULL,
    session_id     TEXT,
    device_key     TEXT NOT NULL,
    step_id        TEXT NOT NULL,
    sealed_state   TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL
);
CREATE INDEX operations_expires_at ON operations (expires_at);

-- What became of an account beside its bindings. No number and no answer is kept here: a number that was replaced is forgotten (U4).
CREATE TABLE account_history (
    entry_id       TEXT PRIMARY KEY,
    user_id        TEXT NOT NULL,
    action         TEXT NOT NULL,
    session_id     TEXT,
    at             BIGINT NOT NULL
);
CREATE INDEX account_history_user_id ON account_history (user_id, at);

-- L9: what a customer has yet to be told; written with the change, deleted when the bank's channel has taken it. Sealed: it has the number.
CREATE TABLE notices (
    notice_id      TEXT PRIMARY KEY,
    sealed_notice  TEXT NOT NULL,
    tries          BIGINT NOT NULL,
    due_at         BIGINT NOT NULL,
    created_at     BIGINT NOT NULL
);
CREATE INDEX notices_due_at ON notices (due_at);
