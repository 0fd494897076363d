//! The list of bindings with its history, and taking one away: at once, without a further check beyond U5 (L8).

use serde_json::json;

use super::unbinding::{Facts, Verdict, judge};
use super::wire::{BindingEntry, BindingList, HistoryEntry, Unbound};
use super::{Accounts, FRESH, Held};
use crate::http::Call;
use crate::http::reply::Reply;
use crate::notices::{self, Recipient};
use crate::ports::NoticeKind;
use crate::problem::{Code, Problem};
use crate::sessions::Holder;
use crate::store::accounts::BindingRow;
use crate::store::{StoreError, Tx, accounts, bindings as rows, sessions};

/// Entries of the history that are shown.
const HISTORY: i64 = 200;

impl Accounts {
    /// `GET /v1/account/bindings`
    pub async fn bindings(&self, holder: &Holder) -> Result<Reply, Problem> {
        let (accounts, holder) = (self.clone(), holder.clone());
        let list = self
            .parts()
            .store
            .read(move |tx| {
                let (accounts, holder) = (accounts.clone(), holder.clone());
                Box::pin(async move {
                    let held = accounts.read_holder(tx, &holder).await?;
                    Ok::<_, Problem>(list(tx, &held.account.user_id).await?)
                })
            })
            .await?;
        Reply::json(&list)
    }

    /// `DELETE /v1/account/bindings/{provider}`: every binding of the provider, at once (L8).
    pub async fn unbind(
        &self,
        call: &Call,
        holder: &Holder,
        provider: &str,
    ) -> Result<Reply, Problem> {
        let (accounts, call) = (self.clone(), call.clone());
        let (holder, provider) = (holder.clone(), provider.to_owned());
        let reply = self
            .parts()
            .store
            .write(move |tx| {
                let (accounts, call) = (accounts.clone(), call.clone());
                let (holder, provider) = (holder.clone(), provider.clone());
                Box::pin(async move {
                    let held = accounts.hold_holder(tx, &holder).await?;
                    let unbound = accounts.take_away(tx, &held, &provider).await?;
                    let reply = Reply::json(&unbound)?;
                    call.ticket.finish(tx, &reply).await?;
                    Ok::<_, Problem>(reply)
                })
            })
            .await?;
        self.notices().wake();
        Ok(reply)
    }

    /// Judges by U5 and unbinds, in one transaction that holds the account.
    async fn take_away(
        &self,
        tx: &mut Tx,
        held: &Held,
        provider: &str,
    ) -> Result<Unbound, Problem> {
        let user_id = &held.account.user_id;
        let all = accounts::bindings(tx, user_id).await?;
        let bound: Vec<&str> = all.iter().map(|row| row.provider.as_str()).collect();
        let facts = Facts {
            bound: &bound,
            has_phone: rows::has_phone(tx, user_id).await?,
            fresh_login_there: self.logged_in_there(tx, held, provider).await?,
        };
        match judge(provider, facts) {
            Verdict::Allowed => {}
            Verdict::Unknown => return Err(Problem::new(Code::BindingUnknown)),
            Verdict::ProviderLoginFirst => return Err(Problem::new(Code::ProviderLoginRequired)),
            Verdict::PhoneFirst => return Err(Problem::new(Code::PhoneRequired)),
        }
        let to = Recipient::holder(tx, &self.parts().keys, user_id).await?;
        let changes = self.changes();
        let ended =
            sessions::end_of(tx, user_id, Some(provider), "provider_unbound", changes.at).await?;
        for binding in all.iter().filter(|row| row.provider == provider) {
            self.remove(tx, binding, &ended).await?;
        }
        if let Some(to) = to {
            let parts = self.parts();
            notices::record(
                tx,
                &parts.keys,
                &parts.context,
                &to,
                NoticeKind::BindingRemoved,
                Some(provider),
            )
            .await?;
        }
        Ok(Unbound {
            provider: provider.to_owned(),
            hint: self.inner.policy.unbind_hint(provider).clone(),
            session_ended: ended.contains(&held.session.session_id),
            sessions_ended: ended.len(),
        })
    }

    /// Binding and open ids go, the history stays; business lines learn which sessions ended with it.
    async fn remove(
        &self,
        tx: &mut Tx,
        binding: &BindingRow,
        ended: &[String],
    ) -> Result<(), StoreError> {
        let changes = self.changes();
        rows::delete(tx, &binding.binding_id).await?;
        changes.keep_history(tx, binding, "unbound").await?;
        changes
            .announce(
                tx,
                &binding.user_id,
                "binding.removed",
                json!({"provider": binding.provider, "platform": binding.platform, "sessions_ended": ended}),
            )
            .await
    }

    /// U5: the session began with this provider just now, or its holder has logged in there since.
    async fn logged_in_there(
        &self,
        tx: &mut Tx,
        held: &Held,
        provider: &str,
    ) -> Result<bool, StoreError> {
        let since = self.now().minus(FRESH);
        let session = &held.session;
        if session.began_with == provider && session.auth_time > since {
            return Ok(true);
        }
        Ok(rows::provider_proved_at(tx, &session.session_id, provider)
            .await?
            .is_some_and(|at| at > since))
    }
}

async fn list(tx: &mut Tx, user_id: &str) -> Result<BindingList, StoreError> {
    let bindings = accounts::bindings(tx, user_id)
        .await?
        .into_iter()
        .enumerate()
        .map(|(index, row)| BindingEntry {
            provider: row.provider,
            bound_at: row.bound_at.seconds(),
            earliest: index == 0,
        })
        .collect();
    let history = rows::history(tx, user_id, HISTORY)
        .await?
        .into_iter()
        .map(|row| HistoryEntry {
            provider: row.provider,
            action: row.action,
            at: row.at.seconds(),
        })
        .collect();
    Ok(BindingList { bindings, history })
}
