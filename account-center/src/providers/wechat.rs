//! WeChat: `/sns/oauth2/access_token`, then `/sns/userinfo`. A failure is HTTP 200 with `errcode`, and JSON comes with any Content-Type.
//!
//! The access token and the refresh token that WeChat gives are used within the exchange and not kept.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::call::acceptable;
use super::{
    Connector, Credential, CredentialKind, ExchangeError, Profile, ProviderApp, ProviderIdentity,
};
use crate::ports::{Outbound, PortError};
use crate::secret::SecretText;

/// WeChat's name on the wire.
const NAME: &str = "wechat";
/// How often a request that WeChat was too busy for is made in all.
const TRIES: u32 = 3;

/// Where WeChat is.
#[derive(Clone, Debug)]
pub struct WeChatSettings {
    /// `https://api.weixin.qq.com`, or the simulator.
    pub base: Url,
    /// Pause before a busy WeChat is asked again; doubled each time.
    pub busy_pause: Duration,
}

impl WeChatSettings {
    /// With the usual pause.
    pub fn new(base: Url) -> Self {
        Self {
            base,
            busy_pause: Duration::from_millis(100),
        }
    }
}

/// The connector.
#[derive(Clone, Debug)]
pub struct WeChat {
    settings: WeChatSettings,
    outbound: Outbound,
}

impl WeChat {
    /// Speaks to the WeChat of these settings.
    pub fn new(settings: WeChatSettings, outbound: Outbound) -> Self {
        Self { settings, outbound }
    }

    /// One GET, repeated while WeChat says -1 (busy: nothing was done). `idempotent`: it may also be repeated when its reply was lost.
    async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        idempotent: bool,
    ) -> Result<T, Failure> {
        let mut url = self.settings.base.clone();
        url.path_segments_mut()
            .map_err(|()| {
                Failure::Error(ExchangeError::Misconfigured(
                    "the base URL cannot have a path".into(),
                ))
            })?
            .pop_if_empty()
            .extend(path);
        let mut pause = self.settings.busy_pause;
        let mut tries = 1;
        loop {
            let failure = match self.try_once(url.clone(), query).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let repeat = match &failure {
                Failure::Code(-1) | Failure::Unreached(_) => true,
                Failure::Lost(_) => idempotent,
                Failure::Code(_) | Failure::Error(_) => false,
            };
            if !repeat || tries == TRIES {
                return Err(failure);
            }
            tries += 1;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn try_once<T: DeserializeOwned>(
        &self,
        url: Url,
        query: &[(&str, &str)],
    ) -> Result<T, Failure> {
        let reply = self
            .outbound
            .get(url, query)
            .await
            .map_err(|error| match error {
                PortError::Unavailable {
                    what,
                    maybe_done: false,
                } => Failure::Unreached(what),
                PortError::Unavailable {
                    what,
                    maybe_done: true,
                } => Failure::Lost(what),
                PortError::Misconfigured { what } => {
                    Failure::Error(ExchangeError::Misconfigured(what))
                }
            })?;
        if reply.status != http::StatusCode::OK {
            return Err(Failure::Lost(format!("HTTP {}", reply.status.as_u16())));
        }
        let rubbish = || Failure::Lost("the reply is not WeChat's".to_owned());
        let outcome: Outcome = serde_json::from_slice(&reply.body).map_err(|_| rubbish())?;
        match outcome.errcode {
            None | Some(0) => serde_json::from_slice(&reply.body).map_err(|_| rubbish()),
            Some(code) => Err(Failure::Code(code)),
        }
    }

    async fn identify(
        &self,
        app: &ProviderApp,
        credential: &Credential,
    ) -> Result<ProviderIdentity, ExchangeError> {
        let Credential::Code(code) = credential else {
            return Err(ExchangeError::CredentialInvalid("not a code".into()));
        };
        if !acceptable(code.expose()) {
            return Err(ExchangeError::CredentialInvalid(
                "not of a code's form".into(),
            ));
        }
        let grant: Grant = self
            .get(
                &["sns", "oauth2", "access_token"],
                &[
                    ("appid", &app.app_id),
                    ("secret", app.secret.expose()),
                    ("code", code.expose()),
                    ("grant_type", "authorization_code"),
                ],
                // A code serves once: where the reply was lost, WeChat may have taken it.
                false,
            )
            .await
            .map_err(Failure::at_token)?;
        if !acceptable(&grant.openid) {
            return Err(ExchangeError::Unavailable(
                "an open id is not of an id's form".into(),
            ));
        }
        let consented = grant
            .scope
            .as_deref()
            .unwrap_or_default()
            .split(',')
            .any(|scope| scope.trim() == "snsapi_userinfo");
        let user = if consented {
            self.user(&grant).await?
        } else {
            None
        };
        let union_id = user
            .as_ref()
            .and_then(|user| user.unionid.clone())
            .or(grant.unionid);
        Ok(ProviderIdentity {
            provider: NAME.to_owned(),
            platform: app.platform.clone(),
            app_id: app.app_id.clone(),
            open_id: grant.openid,
            subject: union_id.filter(|id| acceptable(id)),
            aliases: Vec::new(),
            profile: user.map(User::profile).unwrap_or_default(),
        })
    }

    /// The profile. Where it cannot be had but the grant names the union id, the login goes on without it: it is refreshed another time (M6).
    async fn user(&self, grant: &Grant) -> Result<Option<User>, ExchangeError> {
        let query = [
            ("access_token", grant.access_token.expose()),
            ("openid", grant.openid.as_str()),
            ("lang", "zh_CN"),
        ];
        match self.get::<User>(&["sns", "userinfo"], &query, true).await {
            Ok(user) if user.openid == grant.openid => Ok(Some(user)),
            Ok(_) => Err(ExchangeError::Unavailable(
                "the profile is of another open id".into(),
            )),
            Err(failure) if grant.unionid.is_some() => {
                tracing::warn!(error = %failure.at_userinfo(), "WeChat gave no profile; the login goes on without one");
                Ok(None)
            }
            Err(failure) => Err(failure.at_userinfo()),
        }
    }
}

impl Connector for WeChat {
    fn provider(&self) -> &'static str {
        NAME
    }

    fn credential_kind(&self) -> CredentialKind {
        CredentialKind::Bearer
    }

    fn exchange<'a>(
        &'a self,
        app: &'a ProviderApp,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<ProviderIdentity, ExchangeError>> {
        Box::pin(self.identify(app, credential))
    }
}

enum Failure {
    /// The request did not leave.
    Unreached(String),
    /// No reply that can be read: the request may have been performed.
    Lost(String),
    /// WeChat's `errcode`.
    Code(i64),
    Error(ExchangeError),
}

impl Failure {
    fn at_token(self) -> ExchangeError {
        self.mapped(|code, what| match code {
            // Invalid, used, expired; 41008: none given.
            40029 | 40163 | 42003 | 41008 => ExchangeError::CredentialInvalid(what),
            48001 => ExchangeError::ConsentIncomplete(what),
            // 40013 bad app id, 40125 bad secret, 40001 bad credential, 40164 our address is not listed, 41002 and 41004 missing: the set-up.
            _ => ExchangeError::Misconfigured(what),
        })
    }

    fn at_userinfo(self) -> ExchangeError {
        self.mapped(|code, what| match code {
            48001 => ExchangeError::ConsentIncomplete(what),
            // The token is seconds old. That it is bad means that the person withdrew the authorization meanwhile.
            40001 | 40014 | 42001 | 40003 => ExchangeError::CredentialInvalid(what),
            _ => ExchangeError::Misconfigured(what),
        })
    }

    fn mapped(self, by_code: impl Fn(i64, String) -> ExchangeError) -> ExchangeError {
        match self {
            Self::Unreached(what) | Self::Lost(what) => ExchangeError::Unavailable(what),
            // Busy; called too often; the system's own error.
            Self::Code(code @ (-1 | 45009 | 45011 | 50001 | 50002)) => {
                ExchangeError::Unavailable(format!("errcode {code}"))
            }
            // 40226: WeChat holds the person for a high risk and gives no identity.
            Self::Code(code @ 40226) => ExchangeError::CredentialInvalid(format!("errcode {code}")),
            Self::Code(code) => by_code(code, format!("errcode {code}")),
            Self::Error(error) => error,
        }
    }
}

#[derive(Deserialize)]
struct Outcome {
    errcode: Option<i64>,
}

#[derive(Deserialize)]
struct Grant {
    access_token: SecretText,
    openid: String,
    scope: Option<String>,
    unionid: Option<String>,
}

#[derive(Deserialize)]
struct User {
    openid: String,
    nickname: Option<String>,
    headimgurl: Option<String>,
    unionid: Option<String>,
}

impl User {
    fn profile(self) -> Profile {
        Profile::shown(self.nickname.as_deref(), self.headimgurl.as_deref())
    }
}

#[cfg(test)]
#[path = "wechat_tests.rs"]
mod tests;
