//! Keycloak, doing the same work: a returning person's credential of an outside provider, exchanged for a session with DPoP-bound tokens in one request, and the
//! refresh of that session. README.md says what is alike and what is not.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::device::{Device, Target};
use crate::load::{self, Outcome, Requests};
use crate::people::{self, APP, Shuffle};
use crate::postgres::{self, Postgres};
use crate::process::Running;
use crate::report::Figure;
use crate::stub::Parties;
use crate::wire::{Connection, Response};
use crate::{Result, measure};

const REALM: &str = "bank";
const TOKEN: &str = "/realms/bank/protocol/openid-connect/token";
/// The outside provider's name in Keycloak.
const ISSUER: &str = "issuer";
const SECRET: &str = "bench-client-secret";
/// Longest time for one series of requests.
const LIMIT: Duration = Duration::from_mins(4);

/// A running Keycloak over a database of its own.
pub(crate) struct Keycloak {
    process: Running,
    base: String,
    address: SocketAddr,
    devices: Vec<Device>,
    database: u32,
}

fn realm(parties: &Parties) -> Value {
    let issuer = parties.url("issuer");
    json!({
        "realm": REALM, "enabled": true, "sslRequired": "none",
        // As ours: ES256, five minutes; a refresh token is replaced at each use, and its reuse is noticed.
        "defaultSignatureAlgorithm": "ES256", "accessTokenLifespan": 300,
        "revokeRefreshToken": true, "refreshTokenMaxReuse": 0,
        "ssoSessionIdleTimeout": 2_592_000, "ssoSessionMaxLifespan": 15_552_000,
        "eventsEnabled": false, "adminEventsEnabled": false,
        "clients": [{
            "clientId": APP, "enabled": true, "publicClient": false, "secret": SECRET, "standardFlowEnabled": true,
            "directAccessGrantsEnabled": false, "redirectUris": ["http://127.0.0.1/*"],
            "attributes": {"dpop.bound.access.tokens": "true"},
        }],
        "identityProviders": [{
            "alias": ISSUER, "providerId": "oidc", "enabled": true, "storeToken": false, "trustEmail": false,
            "config": {
                "clientId": "bank", "clientSecret": "s", "issuer": issuer, "authorizationUrl": format!("{issuer}/authorize"),
                "tokenUrl": format!("{issuer}/token"), "userInfoUrl": format!("{issuer}/userinfo"),
                "validateSignature": "false", "syncMode": "IMPORT",
            },
        }],
    })
}

impl Keycloak {
    /// Starts the Keycloak unpacked in `home` over a database of the cluster, with so many people in it.
    pub(crate) async fn start(
        home: &Path,
        folder: &Path,
        postgres: &Postgres,
        parties: &Parties,
        accounts: u64,
    ) -> Result<Self> {
        postgres.database("keycloak")?;
        let import = home.join("data/import");
        fs::create_dir_all(&import)?;
        fs::write(import.join("bank-realm.json"), realm(parties).to_string())?;
        let port = postgres::free_port()?;
        let mut command = Command::new(home.join("bin/kc.sh"));
        command
            .args([
                "start",
                "--db=postgres",
                "--features=token-exchange,admin-fine-grained-authz:v1,dpop",
                "--import-realm",
                "--cache=local",
                "--http-enabled=true",
                "--http-host=127.0.0.1",
                "--hostname-strict=false",
                "--log-level=warn",
                "--db-username=bench",
                "--db-password=unused",
            ])
            .arg(format!("--http-port={port}"))
            .arg(format!(
                "--db-url=jdbc:postgresql://127.0.0.1:{}/keycloak",
                postgres.port()
            ))
            .env("KC_BOOTSTRAP_ADMIN_USERNAME", "admin")
            .env("KC_BOOTSTRAP_ADMIN_PASSWORD", "admin");
        let log = folder.join("keycloak.log");
        let mut process = Running::start(&mut command, &log)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let started = std::time::Instant::now();
        loop {
            if let Some(status) = process.ended()? {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("Keycloak ended ({status}):\n{said}").into());
            }
            if get(address, &format!("/realms/{REALM}"), "")
                .await
                .is_ok_and(|reply| reply.status == 200)
            {
                break;
            }
            if started.elapsed() > Duration::from_mins(8) {
                return Err("Keycloak did not start within 8 minutes".into());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let keycloak = Self {
            process,
            base: format!("http://127.0.0.1:{port}"),
            address,
            devices: (0..256).map(|_| Device::new()).collect::<Result<_>>()?,
            database: postgres.id(),
        };
        keycloak.permit_exchange().await?;
        people_in(postgres, accounts)?;
        Ok(keycloak)
    }

    /// Lets our client exchange tokens of the outside provider (fine-grained permissions, version 1).
    async fn permit_exchange(&self) -> Result<()> {
        let form = "grant_type=password&client_id=admin-cli&username=admin&password=admin";
        let path = "/realms/master/protocol/openid-connect/token";
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            self.address,
            form.len()
        );
        let reply = Connection::open(self.address)
            .await?
            .send(request.as_bytes())
            .await?
            .json()?;
        let token = reply["access_token"]
            .as_str()
            .ok_or("no administrator's token")?;
        let admin = Admin {
            address: self.address,
            token,
        };
        let clients = admin.get("/clients").await?;
        let id_of = |name: &str| {
            clients
                .as_array()
                .into_iter()
                .flatten()
                .find(|client| client["clientId"] == name)
                .and_then(|client| client["id"].as_str())
                .map(str::to_owned)
                .ok_or_else(|| format!("no client {name}"))
        };
        let (ours, management) = (id_of(APP)?, id_of("realm-management")?);
        let permissions = admin
            .send(
                "PUT",
                &format!("/identity-provider/instances/{ISSUER}/management/permissions"),
                &json!({"enabled": true}),
            )
            .await?;
        let permission = permissions["scopePermissions"]["token-exchange"]
            .as_str()
            .ok_or("no permission to exchange")?;
        let authz = format!("/clients/{management}/authz/resource-server");
        let policy = admin
            .send(
                "POST",
                &format!("{authz}/policy/client"),
                &json!({"name": "ours", "logic": "POSITIVE", "clients": [ours]}),
            )
            .await?;
        let place = format!("{authz}/permission/scope/{permission}");
        let mut changed = admin.get(&place).await?;
        changed["policies"] = json!([policy["id"]]);
        admin.send("PUT", &place, &changed).await?;
        Ok(())
    }

    fn request(&self, number: usize, form: &str) -> Result<Vec<u8>> {
        let target = Target {
            base: &self.base,
            path: TOKEN,
            nonce: None,
        };
        let form = format!("client_id={APP}&client_secret={SECRET}&{form}");
        self.devices[number % self.devices.len()].post_form(&target, &form)
    }

    /// The login of a person. Keycloak takes a proof for seconds only, so it is made when it is sent.
    fn login(&self, number: usize, person: u64) -> Result<Vec<u8>> {
        self.request(
            number,
            &format!(
                "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_issuer={ISSUER}&subject_token=issuer.{person}\
                 &subject_token_type=urn:ietf:params:oauth:token-type:access_token\
                 &requested_token_type=urn:ietf:params:oauth:token-type:refresh_token"
            ),
        )
    }

    /// Logins of people at random, then a refresh of each session.
    async fn series(
        &self,
        accounts: u64,
        count: usize,
        connections: usize,
        shuffle: &mut Shuffle,
    ) -> Result<Vec<Figure>> {
        let people: Vec<u64> = (0..count).map(|_| shuffle.below(accounts)).collect();
        let login = |number: usize| self.login(number, people[number]);
        let requests = Requests::Late(count, &login);
        let (logins, outcome) = self
            .measured("returning login", requests, connections)
            .await?;
        let mut tokens = Vec::new();
        for reply in outcome.replies.iter().flatten() {
            let reply = reply.json()?;
            let token = reply["refresh_token"]
                .as_str()
                .ok_or("Keycloak gave no refresh token")?;
            if reply["token_type"] != "DPoP" {
                return Err("Keycloak's token is not bound to the device key".into());
            }
            tokens.push(token.to_owned());
        }
        let refresh = |number: usize| {
            let form = format!("grant_type=refresh_token&refresh_token={}", tokens[number]);
            self.request(number, &form)
        };
        let requests = Requests::Late(tokens.len(), &refresh);
        let (refreshes, _) = self.measured("refresh", requests, connections).await?;
        Ok(vec![logins, refreshes])
    }

    async fn measured(
        &self,
        name: &str,
        requests: Requests<'_>,
        connections: usize,
    ) -> Result<(Figure, Outcome)> {
        let times = || -> Result<_> {
            Ok((
                measure::cpu_time(self.process.id())?,
                measure::cpu_time(self.database)?,
            ))
        };
        let before = times()?;
        let outcome = load::run(self.address, requests, connections, LIMIT).await?;
        let after = times()?;
        let figure = Figure::new(
            name,
            &outcome,
            after.0.saturating_sub(before.0),
            after.1.saturating_sub(before.1),
            measure::resident(self.process.id())?,
        );
        Ok((figure, outcome))
    }

    /// Returning logins and refreshes, after as many as `warm` of each: the JVM compiles what it meets often.
    pub(crate) async fn measure(
        &self,
        accounts: u64,
        (warm, count): (usize, usize),
        connections: usize,
    ) -> Result<Vec<Figure>> {
        let mut shuffle = Shuffle::new();
        // Alone: it makes the realm's ES256 key when it first needs one, and two at once are in each other's way.
        self.series(accounts, 1, 1, &mut shuffle).await?;
        self.series(accounts, warm, connections, &mut shuffle)
            .await?;
        self.series(accounts, count, connections, &mut shuffle)
            .await
    }

    /// Stops it.
    pub(crate) fn stop(mut self) {
        self.process.stop(Duration::from_secs(30));
    }
}

/// People with a link to the outside provider, as Keycloak itself would have imported them at their first login.
fn people_in(postgres: &Postgres, accounts: u64) -> Result<()> {
    let one = |sql: &str| {
        postgres
            .sql("keycloak", sql)
            .map(|text| text.trim().to_owned())
    };
    let realm = one("SELECT id FROM realm WHERE name = 'bank'")?;
    let role = one("SELECT id FROM keycloak_role WHERE name = 'default-roles-bank'")?;
    let id = |person: u64| format!("00000000-0000-4000-8000-{person:012}");
    postgres.copy(
        "keycloak",
        "user_entity (id, email_constraint, email_verified, enabled, realm_id, username, created_timestamp, not_before)",
        |out| {
            for person in 0..accounts {
                writeln!(out, "{0}\t{0}\tf\tt\t{realm}\tperson-{person}\t1760000000000\t0", id(person))?;
            }
            Ok(())
        },
    )?;
    postgres.copy(
        "keycloak",
        "federated_identity (identity_provider, realm_id, federated_user_id, federated_username, user_id)",
        |out| {
            for person in 0..accounts {
                writeln!(out, "{ISSUER}\t{realm}\t{}\tperson-{person}\t{}", people::union_id(person), id(person))?;
            }
            Ok(())
        },
    )?;
    postgres.copy("keycloak", "user_role_mapping (role_id, user_id)", |out| {
        for person in 0..accounts {
            writeln!(out, "{role}\t{}", id(person))?;
        }
        Ok(())
    })?;
    postgres.sql("keycloak", "ANALYZE")?;
    Ok(())
}

async fn get(address: SocketAddr, path: &str, headers: &str) -> Result<Response> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{headers}\r\n");
    let sent = async {
        Connection::open(address)
            .await?
            .send(request.as_bytes())
            .await
    };
    tokio::time::timeout(Duration::from_secs(20), sent).await?
}

/// Keycloak's admin API.
struct Admin<'a> {
    address: SocketAddr,
    token: &'a str,
}

impl Admin<'_> {
    async fn get(&self, path: &str) -> Result<Value> {
        let headers = format!("authorization: Bearer {}\r\n", self.token);
        let reply = get(
            self.address,
            &format!("/admin/realms/{REALM}{path}"),
            &headers,
        )
        .await?;
        if reply.status != 200 {
            return Err(format!("{path}: {}", reply.status).into());
        }
        reply.json()
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let body = body.to_string();
        let request = format!(
            "{method} /admin/realms/{REALM}{path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        );
        let reply = Connection::open(self.address)
            .await?
            .send(request.as_bytes())
            .await?;
        if !(200..300).contains(&reply.status) {
            return Err(format!(
                "{method} {path}: {} {}",
                reply.status,
                String::from_utf8_lossy(&reply.body)
            )
            .into());
        }
        if reply.body.is_empty() {
            Ok(Value::Null)
        } else {
            reply.json()
        }
    }
}
