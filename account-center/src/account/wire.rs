//! What the account's calls take and give (`contract/account.md`).

use serde::Serialize;
use utoipa::ToSchema;

use crate::login::wire::Text;

/// The reply of `GET /v1/account/bindings`.
#[derive(Debug, Serialize, ToSchema)]
pub struct BindingList {
    /// What is bound, oldest first.
    pub bindings: Vec<BindingEntry>,
    /// What became of bindings, newest first; the latest 200.
    pub history: Vec<HistoryEntry>,
}

/// A binding.
#[derive(Debug, Serialize, ToSchema)]
pub struct BindingEntry {
    /// The provider.
    pub provider: String,
    /// Seconds since 1970 UTC.
    pub bound_at: i64,
    /// It is the oldest one: where the account has no phone, it goes only after a fresh login there (U5).
    pub earliest: bool,
}

/// What became of a binding (L8).
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryEntry {
    /// The provider.
    pub provider: String,
    /// `bound`, `renamed`, `unbound`, or what the provider told.
    pub action: String,
    /// Seconds since 1970 UTC.
    pub at: i64,
}

/// The reply of `DELETE /v1/account/bindings/{provider}`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Unbound {
    /// The provider that is not bound any more.
    pub provider: String,
    /// How the provider's own grant is closed (L8).
    pub hint: Text,
    /// The session of this call began with the provider and is over.
    pub session_ended: bool,
    /// How many sessions began with it and are over (L9).
    pub sessions_ended: usize,
}
