-- Recycled and lost phones (U6).

-- Three questions of the holder's choice. The question is sealed, question_name its keyed hash; answer_hash is argon2id of the normalised answer.
CREATE TABLE security_questions (
    user_id         TEXT NOT NULL REFERENCES accounts (user_id),
    position        BIGINT NOT NULL,
    question_name   TEXT NOT NULL,
    sealed_question TEXT NOT NULL,
    answer_hash     TEXT NOT NULL,
    set_at          BIGINT NOT NULL,
    PRIMARY KEY (user_id, position)
);
CREATE UNIQUE INDEX security_questions_question ON security_questions (user_id, question_name);

-- An appeal for an account, which a person decides. user_id is null where no account has the number that was claimed. sealed_claim is encrypted: numbers, and
-- what the appellant wrote. evidence has no personal data.
CREATE TABLE appeals (
    appeal_id        TEXT PRIMARY KEY,
    app_id           TEXT NOT NULL,
    device_key       TEXT NOT NULL,
    user_id          TEXT,
    sealed_claim     TEXT NOT NULL,
    evidence         TEXT NOT NULL,
    status           TEXT NOT NULL CHECK (status IN ('open', 'approved', 'rejected', 'used')),
    created_at       BIGINT NOT NULL,
    decided_at       BIGINT,
    decided_by       TEXT,
    reason           TEXT,
    new_password     BIGINT NOT NULL DEFAULT 0,
    grant_expires_at BIGINT
);
CREATE INDEX appeals_status ON appeals (status, created_at);
CREATE INDEX appeals_user_id ON appeals (user_id, created_at);

-- From which networks an account was logged in to: keyed hashes of address prefixes, for each account its own.
CREATE TABLE login_places (
    user_id        TEXT NOT NULL,
    place_name     TEXT NOT NULL,
    last_seen_at   BIGINT NOT NULL,
    PRIMARY KEY (user_id, place_name)
);
CREATE INDEX login_places_last_seen_at ON login_places (last_seen_at);
