//! `POST /v1/guests`.

use postern_server_security::access_token::Acr;

use super::wire::GuestRequest;
use super::{At, Guests, Successor};
use crate::http::Call;
use crate::http::reply::Reply;
use crate::login::Engine;
use crate::login::silent::Asked;
use crate::problem::{Code, Problem};
use crate::store::Tx;
use crate::store::events::{self, FlowEventRow};
use crate::store::guests;
use crate::store::limits::{self, Taken};

/// What such sessions begin with, and what their events are of.
const GUEST: &str = "guest";

struct Entry {
    engine: Engine,
    call: Call,
    app_id: String,
    consent_version: String,
    asked: Option<Asked>,
}

impl Engine {
    /// W6: gives the device key its virtual user id, after consent. Where the provider's answer names somebody who is known (W4), that account is identified instead:
    /// real beats virtual.
    pub async fn guest(&self, call: &Call, request: GuestRequest) -> Result<Reply, Problem> {
        let GuestRequest {
            app_id,
            consent,
            provider,
        } = request;
        if !self.parts.registry.knows(&app_id) {
            return Err(Problem::new(Code::AppUnknown).pointer("/app_id"));
        }
        let needed = &self.parts.policy.privacy_notice;
        let consent_version = consent
            .map(|consent| consent.version)
            .filter(|version| needed.as_ref().is_none_or(|needed| needed == version))
            .ok_or_else(|| {
                let problem = Problem::new(Code::ConsentRequired).pointer("/consent/version");
                match needed {
                    Some(needed) => problem.detail(format!("the notice is of version {needed}")),
                    None => problem,
                }
            })?;
        let asked = match provider {
            Some(start) => Some(self.ask(call, &app_id, start, "/provider/provider").await?),
            None => None,
        };
        let entry = std::sync::Arc::new(Entry {
            engine: self.clone(),
            call: call.clone(),
            app_id,
            consent_version,
            asked,
        });
        self.parts
            .store
            .write(move |tx| {
                let entry = entry.clone();
                Box::pin(async move { entry.run(tx).await })
            })
            .await
    }
}

impl Entry {
    async fn run(&self, tx: &mut Tx) -> Result<Reply, Problem> {
        let parts = &self.engine.parts;
        let now = parts.context.now();
        let at = At {
            app_id: &self.app_id,
            device_key: self.call.device_key.as_str(),
        };
        if guests::somebody_logged_in(tx, at.app_id, at.device_key, now).await? {
            return Err(Problem::new(Code::Conflict)
                .detail("somebody is logged in on this device: real beats virtual"));
        }
        let rules = Guests::now(&parts.keys, &parts.context);
        let mut cookie = None;
        if let Some(asked) = &self.asked {
            asked.spend(tx, &self.engine).await?;
            let identity = &asked.identity;
            let name = rules.cookie(&identity.provider, &identity.app_id, &identity.open_id);
            let reference = self.engine.new_reference();
            let known = self
                .engine
                .known_by(tx, identity.clone(), &reference)
                .await?;
            if let Some((identity, user_id)) = known {
                return self
                    .identified(tx, &at, &rules, &identity, &name, user_id)
                    .await;
            }
            cookie = Some(name);
        }
        let entered = rules
            .of(tx, &at, &self.consent_version, cookie.as_deref())
            .await?;
        if entered.made {
            self.count(tx).await?;
        }
        self.record(tx, GUEST, if entered.made { "guest_made" } else { "guest" })
            .await?;
        // Its device holds one session at a time.
        guests::end_sessions(tx, &entered.user_id, Some(at.device_key), "renewed", now).await?;
        self.finish(tx, entered.user_id, GUEST, Acr::Guest).await
    }

    /// The device key's guest was known by this very open id, so it was the same person: it becomes the account. Any other guest stays until it is brought.
    async fn identified(
        &self,
        tx: &mut Tx,
        at: &At<'_>,
        rules: &Guests<'_>,
        identity: &crate::identity::KnownIdentity,
        cookie: &str,
        user_id: String,
    ) -> Result<Reply, Problem> {
        let own = guests::of_device(tx, at.app_id, at.device_key).await?;
        if let Some(own) = own
            && guests::of_cookie(tx, cookie).await?.as_ref() == Some(&own)
        {
            rules
                .replace(tx, &own.user_id, Successor::Real(&user_id))
                .await?;
        }
        rules
            .logged_in(tx, at, Some(identity), &user_id, false)
            .await?;
        self.record(tx, &identity.provider, "identified_silently")
            .await?;
        self.finish(tx, user_id, &identity.provider, Acr::Identified)
            .await
    }

    async fn finish(
        &self,
        tx: &mut Tx,
        user_id: String,
        began_with: &str,
        acr: Acr,
    ) -> Result<Reply, Problem> {
        let reply = self
            .engine
            .open_weak(tx, &self.call, &self.app_id, user_id, began_with, acr)
            .await?;
        self.call.ticket.finish(tx, &reply).await?;
        Ok(reply)
    }

    /// Guests cost a row each: an address makes so many in a while.
    async fn count(&self, tx: &mut Tx) -> Result<(), Problem> {
        let parts = &self.engine.parts;
        let now = parts.context.now();
        for (index, limit) in parts.policy.guests_per_address.iter().enumerate() {
            let bucket = self
                .engine
                .address_bucket("guests", index, self.call.address);
            if let Taken::UsedUp(until) = limits::take(tx, &bucket, *limit, now).await? {
                return Err(
                    Problem::new(Code::RateLimited).retry_after(now.seconds_until(until).max(1))
                );
            }
        }
        Ok(())
    }

    async fn record(&self, tx: &mut Tx, provider: &str, kind: &str) -> Result<(), Problem> {
        let parts = &self.engine.parts;
        let event = FlowEventRow {
            event_id: &parts.context.uuid(),
            login_ref: &self.engine.new_reference(),
            app_id: &self.app_id,
            provider,
            kind,
            at: parts.context.now(),
        };
        Ok(events::record(tx, &event).await?)
    }
}
