//! Sessions: access tokens and refresh families (contract section 8, L10).
//!
//! A refresh token is derived from its session and generation, so the predecessor gives the same successor again until that one is first used: a lost
//! reply signs nobody out. Anything older ends the family.

mod refresh;
pub mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use postern_server_security::Thumbprint;
use postern_server_security::access_token::{self, Acr, Claims, Confirmation, TokenVerifier};
use postern_server_security::keys::{KeySet, SigningKey, VerifyingKey};
use postern_server_security::refresh::RefreshKey;
use ring::rand::SystemRandom;

use crate::context::{Context, Timestamp};
use crate::keys::{Keys, Purpose};
use crate::problem::{Code, Problem};
use crate::store::sessions::{self as rows, Row};
use crate::store::{Store, Tx, funnel};

pub use refresh::Refreshed;
pub use wire::SessionGrant;

/// How long things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// An access token; at most five minutes.
    pub access_token: Duration,
    /// A refresh token that is not used: with each use it begins anew.
    pub refresh_token: Duration,
    /// A session, however often it is refreshed.
    pub session: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            access_token: Duration::from_secs(access_token::LIFETIME_SECONDS),
            refresh_token: Duration::from_hours(30 * 24),
            session: Duration::from_hours(180 * 24),
        }
    }
}

/// What a new session begins with.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Whose it is.
    pub user_id: String,
    /// The app that logged in.
    pub app_id: String,
    /// The device key that it is bound to.
    pub device_key: Thumbprint,
    /// The provider's name, or another way to log in (L9: unbinding ends the sessions that began with it).
    pub began_with: String,
    /// How the holder was identified (L10).
    pub acr: Acr,
}

/// Opens, refreshes and ends sessions. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    inner: Arc<Inner>,
}

struct Inner {
    context: Context,
    refresh: RefreshKey,
    signer: Arc<SigningKey>,
    random: SystemRandom,
    audience: Vec<String>,
    verifier: TokenVerifier,
    lifetimes: Lifetimes,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}

/// Who sends a request with an access token, once token, proof and session are good.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The account.
    pub user_id: String,
    /// The session.
    pub session_id: String,
}

impl Sessions {
    /// `issuer` is the public URL; `audience` names the business lines that tokens are for, besides ourselves; `published` are further keys of ours, of
    /// before or for later, that tokens may still carry.
    pub fn new(
        context: Context,
        keys: &Keys,
        signer: Arc<SigningKey>,
        published: &[VerifyingKey],
        issuer: &str,
        audience: &[String],
        lifetimes: Lifetimes,
    ) -> Self {
        let verifier = TokenVerifier {
            issuer: issuer.to_owned(),
            audience: issuer.to_owned(),
            keys: KeySet::new(std::iter::once(signer.public()).chain(published)),
        };
        let audience = std::iter::once(issuer.to_owned())
            .chain(audience.iter().cloned())
            .collect();
        let refresh = RefreshKey::new(&keys.bytes(Purpose::RefreshToken));
        Self {
            inner: Arc::new(Inner {
                context,
                refresh,
                signer,
                random: SystemRandom::new(),
                audience,
                verifier,
                lifetimes,
            }),
        }
    }

    /// The document for `/.well-known/jwks.json`.
    pub fn jwks(&self) -> serde_json::Value {
        self.inner.verifier.keys.to_jwks()
    }

    /// Opens a session, in the transaction that makes it true. The holder has proved who they are just now.
    pub async fn open(&self, tx: &mut Tx, new: &NewSession) -> Result<SessionGrant, Problem> {
        let now = self.inner.context.now();
        let session_id = self.inner.context.uuid();
        let refresh_token = self
            .inner
            .refresh
            .derive(&session_id, 0)
            .map_err(Problem::internal)?;
        let row = Row {
            session_id,
            user_id: new.user_id.clone(),
            app_id: new.app_id.clone(),
            device_key: new.device_key.as_str().to_owned(),
            began_with: new.began_with.clone(),
            acr: new.acr.as_str().to_owned(),
            generation: 0,
            newest_hash: self.inner.refresh.storage_hash(&refresh_token),
            previous_hash: None,
            auth_time: now,
            created_at: now,
            last_used_at: now,
            expires_at: self.expiry(now, now),
            ended_at: None,
        };
        rows::insert(tx, &row).await?;
        note_active(tx, &row, now).await?;
        self.grant(&row, refresh_token, row.expires_at, now)
    }

    /// A refresh token's end: a while after now, but not after the session's own.
    fn expiry(&self, created_at: Timestamp, now: Timestamp) -> Timestamp {
        now.plus(self.inner.lifetimes.refresh_token)
            .min(created_at.plus(self.inner.lifetimes.session))
    }

    /// Mints an access token for the session, and writes the reply.
    fn grant(
        &self,
        row: &Row,
        refresh_token: postern_server_security::refresh::RefreshToken,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<SessionGrant, Problem> {
        let lifetime = self
            .inner
            .lifetimes
            .access_token
            .as_secs()
            .min(access_token::LIFETIME_SECONDS);
        let issued_at = unsigned(now);
        let claims = Claims {
            issuer: self.inner.verifier.issuer.clone(),
            audience: self.inner.audience.clone(),
            subject: row.user_id.clone(),
            client_id: row.app_id.clone(),
            confirmation: Confirmation {
                jkt: Thumbprint::parse(&row.device_key).map_err(Problem::internal)?,
            },
            acr: acr_of(&row.acr)?,
            auth_time: unsigned(row.auth_time),
            session_id: row.session_id.clone(),
            token_id: self.inner.context.token128(),
            issued_at,
            expires_at: issued_at.saturating_add(lifetime),
        };
        let access_token = access_token::mint(&claims, &self.inner.signer, &self.inner.random)
            .map_err(Problem::internal)?;
        Ok(SessionGrant {
            session_id: row.session_id.clone(),
            access_token: access_token.into(),
            token_type: wire::TokenType::DPoP,
            expires_in: lifetime,
            refresh_token: refresh_token.into(),
            refresh_expires_in: now.seconds_until(expires_at),
        })
    }

    /// Checks an access token, without its session: signature, issuer, audience, time, and that it is of the proof's key.
    pub fn check_token(&self, token: &str, device_key: &Thumbprint) -> Result<Holder, Problem> {
        let claims = self
            .inner
            .verifier
            .verify(token, unsigned(self.inner.context.now()))
            .map_err(|error| Problem::new(Code::InvalidToken).detail(error.to_string()))?;
        if claims.confirmation.jkt != *device_key {
            return Err(Problem::new(Code::InvalidDpopProof)
                .detail("the proof is by another key than the token's"));
        }
        Ok(Holder {
            user_id: claims.subject,
            session_id: claims.session_id,
        })
    }

    /// The holder's session, if it is not over and its holder may act on the account: `unsigned` or `signed` (L10). Others get 403 `forbidden`.
    pub async fn live(&self, tx: &mut Tx, holder: &Holder) -> Result<Row, Problem> {
        let row = self.live_of_any_kind(tx, holder).await?;
        if acr_of(&row.acr)? < Acr::Unsigned {
            return Err(Problem::new(Code::Forbidden)
                .detail("this session is a guest's, or was opened silently"));
        }
        Ok(row)
    }

    /// The holder's session, if it is not over, also a guest's or one that was opened silently. For what shows and changes nothing of an account.
    pub async fn live_of_any_kind(&self, tx: &mut Tx, holder: &Holder) -> Result<Row, Problem> {
        let now = self.inner.context.now();
        let row = rows::find(tx, &holder.session_id).await?;
        row.filter(|row| row.is_live(now) && row.user_id == holder.user_id)
            .ok_or_else(|| Problem::new(Code::SessionEnded))
    }

    /// The account's sessions (contract section 8), the one of the request marked.
    pub async fn list(&self, tx: &mut Tx, holder: &Holder) -> Result<wire::SessionList, Problem> {
        let current = self.live(tx, holder).await?;
        let sessions = rows::live_of(tx, &current.user_id, self.inner.context.now()).await?;
        Ok(wire::SessionList {
            sessions: sessions
                .into_iter()
                .map(|row| wire::SessionEntry::new(row, &current.session_id))
                .collect(),
        })
    }

    /// Ends the holder's session. That it is ended already is as good.
    pub async fn end(&self, store: &Store, holder: &Holder) -> Result<(), Problem> {
        let session_id = holder.session_id.clone();
        let now = self.inner.context.now();
        store
            .write(move |tx| {
                let session_id = session_id.clone();
                Box::pin(async move { rows::end(tx, &session_id, "signed_out", now).await })
            })
            .await?;
        Ok(())
    }
}

/// L11: the holder is active today. Guests are nobody yet.
async fn note_active(tx: &mut Tx, row: &Row, now: Timestamp) -> Result<(), Problem> {
    if row.acr == Acr::Guest.as_str() {
        return Ok(());
    }
    let day = funnel::day_of(now);
    funnel::note_active(tx, day, &row.began_with, &row.app_id, &row.user_id).await?;
    Ok(())
}

/// Whole seconds as the security crate counts them.
fn unsigned(instant: Timestamp) -> u64 {
    u64::try_from(instant.seconds()).unwrap_or(0)
}

/// How a session's holder was identified, as its row has it.
pub fn acr_of(text: &str) -> Result<Acr, Problem> {
    [Acr::Guest, Acr::Identified, Acr::Unsigned, Acr::Signed]
        .into_iter()
        .find(|acr| acr.as_str() == text)
        .ok_or_else(|| crate::store::StoreError::Corrupt("a session's acr").into())
}

#[cfg(test)]
mod tests;
