//! `POST /v1/sessions/refresh`: the family's rules (contract section 8).

use postern_server_security::Thumbprint;
use subtle::ConstantTimeEq as _;

use super::{SessionGrant, Sessions};
use crate::problem::{Code, Problem};
use crate::store::sessions::{self as rows, Row};
use crate::store::{StoreError, Tx, funnel};

/// What becomes of a refresh. Both are committed: a refusal may have ended the family.
#[derive(Debug)]
pub enum Refreshed {
    /// The session goes on.
    Granted(Box<SessionGrant>),
    /// It does not: `refresh_token_invalid` or `refresh_token_reused`.
    Refused(Problem),
}

impl Sessions {
    /// Refreshes a session, in the transaction that stores the reply. The newest token of the family gives a successor; the one before gives that same
    /// successor again; an older one ends the family. Tokens of another device or app are unknown, and change nothing.
    pub async fn refresh(
        &self,
        tx: &mut Tx,
        app_id: &str,
        device_key: &Thumbprint,
        token: &str,
    ) -> Result<Refreshed, Problem> {
        let now = self.inner.context.now();
        let Ok(claim) = self.inner.refresh.parse(token) else {
            return Ok(invalid());
        };
        let Some(row) = rows::find(tx, &claim.session_id).await? else {
            return Ok(invalid());
        };
        if row.app_id != app_id || row.device_key != device_key.as_str() || !row.is_live(now) {
            return Ok(invalid());
        }
        let token = postern_server_security::refresh::RefreshToken::new(token.to_owned());
        let hash = self.inner.refresh.storage_hash(&token);
        let is = |stored: &str| bool::from(stored.as_bytes().ct_eq(hash.as_bytes()));

        if is(&row.newest_hash) {
            let next = self.successor(&row, row.generation + 1)?;
            let expires_at = self.expiry(row.created_at, now);
            if !rows::rotate(
                tx,
                &row,
                &self.inner.refresh.storage_hash(&next),
                now,
                expires_at,
            )
            .await?
            {
                return Err(StoreError::Corrupt("a session changed within a transaction").into());
            }
            if funnel::day_of(row.last_used_at) != funnel::day_of(now) {
                super::note_active(tx, &row, now).await?;
            }
            return Ok(Refreshed::Granted(Box::new(
                self.grant(&row, next, expires_at, now)?,
            )));
        }
        if row.previous_hash.as_deref().is_some_and(is) {
            let same = self.successor(&row, row.generation)?;
            return Ok(Refreshed::Granted(Box::new(self.grant(
                &row,
                same,
                row.expires_at,
                now,
            )?)));
        }
        // Ours by its authentication code, and neither of the two that count: it was replaced, and its replacement was used.
        rows::end(tx, &row.session_id, "refresh_token_reused", now).await?;
        Ok(Refreshed::Refused(Problem::new(Code::RefreshTokenReused)))
    }

    fn successor(
        &self,
        row: &Row,
        generation: i64,
    ) -> Result<postern_server_security::refresh::RefreshToken, Problem> {
        let generation = u64::try_from(generation).map_err(Problem::internal)?;
        self.inner
            .refresh
            .derive(&row.session_id, generation)
            .map_err(Problem::internal)
    }
}

fn invalid() -> Refreshed {
    Refreshed::Refused(Problem::new(Code::RefreshTokenInvalid))
}
