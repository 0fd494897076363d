//! Weibo: `/oauth2/access_token`, `/oauth2/get_token_info`, `/2/users/show.json`. A failure has `error_code`, with any HTTP status. There is no union id: the
//! uid names the person in every app (W2).
//!
//! The access token is used within the exchange and not kept.

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::call::{self, Api, Failure, Method, acceptable, code_of, lost, text, text_or_number};
use super::{
    ApiSettings, Connector, Credential, CredentialKind, ExchangeError, LastingSubject, Profile,
    ProviderApp, ProviderIdentity,
};
use crate::ports::Outbound;
use crate::ports::outbound::OutboundReply;
use crate::secret::SecretText;

/// Weibo's name on the wire.
const NAME: &str = "weibo";
/// Weibo is one platform for all apps.
const PLATFORM: &str = "weibo.com";

/// The connector.
#[derive(Clone, Debug)]
pub struct Weibo(Api);

/// What an exchanged code gave.
struct Grant {
    access_token: SecretText,
    uid: String,
}

impl Weibo {
    /// Speaks to the Weibo of these settings: `https://api.weibo.com`, or the simulator.
    pub fn new(settings: ApiSettings, outbound: Outbound) -> Self {
        Self(Api::new(settings, outbound))
    }

    async fn identify(
        &self,
        app: &ProviderApp,
        credential: &Credential,
    ) -> Result<ProviderIdentity, ExchangeError> {
        let grant = self.grant(app, call::code(credential)?).await?;
        self.check(app, &grant).await?;
        let profile = self.profile(&grant).await;
        Ok(ProviderIdentity {
            provider: NAME.to_owned(),
            platform: PLATFORM.to_owned(),
            app_id: app.app_id.clone(),
            open_id: grant.uid.clone(),
            subject: Some(grant.uid),
            aliases: Vec::new(),
            profile,
        })
    }

    async fn grant(&self, app: &ProviderApp, code: &SecretText) -> Result<Grant, ExchangeError> {
        let form = [
            ("client_id", app.app_id.as_str()),
            ("client_secret", app.secret.expose()),
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", &app.redirect_uri),
        ];
        let read = |reply: &OutboundReply| {
            let value = answer(reply)?;
            let uid = uid(&value, "uid").ok_or_else(|| lost(reply))?;
            let access_token = text(&value, "access_token")
                .filter(|token| acceptable(token))
                .ok_or_else(|| lost(reply))?
                .into();
            Ok(Grant { access_token, uid })
        };
        // A code serves once: where the reply was lost, Weibo may have taken it.
        self.0
            .call(
                Method::Post,
                &["oauth2", "access_token"],
                &form,
                false,
                read,
            )
            .await
            .map_err(|failure| failure.meaning(meaning))
    }

    /// The token must be our own app's, of the person it was given with, and alive.
    async fn check(&self, app: &ProviderApp, grant: &Grant) -> Result<(), ExchangeError> {
        let form = [("access_token", grant.access_token.expose())];
        let read = |reply: &OutboundReply| {
            let value = answer(reply)?;
            let appkey = value
                .get("appkey")
                .and_then(text_or_number)
                .ok_or_else(|| lost(reply))?;
            let uid = uid(&value, "uid").ok_or_else(|| lost(reply))?;
            // Weibo's own spelling.
            let left = value.get("expire_in").and_then(code_of);
            Ok((appkey, uid, left.ok_or_else(|| lost(reply))?))
        };
        let (appkey, uid, left) = self
            .0
            .call(
                Method::Post,
                &["oauth2", "get_token_info"],
                &form,
                true,
                read,
            )
            .await
            .map_err(|failure| failure.meaning(meaning))?;
        let wrong = if appkey != app.app_id {
            "the token is another app's"
        } else if uid != grant.uid {
            "the token is another person's"
        } else if left <= 0 {
            "the token is over"
        } else {
            return Ok(());
        };
        Err(ExchangeError::CredentialInvalid(wrong.into()))
    }

    async fn profile(&self, grant: &Grant) -> Profile {
        let query = [
            ("access_token", grant.access_token.expose()),
            ("uid", grant.uid.as_str()),
        ];
        let read = |reply: &OutboundReply| {
            let value = answer(reply)?;
            if uid(&value, "id").as_ref() != Some(&grant.uid) {
                return Err(lost(reply));
            }
            let picture =
                text(&value, "avatar_large").or_else(|| text(&value, "profile_image_url"));
            Ok(Profile::shown(text(&value, "screen_name"), picture))
        };
        let profile = self
            .0
            .call(
                Method::Get,
                &["2", "users", "show.json"],
                &query,
                true,
                read,
            )
            .await;
        call::or_none(NAME, profile.map_err(|failure| failure.meaning(meaning)))
    }
}

impl Connector for Weibo {
    fn provider(&self) -> &str {
        NAME
    }

    fn credential_kind(&self) -> CredentialKind {
        CredentialKind::Bearer
    }

    fn lasting_subject(&self) -> LastingSubject {
        LastingSubject::Uid
    }

    fn exchange<'a>(
        &'a self,
        app: &'a ProviderApp,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<ProviderIdentity, ExchangeError>> {
        Box::pin(self.identify(app, credential))
    }
}

/// Decimal digits only, as a number or as text.
fn uid(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(text_or_number).filter(|uid| {
        (1..=20).contains(&uid.len()) && uid != "0" && uid.bytes().all(|b| b.is_ascii_digit())
    })
}

/// The reply's object, or Weibo's error.
fn answer(reply: &OutboundReply) -> Result<Value, Failure<i64>> {
    let value = call::object(reply)?;
    match value.get("error_code").map(code_of) {
        // Too many tasks; unavailable for a moment: nothing was done.
        Some(Some(code @ (10_009 | 21_331))) => Err(Failure::Busy(format!("error_code {code}"))),
        // System, service, remote service: who knows.
        Some(Some(code @ (10_001..=10_003 | 10_010 | 10_011))) => {
            Err(Failure::Lost(format!("error_code {code}")))
        }
        Some(Some(code)) => Err(Failure::Refused(code)),
        None if reply.status == http::StatusCode::OK => Ok(value),
        Some(None) | None => Err(lost(reply)),
    }
}

fn meaning(code: i64) -> ExchangeError {
    let what = format!("error_code {code}");
    match code {
        // 21325 the grant (code) is wrong, used or expired; the others: the token is used, expired, taken back, wrong.
        21_314..=21_317 | 21_319 | 21_325 | 21_327 | 21_332 => {
            ExchangeError::CredentialInvalid(what)
        }
        21_330 => ExchangeError::ConsentIncomplete(what),
        // Too often, by address, user or application.
        10_022..=10_024 => ExchangeError::Unavailable(what),
        // 21322 redirect, 21323 request, 21324 client, 21326 grant not allowed, 21338 package or signature: the set-up.
        _ => ExchangeError::Misconfigured(what),
    }
}

#[cfg(test)]
#[path = "weibo_tests.rs"]
mod tests;
