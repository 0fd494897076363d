//! An operator at the admin API.

#![allow(unreachable_pub)]

use super::common::{Reply, Request, Server};
use postern_account_center::admin::Role;
use postern_account_center::problem::Problem;
use ring::hmac;
use serde_json::{Value, json};
use std::fmt::Write as _;

pub const NAME: &str = "li.na";
pub const PASSWORD: &str = "correct horse battery";

/// An open session.
pub struct Desk<'a> {
    server: &'a Server,
    name: String,
    token: String,
}

fn request(method: &'static str, path: &str, body: Option<&Value>) -> Request {
    let request = Request {
        method,
        path: path.to_owned(),
        headers: Vec::new(),
        body: body
            .map(|body| body.to_string().into_bytes())
            .unwrap_or_default(),
    };
    match body {
        Some(_) => request.with("Content-Type", "application/json"),
        None => request,
    }
}

/// A call without a session.
pub async fn post(server: &Server, path: &str, body: &Value) -> Reply {
    server
        .send_to(&server.admin, request("POST", path, Some(body)))
        .await
}

/// Makes an operator, as the command line does, and gives the set-up secret.
pub async fn make(server: &Server, name: &str, role: &str) -> String {
    let (admins, name) = (server.state.admins.clone(), name.to_owned());
    let role = Role::parse(role).unwrap();
    server
        .state
        .store
        .write(move |tx| {
            let (admins, name) = (admins.clone(), name.clone());
            Box::pin(async move {
                let (secret, _, change) = admins.create(tx, &name, role).await?;
                admins.audit(tx, "(command line)", "", &change).await?;
                Ok::<_, Problem>(secret.expose().to_owned())
            })
        })
        .await
        .unwrap()
}

impl<'a> Desk<'a> {
    /// A new operator of this role, logged in.
    pub async fn open(server: &'a Server, role: &str) -> Self {
        Self::open_as(server, NAME, role).await
    }

    pub async fn open_as(server: &'a Server, name: &str, role: &str) -> Self {
        let secret = make(server, name, role).await;
        let body = json!({"name": name, "setup_secret": secret, "password": PASSWORD});
        assert_eq!(post(server, "/v1/admin/set-up", &body).await.status, 200);
        let desk = Self {
            server,
            name: name.to_owned(),
            token: String::new(),
        };
        desk.again().await
    }

    pub fn with_token(server: &'a Server, token: &str) -> Self {
        Self {
            server,
            name: String::new(),
            token: token.to_owned(),
        }
    }

    pub async fn sign_in(&self) -> Reply {
        let body = json!({"name": self.name, "password": PASSWORD});
        post(self.server, "/v1/admin/sessions", &body).await
    }

    /// Another session of the same operator.
    pub async fn again(&self) -> Self {
        let reply = self.sign_in().await;
        assert_eq!(
            reply.status,
            200,
            "{}",
            String::from_utf8_lossy(&reply.body)
        );
        Self {
            server: self.server,
            name: self.name.clone(),
            token: reply.json()["token"].as_str().unwrap().to_owned(),
        }
    }

    pub async fn send(
        &self,
        method: &'static str,
        path: &str,
        version: Option<i64>,
        body: Option<&Value>,
    ) -> Reply {
        let mut request =
            request(method, path, body).with("Authorization", &format!("Bearer {}", self.token));
        if let Some(version) = version {
            request = request.with("If-Match", &format!("\"{version}\""));
        }
        self.server.send_to(&self.server.admin, request).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None, None).await
    }

    pub async fn version_of(&self, operator: &str) -> i64 {
        let list = self.get("/v1/admin/operators").await.json();
        list["operators"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == operator)
            .and_then(|one| one["version"].as_i64())
            .unwrap()
    }
}

/// RFC 6238 with HMAC-SHA-1, by the book: what an authenticator app shows.
pub fn code_of(base32: &str, seconds: i64) -> String {
    let mut bits = String::new();
    for letter in base32.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => panic!("not base32"),
        };
        let _ = write!(bits, "{value:05b}");
    }
    let key: Vec<u8> = bits
        .as_bytes()
        .chunks_exact(8)
        .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
        .collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let tag = hmac::sign(&key, &(seconds / 30).to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[19] & 0x0f);
    let number = u32::from_be_bytes(tag[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}
