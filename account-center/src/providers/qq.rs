//! QQ. Its mobile SDK hands the access token to the app, so the token proves nothing until `/oauth2.0/me` says that it was given to our own app: else a token
//! of any other app would open our accounts. A web page brings a code for `/oauth2.0/token` instead.
//!
//! `/oauth2.0/me` answers JSONP, `/oauth2.0/token` a form, and its errors JSONP. Tokens are used within the exchange and not kept.

use std::time::Duration;

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

/// QQ's name on the wire.
const NAME: &str = "qq";
/// A token lives 90 days (7776000 s); it is remembered a little longer, so that a used one never serves again.
const MEMORY: Duration = Duration::from_hours(91 * 24);

/// The connector.
#[derive(Clone, Debug)]
pub struct Qq(Api);

/// What `/oauth2.0/me` says of a token: `app` is its `client_id`.
struct Me {
    app: String,
    open_id: String,
    union_id: Option<String>,
}

impl Qq {
    /// Speaks to the QQ of these settings: `https://graph.qq.com`, or the simulator.
    pub fn new(settings: ApiSettings, outbound: Outbound) -> Self {
        Self(Api::new(settings, outbound))
    }

    async fn identify(
        &self,
        app: &ProviderApp,
        credential: &Credential,
    ) -> Result<ProviderIdentity, ExchangeError> {
        call::well_formed(credential.secret())?;
        let exchanged;
        let access_token = match credential {
            Credential::AccessToken(token) => token,
            Credential::Code(code) => {
                exchanged = self.token(app, code).await?;
                &exchanged
            }
            Credential::Answered(_) => {
                return Err(ExchangeError::CredentialInvalid("not QQ's".into()));
            }
        };
        let me = self.me(access_token).await?;
        if me.app != app.app_id {
            return Err(ExchangeError::CredentialInvalid(
                "the token is another app's".into(),
            ));
        }
        let profile = self.profile(app, access_token, &me.open_id).await;
        Ok(ProviderIdentity {
            provider: NAME.to_owned(),
            platform: app.platform.clone(),
            app_id: app.app_id.clone(),
            open_id: me.open_id,
            subject: me.union_id,
            aliases: Vec::new(),
            profile,
        })
    }

    /// The web flow's code for a token.
    async fn token(
        &self,
        app: &ProviderApp,
        code: &SecretText,
    ) -> Result<SecretText, ExchangeError> {
        if app.secret.expose().is_empty() || app.redirect_uri.is_empty() {
            return Err(ExchangeError::Misconfigured(
                "a web page brought a code, and there is no secret or redirect_uri".into(),
            ));
        }
        let query = [
            ("grant_type", "authorization_code"),
            ("client_id", app.app_id.as_str()),
            ("client_secret", app.secret.expose()),
            ("code", code.expose()),
            ("redirect_uri", &app.redirect_uri),
        ];
        let read = |reply: &OutboundReply| {
            if let Ok(value) = jsonp(reply) {
                return Err(refusal(&value, "error").unwrap_or_else(|| lost(reply)));
            }
            if reply.status != http::StatusCode::OK {
                return Err(lost(reply));
            }
            form_token(&reply.body).ok_or_else(|| lost(reply))
        };
        // A code serves once: where the reply was lost, QQ may have taken it.
        self.0
            .call(Method::Get, &["oauth2.0", "token"], &query, false, read)
            .await
            .map_err(|failure| failure.meaning(meaning))
    }

    async fn me(&self, access_token: &SecretText) -> Result<Me, ExchangeError> {
        let query = [("access_token", access_token.expose()), ("unionid", "1")];
        let read = |reply: &OutboundReply| {
            let value = jsonp(reply)?;
            if let Some(refused) = refusal(&value, "error") {
                return Err(refused);
            }
            let id = |name: &str| text(&value, name).filter(|id| acceptable(id));
            Ok(Me {
                app: value
                    .get("client_id")
                    .and_then(text_or_number)
                    .ok_or_else(|| lost(reply))?,
                open_id: id("openid").ok_or_else(|| lost(reply))?.to_owned(),
                union_id: id("unionid").map(str::to_owned),
            })
        };
        self.0
            .call(Method::Get, &["oauth2.0", "me"], &query, true, read)
            .await
            .map_err(|failure| failure.meaning(meaning))
    }

    async fn profile(&self, app: &ProviderApp, token: &SecretText, open_id: &str) -> Profile {
        let query = [
            ("access_token", token.expose()),
            ("oauth_consumer_key", app.app_id.as_str()),
            ("openid", open_id),
        ];
        let read = |reply: &OutboundReply| {
            let value = call::object(reply)?;
            match value.get("ret").and_then(code_of) {
                Some(0) if reply.status == http::StatusCode::OK => {}
                Some(0) | None => return Err(lost(reply)),
                Some(code) => return Err(Failure::Refused(code)),
            }
            let picture = ["figureurl_qq_2", "figureurl_qq_1", "figureurl_2"]
                .iter()
                .find_map(|name| text(&value, name).filter(|url| !url.is_empty()));
            Ok(Profile::shown(text(&value, "nickname"), picture))
        };
        let profile = self
            .0
            .call(Method::Get, &["user", "get_user_info"], &query, true, read)
            .await;
        call::or_none(NAME, profile.map_err(|failure| failure.meaning(meaning)))
    }
}

impl Connector for Qq {
    fn provider(&self) -> &str {
        NAME
    }

    fn credential_kind(&self) -> CredentialKind {
        CredentialKind::Bearer
    }

    fn credential_memory(&self) -> Duration {
        MEMORY
    }

    fn lasting_subject(&self) -> LastingSubject {
        LastingSubject::UnionId
    }

    fn exchange<'a>(
        &'a self,
        app: &'a ProviderApp,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<ProviderIdentity, ExchangeError>> {
        Box::pin(self.identify(app, credential))
    }
}

/// `callback( {…} );`: exactly one object in a call of this name, with white space around and an optional semicolon.
fn jsonp(reply: &OutboundReply) -> Result<Value, Failure<i64>> {
    call::object_in(reply, unwrapped(&reply.body))
}

pub(super) fn unwrapped(body: &[u8]) -> Option<&[u8]> {
    let call = body.trim_ascii().strip_prefix(b"callback")?.trim_ascii();
    let call = call.strip_suffix(b";").unwrap_or(call).trim_ascii_end();
    call.strip_prefix(b"(")?.strip_suffix(b")")
}

/// The token of `access_token=…&expires_in=…&refresh_token=…`; one that is there twice is none.
pub(super) fn form_token(body: &[u8]) -> Option<SecretText> {
    let mut token = None;
    for (name, value) in url::form_urlencoded::parse(body.trim_ascii()) {
        if name == "access_token" {
            let found = SecretText::new(value.into_owned());
            if token.is_some() || !acceptable(found.expose()) {
                return None;
            }
            token = Some(found);
        }
    }
    token
}

fn refusal(value: &Value, member: &str) -> Option<Failure<i64>> {
    value.get(member).map(|code| {
        code_of(code).map_or_else(
            || Failure::Lost("an error without a code".into()),
            Failure::Refused,
        )
    })
}

fn meaning(code: i64) -> ExchangeError {
    let what = format!("error {code}");
    match code {
        // 100013 to 100016 the token is expired, revoked, wrong; 100017 and 100018 it could not be had for the code; 100019 and 100020 the code is wrong or used.
        100_005 | 100_007 | 100_013..=100_021 => ExchangeError::CredentialInvalid(what),
        100_030 => ExchangeError::ConsentIncomplete(what),
        // Negative numbers are QQ's own system.
        ..=-1 => ExchangeError::Unavailable(what),
        // 100008 to 100012 app id, key, address, release; 100048 union ids not applied for; 110406 the app is not approved: the set-up.
        _ => ExchangeError::Misconfigured(what),
    }
}

#[cfg(test)]
#[path = "qq_tests.rs"]
mod tests;
