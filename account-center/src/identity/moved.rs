//! M5: the provider names a bound person anew, because an app moved to another open-platform account or because the provider changed the name. The account stays
//! the same, and what happened has a record of its own.

use serde_json::json;

use super::{Changes, KnownIdentity};
use crate::store::accounts::{self, BindingRow, SubjectChange};
use crate::store::{StoreError, Tx};

impl Changes<'_> {
    /// Keeps a binding that an identity was found by (W4, W5) up to what the provider says now: links a new open id, takes a new subject over, clears the mark of
    /// a withdrawn authorization. `login_ref` names the login by which it was seen.
    pub async fn follow(
        &self,
        tx: &mut Tx,
        identity: &KnownIdentity,
        found: &BindingRow,
        login_ref: &str,
    ) -> Result<(), StoreError> {
        let mut binding = found.clone();
        if binding.platform != identity.platform || binding.subject != identity.subject {
            binding = self.rename(tx, identity, &binding, login_ref).await?;
        }
        self.link(tx, identity, &binding.binding_id).await?;
        if binding.revoked_at.is_some() {
            accounts::set_revoked(tx, &binding.binding_id, None).await?;
            self.keep_history(tx, &binding, "provider_restored").await?;
            self.announce(
                tx,
                &binding.user_id,
                "binding.restored",
                json!({"provider": binding.provider, "platform": binding.platform}),
            )
            .await?;
        }
        Ok(())
    }

    /// Takes another platform and subject over; gives the binding that the identity belongs to from now on.
    async fn rename(
        &self,
        tx: &mut Tx,
        identity: &KnownIdentity,
        old: &BindingRow,
        login_ref: &str,
    ) -> Result<BindingRow, StoreError> {
        let KnownIdentity {
            provider,
            platform,
            app_id,
            subject,
            ..
        } = identity;
        let there = match accounts::binding_of_subject(tx, provider, platform, subject).await? {
            Some(there) if there.user_id == old.user_id => Some(there),
            Some(_) => {
                // The same person has two accounts by now. Which of them the open id opens does not change, and no two accounts are made one (W3).
                tracing::warn!(
                    provider,
                    "an open id's new subject is bound to another account"
                );
                return Ok(old.clone());
            }
            None => None,
        };
        let elsewhere = accounts::has_open_id_elsewhere(tx, &old.binding_id, app_id).await?;
        let new = match there {
            // Another app of the bank moved before this one: its binding serves both.
            Some(there) => there,
            None if platform != &old.platform
                && accounts::binding_on(tx, provider, platform, &old.user_id)
                    .await?
                    .is_some() =>
            {
                // W3: the account has another subject there.
                tracing::warn!(
                    provider,
                    "the account has another subject on the platform that an app moved to"
                );
                return Ok(old.clone());
            }
            // The app moved, and others have not yet: those know the person by the old subject.
            None if platform != &old.platform && elsewhere => {
                let new = BindingRow {
                    binding_id: self.context.uuid(),
                    platform: platform.clone(),
                    subject: subject.clone(),
                    ..old.clone()
                };
                accounts::insert_binding(tx, &new).await?;
                new
            }
            None => {
                accounts::set_subject(tx, &old.binding_id, platform, subject).await?;
                BindingRow {
                    platform: platform.clone(),
                    subject: subject.clone(),
                    ..old.clone()
                }
            }
        };
        if new.binding_id != old.binding_id {
            accounts::move_open_ids(tx, &old.binding_id, &new.binding_id, app_id).await?;
            if !elsewhere {
                // The last app has moved: whoever is given the old subject one day is somebody else.
                accounts::delete_binding(tx, &old.binding_id).await?;
            }
        }
        let moved = platform != &old.platform;
        self.keep_history(tx, &new, if moved { "moved" } else { "renamed" })
            .await?;
        let change = SubjectChange {
            change_id: &self.context.uuid(),
            old,
            new: &new,
            app_id,
            login_ref,
            at: self.at,
        };
        accounts::insert_subject_change(tx, &change).await?;
        if moved {
            self.announce(
                tx,
                &new.user_id,
                "binding.moved",
                json!({"provider": provider, "from_platform": old.platform, "platform": platform}),
            )
            .await?;
        }
        Ok(new)
    }
}
