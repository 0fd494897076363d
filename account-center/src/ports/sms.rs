//! `SmsGateway`: sends a login code, or a notice.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{Endpoint, PortError};
use crate::phone_number::PhoneNumber;
use crate::secret::SecretText;

/// A login code on its way to a phone.
#[derive(Clone, Debug)]
pub struct LoginCodeMessage<'a> {
    /// To which number.
    pub to: &'a PhoneNumber,
    /// Six digits.
    pub code: &'a SecretText,
    /// How long it is good, in whole minutes.
    pub minutes: u64,
}

/// A notice on its way to a phone: the template that the bank registered, and what it is filled with.
#[derive(Clone, Debug)]
pub struct NoticeMessage<'a> {
    /// To which number.
    pub to: &'a PhoneNumber,
    /// The template's name: `binding_added`.
    pub template: &'a str,
    /// What the template is filled with, by name. No secret.
    pub parameters: &'a [(&'a str, &'a str)],
}

/// The bank's SMS gateway.
pub trait SmsGateway: Send + Sync {
    /// Hands a message over. `Ok`: the gateway has taken it.
    fn send_login_code<'a>(
        &'a self,
        message: LoginCodeMessage<'a>,
    ) -> BoxFuture<'a, Result<(), PortError>>;
    /// Hands a notice over.
    fn send_notice<'a>(
        &'a self,
        message: NoticeMessage<'a>,
    ) -> BoxFuture<'a, Result<(), PortError>>;
}

/// The gateway over HTTP: the interface that `simulator/README.md` describes under "sms".
#[derive(Clone, Debug)]
pub struct HttpSmsGateway {
    endpoint: Endpoint,
}

impl HttpSmsGateway {
    /// Speaks to this endpoint.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }
}

#[derive(Serialize)]
struct Message<'a> {
    to: &'a str,
    template: &'a str,
    parameters: BTreeMap<&'a str, &'a str>,
}

#[derive(Deserialize)]
struct Taken {
    message_id: String,
}

impl HttpSmsGateway {
    async fn send(
        &self,
        to: &PhoneNumber,
        template: &str,
        parameters: &[(&str, &str)],
    ) -> Result<(), PortError> {
        let body = Message {
            to: to.as_str(),
            template,
            parameters: parameters.iter().copied().collect(),
        };
        let taken: Taken = self.endpoint.post(&["messages"], &body).await?;
        tracing::debug!(message_id = %taken.message_id.chars().filter(char::is_ascii_graphic).take(64).collect::<String>(), "sms handed over");
        Ok(())
    }
}

impl SmsGateway for HttpSmsGateway {
    fn send_login_code<'a>(
        &'a self,
        message: LoginCodeMessage<'a>,
    ) -> BoxFuture<'a, Result<(), PortError>> {
        Box::pin(async move {
            let minutes = message.minutes.to_string();
            let parameters = [("code", message.code.expose()), ("minutes", &minutes)];
            self.send(message.to, "login_code", &parameters).await
        })
    }

    fn send_notice<'a>(
        &'a self,
        message: NoticeMessage<'a>,
    ) -> BoxFuture<'a, Result<(), PortError>> {
        Box::pin(self.send(message.to, message.template, message.parameters))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ports::{Outbound, OutboundSettings};
    use crate::testing::HttpDouble;
    use serde_json::json;

    #[tokio::test]
    async fn l4_the_code_goes_to_the_number_in_the_template_of_login_codes() {
        let double = HttpDouble::start(|request| {
            assert_eq!(request.target, "/messages");
            assert_eq!(
                request.json(),
                json!({"to": "+8613800000000", "template": "login_code", "parameters": {"code": "123456", "minutes": "10"}})
            );
            (200, json!({"message_id": "m1"}).to_string())
        })
        .await;
        let gateway = HttpSmsGateway::new(Endpoint::new(
            double.url(),
            "k".into(),
            Outbound::new(&OutboundSettings::default()).unwrap(),
        ));
        let to = PhoneNumber::parse("+8613800000000").unwrap();
        let message = LoginCodeMessage {
            to: &to,
            code: &"123456".into(),
            minutes: 10,
        };
        assert_eq!(gateway.send_login_code(message.clone()).await, Ok(()));
        let shown = format!("{message:?}");
        assert!(
            !shown.contains("123456") && !shown.contains("13800000000"),
            "{shown}"
        );
    }
}
