-- L12: who is offered a provider in an app. No row: everybody. rule is JSON, see rollout::Rule.
CREATE TABLE rollout_rules (
    app_id         TEXT NOT NULL,
    provider       TEXT NOT NULL,
    rule           TEXT NOT NULL,
    version        BIGINT NOT NULL,
    changed_at     BIGINT NOT NULL,
    PRIMARY KEY (app_id, provider)
);

CREATE TABLE trial_groups (
    name           TEXT PRIMARY KEY,
    version        BIGINT NOT NULL,
    changed_at     BIGINT NOT NULL
);

-- kind: a device key's thumbprint, or a user id, which counts on the devices that the person has had a session on.
CREATE TABLE trial_members (
    group_name     TEXT NOT NULL REFERENCES trial_groups (name),
    kind           TEXT NOT NULL CHECK (kind IN ('device', 'user')),
    member         TEXT NOT NULL,
    PRIMARY KEY (group_name, kind, member)
);
CREATE INDEX sessions_device_key ON sessions (device_key);

-- L11: which of the client's attempts a login belongs to, and where the person was. attempt is a keyed name, login_ref as in flow_events.
CREATE TABLE login_attempts (
    login_ref      TEXT PRIMARY KEY,
    attempt        TEXT NOT NULL,
    region         TEXT NOT NULL,
    at             BIGINT NOT NULL
);
CREATE INDEX login_attempts_at ON login_attempts (at);

-- L11: a step that only the client sees. device and attempt are keyed names; a step counts once for an attempt.
CREATE TABLE client_events (
    device         TEXT NOT NULL,
    event_id       TEXT NOT NULL,
    attempt        TEXT NOT NULL,
    app_id         TEXT NOT NULL,
    provider       TEXT NOT NULL,
    region         TEXT NOT NULL,
    kind           TEXT NOT NULL,
    at             BIGINT NOT NULL,
    PRIMARY KEY (device, event_id)
);
CREATE INDEX client_events_at ON client_events (at);

-- L11: the numbers of a day that is over (days since 1970 in China, UTC+8), counted once and for good.
CREATE TABLE funnel_days (
    day            BIGINT PRIMARY KEY,
    counted_at     BIGINT NOT NULL
);
CREATE TABLE funnel_daily (
    day            BIGINT NOT NULL REFERENCES funnel_days (day),
    app_id         TEXT NOT NULL,
    provider       TEXT NOT NULL,
    region         TEXT NOT NULL,
    kind           TEXT NOT NULL,
    attempts       BIGINT NOT NULL,
    PRIMARY KEY (day, app_id, provider, region, kind)
);

-- L11: who was active on which day through which provider.
CREATE TABLE account_activity (
    day            BIGINT NOT NULL,
    provider       TEXT NOT NULL,
    app_id         TEXT NOT NULL,
    user_id        TEXT NOT NULL,
    PRIMARY KEY (day, provider, app_id, user_id)
);
CREATE INDEX account_activity_user_id ON account_activity (user_id);
