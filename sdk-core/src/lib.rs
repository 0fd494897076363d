//! The client core of Postern: login flow, session, account-center client. Pure Rust, no FFI.
