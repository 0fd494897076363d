//! Face verification through Tencent Cloud (L5). The vendor compares with the register of identity cards, so name and number of the customer's card come from the
//! bank's core (`POST /customers/{reference}/identity-document`) and go to the vendor, never to the phone.
//!
//! What a verification is bound to travels as `Extra`, which the vendor keeps and gives back to the server alone. The vendor answers for a `BizToken` any number
//! of times within three days; that a ticket serves once is kept by the binding's nonce, which is another after each answer to a login's face step.

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::{Api, Core, Failure, TencentAccount};
use crate::context::Context;
use crate::ports::{FaceBinding, FaceSession, FaceVerifier, Outbound, PortError, TicketResult};
use crate::secret::SecretText;

/// The vendor keeps no longer text.
const EXTRA_LIMIT: usize = 1024;

/// The verifier.
#[derive(Clone, Debug)]
pub struct TencentFace {
    api: Api,
    rule_id: String,
    core: Core,
}

#[derive(Deserialize)]
struct Document {
    name: SecretText,
    id_number: SecretText,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DetectAuth<'a> {
    rule_id: &'a str,
    name: &'a str,
    id_card: &'a str,
    extra: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetDetectInfo<'a> {
    rule_id: &'a str,
    biz_token: &'a str,
    /// `1`: words only, no pictures.
    info_type: &'a str,
}

impl TencentFace {
    /// Verifies by the flow `rule_id` that the bank set up at the vendor. `core` knows the customers' identity cards.
    pub fn new(
        account: TencentAccount,
        rule_id: &str,
        core: Core,
        outbound: Outbound,
        context: Context,
    ) -> Self {
        let api = Api {
            account,
            service: "faceid",
            version: "2018-03-01",
            outbound,
            context,
        };
        Self {
            api,
            rule_id: rule_id.to_owned(),
            core,
        }
    }

    async fn begin(&self, binding: &FaceBinding) -> Result<FaceSession, PortError> {
        let customer = binding.customer.0.as_str();
        let document: Document = self
            .core
            .post(
                &["customers", customer, "identity-document"],
                &Value::Object(serde_json::Map::new()),
            )
            .await?;
        let extra = serde_json::to_string(binding)
            .ok()
            .filter(|extra| extra.len() <= EXTRA_LIMIT)
            .ok_or_else(|| PortError::misconfigured("the binding is too long for the vendor"))?;
        let body = DetectAuth {
            rule_id: &self.rule_id,
            name: document.name.expose(),
            id_card: document.id_number.expose(),
            extra: &extra,
        };
        let answer = self
            .api
            .call("DetectAuth", None, &body)
            .await
            .map_err(Failure::into_port_error)?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        match (text("BizToken"), text("Url")) {
            (Some(token), Some(url)) if is_token(token) && is_web(url) => Ok(FaceSession {
                face_session: token.to_owned(),
                url: url.to_owned(),
            }),
            _ => Err(PortError::unavailable(
                "the face session is not of the described form",
            )),
        }
    }

    async fn check(&self, ticket: &str) -> Result<TicketResult, PortError> {
        if !is_token(ticket) {
            return Ok(TicketResult::Unknown);
        }
        let body = GetDetectInfo {
            rule_id: &self.rule_id,
            biz_token: ticket,
            info_type: "1",
        };
        let answer = match self.api.call("GetDetectInfoEnhanced", None, &body).await {
            Ok(answer) => answer,
            Err(Failure::Code(code)) if code.starts_with("InvalidParameterValue.BizToken") => {
                return Ok(TicketResult::Unknown);
            }
            Err(failure) => return Err(failure.into_port_error()),
        };
        let unreadable = || PortError::Unavailable {
            what: "the result is not of the described form".into(),
            maybe_done: true,
        };
        let text = answer
            .get("Text")
            .filter(|text| text.is_object())
            .ok_or_else(unreadable)?;
        let number = |name: &str| match text.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(unreadable),
        };
        match number("ErrCode")? {
            // Nobody showed a face yet.
            None => return Ok(TicketResult::Unknown),
            Some(0) => {}
            Some(_) => return Ok(TicketResult::Failed),
        }
        // Whole only where each part is: alive, and the same person.
        if number("LiveStatus")?.unwrap_or(0) != 0 || number("Comparestatus")?.unwrap_or(0) != 0 {
            return Ok(TicketResult::Failed);
        }
        // Passed, but not for whom: no pass.
        let binding: FaceBinding = text
            .get("Extra")
            .and_then(Value::as_str)
            .and_then(|extra| serde_json::from_str(extra).ok())
            .ok_or_else(unreadable)?;
        Ok(TicketResult::Passed(binding))
    }
}

impl FaceVerifier for TencentFace {
    fn start<'a>(
        &'a self,
        binding: &'a FaceBinding,
    ) -> BoxFuture<'a, Result<FaceSession, PortError>> {
        Box::pin(self.begin(binding))
    }

    fn verify<'a>(&'a self, ticket: &'a str) -> BoxFuture<'a, Result<TicketResult, PortError>> {
        Box::pin(self.check(ticket))
    }
}

fn is_token(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn is_web(text: &str) -> bool {
    text.len() <= 2048 && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}
