//! How the bank's services are spoken to: by our own interfaces over HTTP, or by a vendor's.

use std::sync::Arc;

use crate::config::{Config, FaceService, Party, SmsService};
use crate::context::Context;
use crate::ports::outbound::OutboundError;
use crate::ports::tencent::{TencentFace, TencentSms};
use crate::ports::{
    CustomerNotifier, Endpoint, FaceVerifier, HttpCustomerNotifier, HttpFaceVerifier,
    HttpSmsGateway, Outbound, OutboundSettings, SmsGateway, SmsNotifier,
};

/// One of the bank's services with our own interface.
pub(crate) fn endpoint(config: &Config, party: &Party) -> Result<Endpoint, OutboundError> {
    let settings = OutboundSettings {
        time_limit: party.time_limit,
        ..outward(config)
    };
    Ok(Endpoint::new(
        party.base_url.clone(),
        party.api_key.clone(),
        Outbound::new(&settings)?,
    ))
}

/// The SMS gateway.
pub(crate) fn sms(
    config: &Config,
    context: &Context,
) -> Result<Arc<dyn SmsGateway>, OutboundError> {
    Ok(match &config.sms {
        SmsService::Own(party) => Arc::new(HttpSmsGateway::new(endpoint(config, party)?)),
        SmsService::Tencent(settings) => Arc::new(TencentSms::new(
            settings.clone(),
            Outbound::new(&outward(config))?,
            context.clone(),
        )),
    })
}

/// The face service.
pub(crate) fn face(
    config: &Config,
    context: &Context,
) -> Result<Arc<dyn FaceVerifier>, OutboundError> {
    Ok(match &config.face {
        FaceService::Own(party) => Arc::new(HttpFaceVerifier::new(endpoint(config, party)?)),
        FaceService::Tencent { account, rule_id } => Arc::new(TencentFace::new(
            account.clone(),
            rule_id,
            endpoint(config, &config.core)?,
            Outbound::new(&outward(config))?,
            context.clone(),
        )),
    })
}

/// The channel to customers: the bank's own where it is set up, else text messages.
pub(crate) fn notifier(
    config: &Config,
    sms: Arc<dyn SmsGateway>,
) -> Result<Arc<dyn CustomerNotifier>, OutboundError> {
    Ok(match &config.notices {
        Some(party) => Arc::new(HttpCustomerNotifier::new(endpoint(config, party)?)),
        None => Arc::new(SmsNotifier::new(sms)),
    })
}

fn outward(config: &Config) -> OutboundSettings {
    OutboundSettings {
        proxy: config.outbound_proxy.clone(),
        ..OutboundSettings::default()
    }
}
