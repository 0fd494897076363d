-- What the server prepared for a provider's page and is waiting for: it answers to one device key, and serves once. request_hash is keyed.
CREATE TABLE provider_requests (
    request_hash   TEXT PRIMARY KEY,
    app_id         TEXT NOT NULL,
    provider       TEXT NOT NULL,
    device_key     TEXT NOT NULL,
    expires_at     BIGINT NOT NULL
);
CREATE INDEX provider_requests_expires_at ON provider_requests (expires_at);
