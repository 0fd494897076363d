//! Alipay: the app passes a string that only the server can sign (`authInfo`), and brings a code back; the server asks the gateway for
//! `alipay.system.oauth.token` and `alipay.user.info.share`. Every answer's signature is verified on its raw text.
//!
//! Tokens are used within the exchange and not kept.

mod certificate;
mod keys;
mod message;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use postern_server_security::strict_json;
use serde_json::Value;

use super::call::{self, Api, Failure, acceptable, code_of, lost, text};
use super::{
    ApiSettings, Connector, Credential, CredentialKind, ExchangeError, ForPhone, LastingSubject,
    Prepared, Profile, ProviderApp, ProviderIdentity,
};
use crate::context::Context;
use crate::ports::Outbound;
use crate::ports::outbound::OutboundReply;
use crate::secret::SecretText;

pub use keys::{AlipayKeyFault, AlipayKeys, Theirs};

/// Alipay's name on the wire.
const NAME: &str = "alipay";

/// The connector of one app.
#[derive(Clone)]
pub struct Alipay {
    api: Api,
    keys: Arc<AlipayKeys>,
    /// The merchant, `2088…`.
    pid: String,
    context: Context,
}

impl fmt::Debug for Alipay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alipay")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// What an exchanged code gave.
struct Grant {
    access_token: SecretText,
    open_id: Option<String>,
    user_id: Option<String>,
}

/// Alipay's way to say no.
#[derive(Debug)]
struct Refusal {
    code: i64,
    sub_code: String,
}

impl Alipay {
    /// Speaks to the gateway of these settings (`https://openapi.alipay.com/gateway.do`, or the simulator's) for one app.
    pub fn new(
        settings: ApiSettings,
        outbound: Outbound,
        keys: Arc<AlipayKeys>,
        pid: &str,
        context: Context,
    ) -> Self {
        Self {
            api: Api::new(settings, outbound),
            keys,
            pid: pid.to_owned(),
            context,
        }
    }

    async fn identify(
        &self,
        app: &ProviderApp,
        credential: &Credential,
    ) -> Result<ProviderIdentity, ExchangeError> {
        let grant = self.grant(app, call::code(credential)?).await?;
        let profile = self.profile(app, &grant).await;
        let (Some(open_id), alias) = (match grant.open_id {
            Some(open_id) => (Some(open_id), grant.user_id),
            // An app of the older kind.
            None => (grant.user_id, None),
        }) else {
            return Err(ExchangeError::Unavailable("the answer names nobody".into()));
        };
        Ok(ProviderIdentity {
            provider: NAME.to_owned(),
            // W2: an open id names the person within one app only.
            platform: app.app_id.clone(),
            app_id: app.app_id.clone(),
            subject: Some(open_id.clone()),
            open_id,
            aliases: alias.into_iter().collect(),
            profile,
        })
    }

    async fn grant(&self, app: &ProviderApp, code: &SecretText) -> Result<Grant, ExchangeError> {
        let business = [
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
        ];
        // A code serves once: where the reply was lost, Alipay may have taken it.
        let answer = self
            .ask(app, "alipay.system.oauth.token", None, &business, false)
            .await
            .map_err(|failure| failure.meaning(meaning))?;
        let id = |name: &str| {
            text(&answer, name)
                .filter(|id| acceptable(id))
                .map(str::to_owned)
        };
        let access_token = id("access_token")
            .map(SecretText::new)
            .ok_or_else(|| ExchangeError::Unavailable("the answer has no access token".into()))?;
        Ok(Grant {
            access_token,
            open_id: id("open_id"),
            user_id: id("user_id"),
        })
    }

    async fn profile(&self, app: &ProviderApp, grant: &Grant) -> Profile {
        let token = Some(&grant.access_token);
        let asked = self
            .ask(app, "alipay.user.info.share", token, &[], true)
            .await;
        let profile = asked
            .map_err(|failure| failure.meaning(meaning))
            .and_then(|answer| {
                let same = |name: &str, known: &Option<String>| {
                    let told = text(&answer, name);
                    told.is_none() || known.is_none() || told == known.as_deref()
                };
                if same("open_id", &grant.open_id) && same("user_id", &grant.user_id) {
                    Ok(Profile::shown(
                        text(&answer, "nick_name"),
                        text(&answer, "avatar"),
                    ))
                } else {
                    Err(ExchangeError::Unavailable(
                        "the profile is another person's".into(),
                    ))
                }
            });
        call::or_none(NAME, profile)
    }

    /// One call of the gateway: signed, and its answer verified.
    async fn ask(
        &self,
        app: &ProviderApp,
        method: &str,
        auth_token: Option<&SecretText>,
        business: &[(&str, &str)],
        idempotent: bool,
    ) -> Result<Value, Failure<Refusal>> {
        let timestamp = message::china_time(self.context.now());
        let mut system = vec![
            ("app_id", app.app_id.as_str()),
            ("method", method),
            ("format", "JSON"),
            ("charset", "utf-8"),
            ("sign_type", "RSA2"),
            ("timestamp", &timestamp),
            ("version", "1.0"),
        ];
        if let Some(token) = auth_token {
            system.push(("auth_token", token.expose()));
        }
        if let Some(serials) = self.keys.serials() {
            system.push(("app_cert_sn", &serials.app));
            system.push(("alipay_root_cert_sn", &serials.root));
        }
        let content = message::content(&[&system[..], business].concat());
        let signature = self.keys.sign(&content).ok_or_else(cannot_sign)?;
        system.push(("sign", &signature));
        let mut url = self.api.base.clone();
        url.query_pairs_mut().extend_pairs(&system);
        let member = format!("{}_response", method.replace('.', "_"));
        self.api
            .post(url, business, idempotent, |reply| {
                self.answer(&member, reply)
            })
            .await
    }

    /// The answer in a reply, once its signature is verified.
    fn answer(&self, member: &str, reply: &OutboundReply) -> Result<Value, Failure<Refusal>> {
        if reply.status != http::StatusCode::OK {
            return Err(lost(reply));
        }
        let body = std::str::from_utf8(&reply.body).map_err(|_| lost(reply))?;
        // Strict: an answer that is there twice could be one to us and another to the signature.
        let whole = strict_json::value(body.as_bytes()).map_err(|_| lost(reply))?;
        let member = if whole.get(member).is_some() {
            member
        } else {
            "error_response"
        };
        let answer = whole
            .get(member)
            .filter(|answer| answer.is_object())
            .ok_or_else(|| lost(reply))?;
        let signed = message::cut(body, member).ok_or_else(|| lost(reply))?;
        let refusal = refusal(answer);
        match text(&whole, "sign") {
            Some(signature) => {
                let other = self.keys.serials().is_some_and(|serials| {
                    text(&whole, "alipay_cert_sn").is_some_and(|told| told != serials.alipay)
                });
                if other {
                    return Err(Failure::SetUp(
                        "the answer is signed with a newer certificate than ours".into(),
                    ));
                }
                if !self.keys.verifies(signed, signature) {
                    return Err(Failure::SetUp("the answer's signature is wrong".into()));
                }
            }
            // Some refusals are not signed, and a refusal opens nothing.
            None if refusal.is_some() => {}
            None => return Err(Failure::SetUp("the answer is not signed".into())),
        }
        match refusal {
            Some(refusal) => Err(judged(refusal)),
            None => Ok(answer.clone()),
        }
    }

    /// The string for the SDK on the phone. `request` is its `target_id`.
    fn auth_info(&self, app: &ProviderApp, request: &str) -> Option<String> {
        let content = message::content(&[
            ("apiname", "com.alipay.account.auth"),
            ("method", "alipay.open.auth.sdk.code.get"),
            ("app_id", &app.app_id),
            ("app_name", "mc"),
            ("biz_type", "openservice"),
            ("pid", &self.pid),
            ("product_id", "APP_FAST_LOGIN"),
            ("scope", "kuaijie"),
            ("target_id", request),
            ("auth_type", "AUTHACCOUNT"),
            ("sign_type", "RSA2"),
        ]);
        let signature = self.keys.sign(&content)?;
        let escaped: String = url::form_urlencoded::byte_serialize(signature.as_bytes()).collect();
        Some(format!("{content}&sign={escaped}"))
    }
}

impl Connector for Alipay {
    fn provider(&self) -> &str {
        NAME
    }

    fn credential_kind(&self) -> CredentialKind {
        CredentialKind::Bearer
    }

    fn needs_request(&self) -> bool {
        true
    }

    fn prepare<'a>(
        &'a self,
        app: &'a ProviderApp,
        request: &'a str,
    ) -> BoxFuture<'a, Result<Prepared, ExchangeError>> {
        let prepared = self
            .auth_info(app, request)
            .map(|auth_info| Prepared {
                for_phone: ForPhone::AuthInfo(auth_info),
                kept: None,
            })
            .ok_or_else(|| ExchangeError::Misconfigured("the key cannot sign".into()));
        Box::pin(std::future::ready(prepared))
    }

    fn lasting_subject(&self) -> LastingSubject {
        LastingSubject::OpenIdInApp
    }

    fn exchange<'a>(
        &'a self,
        app: &'a ProviderApp,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<ProviderIdentity, ExchangeError>> {
        Box::pin(self.identify(app, credential))
    }
}

/// The raw text of a member of an answer, for the fuzzer: only JSON gets there.
pub(super) fn cut<'a>(body: &'a str, member: &str) -> Option<&'a str> {
    strict_json::value(body.as_bytes()).ok()?;
    message::cut(body, member)
}

fn cannot_sign() -> Failure<Refusal> {
    Failure::SetUp("the key cannot sign".into())
}

/// A `code` other than 10000.
fn refusal(answer: &Value) -> Option<Refusal> {
    let code = code_of(answer.get("code")?).unwrap_or(0);
    (code != 10_000).then(|| Refusal {
        code,
        // Only what has a sub-code's form: it goes into the log.
        sub_code: text(answer, "sub_code")
            .filter(|sub| sub.len() <= 64 && acceptable(sub))
            .unwrap_or_default()
            .to_owned(),
    })
}

/// What of a refusal is no answer: Alipay's own systems failed.
fn judged(refusal: Refusal) -> Failure<Refusal> {
    let own = refusal.sub_code.starts_with("isp.") || refusal.sub_code == "aop.unknow-error";
    if refusal.code == 20_000 || own {
        Failure::Lost(format!("code {} {}", refusal.code, refusal.sub_code))
    } else {
        Failure::Refused(refusal)
    }
}

fn meaning(Refusal { code, sub_code }: Refusal) -> ExchangeError {
    let what = format!("code {code} {sub_code}");
    match (code, sub_code.as_str()) {
        // The access token is wrong or over; the code is wrong, used or over.
        (20_001, _)
        | (
            40_002,
            "isv.code-invalid" | "isv.refresh-token-invalid" | "isv.refreshed-token-invalid",
        ) => ExchangeError::CredentialInvalid(what),
        // The person has not granted this.
        (40_006, "isv.insufficient-user-permissions") => ExchangeError::ConsentIncomplete(what),
        // Too many calls.
        (40_005, _) => ExchangeError::Unavailable(what),
        // Signature, app id, parameters, permissions of the app: the set-up.
        _ => ExchangeError::Misconfigured(what),
    }
}

#[cfg(test)]
mod tests;
