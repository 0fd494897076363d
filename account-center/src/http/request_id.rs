//! `X-Request-Id`: one name for a request in the client's hands, in our logs and in each problem.

use std::future::Future;

tokio::task_local! {
    static CURRENT: String;
}

/// Runs `work` as the request `id`.
pub async fn scope<F: Future>(id: String, work: F) -> F::Output {
    CURRENT.scope(id, work).await
}

/// The running request's id; empty outside of one.
pub fn current() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// Whether a client's own id is kept: 1 to 64 characters of `[A-Za-z0-9_-]` (contract section 1).
pub fn acceptable(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}
