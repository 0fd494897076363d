//! Any `OpenID` Connect issuer: discovery, the authorization code flow with PKCE (S256), state and nonce, pushed requests where they are offered (RFC 9126), the
//! issuer's name in the answer (RFC 9207), and an ID token that is verified against the issuer's published keys. docs/adr/0010 says why the checks are ours.
//!
//! The phone opens the page and brings back `code`, `state` and `iss`; nonce and PKCE verifier stay here, so the code is worth nothing to anybody else
//! ([`CredentialKind::Bound`]). The lasting subject is (issuer, sub) (W2). Tokens are used within the exchange and not kept.

mod id_token;
mod keys;
mod metadata;
mod remembered;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::StatusCode;
use postern_server_security::base64url;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use self::id_token::{Claims, Expected, Refused};
use self::keys::Key;
use self::metadata::{ClientAuthentication, Metadata, Unfit};
use self::remembered::Remembered;
use super::call::{self, Api, Failure, acceptable, lost, text};
use super::{
    AnsweredCode, ApiSettings, Connector, Credential, CredentialKind, ExchangeError, ForPhone,
    LastingSubject, Prepared, Profile, ProviderApp, ProviderIdentity,
};
use crate::context::Context;
use crate::ports::Outbound;
use crate::ports::outbound::{Authorization, OutboundReply};
use crate::secret::SecretText;

/// A code is never longer; some issuers put a whole encrypted session into it.
const CODE_LIMIT: usize = 4096;
/// An access token is never longer.
const TOKEN_LIMIT: usize = 16 * 1024;

/// One issuer.
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// Its name on our wire and in our tables.
    pub name: String,
    /// Its own name: exactly the `iss` of its tokens.
    pub issuer: String,
    /// Development: its addresses may be `http`.
    pub plain: bool,
}

/// The connector.
pub struct Oidc {
    settings: OidcSettings,
    api: Api,
    context: Context,
    metadata: Remembered<Metadata>,
    keys: Remembered<Vec<Key>>,
}

impl std::fmt::Debug for Oidc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oidc")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// What is kept between request and answer.
#[derive(Serialize, Deserialize)]
struct Kept {
    nonce: String,
    verifier: String,
}

/// What the token endpoint gave.
struct Tokens {
    id_token: SecretText,
    access_token: Option<SecretText>,
}

type Asked<T> = Result<T, Failure<String>>;

impl Oidc {
    /// Speaks to one issuer. `api.base` is its address.
    pub fn new(
        settings: OidcSettings,
        api: ApiSettings,
        outbound: Outbound,
        context: Context,
    ) -> Self {
        Self {
            settings,
            api: Api::new(api, outbound),
            context,
            metadata: Remembered::default(),
            keys: Remembered::default(),
        }
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, ExchangeError> {
        let fetch = async || {
            let address = format!(
                "{}/.well-known/openid-configuration",
                self.settings.issuer.trim_end_matches('/')
            );
            let address = Url::parse(&address)
                .map_err(|_| ExchangeError::Misconfigured("the issuer is no address".into()))?;
            let read = |reply: &OutboundReply| {
                if reply.status != StatusCode::OK {
                    return Err(lost(reply));
                }
                let (issuer, plain) = (&self.settings.issuer, self.settings.plain);
                metadata::read(&reply.body, issuer, plain).map_err(|unfit| match unfit {
                    Unfit::Unreadable => Failure::Lost(unfit.to_string()),
                    Unfit::OtherIssuer | Unfit::Lacks(_) => Failure::SetUp(unfit.to_string()),
                })
            };
            self.get(address, read).await
        };
        self.metadata.get(self.context.now(), false, fetch).await
    }

    async fn keys(&self, metadata: &Metadata, renew: bool) -> Result<Arc<Vec<Key>>, ExchangeError> {
        let fetch = async || {
            let read = |reply: &OutboundReply| {
                if reply.status != StatusCode::OK {
                    return Err(lost(reply));
                }
                keys::read_set(&reply.body).ok_or_else(|| lost(reply))
            };
            self.get(metadata.jwks.clone(), read).await
        };
        self.keys.get(self.context.now(), renew, fetch).await
    }

    async fn get<T>(
        &self,
        address: Url,
        read: impl Fn(&OutboundReply) -> Asked<T>,
    ) -> Result<T, ExchangeError> {
        let send = || self.api.outbound.get(address.clone(), &[]);
        let asked = self.api.repeat(send, true, read).await;
        asked.map_err(|failure| failure.meaning(|error| refused(&error)))
    }

    /// A POST in the app's name, authenticated as the issuer wants it.
    async fn post<T>(
        &self,
        app: &ProviderApp,
        how: ClientAuthentication,
        (address, form): (&Url, &[(&str, &str)]),
        idempotent: bool,
        read: impl Fn(&OutboundReply) -> Asked<T>,
    ) -> Result<T, ExchangeError> {
        // RFC 6749, section 2.3.1: both are form-encoded before they become user and password.
        let escaped = |text: &str| -> String {
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
        };
        let (user, password) = (
            escaped(&app.app_id),
            SecretText::new(escaped(app.secret.expose())),
        );
        let mut form = form.to_vec();
        form.push(("client_id", &app.app_id));
        let authorization = match how {
            ClientAuthentication::Basic => Authorization::Basic(&user, &password),
            ClientAuthentication::Post => {
                form.push(("client_secret", app.secret.expose()));
                Authorization::None
            }
        };
        let send = || {
            self.api
                .outbound
                .post_form_as(address.clone(), &form, authorization)
        };
        let asked = self.api.repeat(send, idempotent, read).await;
        asked.map_err(|failure| failure.meaning(|error| refused(&error)))
    }

    /// The page's address for a new request, and what has to be kept for its answer.
    async fn request(
        &self,
        app: &ProviderApp,
        request: &str,
    ) -> Result<(Url, Kept), ExchangeError> {
        let metadata = self.metadata().await?;
        let kept = Kept {
            nonce: self.context.token128(),
            verifier: base64url::encode(self.context.bytes::<32>()),
        };
        let challenge = base64url::encode(digest(&SHA256, kept.verifier.as_bytes()));
        let parameters = [
            ("response_type", "code"),
            ("redirect_uri", app.redirect_uri.as_str()),
            ("scope", app.scope.as_str()),
            ("state", request),
            ("nonce", &kept.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let mut page = metadata.authorization.clone();
        match &metadata.pushed {
            Some(address) => {
                let read = |reply: &OutboundReply| {
                    let value = answer(reply)?;
                    text(&value, "request_uri")
                        .filter(|uri| {
                            uri.len() <= 2048 && uri.bytes().all(|b| b.is_ascii_graphic())
                        })
                        .map(str::to_owned)
                        .ok_or_else(|| lost(reply))
                };
                let asked = (address, &parameters[..]);
                // Nothing becomes of a request that was pushed twice.
                let uri = self
                    .post(app, metadata.authentication, asked, true, read)
                    .await
                    .map_err(|error| match error {
                        // Nobody brought anything yet, so what is wrong is ours.
                        ExchangeError::CredentialInvalid(what)
                        | ExchangeError::ConsentIncomplete(what) => {
                            ExchangeError::Misconfigured(what)
                        }
                        other => other,
                    })?;
                page.query_pairs_mut()
                    .append_pair("client_id", &app.app_id)
                    .append_pair("request_uri", &uri);
            }
            None => {
                page.query_pairs_mut()
                    .append_pair("client_id", &app.app_id)
                    .extend_pairs(parameters);
            }
        }
        Ok((page, kept))
    }

    async fn identify(
        &self,
        app: &ProviderApp,
        credential: &Credential,
    ) -> Result<ProviderIdentity, ExchangeError> {
        let Credential::Answered(answered) = credential else {
            return Err(ExchangeError::CredentialInvalid(
                "not the answer to a request".into(),
            ));
        };
        if !graphic(answered.code.expose(), CODE_LIMIT) {
            return Err(ExchangeError::CredentialInvalid(
                "not of a code's form".into(),
            ));
        }
        let kept: Kept = serde_json::from_str(answered.kept.expose())
            .map_err(|_| ExchangeError::CredentialInvalid("nothing was kept for it".into()))?;
        let metadata = self.metadata().await?;
        self.check_issuer(answered, &metadata)?;
        let tokens = self.tokens(app, &metadata, answered, &kept).await?;
        let claims = self.claims(app, &metadata, &tokens, &kept).await?;
        let subject = claims.subject().to_owned();
        Ok(ProviderIdentity {
            provider: self.settings.name.clone(),
            // W2: a subject is one person's within its issuer, in every app.
            platform: self.settings.issuer.clone(),
            app_id: app.app_id.clone(),
            open_id: subject.clone(),
            profile: self.profile(&metadata, &tokens, &claims).await,
            subject: Some(subject),
            aliases: Vec::new(),
        })
    }

    /// RFC 9207: before the code goes anywhere. Else another issuer's answer, slipped in, would carry its code to this one.
    fn check_issuer(
        &self,
        answered: &AnsweredCode,
        metadata: &Metadata,
    ) -> Result<(), ExchangeError> {
        let wrong = match &answered.iss {
            Some(iss) if *iss == self.settings.issuer => return Ok(()),
            None if !metadata.answers_name_issuer => return Ok(()),
            Some(_) => "the answer is another issuer's",
            None => "the answer names no issuer, and this one's always do",
        };
        Err(ExchangeError::CredentialInvalid(wrong.into()))
    }

    async fn tokens(
        &self,
        app: &ProviderApp,
        metadata: &Metadata,
        answered: &AnsweredCode,
        kept: &Kept,
    ) -> Result<Tokens, ExchangeError> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", answered.code.expose()),
            ("redirect_uri", &app.redirect_uri),
            ("code_verifier", &kept.verifier),
        ];
        let read = |reply: &OutboundReply| {
            let value = answer(reply)?;
            let token = |name: &str| {
                text(&value, name)
                    .filter(|token| graphic(token, TOKEN_LIMIT))
                    .map(SecretText::from)
            };
            Ok(Tokens {
                id_token: token("id_token").ok_or_else(|| lost(reply))?,
                access_token: token("access_token"),
            })
        };
        // A code serves once: where the reply was lost, the issuer may have taken it.
        let asked = (&metadata.token, &form[..]);
        self.post(app, metadata.authentication, asked, false, read)
            .await
    }

    /// The verified claims. A key that is not known yet is looked for once more: issuers change theirs.
    async fn claims(
        &self,
        app: &ProviderApp,
        metadata: &Metadata,
        tokens: &Tokens,
        kept: &Kept,
    ) -> Result<Claims, ExchangeError> {
        let expected = Expected {
            issuer: &self.settings.issuer,
            client_id: &app.app_id,
            nonce: &kept.nonce,
            access_token: tokens.access_token.as_ref(),
            now: self.context.now(),
        };
        let token = id_token::read(tokens.id_token.expose()).map_err(distrusted)?;
        let keys = self.keys(metadata, false).await?;
        let mut result = token.verify(&keys, &expected);
        if matches!(result, Err(Refused::UnknownKey)) {
            let keys = self.keys(metadata, true).await?;
            result = token.verify(&keys, &expected);
        }
        result.map_err(distrusted)
    }

    /// From the ID token, or, where that shows nothing, from the userinfo endpoint; it must speak of the same person (Core, section 5.3.2).
    async fn profile(&self, metadata: &Metadata, tokens: &Tokens, claims: &Claims) -> Profile {
        let own = shown(|name| claims.text(name));
        let (Some(address), Some(token)) = (&metadata.userinfo, &tokens.access_token) else {
            return own;
        };
        if own.nickname.is_some() {
            return own;
        }
        let read = |reply: &OutboundReply| {
            let value = answer(reply)?;
            if text(&value, "sub") != Some(claims.subject()) {
                return Err(Failure::Lost("the profile is another person's".into()));
            }
            Ok(shown(|name| text(&value, name)))
        };
        let send = || {
            let bearer = Authorization::Bearer(token);
            self.api.outbound.get_as(address.clone(), &[], bearer)
        };
        let asked = self.api.repeat(send, true, read).await;
        let profile = asked.map_err(|failure| failure.meaning(|error| refused(&error)));
        call::or_none(&self.settings.name, profile)
    }
}

impl Connector for Oidc {
    fn provider(&self) -> &str {
        &self.settings.name
    }

    fn credential_kind(&self) -> CredentialKind {
        CredentialKind::Bound
    }

    fn needs_request(&self) -> bool {
        true
    }

    fn asks_to_prepare(&self) -> bool {
        true
    }

    fn prepare<'a>(
        &'a self,
        app: &'a ProviderApp,
        request: &'a str,
    ) -> BoxFuture<'a, Result<Prepared, ExchangeError>> {
        Box::pin(async move {
            let (page, kept) = self.request(app, request).await?;
            let kept = serde_json::to_string(&kept)
                .map_err(|error| ExchangeError::Misconfigured(error.to_string()))?;
            Ok(Prepared {
                for_phone: ForPhone::AuthorizationUrl(page.into()),
                kept: Some(kept.into()),
            })
        })
    }

    fn lasting_subject(&self) -> LastingSubject {
        LastingSubject::IssuerAndSubject
    }

    fn exchange<'a>(
        &'a self,
        app: &'a ProviderApp,
        credential: &'a Credential,
    ) -> BoxFuture<'a, Result<ProviderIdentity, ExchangeError>> {
        Box::pin(self.identify(app, credential))
    }
}

/// The object of a good reply, or the error of RFC 6749, section 5.2.
fn answer(reply: &OutboundReply) -> Asked<Value> {
    let value = call::object(reply)?;
    let error = text(&value, "error").filter(|error| error.len() <= 64 && acceptable(error));
    match error {
        Some(error) if reply.status.is_client_error() => Err(Failure::Refused(error.to_owned())),
        None if reply.status.is_success() && value.get("error").is_none() => Ok(value),
        _ => Err(lost(reply)),
    }
}

fn refused(error: &str) -> ExchangeError {
    let what = format!("error {error}");
    match error {
        // The code is wrong, used, expired, or of another request.
        "invalid_grant" => ExchangeError::CredentialInvalid(what),
        "access_denied" | "consent_required" | "interaction_required" | "login_required" => {
            ExchangeError::ConsentIncomplete(what)
        }
        "temporarily_unavailable" | "server_error" | "slow_down" => {
            ExchangeError::Unavailable(what)
        }
        // invalid_client, invalid_request, invalid_scope, unauthorized_client …: the set-up.
        _ => ExchangeError::Misconfigured(what),
    }
}

/// A token that is not for this request is somebody's attempt; any other fault is the issuer's, and somebody must look at it.
fn distrusted(why: Refused) -> ExchangeError {
    match why {
        Refused::Claim("nonce") => ExchangeError::CredentialInvalid(why.to_string()),
        // It may be published a moment later.
        Refused::UnknownKey => ExchangeError::Unavailable(why.to_string()),
        Refused::Form(_) | Refused::Signature | Refused::Claim(_) => {
            ExchangeError::Misconfigured(why.to_string())
        }
    }
}

/// Reads any bytes as each thing that an issuer publishes or signs: for the fuzzer.
pub(super) fn read_all(bytes: &[u8]) -> usize {
    let documents = usize::from(metadata::read(bytes, "https://id.example", false).is_ok());
    let keys = keys::read_set(bytes).unwrap_or_default();
    let expected = Expected {
        issuer: "https://id.example",
        client_id: "client",
        nonce: "n",
        access_token: None,
        now: crate::context::Timestamp::from_seconds(1_800_000_000),
    };
    let tokens = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| id_token::read(text).ok())
        .map_or(0, |token| {
            // Nobody can sign for keys that are nobody's.
            usize::from(token.verify(&keys, &expected).is_ok())
        });
    documents + keys.len() + tokens
}

fn graphic(text: &str, limit: usize) -> bool {
    (1..=limit).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn shown<'a>(claim: impl Fn(&'static str) -> Option<&'a str>) -> Profile {
    let nickname = ["nickname", "name", "preferred_username"]
        .into_iter()
        .find_map(|name| claim(name).filter(|text| !text.trim().is_empty()));
    Profile::shown(nickname, claim("picture"))
}

#[cfg(test)]
mod tests;
