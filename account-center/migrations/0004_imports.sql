-- How far the import of a file of existing users is: written in the transaction of each chunk, so that an import that was interrupted goes on where it was.
CREATE TABLE imports (
    file_hash      TEXT PRIMARY KEY,
    lines_done     BIGINT NOT NULL,
    imported       BIGINT NOT NULL,
    passed_over    BIGINT NOT NULL,
    started_at     BIGINT NOT NULL,
    finished_at    BIGINT
);
