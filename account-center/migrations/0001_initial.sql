-- One schema for SQLite and PostgreSQL: BIGINT instants (milliseconds since 1970 UTC), TEXT UUIDv7 keys made by the server, no sequences.
-- Binary values are base64url TEXT, so that the same SQL runs on both.

-- The bank's own user ids (U7). kind: real or virtual (W6). customer_ref: the core's customer, stored once proved (L5, L10).
CREATE TABLE accounts (
    user_id        TEXT PRIMARY KEY,
    kind           TEXT NOT NULL CHECK (kind IN ('real', 'virtual')),
    customer_ref   TEXT,
    nickname       TEXT,
    avatar_url     TEXT,
    profile_at     BIGINT,
    replaced_by    TEXT REFERENCES accounts (user_id),
    created_at     BIGINT NOT NULL,
    version        BIGINT NOT NULL
);
CREATE UNIQUE INDEX accounts_customer_ref ON accounts (customer_ref) WHERE customer_ref IS NOT NULL;

-- U1, U2, U4: a number belongs to one account, an account has one number. The number is sealed; the blind index finds it.
CREATE TABLE phones (
    blind_index    TEXT PRIMARY KEY,
    user_id        TEXT NOT NULL REFERENCES accounts (user_id),
    sealed_number  TEXT NOT NULL,
    bound_at       BIGINT NOT NULL
);
CREATE UNIQUE INDEX phones_user_id ON phones (user_id);

CREATE TABLE login_passwords (
    user_id        TEXT PRIMARY KEY REFERENCES accounts (user_id),
    password_hash  TEXT NOT NULL,
    changed_at     BIGINT NOT NULL
);

-- W2, W3: the lasting subject of a provider (WeChat, QQ: union id; others: what the connector declares) and the account it is bound to.
CREATE TABLE bindings (
    binding_id     TEXT PRIMARY KEY,
    provider       TEXT NOT NULL,
    platform       TEXT NOT NULL,
    subject        TEXT NOT NULL,
    user_id        TEXT NOT NULL REFERENCES accounts (user_id),
    bound_at       BIGINT NOT NULL
);
CREATE UNIQUE INDEX bindings_subject ON bindings (provider, platform, subject);
CREATE UNIQUE INDEX bindings_user_id ON bindings (provider, platform, user_id);

-- W1: [open id, union id, user id, app id]; the app id as itself.
CREATE TABLE open_ids (
    provider       TEXT NOT NULL,
    app_id         TEXT NOT NULL,
    open_id        TEXT NOT NULL,
    binding_id     TEXT NOT NULL REFERENCES bindings (binding_id),
    first_seen_at  BIGINT NOT NULL,
    PRIMARY KEY (provider, app_id, open_id)
);
CREATE INDEX open_ids_binding_id ON open_ids (binding_id);

-- L8: what became of a binding, kept after the binding is gone.
CREATE TABLE binding_history (
    entry_id       TEXT PRIMARY KEY,
    user_id        TEXT NOT NULL,
    provider       TEXT NOT NULL,
    platform       TEXT NOT NULL,
    subject        TEXT NOT NULL,
    action         TEXT NOT NULL,
    at             BIGINT NOT NULL
);
CREATE INDEX binding_history_user_id ON binding_history (user_id, at);

-- A login under way. sealed_state is encrypted: it holds a phone number, a provider subject, a profile.
CREATE TABLE logins (
    login_hash     TEXT PRIMARY KEY,
    app_id         TEXT NOT NULL,
    device_key     TEXT NOT NULL,
    step_id        TEXT NOT NULL,
    sealed_state   TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL
);
CREATE INDEX logins_expires_at ON logins (expires_at);

-- One provider credential serves once, whoever brings it (M2). The hash is keyed.
CREATE TABLE used_credentials (
    credential_hash TEXT PRIMARY KEY,
    expires_at      BIGINT NOT NULL
);
CREATE INDEX used_credentials_expires_at ON used_credentials (expires_at);

-- Attempts and sends in a window: SMS by phone and by address, passwords by customer or account (keys are keyed hashes).
CREATE TABLE rate_buckets (
    bucket         TEXT PRIMARY KEY,
    used           BIGINT NOT NULL,
    window_ends_at BIGINT NOT NULL
);
CREATE INDEX rate_buckets_window_ends_at ON rate_buckets (window_ends_at);

-- A session and its refresh family: generation counts rotations; the predecessor stays good until the newest is first used.
CREATE TABLE sessions (
    session_id     TEXT PRIMARY KEY,
    user_id        TEXT NOT NULL REFERENCES accounts (user_id),
    app_id         TEXT NOT NULL,
    device_key     TEXT NOT NULL,
    began_with     TEXT NOT NULL,
    acr            TEXT NOT NULL,
    generation     BIGINT NOT NULL,
    newest_hash    TEXT NOT NULL,
    previous_hash  TEXT,
    auth_time      BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    last_used_at   BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    ended_at       BIGINT,
    end_reason     TEXT
);
CREATE INDEX sessions_user_id ON sessions (user_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

-- A jti serves once for a device key (RFC 9449, section 11.1). proof_hash is over both.
CREATE TABLE used_proofs (
    proof_hash     TEXT PRIMARY KEY,
    expires_at     BIGINT NOT NULL
);
CREATE INDEX used_proofs_expires_at ON used_proofs (expires_at);

-- status: in_flight until lease_until, then done with an encrypted reply.
CREATE TABLE idempotency_keys (
    scope_hash     TEXT PRIMARY KEY,
    fingerprint    TEXT NOT NULL,
    lease_until    BIGINT NOT NULL,
    http_status    BIGINT,
    sealed_reply   TEXT,
    expires_at     BIGINT NOT NULL
);
CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);

-- What business lines are told (W6), written in the transaction that changed the state; version is per account.
CREATE TABLE outbox (
    event_id       TEXT PRIMARY KEY,
    user_id        TEXT NOT NULL,
    version        BIGINT NOT NULL,
    kind           TEXT NOT NULL,
    payload        TEXT NOT NULL,
    created_at     BIGINT NOT NULL
);
CREATE UNIQUE INDEX outbox_user_version ON outbox (user_id, version);

-- L11: a step of a login, without personal data.
CREATE TABLE flow_events (
    event_id       TEXT PRIMARY KEY,
    login_ref      TEXT NOT NULL,
    app_id         TEXT NOT NULL,
    provider       TEXT NOT NULL,
    kind           TEXT NOT NULL,
    at             BIGINT NOT NULL
);
CREATE INDEX flow_events_at ON flow_events (at);
