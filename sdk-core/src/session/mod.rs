//! The kept session: tokens stay inside; callers get the headers of one request.

mod grant;

pub use grant::{SessionGrant, SessionTokens};
