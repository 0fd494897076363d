//! The account center, measured: returning logins, refreshes of their sessions, and new bindings.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use postern_server_security::sealing::{Place, Recipient, seal};
use ring::rand::SystemRandom;
use serde_json::{Value, json};

use crate::device::{Device, Target, random128};
use crate::load::{self, Outcome, Requests};
use crate::people::{self, APP, Shuffle};
use crate::process::{self, Running};
use crate::report::Figure;
use crate::stub::{self, Parties};
use crate::wire::Connection;
use crate::{Result, generate, measure};

const LOGIN: &str = "/v1/login";
const REFRESH: &str = "/v1/sessions/refresh";
/// Longest time for one series of requests.
const LIMIT: Duration = Duration::from_mins(3);
/// No series has more bindings.
pub(crate) const SERIES: u64 = 1_000_000;
/// Keys that the requests are spread over.
const DEVICES: usize = 256;

/// How much is asked.
#[derive(Clone, Copy)]
pub(crate) struct Amounts {
    /// Returning logins, and as many refreshes.
    pub(crate) logins: usize,
    /// New bindings.
    pub(crate) bindings: usize,
    /// Connections at a time.
    pub(crate) connections: usize,
    /// Which series it is: each binds strangers of its own.
    pub(crate) series: u64,
}

/// Settings for the account center over these parties and this database.
pub(crate) fn settings(parties: &Parties, database: &str) -> String {
    let party = |name: &str| format!("[{name}]\nbase_url = \"{}\"\n", parties.url(name));
    format!(
        "mode = \"development\"\n[server]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\nfilter = \"info\"\n\
         [database]\nurl = \"{database}\"\n[limits]\nsms_per_address_per_hour = 1000000\n{}{}{}{}",
        party("sms"),
        party("core"),
        party("face"),
        party("wechat"),
    )
}

/// A running account center.
pub(crate) struct Center {
    process: Running,
    base: String,
    address: SocketAddr,
    sealing: (String, [u8; 32]),
    devices: Vec<Device>,
    random: SystemRandom,
    /// Processes besides the server whose time counts.
    database: Option<u32>,
}

impl Center {
    /// Starts it in `folder` with these settings.
    #[allow(clippy::unused_async, reason = "as the other servers start")]
    pub(crate) async fn start(
        binary: &Path,
        folder: &Path,
        settings: &str,
        database: Option<u32>,
    ) -> Result<Self> {
        let config_file = folder.join("account-center.toml");
        std::fs::write(&config_file, settings)?;
        let ready: PathBuf = folder.join("ready.json");
        if ready.exists() {
            std::fs::remove_file(&ready)?;
        }
        let data_dir = folder.join("data");
        let mut command = Command::new(binary);
        command
            .arg("serve")
            .arg("--config")
            .arg(&config_file)
            .arg("--data-dir")
            .arg(&data_dir)
            .arg("--ready-file")
            .arg(&ready)
            .env_remove("RUST_LOG");
        let log = folder.join("account-center.log");
        let mut process = Running::start(&mut command, &log)?;
        let facts: Value = process::until(Duration::from_mins(2), "the account center", || {
            if let Some(status) = process.ended()? {
                return Err(
                    format!("the account center ended ({status}), see {}", log.display()).into(),
                );
            }
            match std::fs::read(&ready) {
                Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
                Err(_) => Ok(None),
            }
        })?;
        let base = facts["listen"].as_str().ok_or("no address")?.to_owned();
        let address = base.trim_start_matches("http://").parse()?;
        let config = generate::config(settings, &data_dir)?;
        let material = postern_account_center::config::material::KeyMaterial::load(
            &config,
            &postern_account_center::context::Context::system(),
        )?;
        let key = material.sealing.pairs().first().ok_or("no sealing key")?;
        Ok(Self {
            process,
            base,
            address,
            sealing: (key.kid().to_owned(), *key.public_bytes()),
            devices: (0..DEVICES).map(|_| Device::new()).collect::<Result<_>>()?,
            random: SystemRandom::new(),
            database,
        })
    }

    /// Resident memory of the server, in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        measure::resident(self.process.id())
    }

    fn cpu(&self) -> Result<(Duration, Duration)> {
        let database = self
            .database
            .map(measure::cpu_time)
            .transpose()?
            .unwrap_or_default();
        Ok((measure::cpu_time(self.process.id())?, database))
    }

    async fn nonce(&self) -> Result<String> {
        let host = self.base.trim_start_matches("http://");
        let request = format!("GET /v1/apps/{APP}/login-options HTTP/1.1\r\nhost: {host}\r\n\r\n");
        let reply = Connection::open(self.address)
            .await?
            .send(request.as_bytes())
            .await?;
        reply
            .nonce
            .ok_or_else(|| "login-options gave no nonce".into())
    }

    fn device(&self, number: usize) -> &Device {
        &self.devices[number % self.devices.len()]
    }

    /// A request of the device of this number; `body` learns its Idempotency-Key.
    fn request(
        &self,
        path: &str,
        nonce: &str,
        number: usize,
        body: impl FnOnce(&str) -> Result<Value>,
    ) -> Result<Vec<u8>> {
        let key = random128(&self.random)?;
        let target = Target {
            base: &self.base,
            path,
            nonce: Some(nonce),
        };
        let body = body(&key)?.to_string();
        self.device(number).post(&target, &key, &body)
    }

    fn login(&self, nonce: &str, number: usize, person: u64) -> Result<Vec<u8>> {
        let attempt = random128(&self.random)?;
        self.request(LOGIN, nonce, number, |_| {
            Ok(json!({"app_id": APP, "start": {"provider": {"provider": "wechat", "code": people::code(person, &attempt)}}}))
        })
    }

    async fn measured(
        &self,
        name: &str,
        requests: Vec<Vec<u8>>,
        connections: usize,
    ) -> Result<(Figure, Outcome)> {
        let (server, database) = self.cpu()?;
        let outcome = load::run(self.address, Requests::Made(requests), connections, LIMIT).await?;
        let after = self.cpu()?;
        let figure = Figure::new(
            name,
            &outcome,
            after.0.saturating_sub(server),
            after.1.saturating_sub(database),
            self.resident()?,
        );
        Ok((figure, outcome))
    }

    /// Returning logins of people below `accounts`, then refreshes of the sessions that they opened, then new bindings.
    pub(crate) async fn measure(
        &self,
        accounts: u64,
        amounts: Amounts,
        parties: &Parties,
    ) -> Result<Vec<Figure>> {
        let mut shuffle = Shuffle::new();
        let warm = (amounts.logins / 10).max(200);
        let nonce = self.nonce().await?;
        let logins = |from: usize, count: usize, shuffle: &mut Shuffle| {
            (from..from + count)
                .map(|number| self.login(&nonce, number, shuffle.below(accounts)))
                .collect::<Result<Vec<_>>>()
        };
        let warming = logins(0, warm, &mut shuffle)?;
        load::run(
            self.address,
            Requests::Made(warming),
            amounts.connections,
            LIMIT,
        )
        .await?;
        let requests = logins(0, amounts.logins, &mut shuffle)?;
        let (login, outcome) = self
            .measured("returning login", requests, amounts.connections)
            .await?;

        let mut requests = Vec::new();
        for (number, reply) in outcome.replies.iter().enumerate() {
            let Some(reply) = reply else { continue };
            let reply = reply.json()?;
            if reply["next"]["step"] != "done" {
                return Err(format!("a returning login ended with {}", reply["next"]).into());
            }
            let token = &reply["session"]["refresh_token"];
            requests.push(self.request(REFRESH, &nonce, number, |_| {
                Ok(json!({"app_id": APP, "refresh_token": token}))
            })?);
        }
        let (refresh, _) = self
            .measured("refresh", requests, amounts.connections)
            .await?;

        let binding = self.bindings(amounts, parties).await?;
        Ok(vec![login, refresh, binding])
    }

    /// Signed people without an account: led up to the face step, whose answer binds. Their login passwords were checked by the core before.
    async fn bindings(&self, amounts: Amounts, parties: &Parties) -> Result<Figure> {
        let nonce = self.nonce().await?;
        let count = amounts.bindings;
        let first = people::STRANGERS + amounts.series * SERIES;
        let stranger = |number: usize| first + number as u64;
        let mut requests = Vec::new();
        for number in 0..count {
            requests.push(self.login(&nonce, number, stranger(number))?);
        }
        let mut at = self.steps(requests, amounts, "phone").await?;

        for step in ["sms_code", "verification", "face"] {
            let mut requests = Vec::new();
            for (number, reply) in at.iter().enumerate() {
                let person = stranger(number);
                requests.push(self.request(LOGIN, &nonce, number, |key| {
                    let answer = match step {
                        "sms_code" => json!({"phone": people::phone(person)}),
                        "verification" => json!({"sms_code": parties.code(&people::phone(person)).ok_or("no message")?}),
                        _ => {
                            json!({"login_password": {"sealed": self.sealed(number, key, reply)?}})
                        }
                    };
                    Ok(json!({"login": reply["login"], "step_id": reply["step_id"], "answer": answer}))
                })?);
            }
            at = self.steps(requests, amounts, step).await?;
        }

        let mut requests = Vec::new();
        for (number, reply) in at.iter().enumerate() {
            let session = reply["next"]["request"]["face_session"]
                .as_str()
                .ok_or("no face session")?;
            requests.push(self.request(LOGIN, &nonce, number, |_| {
                Ok(json!({"login": reply["login"], "step_id": reply["step_id"], "answer": {"face": {"ticket": stub::ticket(session)}}}))
            })?);
        }
        let (figure, outcome) = self
            .measured("new binding", requests, amounts.connections)
            .await?;
        for reply in outcome.replies.iter().flatten() {
            if reply.json()?["next"]["step"] != "done" {
                return Err("a binding was not done".into());
            }
        }
        Ok(figure)
    }

    /// Unmeasured requests that all lead to this step.
    async fn steps(
        &self,
        requests: Vec<Vec<u8>>,
        amounts: Amounts,
        step: &str,
    ) -> Result<Vec<Value>> {
        let outcome = load::run(
            self.address,
            Requests::Made(requests),
            amounts.connections,
            LIMIT,
        )
        .await?;
        let mut replies = Vec::new();
        for reply in outcome.replies {
            let reply = reply.ok_or("a preparation took too long")?.json()?;
            if reply["next"]["step"] != step {
                return Err(format!("{} instead of {step}", reply["next"]).into());
            }
            replies.push(reply);
        }
        Ok(replies)
    }

    fn sealed(&self, number: usize, key: &str, reply: &Value) -> Result<String> {
        let text = |name: &str| reply[name].as_str().ok_or("a reply without its place");
        let (kid, public) = &self.sealing;
        let recipient = Recipient {
            issuer: &self.base,
            app_id: APP,
        };
        let place = Place {
            device_key: self.device(number).thumbprint(),
            idempotency_key: key,
            path: LOGIN,
            field: "login_password",
            login_handle: text("login")?,
            step_id: text("step_id")?,
        };
        Ok(seal(
            kid,
            public,
            "a customer's password",
            &recipient,
            &place,
            &self.random,
        )?)
    }

    /// Stops it.
    pub(crate) fn stop(mut self) {
        self.process.stop(Duration::from_secs(30));
    }
}
