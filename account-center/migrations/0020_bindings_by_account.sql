-- An account's bindings are read at each login. Without this every login read the whole table: the unique index begins with the provider.
CREATE INDEX bindings_account ON bindings (user_id);
