//! `POST /v1/provider-requests`: what only the server can build before the phone goes to the provider. The request answers to the device key that asked for
//! it, so nobody's answer can be slipped into another device's login.

use serde::Serialize;
use utoipa::ToSchema;

use super::begin::within;
use super::engine::Engine;
use crate::http::Call;
use crate::http::reply::Reply;
use crate::keys::Purpose;
use crate::problem::{Code, Problem};
use crate::providers::{Credential, ForPhone};
use crate::rollout::ClientFacts;
use crate::secret::SecretText;
use crate::store::provider_requests::{self, RequestRow};

/// What the phone asks for.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderRequest {
    /// One of the bank's apps.
    pub app_id: String,
    /// The provider: `alipay`, or the name of an `OpenID` Connect issuer in the settings.
    pub provider: String,
    /// What the client says of itself (L12).
    #[serde(default)]
    pub client: ClientFacts,
}

/// What is for the provider's SDK on the phone.
#[derive(Serialize, ToSchema)]
pub struct ProviderRequestReply {
    /// Its name: `start` repeats it.
    pub request: String,
    /// Seconds until it is no good any more.
    pub expires_in: u64,
    /// Alipay: the signed string for its SDK.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_info: Option<String>,
    /// `OpenID` Connect: the page to open. Its `state` is the request's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_url: Option<String>,
}

impl Engine {
    /// Prepares a request and remembers it.
    pub async fn prepare(&self, call: &Call, asked: ProviderRequest) -> Result<Reply, Problem> {
        let parts = &self.parts;
        if !parts.registry.knows(&asked.app_id) {
            return Err(Problem::new(Code::AppUnknown).pointer("/app_id"));
        }
        let offer = parts
            .registry
            .offer(&asked.app_id, &asked.provider)
            .ok_or_else(|| Problem::new(Code::NotOfferedHere).pointer("/provider"))?;
        self.let_in(
            call,
            &asked.app_id,
            &asked.provider,
            &asked.client,
            "/provider",
        )
        .await?;
        if !offer.connector.needs_request() {
            return Err(Problem::invalid(
                "/provider",
                "this provider needs no request",
            ));
        }
        // Hexadecimal: Alipay takes up to 32 letters and digits.
        let mut bytes = [0; 16];
        parts.context.randomness().fill(&mut bytes);
        let request = format!("{:032x}", u128::from_be_bytes(bytes));
        let preparing = offer.connector.prepare(&offer.app, &request);
        let prepared = within(parts.policy.exchange_limit, preparing).await?;
        let (auth_info, authorization_url) = match prepared.for_phone {
            ForPhone::AuthInfo(text) => (Some(text), None),
            ForPhone::AuthorizationUrl(url) => (None, Some(url)),
        };
        let reply = Reply::json(&ProviderRequestReply {
            request: request.clone(),
            expires_in: parts.policy.lifetime.as_secs(),
            auth_info,
            authorization_url,
        })?;
        let row = self.request_row(call, &asked.app_id, &asked.provider, &request);
        let sealed = prepared.kept.map(|kept| {
            parts.keys.seal(
                Purpose::ProviderRequest,
                row.request_hash.as_bytes(),
                kept.expose().as_bytes(),
                parts.context.randomness(),
            )
        });
        let expires_at = parts.context.now().plus(parts.policy.lifetime);
        let call = call.clone();
        parts
            .store
            .write(move |tx| {
                let (row, reply, call) = (row.clone(), reply.clone(), call.clone());
                let sealed = sealed.clone();
                Box::pin(async move {
                    provider_requests::insert(tx, &row, sealed.as_deref(), expires_at).await?;
                    call.ticket.finish(tx, &reply).await?;
                    Ok::<_, Problem>(reply)
                })
            })
            .await
    }

    /// The row of a request that this device brings.
    pub(crate) fn request_row(
        &self,
        call: &Call,
        app_id: &str,
        provider: &str,
        request: &str,
    ) -> RequestRow {
        RequestRow {
            request_hash: self
                .parts
                .keys
                .name(Purpose::ProviderRequest, &[request.as_bytes()]),
            app_id: app_id.to_owned(),
            provider: provider.to_owned(),
            device_key: call.device_key.as_str().to_owned(),
        }
    }

    /// The name in the database of the request that a credential came back to, where it is waiting for this device; else the credential is worth nothing here.
    /// The credential gets what was kept with the request.
    pub(crate) async fn waiting_request(
        &self,
        row: RequestRow,
        credential: &mut Credential,
    ) -> Result<String, Problem> {
        let now = self.parts.context.now();
        let name = row.request_hash.clone();
        let waiting = self
            .parts
            .store
            .read(move |tx| {
                let row = row.clone();
                Box::pin(async move { provider_requests::waiting(tx, &row, now).await })
            })
            .await?;
        let Some(sealed) = waiting else {
            return Err(Problem::new(Code::ProviderCodeInvalid)
                .detail("its request is not known, used, or too old"));
        };
        if let (Credential::Answered(answered), Some(sealed)) = (credential, sealed) {
            let keys = &self.parts.keys;
            let opened = keys.open(Purpose::ProviderRequest, name.as_bytes(), &sealed);
            let text = opened
                .ok()
                .and_then(|bytes| std::str::from_utf8(&bytes).map(SecretText::from).ok());
            answered.kept = text
                .ok_or_else(|| Problem::internal("the state of a provider request is damaged"))?;
        }
        Ok(name)
    }
}
