-- Delivery of the outbox to business lines (contract/webhooks.md).

-- position: the event's place in the one order that replays follow, given after its commit by whoever holds the lease in outbox_places.
-- superseded: 1 where a later event of the account has its place; the newest one of each account is kept for ever.
ALTER TABLE outbox ADD COLUMN position BIGINT;
ALTER TABLE outbox ADD COLUMN superseded BIGINT;
CREATE UNIQUE INDEX outbox_position ON outbox (position);
CREATE INDEX outbox_unplaced ON outbox (created_at) WHERE position IS NULL;
CREATE INDEX outbox_superseded ON outbox (created_at) WHERE superseded = 1;

-- One row, made with the first place. Its update orders all who give places; deleted_to is the highest place whose event is deleted by now.
CREATE TABLE outbox_places (
    name           TEXT PRIMARY KEY,
    last_position  BIGINT NOT NULL,
    deleted_to     BIGINT NOT NULL,
    lease_holder   TEXT NOT NULL,
    lease_until    BIGINT NOT NULL
);

-- A line that events are sent to. Its address and secrets are in the settings. fanned_to: the last place whose delivery is written down.
CREATE TABLE outbox_lines (
    line_id         TEXT PRIMARY KEY,
    fanned_to       BIGINT NOT NULL,
    held_until      BIGINT NOT NULL,
    last_taken_at   BIGINT,
    disabled_at     BIGINT,
    disabled_reason TEXT,
    registered_at   BIGINT NOT NULL
);

-- What a line has not taken yet. Of each stream (an account, or an ended session) only the lowest place is ever sent; whoever leases it has the whole stream.
CREATE TABLE outbox_deliveries (
    line_id          TEXT NOT NULL,
    position         BIGINT NOT NULL,
    stream           TEXT NOT NULL,
    urgent           BIGINT NOT NULL,
    previous_version BIGINT,
    attempts         BIGINT NOT NULL,
    first_tried_at   BIGINT,
    due_at           BIGINT NOT NULL,
    lease            TEXT,
    lease_until      BIGINT NOT NULL,
    dead_at          BIGINT,
    last_failure     TEXT,
    PRIMARY KEY (line_id, position)
);
CREATE INDEX outbox_deliveries_stream ON outbox_deliveries (line_id, stream, position);
CREATE INDEX outbox_deliveries_due ON outbox_deliveries (line_id, urgent, due_at) WHERE dead_at IS NULL;
CREATE INDEX outbox_deliveries_position ON outbox_deliveries (position);
