//! Simulator and account center, running and connected.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::servers::Server;
use crate::simulator::{Addresses, SimulatorClient};
use crate::trouble::{Result, Trouble, unexpected};

/// The app whose login is played.
const APP_ID: &str = "bank-android";

/// How a world is started.
#[derive(Clone, Debug, Default)]
pub struct WorldOptions {
    /// Where logs, database and vaults go; by default a temporary folder that goes with the world.
    pub folder: Option<PathBuf>,
    /// `[database] url`; by default an SQLite file in the folder.
    pub database: Option<String>,
}

/// What a suite has to know, as `POSTERN_TEST_ENV` names it (`contract/scenarios.md`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TestEnv {
    /// The gateway in front of the account center.
    pub account_center: String,
    /// The app that logs in.
    pub app_id: String,
    /// The offline root's public key.
    pub root_key: String,
    /// The simulator's parties.
    pub simulator: Addresses,
    /// A folder for vaults.
    pub scratch: PathBuf,
}

/// Both servers. Dropping it ends them.
#[derive(Debug)]
pub struct World {
    account_center: Server,
    // Dropped last: the account center may still be answering.
    _simulator: Server,
    simulator: SimulatorClient,
    env: TestEnv,
    folder: PathBuf,
    database: Option<String>,
    /// Besides the first one, over the same database with the same keys.
    others: Vec<Server>,
    _temporary: Option<TempDir>,
}

impl World {
    /// Starts both servers on free ports and connects them.
    pub async fn start() -> Result<Self> {
        Self::start_with(WorldOptions::default()).await
    }

    /// As [`World::start`], in a folder of one's own.
    pub async fn start_with(options: WorldOptions) -> Result<Self> {
        let temporary = match options.folder {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(Trouble::io("a temporary folder"))?),
        };
        let folder = match (&options.folder, &temporary) {
            (Some(folder), _) => folder.clone(),
            (None, Some(temporary)) => temporary.path().to_path_buf(),
            (None, None) => return unexpected("no folder for the world"),
        };
        let scratch = folder.join("scratch");
        fs::create_dir_all(&scratch).map_err(Trouble::io(scratch.display().to_string()))?;
        let simulator_server = Server::start(
            "postern-simulator",
            &[OsStr::new("--any-port")],
            &[],
            &folder,
        )?;
        let addresses: Addresses = serde_json::from_value(simulator_server.ready.clone())
            .map_err(Trouble::json("the simulator's ready file"))?;
        let simulator = SimulatorClient::new(addresses.clone())?;
        let account_center =
            start_account_center(&addresses, &folder, options.database.as_deref())?;
        let root_key = text(&account_center, "root_key")?;
        let world = Self {
            env: TestEnv {
                account_center: addresses.gateway.clone(),
                app_id: APP_ID.to_owned(),
                root_key,
                simulator: addresses,
                scratch,
            },
            account_center,
            _simulator: simulator_server,
            simulator,
            folder,
            database: options.database,
            others: Vec::new(),
            _temporary: temporary,
        };
        world.connect().await?;
        Ok(world)
    }

    /// What a suite has to know.
    pub fn env(&self) -> &TestEnv {
        &self.env
    }

    /// The simulator.
    pub fn simulator(&self) -> &SimulatorClient {
        &self.simulator
    }

    /// Where logs, database and vaults are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The account center's own address, without the gateway.
    pub fn account_center_address(&self) -> Result<String> {
        address(&self.account_center)
    }

    /// The account center's process.
    pub fn account_center_process(&self) -> u32 {
        self.account_center.process()
    }

    /// Starts one more account center over the same database with the same keys, and gives its address. The gateway still leads to the first one.
    pub fn add_account_center(&mut self) -> Result<String> {
        let folder = self.folder.join(format!("other{}", self.others.len()));
        let data = folder.join(DATA);
        fs::create_dir_all(&data).map_err(Trouble::io(data.display().to_string()))?;
        for key in ["server-secret", "signing-key", "sealing-key", "root-key"] {
            fs::copy(self.folder.join(DATA).join(key), data.join(key)).map_err(Trouble::io(key))?;
        }
        let other = start_account_center(&self.env.simulator, &folder, self.database.as_deref())?;
        let address = address(&other)?;
        self.others.push(other);
        Ok(address)
    }

    /// Kills the account center (SIGKILL) and starts it again over the same data.
    pub async fn crash_account_center(&mut self) -> Result<()> {
        self.account_center.kill();
        self.account_center =
            start_account_center(&self.env.simulator, &self.folder, self.database.as_deref())?;
        self.connect().await
    }

    async fn connect(&self) -> Result<()> {
        self.simulator
            .set_target(&self.account_center_address()?)
            .await
    }
}

fn address(account_center: &Server) -> Result<String> {
    let listen = text(account_center, "listen")?;
    Ok(if listen.starts_with("http") {
        listen
    } else {
        format!("http://{listen}")
    })
}

/// The account center's folder, in that of the world.
const DATA: &str = "account-center";

fn start_account_center(
    addresses: &Addresses,
    folder: &Path,
    database: Option<&str>,
) -> Result<Server> {
    let data = folder.join(DATA);
    let arguments = [
        OsStr::new("serve"),
        OsStr::new("--listen"),
        OsStr::new("127.0.0.1:0"),
        OsStr::new("--public-url"),
        OsStr::new(&addresses.gateway),
        OsStr::new("--data-dir"),
        data.as_os_str(),
    ];
    let alipay = format!("{}/gateway.do", addresses.alipay);
    let bank_keys = format!("{}/bank-session-keys", addresses.core);
    let mut settings = vec![
        ("POSTERN_WECHAT__BASE_URL", addresses.wechat.as_str()),
        ("POSTERN_WEIBO__BASE_URL", &addresses.weibo),
        ("POSTERN_QQ__BASE_URL", &addresses.qq),
        ("POSTERN_ALIPAY__BASE_URL", &alipay),
        ("POSTERN_OIDC__BANK_SSO__ISSUER", &addresses.oidc),
        ("POSTERN_SMS__BASE_URL", &addresses.sms),
        ("POSTERN_CORE__BASE_URL", &addresses.core),
        ("POSTERN_FACE__BASE_URL", &addresses.face),
        ("POSTERN_BANK_SESSION__ISSUER", "https://app.bank.example"),
        ("POSTERN_BANK_SESSION__JWKS_URL", &bank_keys),
        // All of a run's people share one address.
        ("POSTERN_LIMITS__SMS_PER_ADDRESS_PER_HOUR", "100000"),
    ];
    if let Some(database) = database {
        settings.push(("POSTERN_DATABASE__URL", database));
    }
    Server::start("postern-account-center", &arguments, &settings, folder)
}

fn text(server: &Server, name: &str) -> Result<String> {
    match server.ready[name].as_str() {
        Some(text) => Ok(text.to_owned()),
        None => unexpected(format!("the ready file has no {name}: {}", server.ready)),
    }
}
