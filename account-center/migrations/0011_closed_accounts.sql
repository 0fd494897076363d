-- An account whose person had their data erased: its user id stays, so that it is never given again, and nothing else of them.
ALTER TABLE accounts ADD COLUMN closed_at BIGINT;
