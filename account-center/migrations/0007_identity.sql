-- Guests (W6), what became of provider subjects (M5), what providers tell by themselves.

-- M5: an app moved to another open-platform account, or the provider named the person anew. login_ref names the login by which it was seen.
CREATE TABLE subject_changes (
    change_id      TEXT PRIMARY KEY,
    user_id        TEXT NOT NULL,
    provider       TEXT NOT NULL,
    app_id         TEXT NOT NULL,
    old_platform   TEXT NOT NULL,
    old_subject    TEXT NOT NULL,
    new_platform   TEXT NOT NULL,
    new_subject    TEXT NOT NULL,
    login_ref      TEXT NOT NULL,
    at             BIGINT NOT NULL
);
CREATE INDEX subject_changes_user_id ON subject_changes (user_id, at);

-- The provider said that the person withdrew the authorization there. The next login at the provider clears it.
ALTER TABLE bindings ADD COLUMN revoked_at BIGINT;

-- W6: a virtual user id and the privacy notice that was consented to before it was made.
CREATE TABLE guests (
    user_id         TEXT PRIMARY KEY REFERENCES accounts (user_id),
    app_id          TEXT NOT NULL,
    consent_version TEXT NOT NULL,
    consented_at    BIGINT NOT NULL,
    created_at      BIGINT NOT NULL
);

-- One guest for each device key in an app: nobody else's key can have it merged.
CREATE TABLE guest_devices (
    app_id         TEXT NOT NULL,
    device_key     TEXT NOT NULL,
    user_id        TEXT NOT NULL REFERENCES guests (user_id),
    added_at       BIGINT NOT NULL,
    PRIMARY KEY (app_id, device_key)
);
CREATE INDEX guest_devices_user_id ON guest_devices (user_id);

-- W2: an open id alone serves as a guest's cookie. It is not recorded: cookie_hash is a keyed hash of it.
CREATE TABLE guest_cookies (
    cookie_hash    TEXT PRIMARY KEY,
    user_id        TEXT NOT NULL REFERENCES guests (user_id),
    seen_at        BIGINT NOT NULL
);
CREATE INDEX guest_cookies_user_id ON guest_cookies (user_id);

-- Whoever was replaced by an account, so that a chain of replacements stays one step long.
CREATE INDEX accounts_replaced_by ON accounts (replaced_by) WHERE replaced_by IS NOT NULL;

-- A provider's notification counts once. notification_hash is keyed.
CREATE TABLE provider_notifications (
    notification_hash TEXT PRIMARY KEY,
    expires_at        BIGINT NOT NULL
);
CREATE INDEX provider_notifications_expires_at ON provider_notifications (expires_at);
