//! `accounts`, `phones`, `login_passwords`, `bindings`, `open_ids`, `binding_history`.
