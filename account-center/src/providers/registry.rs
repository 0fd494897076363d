//! Which connectors there are, and which app may use which.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::{Connector, ProviderApp};

/// A provider offered to one of the bank's apps.
#[derive(Clone)]
pub struct Offer {
    /// How to speak to it.
    pub connector: Arc<dyn Connector>,
    /// The app as it knows it.
    pub app: ProviderApp,
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("provider", &self.connector.provider())
            .field("app", &self.app)
            .finish()
    }
}

/// All offers, by our app id and the provider's name.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    apps: HashMap<String, HashMap<String, Offer>>,
}

impl Registry {
    /// No app yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one of the bank's apps, by our id of it (`bank-android`), without any provider.
    #[must_use]
    pub fn with_app(mut self, app_id: &str) -> Self {
        self.apps.entry(app_id.to_owned()).or_default();
        self
    }

    /// Offers a provider to an app, which is added if it is new.
    #[must_use]
    pub fn with_offer(
        mut self,
        app_id: &str,
        connector: Arc<dyn Connector>,
        app: ProviderApp,
    ) -> Self {
        self.apps
            .entry(app_id.to_owned())
            .or_default()
            .insert(connector.provider().to_owned(), Offer { connector, app });
        self
    }

    /// All offers: our app id, and what is offered to it.
    pub fn offers(&self) -> impl Iterator<Item = (&str, &Offer)> {
        self.apps
            .iter()
            .flat_map(|(app_id, offers)| offers.values().map(|offer| (app_id.as_str(), offer)))
    }

    /// Whether there is an app of this id.
    pub fn knows(&self, app_id: &str) -> bool {
        self.apps.contains_key(app_id)
    }

    /// The providers of an app, by name.
    pub fn providers(&self, app_id: &str) -> Vec<String> {
        let mut names: Vec<_> = self
            .apps
            .get(app_id)
            .into_iter()
            .flat_map(|offers| offers.keys().cloned())
            .collect();
        names.sort_unstable();
        names
    }

    /// The offer of a provider to an app.
    pub fn offer(&self, app_id: &str, provider: &str) -> Option<&Offer> {
        self.apps.get(app_id)?.get(provider)
    }
}
