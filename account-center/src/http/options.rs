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
        };
        catalogue.replace_key_list(key_list)?;
        Ok(catalogue)
    }

    /// From now on every app gets this key list.
    pub fn replace_key_list(&self, key_list: &str) -> Result<(), Problem> {
        let mut pages = HashMap::new();
        for (app_id, providers) in self.apps.iter() {
            let options = LoginOptions {
                app_id: app_id.clone(),
                issuer: self.issuer.to_string(),
                providers: providers.clone(),
                key_list: key_list.to_owned(),
            };
            let body = serde_json::to_vec(&options).map_err(Problem::internal)?;
            let tag = postern_server_security::base64url::encode(digest(&SHA256, &body));
            pages.insert(
                app_id.clone(),
                Page {
                    etag: format!("\"{}\"", &tag[..22]),
                    body: body.into(),
                },
            );
        }
        *self.pages.write().unwrap_or_else(PoisonError::into_inner) = pages;
        Ok(())
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
