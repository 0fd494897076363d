//! From the settings to the registry: a connector for each provider, behind a breaker of its own.

use std::collections::HashMap;
use std::sync::Arc;

use url::Url;

use super::alipay::Alipay;
use super::breaker::{Breaker, BreakerSettings, Guarded};
use super::oidc::{Oidc, OidcSettings};
use super::{ApiSettings, Connector, ProviderApp, Qq, Registry, WeChat, Weibo};
use crate::config::{AlipaySettings, Config, Mode};
use crate::context::Context;
use crate::ports::outbound::OutboundError;
use crate::ports::{Outbound, OutboundSettings, Reach};

/// Which apps there are, and which providers each may use.
pub fn registry(config: &Config, context: &Context) -> Result<Registry, OutboundError> {
    let settings = OutboundSettings {
        proxy: config.outbound_proxy.clone(),
        ..OutboundSettings::default()
    };
    // A client of its own for each provider: connections of one are no matter of another's.
    let outbound = || Outbound::new(&settings);
    let connectors: [Arc<dyn Connector>; 3] = [
        Arc::new(WeChat::new(
            ApiSettings::new(config.wechat_url.clone()),
            outbound()?,
        )),
        Arc::new(Weibo::new(
            ApiSettings::new(config.weibo_url.clone()),
            outbound()?,
        )),
        Arc::new(Qq::new(
            ApiSettings::new(config.qq_url.clone()),
            outbound()?,
        )),
    ];
    let breaker = || Arc::new(Breaker::new(BreakerSettings::default(), context.clone()));
    // Alipay's connector has the keys of one app; all of them share one breaker and one client.
    let (alipay_outbound, alipay_breaker) = (outbound()?, breaker());
    let alipay = |settings: &AlipaySettings| -> Arc<dyn Connector> {
        let connector = Alipay::new(
            ApiSettings::new(config.alipay_url.clone()),
            alipay_outbound.clone(),
            Arc::clone(&settings.keys),
            &settings.pid,
            context.clone(),
        );
        Arc::new(Guarded::new(
            Arc::new(connector),
            Arc::clone(&alipay_breaker),
        ))
    };
    let guarded: HashMap<String, Arc<dyn Connector>> = connectors
        .into_iter()
        .map(|connector| {
            let breaker = breaker();
            let name = connector.provider().to_owned();
            let guarded: Arc<dyn Connector> = Arc::new(Guarded::new(connector, breaker));
            (name, guarded)
        })
        .collect();
    let issuers = issuers(config, context, breaker)?;
    let mut registry = Registry::new();
    for (app_id, app) in &config.apps {
        registry = registry.with_app(app_id);
        for provider in &app.providers {
            let connector = match &provider.alipay {
                Some(settings) => Some(alipay(settings)),
                None => guarded
                    .get(&provider.provider)
                    .or_else(|| issuers.get(&provider.provider))
                    .cloned(),
            };
            let Some(connector) = connector else {
                // The settings are read with the same list of providers.
                tracing::error!(provider = provider.provider, "there is no connector");
                continue;
            };
            let app = ProviderApp {
                app_id: provider.app_id.clone(),
                secret: provider.secret.clone(),
                platform: provider.platform.clone(),
                redirect_uri: provider.redirect_uri.clone(),
                kind: provider.kind,
                scope: provider.scope.clone(),
            };
            registry = registry.with_offer(app_id, connector, app);
        }
    }
    Ok(registry)
}

/// The `OpenID` Connect issuers by name. What they name themselves is asked only where it is public; in development also on this machine.
fn issuers(
    config: &Config,
    context: &Context,
    breaker: impl Fn() -> Arc<Breaker>,
) -> Result<HashMap<String, Arc<dyn Connector>>, OutboundError> {
    let development = config.mode == Mode::Development;
    let settings = OutboundSettings {
        proxy: config.outbound_proxy.clone(),
        reach: if development {
            Reach::PublicAndLoopback
        } else {
            Reach::Public
        },
        ..OutboundSettings::default()
    };
    let mut issuers: HashMap<String, Arc<dyn Connector>> = HashMap::new();
    for (name, issuer) in &config.oidc {
        let Ok(base) = Url::parse(issuer) else {
            tracing::error!(name, "the issuer is no address");
            continue;
        };
        let of_issuer = OidcSettings {
            name: name.clone(),
            issuer: issuer.clone(),
            plain: development,
        };
        let outbound = Outbound::new(&settings)?;
        let connector = Oidc::new(of_issuer, ApiSettings::new(base), outbound, context.clone());
        let guarded = Guarded::new(Arc::new(connector), breaker());
        issuers.insert(name.clone(), Arc::new(guarded));
    }
    Ok(issuers)
}
