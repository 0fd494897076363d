//! `SmsGateway`: sends a login code.

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

/// The bank's SMS gateway.
pub trait SmsGateway: Send + Sync {
    /// Hands a message over. `Ok`: the gateway has taken it.
    fn send_login_code<'a>(
        &'a self,
        message: LoginCodeMessage<'a>,
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
    parameters: Parameters<'a>,
}

#[derive(Serialize)]
struct Parameters<'a> {
    code: &'a str,
    minutes: String,
}

#[derive(Deserialize)]
struct Taken {
    message_id: String,
}

impl SmsGateway for HttpSmsGateway {
    fn send_login_code<'a>(
        &'a self,
        message: LoginCodeMessage<'a>,
    ) -> BoxFuture<'a, Result<(), PortError>> {
        Box::pin(async move {
            let body = Message {
                to: message.to.as_str(),
                template: "login_code",
                parameters: Parameters {
                    code: message.code.expose(),
                    minutes: message.minutes.to_string(),
                },
            };
            let taken: Taken = self.endpoint.post(&["messages"], &body).await?;
            tracing::debug!(message_id = %taken.message_id.chars().filter(char::is_ascii_graphic).take(64).collect::<String>(), "sms handed over");
            Ok(())
        })
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
