//! The account center: identities, bindings, logins and sessions of a bank's customers.

fn main() {}
