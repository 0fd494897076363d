//! Starting and stopping: one listener for each party.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use axum::{Router, extract::DefaultBodyLimit, middleware::from_fn_with_state};
use serde::Serialize;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    alipay,
    answer::unknown_path,
    connection::{Connection, SeverableListener},
    context::{Clock, Randomness, SystemClock, SystemRandomness},
    control, core_bank, face,
    faults::Party,
    gateway,
    layer::observe,
    notices, oidc, qq, sms, wechat, weibo,
    world::World,
};

/// No party takes a longer body (the gateway, which only passes it on, does).
const BODY_LIMIT: usize = 64 * 1024;
/// How long a stop waits for requests under way.
const GRACE: Duration = Duration::from_secs(3);
/// What is added to the port base, in the order of [`Addresses`].
const OFFSETS: [u16; 11] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

/// Where and with what to start.
pub struct SimulatorConfig {
    /// A loopback address.
    pub host: IpAddr,
    /// Control listens here and the others at fixed distances (README); without it, on free ports.
    pub port_base: Option<u16>,
    /// The time of this world.
    pub clock: Arc<dyn Clock>,
    /// Where codes, tokens and people come from.
    pub randomness: Arc<dyn Randomness>,
}

impl Default for SimulatorConfig {
    /// 127.0.0.1, free ports, the machine's clock and randomness.
    fn default() -> Self {
        Self {
            host: IpAddr::from([127, 0, 0, 1]),
            port_base: None,
            clock: Arc::new(SystemClock),
            randomness: Arc::new(SystemRandomness::default()),
        }
    }
}

/// The base URL of each party, without a slash at the end. Its JSON is the ready file.
#[derive(Debug, Clone, Serialize)]
pub struct Addresses {
    /// People, faults, requests.
    pub control: String,
    /// api.weixin.qq.com and the WeChat app.
    pub wechat: String,
    /// SMS gateway and inbox.
    pub sms: String,
    /// The bank's core.
    pub core: String,
    /// The face service.
    pub face: String,
    /// api.weibo.com and the Weibo app.
    pub weibo: String,
    /// graph.qq.com and the QQ app.
    pub qq: String,
    /// Alipay's gateway and its app; the gateway is at `/gateway.do`.
    pub alipay: String,
    /// An `OpenID` Connect issuer.
    pub oidc: String,
    /// The bank's own channel to its customers.
    pub notices: String,
    /// The network in front of the account center.
    pub gateway: String,
}

/// Why the simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The passwords and keys in here are public, so nobody else may reach them.
    #[error("{0} is not a loopback address; the simulator listens on loopback only")]
    NotLoopback(IpAddr),
    /// The ports would go beyond 65535.
    #[error("port base {0} is too high: the gateway listens 10 above it")]
    PortBase(u16),
    /// A port is taken, for example.
    #[error("cannot listen on {host} port {port}: {source}")]
    Listen {
        /// The address asked for.
        host: IpAddr,
        /// The port asked for; 0 is any.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The gateway's HTTP client could not be built.
    #[error("the gateway has no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// A running simulator. Dropping it stops it at once; [`Simulator::stop`] lets requests under way finish.
pub struct Simulator {
    addresses: Addresses,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
}

impl Simulator {
    /// Starts every party. All of them listen when this returns.
    pub async fn start(config: SimulatorConfig) -> Result<Self, StartError> {
        let host = config.host;
        if !host.is_loopback() {
            return Err(StartError::NotLoopback(host));
        }
        let mut listeners = Vec::new();
        let mut urls = Vec::new();
        for offset in OFFSETS {
            let port = match config.port_base {
                Some(base) => base.checked_add(offset).ok_or(StartError::PortBase(base))?,
                None => 0,
            };
            let failed = |source| StartError::Listen { host, port, source };
            let listener = TcpListener::bind((host, port)).await.map_err(failed)?;
            urls.push(format!("http://{}", listener.local_addr().map_err(failed)?));
            listeners.push(listener);
        }
        let [
            control,
            wechat,
            sms,
            core,
            face,
            weibo,
            qq,
            alipay,
            oidc,
            notices,
            gateway,
        ] = <[String; OFFSETS.len()]>::try_from(urls).expect("one address for each offset");
        let addresses = Addresses {
            control,
            wechat,
            sms,
            core,
            face,
            weibo,
            qq,
            alipay,
            oidc,
            notices,
            gateway,
        };

        let world = Arc::new(World::new(
            config.clock,
            config.randomness,
            addresses.clone(),
        ));
        let party = |party: Party, router: Router| {
            router
                .fallback(unknown_path)
                .layer(DefaultBodyLimit::max(BODY_LIMIT))
                .layer(from_fn_with_state((Arc::clone(&world), party), observe))
        };
        let routers = [
            control::router(Arc::clone(&world)).layer(DefaultBodyLimit::max(BODY_LIMIT)),
            party(Party::Wechat, wechat::router(Arc::clone(&world))),
            party(Party::Sms, sms::router(Arc::clone(&world))),
            party(Party::Core, core_bank::router(Arc::clone(&world))),
            party(Party::Face, face::router(Arc::clone(&world))),
            party(Party::Weibo, weibo::router(Arc::clone(&world))),
            party(Party::Qq, qq::router(Arc::clone(&world))),
            party(Party::Alipay, alipay::router(Arc::clone(&world))),
            party(Party::Oidc, oidc::router(Arc::clone(&world))),
            party(Party::Notices, notices::router(Arc::clone(&world))),
            gateway::router(Arc::clone(&world))?.layer(from_fn_with_state(
                (Arc::clone(&world), Party::Gateway),
                observe,
            )),
        ];

        let (stop, _) = watch::channel(false);
        let servers = listeners
            .into_iter()
            .zip(routers)
            .map(|(listener, router)| serve(listener, router, stop.subscribe()))
            .collect();
        Ok(Self {
            addresses,
            stop,
            servers,
        })
    }

    /// Where each party listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Takes no more connections, and waits up to three seconds for the requests under way.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let deadline = tokio::time::Instant::now() + GRACE;
        for server in &mut self.servers {
            if tokio::time::timeout_at(deadline, server).await.is_err() {
                tracing::debug!("a request was still under way and is abandoned");
            }
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) -> JoinHandle<()> {
    let service = router.into_make_service_with_connect_info::<Connection>();
    tokio::spawn(async move {
        let stopped = async move {
            // An error means that the sender is gone, which is a stop as well.
            let _ = stop.wait_for(|stopped| *stopped).await;
        };
        if let Err(error) = axum::serve(SeverableListener(listener), service)
            .with_graceful_shutdown(stopped)
            .await
        {
            tracing::error!(%error, "a listener ended");
        }
    })
}
