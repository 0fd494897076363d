//! A phone without an SDK: its key, its proofs, its sealed fields.
#![allow(dead_code, reason = "each test program uses its part")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern_server_security::Thumbprint;
use postern_server_security::sealing::{Place, Recipient, seal};
use postern_tests::{Person, TestEnv, World};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

pub(crate) struct Phone {
    key: EcdsaKeyPair,
    http: reqwest::Client,
    /// The public URL, as in proofs.
    account_center: String,
    /// Where requests go.
    address: String,
    app_id: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Seen {
    #[track_caller]
    pub(crate) fn expect(&self, status: u16, code: &str) {
        let found = (self.status, self.body["code"].as_str().unwrap_or_default());
        assert_eq!(found, (status, code), "{self:?}");
    }
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn random128() -> String {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).unwrap();
    b64(bytes)
}

impl Phone {
    pub(crate) fn of(world: &World) -> Self {
        Self::new(world.env(), &world.env().account_center)
    }

    /// A phone that sends its requests to `address`, whatever the public URL is.
    pub(crate) fn new(env: &TestEnv, address: &str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            key: EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            account_center: env.account_center.clone(),
            address: address.to_owned(),
            app_id: env.app_id.clone(),
        }
    }

    /// In another of the bank's apps.
    pub(crate) fn of_app(world: &World, app_id: &str) -> Self {
        Self {
            app_id: app_id.to_owned(),
            ..Self::of(world)
        }
    }

    /// A GET of the simulator's.
    pub(crate) async fn get(&self, url: &str) -> Value {
        self.http
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    fn jwk(&self) -> Value {
        let point = self.key.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..])})
    }

    pub(crate) fn thumbprint(&self) -> Thumbprint {
        let jwk = self.jwk();
        let (x, y) = (&jwk["x"], &jwk["y"]);
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":{x},"y":{y}}}"#);
        Thumbprint::parse(&b64(digest(&SHA256, canonical.as_bytes()))).unwrap()
    }

    /// The options, and a nonce.
    async fn options(&self) -> reqwest::Result<(Value, String)> {
        let url = format!("{}/v1/apps/{}/login-options", self.address, self.app_id);
        let reply = self.http.get(url).send().await?.error_for_status()?;
        let nonce = reply.headers()["dpop-nonce"].to_str().unwrap().to_owned();
        Ok((reply.json().await?, nonce))
    }

    /// A POST with a proof.
    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Seen {
        self.try_post(path, key, body).await.unwrap()
    }

    /// As [`Phone::post`], where the account center may be gone.
    pub(crate) async fn try_post(
        &self,
        path: &str,
        key: &str,
        body: &Value,
    ) -> reqwest::Result<Seen> {
        let (_, nonce) = self.options().await?;
        let url = format!("{}{path}", self.account_center);
        let body = body.to_string();
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk()});
        let claims = json!({"jti": random128(), "htm": "POST", "htu": url, "iat": 1, "nonce": nonce, "bh": b64(digest(&SHA256, body.as_bytes()))});
        let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let signature = self
            .key
            .sign(&SystemRandom::new(), signed.as_bytes())
            .unwrap();
        let reply = self
            .http
            .post(format!("{}{path}", self.address))
            .header("content-type", "application/json")
            .header("dpop", format!("{signed}.{}", b64(signature)))
            .header("idempotency-key", key)
            .body(body)
            .send()
            .await?;
        Ok(Seen {
            status: reply.status().as_u16(),
            body: reply.json().await?,
        })
    }

    /// Asks an app on the phone.
    pub(crate) async fn ask(&self, url: &str, body: &Value) -> Value {
        let request = self.http.post(url).body(body.to_string());
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Begins a login with a provider's credential.
    pub(crate) async fn begin(&self, provider: &Value) -> Seen {
        let body = json!({"app_id": self.app_id, "start": {"provider": provider}});
        self.post("/v1/login", &random128(), &body).await
    }

    /// L4, L6: a new unsigned person's whole login; the reply with the session.
    pub(crate) async fn register(&self, world: &World, person: &Person, provider: &Value) -> Value {
        let begun = self.begin(provider).await;
        assert_eq!(begun.body["next"]["step"], "phone", "{begun:?}");
        let asked = self
            .answer(&begun.body, &json!({"phone": person.phone}))
            .await;
        assert_eq!(asked["next"]["step"], "sms_code", "{asked}");
        let code = world.simulator().newest_code(&person.phone).await.unwrap();
        let asked = self.answer(&asked, &json!({"sms_code": code})).await;
        assert_eq!(asked["next"]["step"], "registration", "{asked}");
        let key = random128();
        let password = self.sealed(&asked, &key, "Str0ng-enough").await;
        let answer = json!({"registration": {"login_password": {"sealed": password}}});
        let done = self.answer_as(&key, &asked, &answer).await;
        assert_eq!(done["next"]["step"], "done", "{done}");
        done
    }

    async fn answer(&self, present: &Value, answer: &Value) -> Value {
        self.answer_as(&random128(), present, answer).await
    }

    async fn answer_as(&self, key: &str, present: &Value, answer: &Value) -> Value {
        let body =
            json!({"login": present["login"], "step_id": present["step_id"], "answer": answer});
        self.post("/v1/login", key, &body).await.body
    }

    /// A new login password, sealed to the first key of the list.
    async fn sealed(&self, present: &Value, key: &str, password: &str) -> String {
        self.try_sealed(present, key, password).await.unwrap()
    }

    /// The same, where the account center may be gone.
    pub(crate) async fn try_sealed(
        &self,
        present: &Value,
        key: &str,
        password: &str,
    ) -> reqwest::Result<String> {
        let (options, _) = self.options().await?;
        let payload = options["key_list"].as_str().unwrap().split('.').nth(1);
        let list: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.unwrap()).unwrap()).unwrap();
        let first = &list["sealing_keys"][0];
        let public = URL_SAFE_NO_PAD
            .decode(first["public_key"].as_str().unwrap())
            .unwrap();
        let recipient = Recipient {
            issuer: options["issuer"].as_str().unwrap(),
            app_id: &self.app_id,
        };
        let place = Place {
            device_key: &self.thumbprint(),
            idempotency_key: key,
            path: "/v1/login",
            field: "registration.login_password",
            login_handle: present["login"].as_str().unwrap(),
            step_id: present["step_id"].as_str().unwrap(),
        };
        let kid = first["kid"].as_str().unwrap();
        let public: [u8; 32] = public.try_into().unwrap();
        Ok(seal(
            kid,
            &public,
            password,
            &recipient,
            &place,
            &SystemRandom::new(),
        )
        .unwrap())
    }
}
