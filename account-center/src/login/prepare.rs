//! `POST /v1/provider-requests`: what only the server can build before the phone goes to the provider. The request answers to the device key that asked for
//! it, so nobody's answer can be slipped into another device's login.

use serde::Serialize;
use utoipa::ToSchema;

use super::begin::exchange_problem;
use super::engine::Engine;
use crate::http::Call;
use crate::http::reply::Reply;
use crate::keys::Purpose;
use crate::problem::{Code, Problem};
use crate::store::provider_requests::{self, RequestRow};

/// What the phone asks for.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderRequest {
    /// One of the bank's apps.
    pub app_id: String,
    /// The provider: `alipay`.
    pub provider: String,
}

/// What is for the provider's SDK on the phone.
#[derive(Serialize, ToSchema)]
pub struct ProviderRequestReply {
    /// Its name: `start` repeats it.
    pub request: String,
    /// Seconds until it is no good any more.
    pub expires_in: u64,
    /// Alipay: the signed string for its SDK.
    pub auth_info: String,
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
        let prepared = offer
            .connector
            .prepare(&offer.app, &request)
            .map_err(exchange_problem)?;
        let reply = Reply::json(&ProviderRequestReply {
            request: request.clone(),
            expires_in: parts.policy.lifetime.as_secs(),
            auth_info: prepared.auth_info,
        })?;
        let row = self.request_row(call, &asked.app_id, &asked.provider, &request);
        let expires_at = parts.context.now().plus(parts.policy.lifetime);
        let call = call.clone();
        parts
            .store
            .write(move |tx| {
                let (row, reply, call) = (row.clone(), reply.clone(), call.clone());
                Box::pin(async move {
                    provider_requests::insert(tx, &row, expires_at).await?;
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

    /// The request's name in the database, where it is waiting for this device; else the credential is worth nothing here.
    pub(crate) async fn waiting_request(&self, row: RequestRow) -> Result<String, Problem> {
        let now = self.parts.context.now();
        let name = row.request_hash.clone();
        let waiting = self
            .parts
            .store
            .read(move |tx| {
                let row = row.clone();
                Box::pin(async move { provider_requests::is_waiting(tx, &row, now).await })
            })
            .await?;
        if waiting {
            Ok(name)
        } else {
            Err(Problem::new(Code::ProviderCodeInvalid)
                .detail("its request is not known, used, or too old"))
        }
    }
}
