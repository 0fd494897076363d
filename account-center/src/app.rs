//! Puts the parts together: from settings and keys to a server that listens.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postern_server_security::dpop::DpopVerifier;
use postern_server_security::nonce::NonceKey;
use postern_server_security::public_url::PublicUrl;
use tokio::net::TcpListener;

use crate::account::{AccountPolicy, Accounts};
use crate::admin::{self, Admins};
use crate::bank::{BankSessions, KeySource};
use crate::config::material::{FolderLock, KeyMaterial, MaterialError, take_folder};
use crate::config::{BankKeys, Config, Mode};
use crate::context::Context;
use crate::hashing::Hashing;
use crate::http::options::{Catalogue, ProviderOption};
use crate::http::server::Listeners;
use crate::http::state::Shared;
use crate::http::{AppState, Running, server};
use crate::idempotency::Ledger;
use crate::keys::{Keys, Purpose};
use crate::login::{self, Engine, LoginPolicy};
use crate::notifications::Notifications;
use crate::outbox::Outbox;
use crate::ports::outbound::OutboundError;
use crate::ports::{HttpCustomerDirectory, Outbound, OutboundSettings};
use crate::problem::Problem;
use crate::providers;
use crate::services;
use crate::sessions::Sessions;
use crate::store::limits::Limit;
use crate::store::{Store, StoreError};

/// How often the key list's file is looked at.
const KEY_LIST_CHECK: Duration = Duration::from_mins(1);

/// The server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Keys or the data folder.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// The database.
    #[error("the database cannot be used: {0}")]
    Store(#[from] StoreError),
    /// The listener.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The address is not loopback, and this is a development set-up.
    #[error(
        "a development set-up listens on loopback only, and {0} is not: its keys and passwords are known to everybody"
    )]
    NotLoopback(SocketAddr),
    /// Something else that should not be.
    #[error("cannot start: {0}")]
    Other(String),
}

impl From<OutboundError> for StartError {
    fn from(error: OutboundError) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<Problem> for StartError {
    fn from(problem: Problem) -> Self {
        Self::Other(
            problem
                .cause()
                .map_or_else(|| problem.to_string(), ToString::to_string),
        )
    }
}

/// A server that listens already, and serves once [`App::run`] is called.
pub struct App {
    listeners: Listeners,
    state: AppState,
    context: Context,
    material: Arc<KeyMaterial>,
    facts: Facts,
    config: Config,
    _folder: FolderLock,
}

/// What others need to know to use this server: the ready file's content.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Facts {
    /// Where it listens.
    pub listen: String,
    /// The address that clients use.
    pub public_url: String,
    /// The offline root's public key, for the SDK's configuration.
    pub root_key: String,
    /// The apps it knows.
    pub app_ids: Vec<String>,
    /// Its data folder.
    pub data_dir: String,
    /// Where operators reach the admin API, if they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_listen: Option<String>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Opens everything, in this order: data folder, keys, listener, database.
    pub async fn start(config: Config, context: Context) -> Result<Self, StartError> {
        let addresses = [Some(config.listen), config.admin.listen];
        for address in addresses.into_iter().flatten() {
            if config.mode == Mode::Development && !address.ip().is_loopback() {
                return Err(StartError::NotLoopback(address));
            }
        }
        let folder = take_folder(&config.data_dir)?;
        let material = Arc::new(KeyMaterial::load(&config, &context)?);
        let (public, listen) = bind(config.listen, false).await?;
        let (admin, admin_listen) = match config.admin.listen {
            Some(address) => {
                let (admin, listen) = bind(address, config.admin.listen_elsewhere).await?;
                (Some(admin), Some(listen))
            }
            None => (None, None),
        };
        let public_url = match &config.public_url {
            Some(public_url) => public_url.clone(),
            None => PublicUrl::parse(&format!("http://{listen}"))
                .map_err(|error| StartError::Other(error.to_string()))?,
        };
        let store = Store::open_with(&config.database.0, &config.database.1).await?;
        let state = assemble(&config, &context, &material, store, &public_url)?;
        let facts = Facts {
            listen: format!("http://{listen}"),
            public_url: public_url.as_str().to_owned(),
            root_key: material.root_key(),
            app_ids: config.apps.keys().cloned().collect(),
            data_dir: config.data_dir.display().to_string(),
            admin_listen: admin_listen.map(|listen| format!("http://{listen}")),
        };
        Ok(Self {
            listeners: Listeners { public, admin },
            state,
            context,
            material,
            facts,
            config,
            _folder: folder,
        })
    }

    /// What others need to know.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What the routes share.
    pub fn state(&self) -> &AppState {
        &self.state
    }

    /// Serves until `stop` is over, and then finishes what is under way.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
        let watcher = self.material.list_file().is_some().then(|| {
            tokio::spawn(watch_key_list(
                self.material.clone(),
                self.state.catalogue.clone(),
                self.facts.public_url.clone(),
                self.context.clone(),
            ))
        });
        let notices = tokio::spawn(self.state.accounts.notices().clone().run());
        let result = server::serve(self.listeners, self.state, stop, self.config.stop_limit).await;
        if let Some(watcher) = watcher {
            watcher.abort();
        }
        notices.abort();
        result
    }
}

/// Listens at an address, or, `elsewhere`, at any free port of it where that one is taken.
async fn bind(
    address: SocketAddr,
    elsewhere: bool,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = match TcpListener::bind(address).await {
        Err(error) if elsewhere && error.kind() == std::io::ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::new(address.ip(), 0)).await
        }
        bound => bound,
    };
    let listen = |error| StartError::Listen(address, error);
    let listener = bound.map_err(listen)?;
    let actual = listener.local_addr().map_err(listen)?;
    Ok((listener, actual))
}

/// The state that the routes share.
fn assemble(
    config: &Config,
    context: &Context,
    material: &KeyMaterial,
    store: Store,
    public_url: &PublicUrl,
) -> Result<AppState, StartError> {
    let keys = Arc::new(Keys::derive(&material.server_secret));
    let issuer = public_url.as_str();
    let sessions = Sessions::new(
        context.clone(),
        &keys,
        Arc::clone(&material.signing),
        &material.published,
        issuer,
        &config.audience,
        config.lifetimes,
    );
    let buttons = config
        .apps
        .iter()
        .map(|(app_id, app)| {
            let options = app.providers.iter().map(|provider| ProviderOption {
                provider: provider.provider.clone(),
                provider_app_id: provider.app_id.clone(),
                scope: provider.scope.clone(),
                label: provider.label.clone(),
            });
            (app_id.clone(), options.collect())
        })
        .collect();
    let catalogue = Catalogue::new(issuer, buttons, &material.key_list(issuer, context)?)?;
    let outbox = Outbox::new(
        config.outbox.clone(),
        store.clone(),
        context.clone(),
        Arc::clone(&keys),
        config.outbound_proxy.as_ref(),
    )
    .map_err(|error| StartError::Other(error.to_string()))?;
    let hashing = Hashing::new(
        config.limits.hashing_lanes,
        config.limits.hashing_queue,
        context.randomness(),
    );
    let sms = services::sms(config, context)?;
    let admins = Admins::new(admin::Parts {
        store: store.clone(),
        keys: Arc::clone(&keys),
        context: context.clone(),
        hashing: hashing.clone(),
        second_factor: config.admin.second_factor,
    });
    let login = Engine::new(login::Parts {
        store: store.clone(),
        keys: Arc::clone(&keys),
        context: context.clone(),
        hashing,
        sessions: sessions.clone(),
        registry: providers::registry(config, context)
            .map_err(|error| StartError::Other(error.to_string()))?,
        customers: Arc::new(HttpCustomerDirectory::new(services::endpoint(
            config,
            &config.core,
        )?)),
        face: services::face(config, context)?,
        sms: Arc::clone(&sms),
        sealing: material.sealing.clone(),
        bank: bank(config, context, issuer)?,
        issuer: issuer.to_owned(),
        policy: policy(config),
    });
    let accounts = Accounts::new(
        login.clone(),
        services::notifier(config, sms)?,
        AccountPolicy::default(),
    );
    let notifications = notifications(config, context, &store, &keys);
    Ok(AppState::new(Shared {
        context: context.clone(),
        store,
        admins,
        login,
        accounts,
        ledger: Ledger::new(Arc::clone(&keys), context.clone()),
        proofs: DpopVerifier::with_nonces(
            public_url.clone(),
            NonceKey::new(&keys.bytes(Purpose::ProofNonce)),
        ),
        notifications,
        sessions,
        catalogue,
        time_limit: config.request_limit,
        trusted_proxies: config.trusted_proxies,
        region_header: config.region_header.clone(),
        retention: config.retention,
        keys,
        running: Running::default(),
        outbox,
    }))
}

/// What providers tell by themselves: WeChat's apps with their secrets, Alipay's with the keys that its answers are verified with.
fn notifications(
    config: &Config,
    context: &Context,
    store: &Store,
    keys: &Arc<Keys>,
) -> Notifications {
    let alipay = config
        .apps
        .values()
        .flat_map(|app| &app.providers)
        .filter_map(|provider| {
            let settings = provider.alipay.as_ref()?;
            Some((provider.app_id.clone(), Arc::clone(&settings.keys)))
        })
        .collect();
    Notifications::new(
        store.clone(),
        Arc::clone(keys),
        context.clone(),
        config.identity.pushes.clone(),
        alipay,
    )
}

/// The bank's own login, where it is connected.
fn bank(config: &Config, context: &Context, issuer: &str) -> Result<BankSessions, StartError> {
    let Some(settings) = &config.identity.bank_session else {
        return Ok(BankSessions::none());
    };
    let source = match &settings.keys {
        BankKeys::File(path) => KeySource::File(path.clone()),
        // An address of the bank's own: no forward proxy.
        BankKeys::Web(url) => KeySource::Web(
            url.clone(),
            Outbound::new(&OutboundSettings::default())
                .map_err(|error| StartError::Other(error.to_string()))?,
        ),
    };
    Ok(BankSessions::new(
        settings.issuer.clone(),
        issuer,
        source,
        context.clone(),
    ))
}

/// What the settings say about logins; the rest is as usual.
fn policy(config: &Config) -> LoginPolicy {
    let hourly = |count: u32| Limit {
        count,
        window: Duration::from_hours(1),
    };
    let daily = |count: u32| Limit {
        count,
        window: Duration::from_hours(24),
    };
    let limits = &config.limits;
    LoginPolicy {
        resend_after: limits.sms_resend,
        sms_per_phone: vec![
            hourly(limits.sms_per_phone_per_hour),
            daily(limits.sms_per_phone_per_hour.saturating_mul(2)),
        ],
        sms_per_address: vec![hourly(limits.sms_per_address_per_hour)],
        privacy_notice: config.identity.privacy_notice.clone(),
        password_rules: config.password_rules,
        face_alternative: config.face_alternative.clone(),
        ..LoginPolicy::default()
    }
}

/// Takes a new key list as soon as it is in its file; one that is not good is not taken, and said in the log.
async fn watch_key_list(
    material: Arc<KeyMaterial>,
    catalogue: Catalogue,
    issuer: String,
    context: Context,
) {
    let mut ticks = tokio::time::interval(KEY_LIST_CHECK);
    let mut known = String::new();
    loop {
        ticks.tick().await;
        match material.key_list(&issuer, &context) {
            Ok(list) if list == known => {}
            Ok(list) => match catalogue.replace_key_list(&list) {
                Ok(()) => known = list,
                Err(error) => tracing::error!(%error, "the key list could not be taken"),
            },
            Err(error) => {
                tracing::error!(%error, "the key list is not good; the one before is still given out");
            }
        }
    }
}
