//! Text messages through Tencent Cloud SMS.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use serde::Serialize;

use super::{Api, TencentAccount, code_in, error_of};
use crate::context::Context;
use crate::phone_number::PhoneNumber;
use crate::ports::{LoginCodeMessage, NoticeMessage, Outbound, PortError, SmsGateway};

/// What the bank registered there.
#[derive(Clone, Debug)]
pub struct TencentSmsSettings {
    /// The account.
    pub account: TencentAccount,
    /// `ap-guangzhou`
    pub region: String,
    /// The SMS application, `1400…`.
    pub sdk_app_id: String,
    /// The approved signature, without its brackets.
    pub sign_name: String,
    /// The approved templates: our name, their id. Parameters there are in the order `code`, `minutes`; `provider`, `at`.
    pub templates: BTreeMap<String, String>,
}

/// The gateway.
#[derive(Clone, Debug)]
pub struct TencentSms {
    api: Api,
    settings: TencentSmsSettings,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SendSms<'a> {
    phone_number_set: [&'a str; 1],
    sms_sdk_app_id: &'a str,
    sign_name: &'a str,
    template_id: &'a str,
    template_param_set: Vec<&'a str>,
}

impl TencentSms {
    /// Sends as these settings say.
    pub fn new(settings: TencentSmsSettings, outbound: Outbound, context: Context) -> Self {
        let api = Api {
            account: settings.account.clone(),
            service: "sms",
            version: "2021-01-11",
            outbound,
            context,
        };
        Self { api, settings }
    }

    async fn send(
        &self,
        to: &PhoneNumber,
        template: &str,
        parameters: Vec<&str>,
    ) -> Result<(), PortError> {
        let template_id = self.settings.templates.get(template).ok_or_else(|| {
            PortError::misconfigured(format!("there is no template for {template}"))
        })?;
        let body = SendSms {
            phone_number_set: [to.as_str()],
            sms_sdk_app_id: &self.settings.sdk_app_id,
            sign_name: &self.settings.sign_name,
            template_id,
            template_param_set: parameters,
        };
        let answer = self
            .api
            .call("SendSms", Some(&self.settings.region), &body)
            .await
            .map_err(super::Failure::into_port_error)?;
        let code = answer
            .get("SendStatusSet")
            .and_then(|set| code_in(set.get(0)?))
            .ok_or_else(|| PortError::Unavailable {
                what: "the reply says nothing of the message".into(),
                maybe_done: true,
            })?;
        match code.as_str() {
            "Ok" => Ok(()),
            // Of this one number: nobody has to mend anything here.
            "InvalidParameterValue.IncorrectPhoneNumber"
            | "FailedOperation.PhoneNumberInBlacklist"
            | "FailedOperation.ContainSensitiveWord" => Err(PortError::unavailable(format!(
                "the vendor does not send to this number: {code}"
            ))),
            // FailedOperation.InsufficientBalanceInSmsPackage, …IncorrectOrUnapproved and the rest: somebody must mend it.
            other => Err(error_of(other)),
        }
    }
}

impl SmsGateway for TencentSms {
    fn send_login_code<'a>(
        &'a self,
        message: LoginCodeMessage<'a>,
    ) -> BoxFuture<'a, Result<(), PortError>> {
        Box::pin(async move {
            let minutes = message.minutes.to_string();
            let parameters = vec![message.code.expose(), &minutes];
            self.send(message.to, "login_code", parameters).await
        })
    }

    fn send_notice<'a>(
        &'a self,
        message: NoticeMessage<'a>,
    ) -> BoxFuture<'a, Result<(), PortError>> {
        Box::pin(async move {
            // Theirs have places and no names: always in this order.
            let parameters = ["provider", "at"]
                .iter()
                .filter_map(|name| message.parameters.iter().find(|(given, _)| given == name))
                .map(|(_, value)| *value)
                .collect();
            self.send(message.to, message.template, parameters).await
        })
    }
}
