//! `CustomerDirectory`: the bank's core, asked whose contract a phone number is on, and whether a password or a card is that customer's (L4, L5).

use std::fmt;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{Endpoint, PortError};
use crate::login::decision::{CustomerRef, Resolved};
use crate::phone_number::PhoneNumber;
use crate::secret::SecretText;

/// A registered card with its withdrawal password (L5).
#[derive(Clone)]
pub struct CardProof {
    /// The card's number.
    pub number: SecretText,
    /// Its withdrawal password.
    pub withdrawal_password: SecretText,
}

impl fmt::Debug for CardProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardProof([redacted])")
    }
}

/// What the core says of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofResult {
    /// It is that customer's.
    Right,
    /// It is not; the core has counted it.
    Wrong,
    /// The core answers no more proofs of this customer for now.
    Locked {
        /// Seconds until it does, where the core says so.
        retry_after: Option<u64>,
    },
}

/// The bank's core.
pub trait CustomerDirectory: Send + Sync {
    /// Whose contract the number is on (L4, L5).
    fn resolve<'a>(&'a self, phone: &'a PhoneNumber) -> BoxFuture<'a, Result<Resolved, PortError>>;
    /// Whether this is the customer's login password.
    fn check_login_password<'a>(
        &'a self,
        customer: &'a CustomerRef,
        password: &'a SecretText,
    ) -> BoxFuture<'a, Result<ProofResult, PortError>>;
    /// Whether this is the customer's card, and this its withdrawal password.
    fn check_card<'a>(
        &'a self,
        customer: &'a CustomerRef,
        card: &'a CardProof,
    ) -> BoxFuture<'a, Result<ProofResult, PortError>>;
}

/// The core over HTTP: the interface that `simulator/README.md` describes under "core".
#[derive(Clone, Debug)]
pub struct HttpCustomerDirectory {
    endpoint: Endpoint,
}

impl HttpCustomerDirectory {
    /// Speaks to this endpoint.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }
}

#[derive(Serialize)]
struct Lookup<'a> {
    phone: &'a str,
}

#[derive(Deserialize)]
struct Found {
    customers: Vec<FoundCustomer>,
}

#[derive(Deserialize)]
struct FoundCustomer {
    reference: String,
}

#[derive(Serialize)]
struct LoginPassword<'a> {
    password: &'a str,
}

#[derive(Serialize)]
struct Card<'a> {
    card_number: &'a str,
    withdrawal_password: &'a str,
}

#[derive(Deserialize)]
struct Checked {
    result: CheckedResult,
    retry_after: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum CheckedResult {
    Ok,
    Wrong,
    Locked,
}

impl From<Checked> for ProofResult {
    fn from(checked: Checked) -> Self {
        match checked.result {
            CheckedResult::Ok => Self::Right,
            CheckedResult::Wrong => Self::Wrong,
            CheckedResult::Locked => Self::Locked {
                retry_after: checked.retry_after,
            },
        }
    }
}

/// A reference goes into a path and into our tables: it is one short piece of text.
fn acceptable(reference: &str) -> bool {
    (1..=128).contains(&reference.len())
        && reference.bytes().all(|b| b.is_ascii_graphic())
        && reference != "."
        && reference != ".."
}

impl CustomerDirectory for HttpCustomerDirectory {
    fn resolve<'a>(&'a self, phone: &'a PhoneNumber) -> BoxFuture<'a, Result<Resolved, PortError>> {
        Box::pin(async move {
            let found: Found = self
                .endpoint
                .post(
                    &["customers", "lookup"],
                    &Lookup {
                        phone: phone.as_str(),
                    },
                )
                .await?;
            let mut references: Vec<String> = found
                .customers
                .into_iter()
                .map(|customer| customer.reference)
                .collect();
            if !references.iter().all(|reference| acceptable(reference)) {
                return Err(PortError::unavailable(
                    "a customer reference is not of the described form",
                ));
            }
            references.sort_unstable();
            references.dedup();
            Ok(match (references.pop(), references.is_empty()) {
                (None, _) => Resolved::Nobody,
                (Some(reference), true) => Resolved::Customer(CustomerRef(reference)),
                (Some(_), false) => Resolved::Several,
            })
        })
    }

    fn check_login_password<'a>(
        &'a self,
        customer: &'a CustomerRef,
        password: &'a SecretText,
    ) -> BoxFuture<'a, Result<ProofResult, PortError>> {
        Box::pin(async move {
            let checked: Checked = self
                .endpoint
                .post(
                    &["customers", &customer.0, "login-password"],
                    &LoginPassword {
                        password: password.expose(),
                    },
                )
                .await?;
            Ok(checked.into())
        })
    }

    fn check_card<'a>(
        &'a self,
        customer: &'a CustomerRef,
        card: &'a CardProof,
    ) -> BoxFuture<'a, Result<ProofResult, PortError>> {
        Box::pin(async move {
            let body = Card {
                card_number: card.number.expose(),
                withdrawal_password: card.withdrawal_password.expose(),
            };
            let checked: Checked = self
                .endpoint
                .post(&["customers", &customer.0, "card"], &body)
                .await?;
            Ok(checked.into())
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ports::{Outbound, OutboundSettings};
    use crate::testing::HttpDouble;
    use serde_json::{Value, json};

    async fn directory(reply: Value) -> (HttpDouble, HttpCustomerDirectory) {
        let double = HttpDouble::start(move |_| (200, reply.to_string())).await;
        let endpoint = Endpoint::new(
            double.url(),
            "k".into(),
            Outbound::new(&OutboundSettings::default()).unwrap(),
        );
        (double, HttpCustomerDirectory::new(endpoint))
    }

    async fn resolved(reply: Value) -> Result<Resolved, PortError> {
        let (_double, directory) = directory(reply).await;
        directory
            .resolve(&PhoneNumber::parse("+8613800000000").unwrap())
            .await
    }

    #[tokio::test]
    async fn l5_a_number_resolves_to_nobody_one_customer_or_several() {
        assert_eq!(
            resolved(json!({"customers": []})).await,
            Ok(Resolved::Nobody)
        );
        assert_eq!(
            resolved(json!({"customers": [{"reference": "C1"}]})).await,
            Ok(Resolved::Customer(CustomerRef("C1".into())))
        );
        assert_eq!(
            resolved(json!({"customers": [{"reference": "C1"}, {"reference": "C1"}]})).await,
            Ok(Resolved::Customer(CustomerRef("C1".into())))
        );
        assert_eq!(
            resolved(json!({"customers": [{"reference": "C1"}, {"reference": "C2"}]})).await,
            Ok(Resolved::Several)
        );
    }

    #[tokio::test]
    async fn a_reply_of_another_form_is_never_taken_for_nobody() {
        for reply in [
            json!({}),
            json!([]),
            json!({"customers": null}),
            json!({"customers": [{}]}),
            json!({"customers": [{"reference": ""}]}),
            json!({"customers": [{"reference": ".."}]}),
        ] {
            assert!(
                matches!(
                    resolved(reply.clone()).await,
                    Err(PortError::Unavailable { .. })
                ),
                "{reply}"
            );
        }
    }

    #[tokio::test]
    async fn l5_proofs_are_right_wrong_or_locked_and_nothing_else() {
        for (reply, expected) in [
            (json!({"result": "ok"}), Some(ProofResult::Right)),
            (json!({"result": "wrong"}), Some(ProofResult::Wrong)),
            (
                json!({"result": "locked", "retry_after": 600}),
                Some(ProofResult::Locked {
                    retry_after: Some(600),
                }),
            ),
            (
                json!({"result": "locked"}),
                Some(ProofResult::Locked { retry_after: None }),
            ),
            (json!({"result": "OK"}), None),
            (json!({"result": true}), None),
            (json!({}), None),
        ] {
            let (_double, directory) = directory(reply).await;
            let customer = CustomerRef("C1".into());
            let card = CardProof {
                number: "6222".into(),
                withdrawal_password: "1".into(),
            };
            assert_eq!(
                directory
                    .check_login_password(&customer, &"p".into())
                    .await
                    .ok(),
                expected
            );
            assert_eq!(directory.check_card(&customer, &card).await.ok(), expected);
        }
    }

    #[test]
    fn debug_of_a_card_shows_nothing() {
        let card = CardProof {
            number: "6222020000000000".into(),
            withdrawal_password: "123456".into(),
        };
        assert_eq!(format!("{card:?}"), "CardProof([redacted])");
    }
}
