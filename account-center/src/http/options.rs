//! `GET /v1/apps/{app_id}/login-options` (contract section 6): which buttons an app shows, and the signed list of keys to seal to.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::body::Bytes;
use ring::digest::{SHA256, digest};
use serde::Serialize;
use utoipa::ToSchema;

use crate::login::wire::Text;
use crate::problem::Problem;

/// A provider's button.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProviderOption {
    /// Its name on the wire: `wechat`.
    pub provider: String,
    /// The app's id at the provider (W1).
    pub provider_app_id: String,
    /// What the person is asked to consent to (M3).
    pub scope: String,
    /// The button's text.
    pub label: Text,
}

/// The reply of login-options.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LoginOptions {
    /// The app that asked.
    pub app_id: String,
    /// Our name: the public URL.
    pub issuer: String,
    /// The buttons, in their order (L1).
    pub providers: Vec<ProviderOption>,
    /// Keys to seal to and TLS pins, signed by the offline root (contract section 5).
    pub key_list: String,
}

/// A reply with its entity tag.
#[derive(Clone, Debug)]
pub struct Page {
    /// The body.
    pub body: Bytes,
    /// A strong tag over the body, with its quotes.
    pub etag: String,
}

/// What each app is answered. The key list may be replaced while we run. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Catalogue {
    issuer: Arc<str>,
    apps: Arc<Vec<(String, Vec<ProviderOption>)>>,
    pages: Arc<RwLock<HashMap<String, Page>>>,
    key_list: Arc<RwLock<String>>,
}

impl Catalogue {
    /// The apps and their buttons, in order.
    pub fn new(
        issuer: &str,
        apps: Vec<(String, Vec<ProviderOption>)>,
        key_list: &str,
    ) -> Result<Self, Problem> {
        let catalogue = Self {
            issuer: issuer.into(),
            apps: Arc::new(apps),
            pages: Arc::default(),
            key_list: Arc::default(),
        };
        catalogue.replace_key_list(key_list)?;
        Ok(catalogue)
    }

    /// From now on every app gets this key list.
    pub fn replace_key_list(&self, key_list: &str) -> Result<(), Problem> {
        let mut pages = HashMap::new();
        for (app_id, providers) in self.apps.iter() {
            let page = self.page_with(app_id, providers.clone(), key_list)?;
            pages.insert(app_id.clone(), page);
        }
        key_list.clone_into(
            &mut self
                .key_list
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        );
        *self.pages.write().unwrap_or_else(PoisonError::into_inner) = pages;
        Ok(())
    }

    fn page_with(
        &self,
        app_id: &str,
        providers: Vec<ProviderOption>,
        key_list: &str,
    ) -> Result<Page, Problem> {
        let options = LoginOptions {
            app_id: app_id.to_owned(),
            issuer: self.issuer.to_string(),
            providers,
            key_list: key_list.to_owned(),
        };
        let body = serde_json::to_vec(&options).map_err(Problem::internal)?;
        let tag = postern_server_security::base64url::encode(digest(&SHA256, &body));
        Ok(Page {
            etag: format!("\"{}\"", &tag[..22]),
            body: body.into(),
        })
    }

    /// The providers of an app, in the order of the buttons; `None` where there is no such app.
    pub fn providers(&self, app_id: &str) -> Option<Vec<&str>> {
        let (_, providers) = self.apps.iter().find(|(known, _)| known == app_id)?;
        Some(providers.iter().map(|one| one.provider.as_str()).collect())
    }

    /// All apps and their providers.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.apps.iter().flat_map(|(app_id, providers)| {
            providers
                .iter()
                .map(move |one| (app_id.as_str(), one.provider.as_str()))
        })
    }

    /// What this app is answered where only some of its providers are offered (L12).
    pub fn narrowed(&self, app_id: &str, offered: &[String]) -> Result<Option<Page>, Problem> {
        let Some((_, providers)) = self.apps.iter().find(|(known, _)| known == app_id) else {
            return Ok(None);
        };
        let shown: Vec<ProviderOption> = providers
            .iter()
            .filter(|one| offered.contains(&one.provider))
            .cloned()
            .collect();
        if shown.len() == providers.len() {
            return Ok(self.page(app_id));
        }
        let key_list = self
            .key_list
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        self.page_with(app_id, shown, &key_list).map(Some)
    }

    /// What this app is answered.
    pub fn page(&self, app_id: &str) -> Option<Page> {
        self.pages
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(app_id)
            .cloned()
    }
}

impl Page {
    /// Whether `If-None-Match` names this page (RFC 9110 section 13.1.2: compared weakly, `*` is any).
    pub fn is_named_by(&self, if_none_match: &str) -> bool {
        if_none_match
            .split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_entity_tag_changes_with_the_key_list_and_is_compared_weakly() {
        let catalogue = Catalogue::new(
            "https://login.bank.example",
            vec![("bank-android".to_owned(), Vec::new())],
            "list-1",
        )
        .unwrap();
        let first = catalogue.page("bank-android").unwrap();
        assert!(catalogue.page("bank-ios").is_none());
        catalogue.replace_key_list("list-2").unwrap();
        let second = catalogue.page("bank-android").unwrap();
        assert_ne!(first.etag, second.etag);
        assert!(second.is_named_by(&second.etag));
        assert!(second.is_named_by(&format!("\"x\", W/{}", second.etag)));
        assert!(second.is_named_by("*"));
        assert!(!second.is_named_by(&first.etag));
    }
}
