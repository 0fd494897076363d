//! What somebody who is logged in does with their account (`contract/account.md`): see and remove bindings (L8, U5), prove who they are (L9), bind a provider
//! (L9, U3), change the phone number (U4).
//!
//! | file | what it is |
//! |---|---|
//! | `wire` | what goes over the wire |
//! | `policy` | texts and times that the bank decides |
//! | `unbinding` | U5 as a pure function |
//! | `bindings` `binding` | the list, and taking one away; adding one |
//! | `operation` `stage` | a change in several steps: its handle, and where it stands |
//! | `verifying` `codes` | passwords, cards, faces and SMS codes within an operation |
//! | `proof` | who holds the session proves who they are |
//! | `phone_change` | another number, or the first |
//! | `questions` `evidence` `appeals` `recovery` | recycled and lost phones (U6): security questions, appeals that a person decides, what an approval allows |

mod appeals;
mod binding;
mod bindings;
mod codes;
mod data;
pub mod evidence;
mod operation;
mod phone_change;
pub mod policy;
mod proof;
pub mod questions;
mod recovery;
mod stage;
pub mod unbinding;
mod verifying;
pub mod wire;
pub mod wire_appeals;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::context::Timestamp;
use crate::identity::Changes;
use crate::login::{self, Engine};
use crate::notices::Notices;
use crate::ports::CustomerNotifier;
use crate::problem::{Code, Problem};
use crate::sessions::Holder;
use crate::store::Tx;
use crate::store::accounts::{self, AccountRow};
use crate::store::bindings as binding_rows;
use crate::store::sessions::Row;

pub use appeals::Decision;
pub use policy::AccountPolicy;

/// How long a proof of the person is fresh (L9), and a login at a provider (U5).
pub const FRESH: Duration = Duration::from_mins(5);

/// Performs the operations. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    inner: Arc<Inner>,
}

struct Inner {
    login: Engine,
    notices: Notices,
    policy: AccountPolicy,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accounts")
    }
}

/// The holder's account, held until the transaction ends, and the session that the call came with.
pub(crate) struct Held {
    pub(crate) session: Row,
    pub(crate) account: AccountRow,
}

impl Accounts {
    /// Works with the parts of the logins; customers are told through `notifier`.
    pub fn new(login: Engine, notifier: Arc<dyn CustomerNotifier>, policy: AccountPolicy) -> Self {
        let parts = &login.parts;
        let notices = Notices::new(
            parts.store.clone(),
            Arc::clone(&parts.keys),
            parts.context.clone(),
            notifier,
        );
        Self {
            inner: Arc::new(Inner {
                login,
                notices,
                policy,
            }),
        }
    }

    /// What customers have yet to be told.
    pub fn notices(&self) -> &Notices {
        &self.inner.notices
    }

    fn parts(&self) -> &login::Parts {
        &self.inner.login.parts
    }

    fn now(&self) -> Timestamp {
        self.parts().context.now()
    }

    fn changes(&self) -> Changes<'_> {
        Changes::now(&self.parts().keys, &self.parts().context)
    }

    /// The session and its account, for reading.
    async fn read_holder(&self, tx: &mut Tx, holder: &Holder) -> Result<Held, Problem> {
        // A guest has no account to do anything with (W6, J6): `live` answers that too.
        let session = self.parts().sessions.live(tx, holder).await?;
        let account = accounts::account(tx, &session.user_id)
            .await?
            .ok_or_else(|| Problem::new(Code::SessionEnded))?;
        Ok(Held { session, account })
    }

    /// The session and its account, which is held until the transaction ends: changes of one account are decided one after the other.
    async fn hold_holder(&self, tx: &mut Tx, holder: &Holder) -> Result<Held, Problem> {
        binding_rows::hold_account(tx, &holder.user_id).await?;
        self.read_holder(tx, holder).await
    }
}
