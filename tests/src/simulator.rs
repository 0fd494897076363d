//! The simulator as a test sees it: control, inbox, the WeChat app and the face SDK on the phone.

use std::time::Duration;

use postern_sdk_core::login::AuthorizationRequest;
use reqwest::{Method, RequestBuilder};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::trouble::{Result, Trouble, unexpected};

/// Where each party listens, as the simulator's ready file says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Addresses {
    /// Faults, people, counts.
    pub control: String,
    /// The provider.
    pub wechat: String,
    /// The SMS gateway and its inbox.
    pub sms: String,
    /// The bank's core.
    pub core: String,
    /// Face recognition.
    pub face: String,
    /// Weibo.
    pub weibo: String,
    /// QQ.
    pub qq: String,
    /// Alipay.
    pub alipay: String,
    /// An `OpenID` Connect issuer.
    pub oidc: String,
    /// The bank's own channel to its customers.
    pub notices: String,
    /// The network between the SDK and the account center.
    pub gateway: String,
}

/// A test person, as control's `POST /people` answers; its values are those of a person who exists nowhere.
#[derive(Clone, Debug, Deserialize)]
pub struct Person {
    /// E.164.
    pub phone: String,
    /// The name at the simulator's WeChat.
    pub wechat_person: String,
    /// The name in the profile.
    pub nickname: String,
    /// What the bank's core calls them.
    pub customer_reference: Option<String>,
    /// At the bank.
    pub login_password: Option<String>,
    /// Of their card.
    pub card_number: Option<String>,
    /// Of their card.
    pub withdrawal_password: Option<String>,
}

/// One request that a party saw.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// None where the connection was closed without an answer.
    pub status: Option<u16>,
}

/// Talks to the simulator.
#[derive(Clone, Debug)]
pub struct SimulatorClient {
    addresses: Addresses,
    http: reqwest::Client,
}

impl SimulatorClient {
    /// A client for a simulator that listens there.
    pub fn new(addresses: Addresses) -> Result<Self> {
        // Loopback is plain HTTP; the configuration only keeps reqwest from looking for a default provider.
        let tls = ClientConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(|error| Trouble::Unexpected(error.to_string()))?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self { addresses, http })
    }

    /// Where each party listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// A new person: `{"kind":"unsigned|signed|ambiguous","wechat":true,"union_id":true}`.
    pub async fn person(&self, wish: &Value) -> Result<Person> {
        let url = format!("{}/people", self.addresses.control);
        self.json(Method::POST, &url, Some(wish)).await
    }

    /// Where the gateway forwards to.
    pub async fn set_target(&self, account_center: &str) -> Result<()> {
        let url = format!("{}/target", self.addresses.control);
        let body = json!({ "account_center": account_center });
        self.send(Method::PUT, &url, Some(&body)).await.map(drop)
    }

    /// A delay or a fault, in the words of the simulator's README.
    pub async fn fault(&self, fault: &Value) -> Result<()> {
        let url = format!("{}/faults", self.addresses.control);
        self.send(Method::POST, &url, Some(fault)).await.map(drop)
    }

    /// Ends all faults.
    pub async fn clear_faults(&self) -> Result<()> {
        let url = format!("{}/faults", self.addresses.control);
        self.send(Method::DELETE, &url, None).await.map(drop)
    }

    /// What the gateway saw since [`SimulatorClient::forget_requests`].
    pub async fn gateway_requests(&self) -> Result<Vec<Request>> {
        #[derive(Deserialize)]
        struct Seen {
            requests: Vec<Request>,
        }
        let url = format!("{}/requests?party=gateway", self.addresses.control);
        let seen: Seen = self.json(Method::GET, &url, None).await?;
        Ok(seen.requests)
    }

    /// Begins a new count.
    pub async fn forget_requests(&self) -> Result<()> {
        let url = format!("{}/requests", self.addresses.control);
        self.send(Method::DELETE, &url, None).await.map(drop)
    }

    /// The newest SMS code for a number, waiting a little for it to arrive.
    pub async fn newest_code(&self, phone: &str) -> Result<String> {
        let url = format!("{}/inbox/{phone}", self.addresses.sms);
        for _ in 0..50 {
            let inbox: Value = self.json(Method::GET, &url, None).await?;
            if let Some(code) = inbox["messages"][0]["parameters"]["code"].as_str() {
                return Ok(code.to_owned());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        unexpected("no SMS arrived")
    }

    /// How many SMS a number has got.
    pub async fn inbox(&self, phone: &str) -> Result<usize> {
        let url = format!("{}/inbox/{phone}", self.addresses.sms);
        let inbox: Value = self.json(Method::GET, &url, None).await?;
        Ok(inbox["messages"].as_array().map_or(0, Vec::len))
    }

    /// What the WeChat app answers: `decision` is agree, refuse or close.
    pub async fn wechat_answers(
        &self,
        person: &Person,
        request: &AuthorizationRequest,
        decision: &str,
    ) -> Result<WeChatAnswer> {
        let url = format!("{}/phone/authorize", self.addresses.wechat);
        let body = json!({
            "appid": request.provider_app_id, "scope": request.scope, "state": request.state,
            "person": person.wechat_person, "decision": decision,
        });
        self.json(Method::POST, &url, Some(&body)).await
    }

    /// Deletes something at the account center with a session's headers.
    pub async fn delete_with(&self, url: &str, authorization: &str, proof: &str) -> Result<()> {
        let request = self
            .http
            .delete(url)
            .header("Authorization", authorization)
            .header("DPoP", proof);
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// What the face SDK on the phone gives: a ticket. `outcome` is pass, fail or timeout.
    pub async fn face_performs(&self, face_session: &str, outcome: &str) -> Result<String> {
        let url = format!(
            "{}/phone/sessions/{face_session}/perform",
            self.addresses.face
        );
        let body = json!({ "outcome": outcome });
        let answer: Value = self.json(Method::POST, &url, Some(&body)).await?;
        match answer["ticket"].as_str() {
            Some(ticket) => Ok(ticket.to_owned()),
            None => unexpected("the face service gave no ticket"),
        }
    }

    async fn json<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<T> {
        Ok(self.send(method, url, body).await?.json().await?)
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<reqwest::Response> {
        let request = self.http.request(method, url);
        let request = match body {
            Some(body) => RequestBuilder::json(request, body),
            None => request,
        };
        Ok(request.send().await?.error_for_status()?)
    }
}

/// The answer of the provider's app, in its SDK's words.
#[derive(Clone, Deserialize)]
pub struct WeChatAnswer {
    /// 0, -2 (cancelled) or -4 (denied).
    #[serde(rename = "errCode")]
    pub err_code: i32,
    /// Where the person agreed.
    pub code: Option<String>,
    /// As it was sent.
    pub state: Option<String>,
}

impl std::fmt::Debug for WeChatAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WeChatAnswer({})", self.err_code)
    }
}
