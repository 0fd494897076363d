//! `POST /v1/account/bindings`: binds a provider to the account of somebody who is logged in (L9, U3, W3).

use super::Accounts;
use super::wire::{BindingEntry, Bound};
use crate::http::Call;
use crate::http::reply::Reply;
use crate::identity::{self, KnownIdentity, Owner};
use crate::login::wire::ProviderStart;
use crate::notices::{self, Recipient};
use crate::ports::NoticeKind;
use crate::problem::{Code, Problem};
use crate::sessions::Holder;
use crate::store::accounts::{self, BindingRow};
use crate::store::{StoreError, Tx};

impl Accounts {
    /// The exchange happens with no transaction open; who has the identity is looked at in the one that writes, and constraints have the last word (W7).
    pub async fn bind(
        &self,
        call: &Call,
        holder: &Holder,
        start: ProviderStart,
    ) -> Result<Reply, Problem> {
        let app_id = self.app_of(holder, true).await?;
        let vouched = self
            .inner
            .login
            .vouched(call, &app_id, start, "/provider")
            .await?;
        let (accounts, call, holder) = (self.clone(), call.clone(), holder.clone());
        let brought = vouched.clone();
        let result = self
            .parts()
            .store
            .write(move |tx| {
                let (accounts, call, holder) = (accounts.clone(), call.clone(), holder.clone());
                let brought = brought.clone();
                Box::pin(async move {
                    let held = accounts.hold_holder(tx, &holder).await?;
                    brought.spend(tx, accounts.now()).await?;
                    let user_id = &held.account.user_id;
                    let reply = match accounts.attach(tx, user_id, &brought.identity).await? {
                        Ok(bound) => Reply::json(&bound)?,
                        // The credential is spent all the same.
                        Err(code) => Reply::problem(&Problem::new(code), &call.request_id),
                    };
                    call.ticket.finish(tx, &reply).await?;
                    Ok::<_, Problem>(reply)
                })
            })
            .await;
        self.notices().wake();
        self.settle(result, vouched).await
    }

    /// U3: an identity of another account stays there. W3: one identity of a provider for an account.
    async fn attach(
        &self,
        tx: &mut Tx,
        user_id: &str,
        identity: &KnownIdentity,
    ) -> Result<Result<Bound, Code>, StoreError> {
        let changes = self.changes();
        match identity::owner(tx, identity).await? {
            Owner::Account(binding) if binding.user_id == user_id => {
                changes.link(tx, identity, &binding.binding_id).await?;
                return Ok(Ok(self.bound(tx, user_id, &binding, false).await?));
            }
            Owner::Account(_) | Owner::Contested(_) => {
                return Ok(Err(Code::IdentityBoundElsewhere));
            }
            Owner::Nobody => {}
        }
        let taken = accounts::bindings(tx, user_id)
            .await?
            .iter()
            .any(|row| row.provider == identity.provider && row.platform == identity.platform);
        if taken {
            return Ok(Err(Code::ProviderAlreadyBound));
        }
        changes.bind(tx, identity, user_id).await?;
        let parts = self.parts();
        if let Some(to) = Recipient::holder(tx, &parts.keys, user_id).await? {
            let (kind, provider) = (NoticeKind::BindingAdded, Some(&*identity.provider));
            notices::record(tx, &parts.keys, &parts.context, &to, kind, provider).await?;
        }
        match identity::owner(tx, identity).await? {
            Owner::Account(binding) => Ok(Ok(self.bound(tx, user_id, &binding, true).await?)),
            Owner::Nobody | Owner::Contested(_) => {
                Err(StoreError::Corrupt("a binding that was just made is gone"))
            }
        }
    }

    async fn bound(
        &self,
        tx: &mut Tx,
        user_id: &str,
        binding: &BindingRow,
        added: bool,
    ) -> Result<Bound, StoreError> {
        let earliest = accounts::bindings(tx, user_id)
            .await?
            .first()
            .is_some_and(|first| first.binding_id == binding.binding_id);
        Ok(Bound {
            binding: BindingEntry {
                provider: binding.provider.clone(),
                bound_at: binding.bound_at.seconds(),
                earliest,
            },
            added,
        })
    }
}
