//! From the settings to the registry: a connector for each provider, behind a breaker of its own.

use std::collections::HashMap;
use std::sync::Arc;

use super::breaker::{Breaker, BreakerSettings, Guarded};
use super::{ApiSettings, Connector, ProviderApp, Qq, Registry, WeChat, WeChatSettings, Weibo};
use crate::config::Config;
use crate::context::Context;
use crate::ports::outbound::OutboundError;
use crate::ports::{Outbound, OutboundSettings};

/// Which apps there are, and which providers each may use.
pub fn registry(config: &Config, context: &Context) -> Result<Registry, OutboundError> {
    let settings = OutboundSettings {
        proxy: config.outbound_proxy.clone(),
        ..OutboundSettings::default()
    };
    // A client of its own for each provider: connections of one are no matter of another's.
    let outbound = || Outbound::new(&settings);
    let wechat = WeChatSettings::new(config.wechat_url.clone());
    let connectors: [Arc<dyn Connector>; 3] = [
        Arc::new(WeChat::new(wechat, outbound()?)),
        Arc::new(Weibo::new(
            ApiSettings::new(config.weibo_url.clone()),
            outbound()?,
        )),
        Arc::new(Qq::new(
            ApiSettings::new(config.qq_url.clone()),
            outbound()?,
        )),
    ];
    let guarded: HashMap<&str, Arc<dyn Connector>> = connectors
        .into_iter()
        .map(|connector| {
            let breaker = Arc::new(Breaker::new(BreakerSettings::default(), context.clone()));
            let name = connector.provider();
            let guarded: Arc<dyn Connector> = Arc::new(Guarded::new(connector, breaker));
            (name, guarded)
        })
        .collect();
    let mut registry = Registry::new();
    for (app_id, app) in &config.apps {
        registry = registry.with_app(app_id);
        for provider in &app.providers {
            let Some(connector) = guarded.get(provider.provider.as_str()) else {
                // The settings are read with the same list of providers.
                tracing::error!(provider = provider.provider, "there is no connector");
                continue;
            };
            let app = ProviderApp {
                app_id: provider.app_id.clone(),
                secret: provider.secret.clone(),
                platform: provider.platform.clone(),
                redirect_uri: provider.redirect_uri.clone(),
            };
            registry = registry.with_offer(app_id, Arc::clone(connector), app);
        }
    }
    Ok(registry)
}
