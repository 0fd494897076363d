-- Operators of the admin API. One that was just made has a set-up secret and no password yet. totp_step: the last time step whose code was taken (RFC 6238, 5.2).
CREATE TABLE admins (
    admin_id         TEXT PRIMARY KEY,
    name             TEXT NOT NULL,
    role             TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'appeals', 'admin')),
    password_hash    TEXT,
    setup_hash       TEXT,
    setup_expires_at BIGINT,
    sealed_totp      TEXT,
    totp_step        BIGINT NOT NULL,
    disabled_at      BIGINT,
    created_at       BIGINT NOT NULL,
    version          BIGINT NOT NULL
);
CREATE UNIQUE INDEX admins_name ON admins (name);

CREATE TABLE admin_sessions (
    session_id       TEXT PRIMARY KEY,
    token_hash       TEXT NOT NULL,
    admin_id         TEXT NOT NULL REFERENCES admins (admin_id),
    created_at       BIGINT NOT NULL,
    last_used_at     BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    ended_at         BIGINT
);
CREATE UNIQUE INDEX admin_sessions_token_hash ON admin_sessions (token_hash);
CREATE INDEX admin_sessions_admin_id ON admin_sessions (admin_id);
CREATE INDEX admin_sessions_expires_at ON admin_sessions (expires_at);

-- Only ever added to. entry_hash is keyed and covers the row and the entry_hash before it. The primary key decides who is next.
CREATE TABLE audit_log (
    seq              BIGINT PRIMARY KEY,
    at               BIGINT NOT NULL,
    actor            TEXT NOT NULL,
    action           TEXT NOT NULL,
    target           TEXT NOT NULL,
    before_value     TEXT NOT NULL,
    after_value      TEXT NOT NULL,
    request_id       TEXT NOT NULL,
    previous_hash    TEXT NOT NULL,
    entry_hash       TEXT NOT NULL
);
CREATE INDEX audit_log_at ON audit_log (at);
