//! A call is prepared (exact bytes, Idempotency-Key), may be kept, and is then performed; performing it again sends identical bytes.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::answers::Answer;
use super::replies::LoginHandle;
use crate::json::{self, FromJson};
use crate::secret::{SecretBytes, SecretString, in_vault};

/// A POST that is ready to go.
#[derive(Clone, PartialEq, Eq)]
pub struct PreparedCall {
    /// Path below the account center's public URL, such as `/v1/login`.
    pub(crate) path: String,
    /// 128 random bits (contract section 3).
    pub(crate) idempotency_key: String,
    /// The exact bytes.
    pub(crate) body: SecretBytes,
    /// What was sealed, so that it can be sealed again for a new key; never kept.
    pub(crate) to_seal_again: Option<SealAgain>,
}

/// The plain answer behind a sealed one.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SealAgain {
    pub(crate) login: LoginHandle,
    pub(crate) step_id: String,
    pub(crate) answer: Answer,
}

impl fmt::Debug for PreparedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "POST {} ({} bytes)", self.path, self.body.len())
    }
}

/// A prepared call as it goes into a vault record; without what was sealed.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct KeptCall {
    path: String,
    idempotency_key: String,
    #[serde(with = "in_vault")]
    body: SecretString,
}

impl fmt::Debug for KeptCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "POST {}", self.path)
    }
}

impl FromJson for KeptCall {
    fn from_json(tree: &mut Value) -> Option<Self> {
        Some(Self {
            path: json::text(tree, "path")?,
            idempotency_key: json::text(tree, "idempotency_key")?,
            body: json::member(tree, "body")?,
        })
    }
}

impl From<&PreparedCall> for KeptCall {
    fn from(call: &PreparedCall) -> Self {
        Self {
            path: call.path.clone(),
            idempotency_key: call.idempotency_key.clone(),
            body: String::from_utf8_lossy(call.body.expose())
                .into_owned()
                .into(),
        }
    }
}

impl From<KeptCall> for PreparedCall {
    fn from(kept: KeptCall) -> Self {
        Self {
            path: kept.path,
            idempotency_key: kept.idempotency_key,
            body: kept.body.expose().as_bytes().into(),
            to_seal_again: None,
        }
    }
}
