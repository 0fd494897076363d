//! Operators: made, changed, shut out. Nobody can shut the last admin out.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::audit::{COMMAND_LINE, Change};
use super::{Admins, Role, SET_UP};
use crate::problem::{Code, Problem};
use crate::secret::SecretText;
use crate::store::admin::{self as rows, AdminRow};
use crate::store::{StoreError, Tx};

/// An operator, as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OperatorView {
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: String,
    /// They are shut out.
    pub disabled: bool,
    /// They have a password and a second factor.
    pub set_up: bool,
    /// Seconds since 1970 UTC.
    pub created_at: i64,
    /// For `If-Match`.
    pub version: i64,
}

impl From<&AdminRow> for OperatorView {
    fn from(row: &AdminRow) -> Self {
        Self {
            name: row.name.clone(),
            role: row.role.clone(),
            disabled: row.disabled_at.is_some(),
            set_up: row.password_hash.is_some(),
            created_at: row.created_at.seconds(),
            version: row.version,
        }
    }
}

/// What is changed of an operator.
#[derive(Clone, Copy, Debug)]
pub struct OperatorChange {
    /// The role from now on.
    pub role: Role,
    /// Whether they are shut out from now on.
    pub disabled: bool,
}

impl Admins {
    /// Makes an operator, with the set-up secret that they come in with. `conflict` where the name is taken.
    pub async fn create(
        &self,
        tx: &mut Tx,
        name: &str,
        role: Role,
    ) -> Result<(SecretText, OperatorView, Change), Problem> {
        if !is_name(name) {
            return Err(Problem::invalid(
                "/name",
                "2 to 64 of: small letters, digits, point, hyphen, underscore",
            ));
        }
        let now = self.inner.context.now();
        let (secret, setup_hash) = self.setup_secret();
        let row = AdminRow {
            admin_id: self.inner.context.uuid(),
            name: name.to_owned(),
            role: role.as_str().to_owned(),
            password_hash: None,
            setup_hash: Some(setup_hash),
            setup_expires_at: Some(now.plus(SET_UP)),
            sealed_totp: None,
            totp_step: 0,
            disabled_at: None,
            created_at: now,
            version: 1,
        };
        if !rows::insert(tx, &row).await? {
            return Err(Problem::new(Code::Conflict).detail("there is an operator of this name"));
        }
        let change = Change {
            action: "operator.created",
            target: row.name.clone(),
            before: Value::Null,
            after: told(&row),
        };
        Ok((secret, OperatorView::from(&row), change))
    }

    /// Gives an operator a new set-up secret; password, second factor and sessions of before are over.
    pub async fn reset(
        &self,
        tx: &mut Tx,
        name: &str,
        version: Option<i64>,
    ) -> Result<(SecretText, OperatorView, Change), Problem> {
        let mut row = self.at_version(tx, name, version).await?;
        let before = told(&row);
        let now = self.inner.context.now();
        let (secret, setup_hash) = self.setup_secret();
        row.password_hash = None;
        row.sealed_totp = None;
        row.setup_hash = Some(setup_hash);
        row.setup_expires_at = Some(now.plus(SET_UP));
        self.write(tx, &mut row).await?;
        rows::end_sessions(tx, &row.admin_id, "", now).await?;
        let change = Change {
            action: "operator.reset",
            target: row.name.clone(),
            before,
            after: told(&row),
        };
        Ok((secret, OperatorView::from(&row), change))
    }

    /// Changes role or shuts out. Whoever is shut out has no session any more; the last admin stays one.
    pub async fn change(
        &self,
        tx: &mut Tx,
        name: &str,
        version: Option<i64>,
        wanted: OperatorChange,
    ) -> Result<(OperatorView, Change), Problem> {
        let mut row = self.at_version(tx, name, version).await?;
        let before = told(&row);
        let now = self.inner.context.now();
        wanted.role.as_str().clone_into(&mut row.role);
        row.disabled_at = wanted.disabled.then(|| row.disabled_at.unwrap_or(now));
        self.write(tx, &mut row).await?;
        if wanted.disabled {
            rows::end_sessions(tx, &row.admin_id, "", now).await?;
        }
        let admins_left = rows::all(tx)
            .await?
            .iter()
            .any(|other| other.role == Role::Admin.as_str() && other.disabled_at.is_none());
        if !admins_left {
            return Err(Problem::new(Code::Conflict).detail("the last admin stays one"));
        }
        let change = Change {
            action: "operator.changed",
            target: row.name.clone(),
            before,
            after: told(&row),
        };
        Ok((OperatorView::from(&row), change))
    }

    /// All operators.
    pub async fn list(&self) -> Result<Vec<OperatorView>, Problem> {
        let all: Vec<AdminRow> = self
            .inner
            .store
            .read::<_, StoreError, _>(|tx| Box::pin(async move { rows::all(tx).await }))
            .await?;
        Ok(all.iter().map(OperatorView::from).collect())
    }

    /// A development set-up's first operator, `admin`, with a password to print once; none where there are operators already. Without a second factor.
    pub async fn first_of_development(&self) -> Result<Option<(String, SecretText)>, Problem> {
        if !self.list().await?.is_empty() {
            return Ok(None);
        }
        let password = SecretText::new(self.inner.context.token128());
        let text = zeroize::Zeroizing::new(password.expose().to_owned());
        let random = self.inner.context.randomness();
        let phc = self.inner.hashing.hash(text, random).await?;
        let admins = self.clone();
        let made = self
            .inner
            .store
            .write(move |tx| {
                let (admins, phc) = (admins.clone(), phc.clone());
                Box::pin(async move {
                    let (_, _, change) = admins.create(tx, "admin", Role::Admin).await?;
                    let Some(mut row) = rows::by_name(tx, "admin").await? else {
                        return Err(StoreError::Corrupt("an operator that was just made").into());
                    };
                    row.password_hash = Some(phc);
                    row.setup_hash = None;
                    row.setup_expires_at = None;
                    admins.write(tx, &mut row).await?;
                    admins.audit(tx, COMMAND_LINE, "", &change).await
                })
            })
            .await;
        match made {
            Ok(()) => Ok(Some(("admin".to_owned(), password))),
            // Another start was quicker.
            Err(problem) if problem.code == Code::Conflict => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    async fn at_version(
        &self,
        tx: &mut Tx,
        name: &str,
        version: Option<i64>,
    ) -> Result<AdminRow, Problem> {
        let row = rows::by_name(tx, name)
            .await?
            .ok_or_else(|| Problem::new(Code::NotFound))?;
        if version.is_some_and(|version| version != row.version) {
            return Err(Problem::new(Code::Conflict));
        }
        Ok(row)
    }

    async fn write(&self, tx: &mut Tx, row: &mut AdminRow) -> Result<(), Problem> {
        row.version += 1;
        if rows::update(tx, row).await? {
            Ok(())
        } else {
            Err(Problem::new(Code::Conflict))
        }
    }

    fn setup_secret(&self) -> (SecretText, String) {
        let secret = self.inner.context.token128();
        let name = self.token_name("set-up", &secret);
        (secret.into(), name)
    }
}

fn is_name(name: &str) -> bool {
    (2..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b))
}

/// For the audit log.
fn told(row: &AdminRow) -> Value {
    json!({"role": row.role, "disabled": row.disabled_at.is_some(), "set_up": row.password_hash.is_some()})
}
