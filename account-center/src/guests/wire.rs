//! What `POST /v1/guests` takes (contract/identity.md). Its reply is a login's.

use utoipa::ToSchema;

use crate::login::parse::{Object, Refused, credential_of};
use crate::login::wire::ProviderStart;

/// A guest comes.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GuestRequest {
    /// One of the bank's apps.
    pub app_id: String,
    /// What the person consented to; without it: `consent_required`.
    pub consent: Option<Consent>,
    /// A credential that the app got from a provider silently, where it has one.
    pub provider: Option<ProviderStart>,
}

/// A consent to the privacy notice.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// The notice's version, at most 64 characters.
    pub version: String,
}

impl GuestRequest {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, Refused> {
        let mut body = Object::of(body)?;
        let app_id = body.text("app_id")?;
        let consent = if body.has("consent") {
            let mut consent = body.object("consent")?;
            let version = consent.text("version")?;
            consent.end()?;
            if version.is_empty() || version.len() > 64 {
                return Err(Refused {
                    pointer: "/consent/version".to_owned(),
                    detail: "must have 1 to 64 characters",
                });
            }
            Some(Consent { version })
        } else {
            None
        };
        let provider = if body.has("provider") {
            Some(credential_of(body.object("provider")?)?)
        } else {
            None
        };
        body.end()?;
        Ok(Self {
            app_id,
            consent,
            provider,
        })
    }
}
