//! WeChat, for apps of three kinds. A mobile app and a web page in WeChat bring a code for `/sns/oauth2/access_token`, then `/sns/userinfo` where the person
//! consented to it; a mini program brings one for `/sns/jscode2session`. A failure is HTTP 200 with `errcode`, and JSON comes with any Content-Type.
//!
//! Tokens and the mini program's `session_key` are used within the exchange and not kept. So `/sns/oauth2/refresh_token` and `/sns/auth` are asked only where
//! WeChat doubts a token that it gave a moment ago.

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::call::{self, Api, Failure, Method, acceptable, code_of, lost, text};
use super::{
    ApiSettings, AppKind, Connector, Credential, CredentialKind, ExchangeError, LastingSubject,
    Profile, ProviderApp, ProviderIdentity,
};
use crate::ports::Outbound;
use crate::ports::outbound::OutboundReply;
use crate::secret::SecretText;

/// WeChat's name on the wire.
const NAME: &str = "wechat";

/// The connector.
#[derive(Clone, Debug)]
pub struct WeChat(Api);

/// What an exchanged code gave.
struct Grant {
    access_token: SecretText,
    refresh_token: Option<SecretText>,
    open_id: String,
    union_id: Option<String>,
    /// The person consented to their profile (`snsapi_userinfo`).
    profile_granted: bool,
}

/// What `/sns/userinfo` shows.
struct User {
    union_id: Option<String>,
    profile: Profile,
}

type Asked<T> = Result<T, Failure<i64>>;

impl WeChat {
    /// Speaks to the WeChat of these settings: `https://api.weixin.qq.com`, or the simulator.
    pub fn new(settings: ApiSettings, outbound: Outbound) -> Self {
        Self(Api::new(settings, outbound))
    }

    async fn identify(
        &self,
        app: &ProviderApp,
        credential: &Credential,
    ) -> Result<ProviderIdentity, ExchangeError> {
        let code = call::code(credential)?;
        let (open_id, subject, profile) = match app.kind {
            AppKind::MiniProgram => {
                let (open_id, union_id) = self.session(app, code).await?;
                (open_id, union_id, Profile::default())
            }
            AppKind::Mobile | AppKind::Web => self.authorized(app, code).await?,
        };
        Ok(ProviderIdentity {
            provider: NAME.to_owned(),
            platform: app.platform.clone(),
            app_id: app.app_id.clone(),
            open_id,
            subject,
            aliases: Vec::new(),
            profile,
        })
    }

    /// A mini program's code: open id and, where the app belongs to an open-platform account, the union id. M3: nobody is asked for this.
    async fn session(
        &self,
        app: &ProviderApp,
        code: &SecretText,
    ) -> Result<(String, Option<String>), ExchangeError> {
        let query = [
            ("appid", app.app_id.as_str()),
            ("secret", app.secret.expose()),
            ("js_code", code.expose()),
            ("grant_type", "authorization_code"),
        ];
        let read = |reply: &OutboundReply| {
            let value = answer(reply)?;
            // Nothing is deciphered with it here; that it is there tells a session from other answers.
            if text(&value, "session_key").is_none_or(str::is_empty) {
                return Err(lost(reply));
            }
            let open_id = id(&value, "openid").ok_or_else(|| lost(reply))?;
            Ok((open_id, id(&value, "unionid")))
        };
        // A code serves once: where the reply was lost, WeChat may have taken it.
        self.0
            .call(Method::Get, &["sns", "jscode2session"], &query, false, read)
            .await
            .map_err(|failure| failure.meaning(of_code))
    }

    /// An authorization code: open id and, with consent, union id and profile.
    async fn authorized(
        &self,
        app: &ProviderApp,
        code: &SecretText,
    ) -> Result<(String, Option<String>, Profile), ExchangeError> {
        let mut grant = self.grant(app, code).await?;
        let user = if grant.profile_granted {
            self.user(app, &mut grant).await?
        } else {
            None
        };
        let (told, profile) = user.map_or((None, Profile::default()), |user| {
            (user.union_id, user.profile)
        });
        Ok((grant.open_id, told.or(grant.union_id), profile))
    }

    async fn grant(&self, app: &ProviderApp, code: &SecretText) -> Result<Grant, ExchangeError> {
        let query = [
            ("appid", app.app_id.as_str()),
            ("secret", app.secret.expose()),
            ("code", code.expose()),
            ("grant_type", "authorization_code"),
        ];
        let read = |reply: &OutboundReply| {
            let value = answer(reply)?;
            let snapshot = value.get("is_snapshotuser").and_then(code_of) == Some(1);
            Ok((grant_of(&value).ok_or_else(|| lost(reply))?, snapshot))
        };
        // A code serves once: where the reply was lost, WeChat may have taken it.
        let path = ["sns", "oauth2", "access_token"];
        let (grant, snapshot) = self
            .0
            .call(Method::Get, &path, &query, false, read)
            .await
            .map_err(|failure| failure.meaning(of_code))?;
        if snapshot {
            // A page shown as a snapshot gets the open id of nobody: the person has to open it fully first.
            return Err(ExchangeError::ConsentIncomplete(
                "a virtual account of a snapshot page".into(),
            ));
        }
        Ok(grant)
    }

    /// The profile. Where it cannot be had but the grant names the union id, the login goes on without it: it is refreshed another time (M6).
    async fn user(
        &self,
        app: &ProviderApp,
        grant: &mut Grant,
    ) -> Result<Option<User>, ExchangeError> {
        let mut asked = self.user_info(grant).await;
        if let Err(Failure::Refused(code)) = asked
            && self.doubt_removed(app, grant, code).await?
        {
            asked = self.user_info(grant).await;
        }
        match asked.map_err(|failure| failure.meaning(of_token)) {
            Ok(Some(user)) => Ok(Some(user)),
            Ok(None) => Err(ExchangeError::Unavailable(
                "the profile is of another open id".into(),
            )),
            Err(error) if grant.union_id.is_some() => {
                tracing::warn!(%error, "WeChat gave no profile; the login goes on without one");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Nothing where WeChat shows somebody else's.
    async fn user_info(&self, grant: &Grant) -> Asked<Option<User>> {
        let query = [
            ("access_token", grant.access_token.expose()),
            ("openid", grant.open_id.as_str()),
            ("lang", "zh_CN"),
        ];
        let read = |reply: &OutboundReply| {
            let value = answer(reply)?;
            let open_id = id(&value, "openid").ok_or_else(|| lost(reply))?;
            Ok((open_id == grant.open_id).then(|| User {
                union_id: id(&value, "unionid"),
                profile: Profile::shown(text(&value, "nickname"), text(&value, "headimgurl")),
            }))
        };
        self.0
            .call(Method::Get, &["sns", "userinfo"], &query, true, read)
            .await
    }

    /// WeChat refuses a token that it gave a moment ago: an expired one is refreshed (42001), one that it does not know is asked about (its own parts may
    /// not all have heard of it yet). Whether it is worth another try.
    async fn doubt_removed(
        &self,
        app: &ProviderApp,
        grant: &mut Grant,
        code: i64,
    ) -> Result<bool, ExchangeError> {
        let result = match code {
            42_001 => self.refresh(app, grant).await,
            40_001 | 40_014 => self.token_is_good(grant).await,
            _ => return Ok(false),
        };
        match result {
            Ok(good) => Ok(good),
            // What WeChat said of the token stands.
            Err(Failure::Refused(_)) => Ok(false),
            Err(failure) if grant.union_id.is_some() => {
                let error = failure.meaning(of_token);
                tracing::warn!(%error, "WeChat does not say whether its token is good");
                Ok(false)
            }
            Err(failure) => Err(failure.meaning(of_token)),
        }
    }

    async fn refresh(&self, app: &ProviderApp, grant: &mut Grant) -> Asked<bool> {
        let Some(refresh_token) = &grant.refresh_token else {
            return Ok(false);
        };
        let query = [
            ("appid", app.app_id.as_str()),
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose()),
        ];
        let read = |reply: &OutboundReply| grant_of(&answer(reply)?).ok_or_else(|| lost(reply));
        // A valid access token is kept and prolonged, so asking twice does no harm.
        let path = ["sns", "oauth2", "refresh_token"];
        let fresh = self.0.call(Method::Get, &path, &query, true, read).await?;
        if fresh.open_id != grant.open_id {
            return Err(Failure::Lost("the token is of another open id".into()));
        }
        grant.access_token = fresh.access_token;
        Ok(true)
    }

    async fn token_is_good(&self, grant: &Grant) -> Asked<bool> {
        let query = [
            ("access_token", grant.access_token.expose()),
            ("openid", grant.open_id.as_str()),
        ];
        let read = |reply: &OutboundReply| {
            let value = answer(reply)?;
            if value.get("errcode").and_then(code_of) == Some(0) {
                Ok(true)
            } else {
                Err(lost(reply))
            }
        };
        self.0
            .call(Method::Get, &["sns", "auth"], &query, true, read)
            .await
    }
}

impl Connector for WeChat {
    fn provider(&self) -> &str {
        NAME
    }

    fn credential_kind(&self) -> CredentialKind {
        CredentialKind::Bearer
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

/// A member that is an id or a token.
fn id(value: &Value, name: &str) -> Option<String> {
    text(value, name)
        .filter(|id| acceptable(id))
        .map(str::to_owned)
}

/// The tokens of an answer.
fn grant_of(value: &Value) -> Option<Grant> {
    let token = |name: &str| {
        text(value, name)
            .filter(|token| !token.is_empty())
            .map(SecretText::from)
    };
    Some(Grant {
        access_token: token("access_token")?,
        refresh_token: token("refresh_token"),
        open_id: id(value, "openid")?,
        union_id: id(value, "unionid"),
        profile_granted: text(value, "scope")
            .unwrap_or_default()
            .split(',')
            .any(|scope| scope.trim() == "snsapi_userinfo"),
    })
}

/// The reply's object, or WeChat's error.
fn answer(reply: &OutboundReply) -> Asked<Value> {
    if reply.status != http::StatusCode::OK {
        return Err(lost(reply));
    }
    let value = call::object(reply)?;
    match value.get("errcode").map(code_of) {
        None | Some(Some(0)) => Ok(value),
        // Nothing was done.
        Some(Some(-1)) => Err(Failure::Busy("errcode -1".into())),
        Some(Some(code)) => Err(Failure::Refused(code)),
        Some(None) => Err(lost(reply)),
    }
}

/// What a refused code means, of an authorization or of a mini program.
fn of_code(code: i64) -> ExchangeError {
    match code {
        // Invalid, used, expired; 41008: none given.
        40_029 | 40_163 | 42_003 | 41_008 => ExchangeError::CredentialInvalid(what(code)),
        // 40013 bad app id, 40125 bad secret, 40001 bad credential, 40164 our address is not listed, 41002 and 41004 missing: the set-up.
        _ => common(code),
    }
}

/// What a refused token means. It is seconds old: that it is bad means that the person withdrew the authorization meanwhile.
fn of_token(code: i64) -> ExchangeError {
    match code {
        40_001 | 40_003 | 40_014 | 40_030 | 42_001 | 42_002 | 42_007 => {
            ExchangeError::CredentialInvalid(what(code))
        }
        _ => common(code),
    }
}

fn common(code: i64) -> ExchangeError {
    let what = what(code);
    match code {
        // Called too often (45011: a hundred times a minute for one person); the system's own error.
        45_009 | 45_011 | 50_001 | 50_002 => ExchangeError::Unavailable(what),
        // WeChat holds the person for a high risk and gives no identity.
        40_226 => ExchangeError::CredentialInvalid(what),
        48_001 => ExchangeError::ConsentIncomplete(what),
        _ => ExchangeError::Misconfigured(what),
    }
}

fn what(code: i64) -> String {
    format!("errcode {code}")
}

#[cfg(test)]
#[path = "wechat_tests.rs"]
mod tests;
