//! The world around the account center, played by the simulator: people, the apps on their phones, their SMS.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Finding;
use crate::device::random128;
use crate::target::Parties;

/// A test person of the simulator; every value is of somebody who exists nowhere.
#[derive(Clone, Debug, Deserialize)]
pub struct Person {
    /// E.164.
    pub phone: String,
    /// The name at every provider.
    pub wechat_person: String,
    /// At the bank, where the person is signed.
    pub login_password: Option<String>,
    /// Of their card.
    pub card_number: Option<String>,
    /// Of their card.
    pub withdrawal_password: Option<String>,
}

/// Who is wanted.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// No contract at the bank.
    Unsigned,
    /// A customer.
    Signed,
    /// A number on the contracts of two customers (L5).
    Ambiguous,
}

/// Speaks with the simulator.
#[derive(Debug)]
pub struct Outside<'a> {
    parties: &'a Parties,
    http: reqwest::Client,
}

impl<'a> Outside<'a> {
    pub(crate) fn new(parties: &'a Parties, http: reqwest::Client) -> Self {
        Self { parties, http }
    }

    /// A new person.
    pub async fn person(&self, kind: Kind) -> Result<Person, Finding> {
        let kind = match kind {
            Kind::Unsigned => "unsigned",
            Kind::Signed => "signed",
            Kind::Ambiguous => "ambiguous",
        };
        let made = self
            .post(
                &format!("{}/people", self.parties.control),
                &json!({"kind": kind, "wechat": true, "union_id": true}),
            )
            .await?;
        serde_json::from_value(made).map_err(|error| simulator(&error))
    }

    /// The person agrees in the WeChat app: a code for the bank's app.
    pub async fn wechat_code(
        &self,
        person: &Person,
        provider_app_id: &str,
    ) -> Result<String, Finding> {
        let answer = self
            .post(
                &format!("{}/phone/authorize", self.parties.wechat),
                &json!({
                    "appid": provider_app_id, "scope": "snsapi_userinfo", "state": random128(),
                    "person": person.wechat_person, "decision": "agree",
                }),
            )
            .await?;
        text(&answer, "code")
    }

    /// The person agrees in the Alipay app: an `auth_code` for a signed string.
    pub async fn alipay_code(&self, person: &Person, auth_info: &str) -> Result<String, Finding> {
        let answer = self
            .post(
                &format!("{}/phone/authorize", self.parties.alipay),
                &json!({"auth_info": auth_info, "person": person.wechat_person, "decision": "agree"}),
            )
            .await?;
        text(&answer, "result")?
            .split('&')
            .find_map(|pair| pair.strip_prefix("auth_code="))
            .map(str::to_owned)
            .ok_or_else(|| Finding::new("the simulator's Alipay gave no auth_code"))
    }

    /// The newest SMS code for a number, waiting a little for it to arrive.
    pub async fn sms_code(&self, phone: &str) -> Result<String, Finding> {
        let url = format!("{}/inbox/{phone}", self.parties.sms);
        for _ in 0..100 {
            let reply = self
                .http
                .get(&url)
                .send()
                .await
                .map_err(|error| simulator(&error))?;
            let inbox: Value =
                serde_json::from_slice(&reply.bytes().await.map_err(|error| simulator(&error))?)
                    .map_err(|error| simulator(&error))?;
            if let Some(code) = inbox["messages"][0]["parameters"]["code"].as_str() {
                return Ok(code.to_owned());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Finding::new("no SMS arrived at the simulator's inbox"))
    }

    /// What the face SDK on the phone gives: a ticket. `outcome` is pass, fail or timeout.
    pub async fn face_ticket(&self, face_session: &str, outcome: &str) -> Result<String, Finding> {
        let url = format!(
            "{}/phone/sessions/{face_session}/perform",
            self.parties.face
        );
        let answer = self.post(&url, &json!({"outcome": outcome})).await?;
        text(&answer, "ticket")
    }

    async fn post(&self, url: &str, body: &Value) -> Result<Value, Finding> {
        let reply = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(|error| simulator(&error))?;
        let bytes = reply.bytes().await.map_err(|error| simulator(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| simulator(&error))
    }
}

fn simulator(error: &dyn std::fmt::Display) -> Finding {
    Finding::new(format!("the simulator did not play along: {error}"))
}

fn text(answer: &Value, name: &str) -> Result<String, Finding> {
    answer[name]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Finding::new(format!("the simulator gave no {name}")))
}
