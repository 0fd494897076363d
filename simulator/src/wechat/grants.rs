//! What WeChat remembers: codes, and the tokens they were exchanged for. Pure: time and random names are arguments.

use std::collections::HashMap;

use super::{App, Scope, WeChatError};

/// A code's life, in seconds.
const CODE_SECONDS: u64 = 5 * 60;
/// An access token's life, in seconds.
pub(super) const ACCESS_SECONDS: u64 = 7200;
/// A refresh token's life, in seconds: 30 days (the documents disagree; the other says 180).
const REFRESH_SECONDS: u64 = 30 * 24 * 3600;
/// How long a dead code is told from an unknown one, in seconds.
const MEMORY_SECONDS: u64 = 24 * 3600;
/// An access token has this beginning and this length; anything else is malformed (40014).
const ACCESS_PREFIX: &str = "90_";
const ACCESS_LENGTH: usize = 3 + 43;

struct Code {
    app: &'static App,
    wechat_person: String,
    scope: Scope,
    expires_at: u64,
    used: bool,
}

/// What a person let an app see, and the tokens for it.
#[derive(Clone)]
pub(super) struct Grant {
    pub(super) app: &'static App,
    pub(super) wechat_person: String,
    pub(super) scope: Scope,
    pub(super) access_token: String,
    pub(super) refresh_token: String,
    access_expires_at: u64,
    refresh_expires_at: u64,
}

/// Random names for new tokens.
pub(super) struct Names {
    access_token: String,
    refresh_token: String,
}

impl Names {
    /// Two texts of 43 characters each.
    pub(super) fn new(access: &str, refresh: &str) -> Self {
        Self {
            access_token: format!("{ACCESS_PREFIX}{access}"),
            refresh_token: format!("{ACCESS_PREFIX}{refresh}"),
        }
    }
}

/// Codes and grants.
#[derive(Default)]
pub(crate) struct WeChat {
    codes: HashMap<String, Code>,
    /// By refresh token, which lives longest.
    grants: HashMap<String, Grant>,
    /// From the present access token to the refresh token.
    access: HashMap<String, String>,
    next_sweep: u64,
}

impl WeChat {
    /// Notes a code that a person's consent gave.
    pub(super) fn add_code(
        &mut self,
        code: String,
        app: &'static App,
        wechat_person: &str,
        scope: Scope,
        now: u64,
    ) {
        self.sweep(now);
        self.codes.insert(
            code,
            Code {
                app,
                wechat_person: wechat_person.to_owned(),
                scope,
                expires_at: now + CODE_SECONDS,
                used: false,
            },
        );
    }

    /// Every code given so far expires now.
    pub(crate) fn expire_codes(&mut self) {
        for code in self.codes.values_mut() {
            code.expires_at = 0;
        }
    }

    /// Takes a code, once, for the app that asked for it: who agreed, and to what. A failed attempt uses nothing up.
    pub(super) fn take_code(
        &mut self,
        app: &'static App,
        code: &str,
        now: u64,
    ) -> Result<(String, Scope), WeChatError> {
        let code = self
            .codes
            .get_mut(code)
            .filter(|code| code.app.appid == app.appid)
            .ok_or_else(|| WeChatError::new(40029, "invalid code"))?;
        if code.used {
            return Err(WeChatError::new(40163, "code been used"));
        }
        if now >= code.expires_at {
            return Err(WeChatError::new(42003, "code expired"));
        }
        code.used = true;
        Ok((code.wechat_person.clone(), code.scope))
    }

    /// Turns a code into tokens.
    pub(super) fn exchange(
        &mut self,
        app: &'static App,
        code: &str,
        names: Names,
        now: u64,
    ) -> Result<Grant, WeChatError> {
        let (wechat_person, scope) = self.take_code(app, code, now)?;
        let grant = Grant {
            app,
            wechat_person,
            scope,
            access_token: names.access_token,
            refresh_token: names.refresh_token,
            access_expires_at: now + ACCESS_SECONDS,
            refresh_expires_at: now + REFRESH_SECONDS,
        };
        self.access
            .insert(grant.access_token.clone(), grant.refresh_token.clone());
        self.grants
            .insert(grant.refresh_token.clone(), grant.clone());
        Ok(grant)
    }

    /// A valid access token is kept and prolonged, an expired one replaced. The refresh token stays and its life is not prolonged.
    pub(super) fn refresh(
        &mut self,
        app: &'static App,
        refresh_token: &str,
        names: Names,
        now: u64,
    ) -> Result<Grant, WeChatError> {
        let grant = self
            .grants
            .get_mut(refresh_token)
            .filter(|grant| grant.app.appid == app.appid)
            .ok_or_else(|| WeChatError::new(40030, "invalid refresh_token"))?;
        if now >= grant.refresh_expires_at {
            return Err(WeChatError::new(42002, "refresh_token expired"));
        }
        if now >= grant.access_expires_at {
            self.access.remove(&grant.access_token);
            grant.access_token = names.access_token;
            self.access
                .insert(grant.access_token.clone(), grant.refresh_token.clone());
        }
        grant.access_expires_at = now + ACCESS_SECONDS;
        Ok(grant.clone())
    }

    /// The grant of a good access token.
    pub(super) fn granted(&self, access_token: &str, now: u64) -> Result<&Grant, WeChatError> {
        if access_token.len() != ACCESS_LENGTH || !access_token.starts_with(ACCESS_PREFIX) {
            return Err(WeChatError::new(40014, "invalid access_token"));
        }
        let grant = self
            .access
            .get(access_token)
            .and_then(|refresh_token| self.grants.get(refresh_token))
            .ok_or_else(|| {
                WeChatError::new(
                    40001,
                    "invalid credential, access_token is invalid or not latest",
                )
            })?;
        if now >= grant.access_expires_at {
            return Err(WeChatError::new(42001, "access_token expired"));
        }
        Ok(grant)
    }

    /// Forgets what died long ago, now and then, so that a long run does not grow without end.
    fn sweep(&mut self, now: u64) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + MEMORY_SECONDS / 24;
        self.codes
            .retain(|_, code| code.expires_at == 0 || code.expires_at + MEMORY_SECONDS > now);
        self.grants
            .retain(|_, grant| grant.refresh_expires_at + MEMORY_SECONDS > now);
        let grants = &self.grants;
        self.access
            .retain(|_, refresh_token| grants.contains_key(refresh_token));
    }
}
