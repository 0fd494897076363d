//! What the law gives people over their data (PIPL, articles 45 and 47): see all of it, and have it erased. Both want a proof of the person that is fresh (L9): an
//! unlocked phone must neither tell everything nor end everything.

use serde_json::{Map, Value, json};

use super::wire::{Closed, PersonalData};
use super::{Accounts, Held};
use crate::http::Call;
use crate::http::reply::Reply;
use crate::identity::phone_of;
use crate::problem::{Code, Problem};
use crate::sessions::Holder;
use crate::store::{Tx, operations, personal, sessions};

impl Accounts {
    /// `GET /v1/account/data`
    pub async fn data(&self, holder: &Holder) -> Result<Reply, Problem> {
        let (accounts, holder) = (self.clone(), holder.clone());
        let data = self
            .parts()
            .store
            .read(move |tx| {
                let (accounts, holder) = (accounts.clone(), holder.clone());
                Box::pin(async move {
                    let held = accounts.read_holder(tx, &holder).await?;
                    accounts.wants_fresh_proof(tx, &held).await?;
                    accounts.all_of(tx, &held.account.user_id).await
                })
            })
            .await?;
        Reply::json(&PersonalData {
            exported_at: self.now().seconds(),
            data,
        })
    }

    async fn all_of(&self, tx: &mut Tx, user_id: &str) -> Result<Map<String, Value>, Problem> {
        let mut data = personal::export(tx, user_id).await?;
        // The number is kept sealed, so the table cannot tell it.
        if let Some(number) = phone_of(tx, &self.parts().keys, user_id).await?
            && let Some(phone) = data.get_mut("phones").and_then(|phones| phones.get_mut(0))
        {
            phone["number"] = json!(number.as_str());
        }
        Ok(data)
    }

    /// `DELETE /v1/account`: everything that can be erased is, in one transaction; all sessions end; business lines are told.
    pub async fn close(&self, call: &Call, holder: &Holder) -> Result<Reply, Problem> {
        let (accounts, call, holder) = (self.clone(), call.clone(), holder.clone());
        self.parts()
            .store
            .write(move |tx| {
                let (accounts, call) = (accounts.clone(), call.clone());
                let holder = holder.clone();
                Box::pin(async move {
                    let held = accounts.hold_holder(tx, &holder).await?;
                    accounts.wants_fresh_proof(tx, &held).await?;
                    let closed = accounts.erase(tx, &held).await?;
                    let reply = Reply::json(&closed)?;
                    call.ticket.finish(tx, &reply).await?;
                    Ok::<_, Problem>(reply)
                })
            })
            .await
    }

    async fn erase(&self, tx: &mut Tx, held: &Held) -> Result<Closed, Problem> {
        let user_id = &held.account.user_id;
        let changes = self.changes();
        let ended = sessions::end_of(tx, user_id, None, "account_closed", changes.at).await?;
        changes
            .announce(
                tx,
                user_id,
                "account.closed",
                json!({"sessions_ended": ended}),
            )
            .await?;
        operations::keep_history(
            tx,
            &changes.context.uuid(),
            user_id,
            "closed",
            Some(&held.session.session_id),
            changes.at,
        )
        .await?;
        personal::erase(tx, user_id, changes.at).await?;
        Ok(Closed {
            closed_at: changes.at.seconds(),
            sessions_ended: ended.len(),
        })
    }

    async fn wants_fresh_proof(&self, tx: &mut Tx, held: &Held) -> Result<(), Problem> {
        if self.is_fresh(tx, &held.session.session_id).await? {
            Ok(())
        } else {
            Err(Problem::new(Code::ReauthenticationRequired))
        }
    }
}
