//! The admin API's own side: operators, their sessions, what they may do, and the audit log (contract/admin.md).
//!
//! | file | what it is |
//! |---|---|
//! | `permissions` | roles and what they may do: one table |
//! | `login` | name, password, second factor; sessions |
//! | `operators` | made, changed, shut out; set-up secrets |
//! | `totp` | RFC 6238 |
//! | `audit` | the chained log |

pub mod audit;
mod login;
mod operators;
mod permissions;
mod totp;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::context::Context;
use crate::hashing::Hashing;
use crate::keys::{Keys, Purpose};
use crate::problem::{Code, Problem};
use crate::store::limits::Limit;
use crate::store::{Store, Tx, admin as rows};

pub use audit::Change;
pub use login::{SessionView, SetUp, SetUpDone, SignIn, SignedIn};
pub use operators::{OperatorChange, OperatorView};
pub use permissions::{Permission, Role};

/// A session ends after so long, whatever happens.
pub const SESSION: Duration = Duration::from_hours(8);
/// And after so long without a request.
pub const IDLE: Duration = Duration::from_mins(15);
/// How exactly the last use is kept: less writing, and a session may end so much early.
const TOUCH: Duration = Duration::from_secs(30);
/// A set-up secret serves so long.
const SET_UP: Duration = Duration::from_hours(24);
/// Wrong passwords for one name.
const PER_NAME: Limit = Limit {
    count: 5,
    window: Duration::from_mins(15),
};
/// Wrong passwords from one address.
const PER_ADDRESS: Limit = Limit {
    count: 30,
    window: Duration::from_mins(15),
};

/// Operators and their sessions. Cheap to clone.
#[derive(Clone)]
pub struct Admins {
    inner: Arc<Parts>,
}

/// What it works with.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// Keys derived from the server secret.
    pub keys: Arc<Keys>,
    /// Clock and randomness.
    pub context: Context,
    /// Lanes for argon2id.
    pub hashing: Hashing,
    /// A second factor is asked for: always in production.
    pub second_factor: bool,
}

/// Who a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Their id.
    pub admin_id: String,
    /// Their name.
    pub name: String,
    /// Their role, as it is at this moment.
    pub role: Role,
    /// The session.
    pub session_id: String,
}

impl fmt::Debug for Admins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admins")
    }
}

impl Admins {
    /// Of these parts.
    pub fn new(parts: Parts) -> Self {
        Self {
            inner: Arc::new(parts),
        }
    }

    fn token_name(&self, kind: &str, secret: &str) -> String {
        self.inner
            .keys
            .name(Purpose::AdminToken, &[kind.as_bytes(), secret.as_bytes()])
    }

    /// Writes the audit entry of a change, in the change's transaction.
    pub async fn audit(
        &self,
        tx: &mut Tx,
        actor: &str,
        request_id: &str,
        change: &Change,
    ) -> Result<(), Problem> {
        let now = self.inner.context.now();
        audit::append(tx, &self.inner.keys, actor, request_id, now, change).await?;
        Ok(())
    }

    /// Whether this operator, as they stand in the database now, may do that: asked in the transaction of a change, so that whoever was shut out meanwhile
    /// changes nothing any more.
    pub async fn still_may(
        &self,
        tx: &mut Tx,
        operator: &Operator,
        permission: Permission,
    ) -> Result<(), Problem> {
        let session = rows::session(tx, &operator.session_id).await?;
        let row = rows::by_id(tx, &operator.admin_id).await?;
        let (Some(session), Some(row)) = (session, row) else {
            return Err(Problem::new(Code::SessionEnded));
        };
        if session.ended_at.is_some() || row.disabled_at.is_some() {
            return Err(Problem::new(Code::SessionEnded));
        }
        if Role::parse(&row.role).is_some_and(|role| role.may(permission)) {
            Ok(())
        } else {
            Err(Problem::new(Code::Forbidden))
        }
    }
}
