//! `CustomerNotifier`: tells a customer, through the bank's own channel, that something about their account changed, so that a binding which somebody else made
//! from an unlocked phone does not stay unseen (L9).

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{Endpoint, NoticeMessage, PortError, SmsGateway};
use crate::calendar::Civil;
use crate::context::Timestamp;
use crate::login::decision::CustomerRef;
use crate::phone_number::PhoneNumber;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// A provider was bound (L9).
    BindingAdded,
    /// A provider was unbound (L8).
    BindingRemoved,
    /// The account has another phone number; goes to the one before (U4).
    PhoneChanged,
    /// The login password was changed.
    PasswordChanged,
    /// Somebody asked for the account by an appeal (U6).
    AppealOpened,
}

impl NoticeKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::BindingAdded,
        Self::BindingRemoved,
        Self::PhoneChanged,
        Self::PasswordChanged,
        Self::AppealOpened,
    ];

    /// Its name on the wire, and the name of its SMS template.
    pub fn name(self) -> &'static str {
        match self {
            Self::BindingAdded => "binding_added",
            Self::BindingRemoved => "binding_removed",
            Self::PhoneChanged => "phone_changed",
            Self::PasswordChanged => "password_changed",
            Self::AppealOpened => "appeal_opened",
        }
    }
}

/// What a customer is told, and who they are. Personal: `Debug` shows the kind alone.
#[derive(Clone, Copy)]
pub struct Notice<'a> {
    /// The account.
    pub user_id: &'a str,
    /// Its number, where it has one. For [`NoticeKind::PhoneChanged`] the number before.
    pub phone: Option<&'a PhoneNumber>,
    /// The core's customer, where the account stores one (L10).
    pub customer: Option<&'a CustomerRef>,
    /// What happened.
    pub kind: NoticeKind,
    /// The provider's name, where it is about one.
    pub provider: Option<&'a str>,
    /// When.
    pub at: Timestamp,
}

impl fmt::Debug for Notice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notice")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// The bank's channel to its customers. A notice is sent after the change is durable, and one that cannot be sent undoes nothing.
pub trait CustomerNotifier: Send + Sync {
    /// Hands a notice over. `Ok`: the channel has taken it, or has nobody to tell.
    fn notify<'a>(&'a self, notice: Notice<'a>) -> BoxFuture<'a, Result<(), PortError>>;
}

/// Notices as text messages, through the gateway of login codes. The templates have the names of [`NoticeKind`] and the parameters `provider` and `at`.
#[derive(Clone)]
pub struct SmsNotifier {
    gateway: Arc<dyn SmsGateway>,
}

impl fmt::Debug for SmsNotifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmsNotifier")
    }
}

impl SmsNotifier {
    /// Sends through this gateway.
    pub fn new(gateway: Arc<dyn SmsGateway>) -> Self {
        Self { gateway }
    }
}

/// What a provider is called in a message; one that is configured by name has its name.
fn title(provider: &str) -> &str {
    match provider {
        "wechat" => "微信",
        "alipay" => "支付宝",
        "qq" => "QQ",
        "weibo" => "微博",
        other => other,
    }
}

impl CustomerNotifier for SmsNotifier {
    fn notify<'a>(&'a self, notice: Notice<'a>) -> BoxFuture<'a, Result<(), PortError>> {
        Box::pin(async move {
            let Some(to) = notice.phone else {
                tracing::info!(
                    kind = notice.kind.name(),
                    "a notice has no number to go to; nobody was told"
                );
                return Ok(());
            };
            let civil = Civil::china(notice.at);
            let at = format!("{} {}", civil.date(), &civil.time()[..5]);
            let mut parameters = vec![("at", at.as_str())];
            parameters.extend(notice.provider.map(|name| ("provider", title(name))));
            let message = NoticeMessage {
                to,
                template: notice.kind.name(),
                parameters: &parameters,
            };
            self.gateway.send_notice(message).await
        })
    }
}

/// The bank's own channel over HTTP: the interface that `simulator/README.md` describes under "notices".
#[derive(Clone, Debug)]
pub struct HttpCustomerNotifier {
    endpoint: Endpoint,
}

impl HttpCustomerNotifier {
    /// Speaks to this endpoint.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    user_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<&'a str>,
    kind: NoticeKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    at: i64,
}

#[derive(Deserialize)]
struct Taken {
    #[serde(rename = "notice_id")]
    _notice_id: String,
}

impl CustomerNotifier for HttpCustomerNotifier {
    fn notify<'a>(&'a self, notice: Notice<'a>) -> BoxFuture<'a, Result<(), PortError>> {
        Box::pin(async move {
            let body = Body {
                user_id: notice.user_id,
                phone: notice.phone.map(PhoneNumber::as_str),
                customer: notice.customer.map(|customer| customer.0.as_str()),
                kind: notice.kind,
                provider: notice.provider,
                at: notice.at.seconds(),
            };
            let _: Taken = self.endpoint.post(&["notices"], &body).await?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ports::{HttpSmsGateway, Outbound, OutboundSettings};
    use crate::testing::HttpDouble;
    use serde_json::json;

    fn endpoint(double: &HttpDouble) -> Endpoint {
        let outbound = Outbound::new(&OutboundSettings::default()).unwrap();
        Endpoint::new(double.url(), "k".into(), outbound)
    }

    fn notice<'a>(phone: Option<&'a PhoneNumber>, customer: &'a CustomerRef) -> Notice<'a> {
        Notice {
            user_id: "u1",
            phone,
            customer: Some(customer),
            kind: NoticeKind::BindingAdded,
            provider: Some("wechat"),
            at: Timestamp::from_seconds(1_800_000_000),
        }
    }

    #[tokio::test]
    async fn l9_a_new_binding_is_told_by_sms_with_the_provider_and_the_time() {
        let double = HttpDouble::start(|request| {
            assert_eq!(
                request.json(),
                json!({"to": "+8613800000000", "template": "binding_added", "parameters": {"provider": "微信", "at": "2027-01-15 16:00"}})
            );
            (200, json!({"message_id": "m1"}).to_string())
        })
        .await;
        let notifier = SmsNotifier::new(Arc::new(HttpSmsGateway::new(endpoint(&double))));
        let phone = PhoneNumber::parse("+8613800000000").unwrap();
        let customer = CustomerRef("C1".into());
        assert_eq!(
            notifier.notify(notice(Some(&phone), &customer)).await,
            Ok(())
        );
        let shown = format!("{:?}", notice(Some(&phone), &customer));
        assert!(!shown.contains("138") && !shown.contains("C1"), "{shown}");
        drop(double);
        assert_eq!(
            notifier.notify(notice(None, &customer)).await,
            Ok(()),
            "an account without a number"
        );
    }

    #[tokio::test]
    async fn l9_the_banks_own_channel_gets_everything_it_may_know_the_customer_by() {
        let double = HttpDouble::start(|request| {
            assert_eq!(request.target, "/notices");
            assert_eq!(
                request.json(),
                json!({"user_id": "u1", "phone": "+8613800000000", "customer": "C1", "kind": "binding_added", "provider": "wechat", "at": 1_800_000_000})
            );
            (200, json!({"notice_id": "n1"}).to_string())
        })
        .await;
        let notifier = HttpCustomerNotifier::new(endpoint(&double));
        let phone = PhoneNumber::parse("+8613800000000").unwrap();
        let customer = CustomerRef("C1".into());
        assert_eq!(
            notifier.notify(notice(Some(&phone), &customer)).await,
            Ok(())
        );
        drop(double);
        assert!(matches!(
            notifier.notify(notice(Some(&phone), &customer)).await,
            Err(PortError::Unavailable { .. })
        ));
    }

    #[test]
    fn a_kinds_name_is_its_name_on_the_wire() {
        for kind in NoticeKind::ALL {
            assert_eq!(json!(kind), json!(kind.name()));
        }
    }
}
