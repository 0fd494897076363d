//! What one login costs the core in CPU time, the network excluded: `cargo run --release -p postern-sdk-core --example login_cpu [logins]`.
//!
//! The account center is a script in this process; its own work (JSON by hand, no cryptography) is measured too and is small. Everything else is
//! as on a phone: proofs signed with the device key, fields sealed, records in a vault, states announced.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue};
use postern_sdk_core::login::LoginState;
use postern_sdk_core::proof::{DeviceKey, SoftwareDeviceKey};
use postern_sdk_core::providers::{Provider, ProviderReply};
use postern_sdk_core::secret::{SecretBytes, SecretString};
use postern_sdk_core::transport::{HttpReply, HttpRequest, Transport, TransportError};
use postern_sdk_core::vault::{MemoryVault, Vault, VaultError};
use postern_sdk_core::{Postern, PosternConfig};

const BASE: &str = "https://login.bank.example";
const MAY_2100: u64 = 4_112_000_000;

/// The five replies of a new signed customer's login.
struct Script {
    options: String,
    requests: AtomicU32,
}

impl Script {
    fn reply(&self, request: &HttpRequest) -> String {
        if request.url.path() != "/v1/login" {
            return self.options.clone();
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let next = match number % 5 {
            0 => r#"{"step":"phone"}"#,
            1 => {
                r#"{"step":"sms_code","sent_to":"138****0000","digits":6,"expires_in":600,"resend_after":60,"attempts_left":5}"#
            }
            2 => r#"{"step":"verification","methods":["login_password","card"],"attempts_left":5}"#,
            3 => {
                r#"{"step":"face","request":{"face_session":"fs","url":"https://face.example","nonce":"n"},"alternative":{"zh":"柜台","en":"branch"},"attempts_left":3}"#
            }
            _ => {
                return r#"{"next":{"step":"done"},"account":{"user_id":"u","identification":"signed","phone_masked":"138****0000","bindings":[]},
                    "session":{"session_id":"s","access_token":"at","token_type":"DPoP","expires_in":300,"refresh_token":"rt_x","refresh_expires_in":2592000}}"#
                    .to_owned();
            }
        };
        format!(
            r#"{{"login":"lg_AAAAAAAAAAAAAAAAAAAAAA","step_id":"{number}","expires_in":600,"next":{next}}}"#
        )
    }
}

impl Transport for Script {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpReply, TransportError>> {
        async move {
            let mut headers = HeaderMap::new();
            headers.insert(
                "dpop-nonce",
                HeaderValue::from_static("nonce-of-the-script"),
            );
            Ok(HttpReply {
                status: 200,
                headers,
                body: self.reply(&request).into_bytes(),
            })
        }
        .boxed()
    }
}

/// A vault that may block, as a phone's: each of its calls is handed over to another thread and back, which is most of what it costs here.
struct HandedOver(MemoryVault);

impl Vault for HandedOver {
    fn load(&self, name: &str) -> Result<Option<SecretBytes>, VaultError> {
        self.0.load(name)
    }
    fn store(&self, name: &str, value: &SecretBytes) -> Result<(), VaultError> {
        self.0.store(name, value)
    }
    fn delete(&self, name: &str) -> Result<(), VaultError> {
        self.0.delete(name)
    }
    fn description(&self) -> String {
        self.0.description()
    }
}

/// Login options with a key list that `root` signed.
fn options(root: &SoftwareDeviceKey) -> Result<String, Box<dyn std::error::Error>> {
    let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"postern-keys+jwt","alg":"ES256"}"#);
    // RFC 7748 section 6.1, Bob's public key.
    let list = format!(
        r#"{{"issuer":"{BASE}","version":1,"issued_at":1700000000,"expires_at":{MAY_2100},"sealing_keys":[{{"kid":"k","suite":"x25519-sha256-aes128gcm",
            "public_key":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"}}],"tls_pins":[]}}"#
    );
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(list));
    let signature = URL_SAFE_NO_PAD.encode(root.sign(signed.as_bytes())?);
    Ok(format!(
        r#"{{"app_id":"bank-android","issuer":"{BASE}","key_list":"{signed}.{signature}",
            "providers":[{{"provider":"wechat","provider_app_id":"wx","scope":"snsapi_userinfo","label":{{"zh":"微信","en":"WeChat"}}}}]}}"#
    ))
}

async fn log_in(postern: &Postern) -> Result<(), Box<dyn std::error::Error>> {
    let login = postern.login();
    let mut states = login.states();
    while let Some(state) = states.next().await {
        match state {
            LoginState::Resolving => {}
            LoginState::Ready(_, step) => step.choose(Provider::WeChat).await?,
            LoginState::Authorizing(request, step) => {
                let reply = ProviderReply {
                    state: Some(request.state),
                    code: Some(SecretString::from("0815")),
                    error_code: Some(0),
                };
                step.answer(reply).await?;
            }
            LoginState::PhoneNeeded(_, step) => step.submit("138 0000 0000").await?,
            LoginState::SmsCodeNeeded(_, step) => step.submit("123456").await?,
            LoginState::VerificationNeeded(_, step) => {
                let card = SecretString::from("4111 1111 1111 1111");
                step.submit_card(&card, &SecretString::from("123456"))
                    .await?;
            }
            LoginState::FaceNeeded(_, step) => step.submit(SecretString::from("ft")).await?,
            LoginState::LoggedIn(_) => return Ok(()),
            other => return Err(format!("not foreseen: {other:?}").into()),
        }
    }
    Err("the login ended".into())
}

/// CPU time of this process so far, all threads, in nanoseconds (Linux).
fn cpu_nanoseconds() -> std::io::Result<u64> {
    let mut total = 0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        total += text
            .split(' ')
            .next()
            .and_then(|number| number.parse::<u64>().ok())
            .unwrap_or(0);
    }
    Ok(total)
}

#[allow(clippy::print_stdout, clippy::cast_precision_loss)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let logins: u32 = std::env::args()
        .nth(1)
        .map_or(Ok(500), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let (root, _) = SoftwareDeviceKey::generate()?;
    let root_key = URL_SAFE_NO_PAD.encode(root.public_jwk()?.to_sec1());
    let script = Arc::new(Script {
        options: options(&root)?,
        requests: AtomicU32::new(0),
    });
    let postern = |blocks: bool| -> Result<Postern, Box<dyn std::error::Error>> {
        let vault: Arc<dyn Vault> = if blocks {
            Arc::new(HandedOver(MemoryVault::new()))
        } else {
            Arc::new(MemoryVault::new())
        };
        Ok(
            Postern::builder(PosternConfig::new(BASE, "bank-android", root_key.clone()))
                .shared_vault(vault)
                .transport(Arc::clone(&script) as Arc<dyn Transport>)
                .runtime(runtime.handle().clone())
                .build()?,
        )
    };
    let measure = |fresh: bool, blocks: bool| -> Result<Vec<f64>, Box<dyn std::error::Error>> {
        let mut milliseconds = Vec::new();
        let mut one = postern(blocks)?;
        for _ in 0..logins {
            if fresh {
                one = postern(blocks)?;
            }
            let before = cpu_nanoseconds()?;
            runtime.block_on(log_in(&one))?;
            milliseconds.push((cpu_nanoseconds()? - before) as f64 / 1e6);
        }
        milliseconds.sort_by(f64::total_cmp);
        Ok(milliseconds)
    };
    measure(true, true)?;
    // The machine may be busy: how long one ES256 signature takes in this very run says what the other numbers are worth.
    // In one go, for the kernel counts a thread's time only at its ticks and switches.
    let signatures = 10 * logins;
    let before = cpu_nanoseconds()?;
    for _ in 0..signatures {
        root.sign(b"reference")?;
    }
    std::thread::yield_now();
    let signature = (cpu_nanoseconds()? - before) as f64 / 1e6 / f64::from(signatures);
    println!("reference: one ES256 signature takes {signature:.4} ms in this run");
    for (name, fresh, blocks) in [
        (
            "first login of an installation (makes its device key)",
            true,
            false,
        ),
        ("later login, same process", false, false),
        ("first login, a vault that may block", true, true),
        ("later login, a vault that may block", false, true),
    ] {
        let sorted = measure(fresh, blocks)?;
        let at = |share: usize| sorted[(sorted.len() - 1) * share / 100];
        println!(
            "{name}: median {:.3} ms ({:.0} signatures), 10% {:.3} ms, 90% {:.3} ms of CPU (5 round trips, 2 sealed fields, {logins} logins)",
            at(50),
            at(50) / signature,
            at(10),
            at(90)
        );
    }
    Ok(())
}
