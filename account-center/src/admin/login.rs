//! How an operator gets in: set-up secret, password, second factor, session. A name that is not known gets the same answer after the same work as a wrong password.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::audit::Change;
use super::totp::Secret;
use super::{Admins, IDLE, Operator, PER_ADDRESS, PER_NAME, Role, SESSION, TOUCH};
use crate::keys::Purpose;
use crate::problem::{Code, Problem};
use crate::secret::SecretText;
use crate::store::admin::{self as rows, AdminRow, SessionRow};
use crate::store::limits::{self, Taken};
use crate::store::{StoreError, Tx};

/// What a session token begins with.
const TOKEN: &str = "pa_";
/// Shortest password, in characters. There is no rule of classes: length counts.
const SHORTEST: usize = 12;

/// A login.
#[derive(Debug)]
pub struct SignIn {
    /// The operator's name.
    pub name: String,
    /// Their password.
    pub password: SecretText,
    /// The code that their authenticator app shows.
    pub totp: Option<SecretText>,
}

/// A session, once open.
#[derive(Serialize, ToSchema)]
pub struct SignedIn {
    /// For `Authorization: Bearer`.
    pub token: String,
    /// Its name.
    pub session_id: String,
    /// Who.
    pub name: String,
    /// What they may do.
    pub role: String,
    /// Seconds until it ends.
    pub expires_in: u64,
    /// Seconds without a request after which it ends.
    pub idle_seconds: u64,
}

/// A set-up: the secret that an admin handed over, and the password that its owner chooses.
#[derive(Debug)]
pub struct SetUp {
    /// The operator's name.
    pub name: String,
    /// What `admin create` or `reset` printed.
    pub setup_secret: SecretText,
    /// The new password.
    pub password: SecretText,
}

/// For the authenticator app. Given once; a further set-up, until the first login, makes another.
#[derive(Serialize, ToSchema)]
pub struct SetUpDone {
    /// Base32, to be typed in.
    pub totp_secret: String,
    /// `otpauth://totp/…`, to be shown as a QR code.
    pub totp_uri: String,
}

/// One of an operator's own sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// Its name.
    pub session_id: String,
    /// Seconds since 1970 UTC.
    pub created_at: i64,
    /// Seconds since 1970 UTC.
    pub last_used_at: i64,
    /// The one of this request.
    pub current: bool,
}

/// The names of the two buckets of an attempt.
struct Buckets {
    name: String,
    address: String,
}

impl Admins {
    /// Opens a session.
    pub async fn sign_in(
        &self,
        request: SignIn,
        address: IpAddr,
        request_id: &str,
    ) -> Result<SignedIn, Problem> {
        let row = self.attempt(&request.name, address).await?;
        let password = Zeroizing::new(request.password.expose().to_owned());
        let phc = row.as_ref().and_then(|row| row.password_hash.clone());
        let right = self.inner.hashing.verify(password, phc.clone()).await?;
        let step = self.second_factor(row.as_ref(), request.totp.as_ref());

        let token = format!("{TOKEN}{}{}", self.token128(), self.token128());
        let now = self.inner.context.now();
        let session = SessionRow {
            session_id: self.inner.context.uuid(),
            token_hash: self.token_name("session", &token),
            admin_id: row
                .as_ref()
                .map(|row| row.admin_id.clone())
                .unwrap_or_default(),
            created_at: now,
            last_used_at: now,
            expires_at: now.plus(SESSION),
            ended_at: None,
        };
        let attempt = Arc::new((
            session,
            row,
            right,
            step,
            request.name,
            request_id.to_owned(),
        ));
        let buckets = Arc::new(self.buckets(&attempt.4, address));
        let (admins, tried) = (self.clone(), Arc::clone(&attempt));
        let opened = self
            .inner
            .store
            .write(move |tx| {
                let (admins, tried, buckets) =
                    (admins.clone(), Arc::clone(&tried), Arc::clone(&buckets));
                Box::pin(async move {
                    let (session, row, right, step, name, request_id) = &*tried;
                    let role = admins
                        .open(tx, session, row.as_ref(), *right, *step)
                        .await?;
                    let change = match &role {
                        Some(_) => Change::deed("session.opened", name.clone()),
                        // A stranger's text does not get into the log.
                        None if row.is_none() => Change::deed("session.refused", "(unknown)"),
                        None => Change::deed("session.refused", name.clone()),
                    };
                    let actor = if role.is_some() {
                        name.as_str()
                    } else {
                        "(nobody)"
                    };
                    if role.is_some() {
                        limits::clear(tx, &buckets.name).await?;
                        limits::give_back(tx, &buckets.address, admins.inner.context.now()).await?;
                    }
                    admins.audit(tx, actor, request_id, &change).await?;
                    Ok::<_, Problem>(role)
                })
            })
            .await?;
        let role = opened.ok_or_else(|| Problem::new(Code::CredentialsInvalid))?;
        Ok(SignedIn {
            token,
            session_id: attempt.0.session_id.clone(),
            name: attempt.4.clone(),
            role: role.as_str().to_owned(),
            expires_in: SESSION.as_secs(),
            idle_seconds: IDLE.as_secs(),
        })
    }

    /// Writes the session where all is right; the row is read again, as it may have changed since.
    async fn open(
        &self,
        tx: &mut Tx,
        session: &SessionRow,
        row: Option<&AdminRow>,
        right: bool,
        step: Option<i64>,
    ) -> Result<Option<Role>, StoreError> {
        let (true, Some(row)) = (right, row) else {
            return Ok(None);
        };
        let Some(present) = rows::by_id(tx, &row.admin_id).await? else {
            return Ok(None);
        };
        let same = present.password_hash == row.password_hash
            && present.sealed_totp == row.sealed_totp
            && present.disabled_at.is_none();
        let second = match step {
            Some(step) => rows::take_totp_step(tx, &row.admin_id, step).await?,
            None => !self.inner.second_factor,
        };
        if !same || !second {
            return Ok(None);
        }
        rows::end_setup(tx, &row.admin_id).await?;
        rows::insert_session(tx, session).await?;
        Role::parse(&present.role)
            .map(Some)
            .ok_or(StoreError::Corrupt("an operator's role"))
    }

    /// The time step of a code that is right.
    fn second_factor(&self, row: Option<&AdminRow>, code: Option<&SecretText>) -> Option<i64> {
        let row = row?;
        let bytes = self
            .inner
            .keys
            .open(
                Purpose::AdminTotp,
                row.admin_id.as_bytes(),
                row.sealed_totp.as_deref()?,
            )
            .ok()?;
        Secret::from_bytes(bytes).step_of(code?.expose(), self.inner.context.now())
    }

    /// Takes an attempt for the name and for the address, and reads the operator.
    async fn attempt(&self, name: &str, address: IpAddr) -> Result<Option<AdminRow>, Problem> {
        let now = self.inner.context.now();
        let asked = Arc::new((name.to_owned(), self.buckets(name, address)));
        self.inner
            .store
            .write(move |tx| {
                let asked = Arc::clone(&asked);
                Box::pin(async move {
                    let (name, buckets) = &*asked;
                    for (bucket, limit) in
                        [(&buckets.name, PER_NAME), (&buckets.address, PER_ADDRESS)]
                    {
                        if let Taken::UsedUp(until) = limits::take(tx, bucket, limit, now).await? {
                            return Err(Problem::new(Code::RateLimited)
                                .retry_after(now.seconds_until(until)));
                        }
                    }
                    Ok(rows::by_name(tx, name).await?)
                })
            })
            .await
    }

    fn buckets(&self, name: &str, address: IpAddr) -> Buckets {
        let bucket = |kind: &str, what: &str| {
            self.inner
                .keys
                .name(Purpose::RateBucket, &[kind.as_bytes(), what.as_bytes()])
        };
        Buckets {
            name: bucket("admin-name", name),
            address: bucket("admin-address", &address.to_string()),
        }
    }

    fn token128(&self) -> String {
        self.inner.context.token128()
    }

    /// Takes a set-up secret: the password is set, and a second factor made. It serves until the first login, so that a lost reply locks nobody out.
    pub async fn set_up(
        &self,
        request: SetUp,
        address: IpAddr,
        request_id: &str,
    ) -> Result<SetUpDone, Problem> {
        acceptable(&request.name, request.password.expose())?;
        let row = self.attempt(&request.name, address).await?;
        let secret = Secret::generate(&self.inner.context);
        let password = Zeroizing::new(request.password.expose().to_owned());
        let random = self.inner.context.randomness();
        let phc = self.inner.hashing.hash(password, random).await?;
        let given = self.token_name("set-up", request.setup_secret.expose());
        let now = self.inner.context.now();
        let fits = |row: &AdminRow| {
            row.setup_hash.as_deref() == Some(given.as_str())
                && row.setup_expires_at.is_some_and(|at| now < at)
                && row.disabled_at.is_none()
        };
        let Some(mut row) = row.filter(fits) else {
            return Err(Problem::new(Code::CredentialsInvalid));
        };
        row.password_hash = Some(phc);
        row.sealed_totp = Some(self.inner.keys.seal(
            Purpose::AdminTotp,
            row.admin_id.as_bytes(),
            secret.bytes(),
            random,
        ));
        row.version += 1;
        let written = Arc::new((
            row,
            request_id.to_owned(),
            self.buckets(&request.name, address),
        ));
        let admins = self.clone();
        self.inner
            .store
            .write(move |tx| {
                let (admins, written) = (admins.clone(), Arc::clone(&written));
                Box::pin(async move {
                    let (row, request_id, buckets) = &*written;
                    if !rows::update(tx, row).await? {
                        return Err(Problem::new(Code::Conflict));
                    }
                    limits::clear(tx, &buckets.name).await?;
                    limits::give_back(tx, &buckets.address, now).await?;
                    rows::end_sessions(tx, &row.admin_id, "", now).await?;
                    let change = Change::deed("operator.set_up", row.name.clone());
                    admins.audit(tx, &row.name, request_id, &change).await
                })
            })
            .await?;
        let base32 = secret.base32();
        let label: String = url::form_urlencoded::byte_serialize(request.name.as_bytes()).collect();
        Ok(SetUpDone {
            totp_uri: format!(
                "otpauth://totp/Postern:{label}?secret={}&issuer=Postern&algorithm=SHA1&digits=6&period=30",
                *base32
            ),
            totp_secret: base32.to_string(),
        })
    }

    /// Whose token this is. `invalid_token`: nobody's; `session_ended`: it is over.
    pub async fn authenticate(&self, token: &str) -> Result<Operator, Problem> {
        if !token.starts_with(TOKEN) || token.len() > 64 {
            return Err(Problem::new(Code::InvalidToken));
        }
        let token_hash = self.token_name("session", token);
        let found = self
            .inner
            .store
            .read(move |tx| {
                let token_hash = token_hash.clone();
                Box::pin(async move {
                    let Some(session) = rows::session_by_token(tx, &token_hash).await? else {
                        return Ok::<_, StoreError>(None);
                    };
                    let row = rows::by_id(tx, &session.admin_id).await?;
                    Ok(row.map(|row| (session, row)))
                })
            })
            .await?;
        let (session, row) = found.ok_or_else(|| Problem::new(Code::InvalidToken))?;
        let now = self.inner.context.now();
        let live = session.ended_at.is_none()
            && now < session.expires_at
            && now < session.last_used_at.plus(IDLE)
            && row.disabled_at.is_none();
        if !live {
            return Err(Problem::new(Code::SessionEnded));
        }
        if session.last_used_at.plus(TOUCH) <= now {
            let session_id = session.session_id.clone();
            self.inner
                .store
                .write(move |tx| {
                    let session_id = session_id.clone();
                    Box::pin(async move { rows::touch_session(tx, &session_id, now).await })
                })
                .await?;
        }
        Ok(Operator {
            role: Role::parse(&row.role).ok_or(StoreError::Corrupt("an operator's role"))?,
            admin_id: row.admin_id,
            name: row.name,
            session_id: session.session_id,
        })
    }

    /// Changes one's own password. All other sessions end.
    pub async fn change_password(
        &self,
        operator: &Operator,
        old: &SecretText,
        new: &SecretText,
        address: IpAddr,
        request_id: &str,
    ) -> Result<(), Problem> {
        acceptable(&operator.name, new.expose())?;
        let row = self.attempt(&operator.name, address).await?;
        let Some(mut row) = row else {
            return Err(Problem::new(Code::SessionEnded));
        };
        let given = Zeroizing::new(old.expose().to_owned());
        let right = self
            .inner
            .hashing
            .verify(given, row.password_hash.clone())
            .await?;
        if !right {
            return Err(Problem::new(Code::CredentialsInvalid));
        }
        let chosen = Zeroizing::new(new.expose().to_owned());
        let random = self.inner.context.randomness();
        row.password_hash = Some(self.inner.hashing.hash(chosen, random).await?);
        row.version += 1;
        let now = self.inner.context.now();
        let buckets = self.buckets(&operator.name, address);
        let written = Arc::new((row, operator.clone(), request_id.to_owned(), buckets));
        let admins = self.clone();
        self.inner
            .store
            .write(move |tx| {
                let (admins, written) = (admins.clone(), Arc::clone(&written));
                Box::pin(async move {
                    let (row, operator, request_id, buckets) = &*written;
                    admins
                        .still_may(tx, operator, super::Permission::Own)
                        .await?;
                    if !rows::update(tx, row).await? {
                        return Err(Problem::new(Code::Conflict));
                    }
                    limits::clear(tx, &buckets.name).await?;
                    limits::give_back(tx, &buckets.address, now).await?;
                    rows::end_sessions(tx, &row.admin_id, &operator.session_id, now).await?;
                    let change = Change::deed("password.changed", row.name.clone());
                    admins.audit(tx, &row.name, request_id, &change).await
                })
            })
            .await
    }

    /// One's own live sessions, newest first.
    pub async fn sessions(&self, operator: &Operator) -> Result<Vec<SessionView>, Problem> {
        let now = self.inner.context.now();
        let admin_id = operator.admin_id.clone();
        let list = self
            .inner
            .store
            .read(move |tx| {
                let admin_id = admin_id.clone();
                Box::pin(
                    async move { rows::live_sessions(tx, &admin_id, now, now.minus(IDLE)).await },
                )
            })
            .await?;
        Ok(list
            .into_iter()
            .map(|row| SessionView {
                current: row.session_id == operator.session_id,
                session_id: row.session_id,
                created_at: row.created_at.seconds(),
                last_used_at: row.last_used_at.seconds(),
            })
            .collect())
    }

    /// Ends one of one's own sessions, or, for who manages operators, anybody's. `not_found` where there is none that one may end.
    pub async fn end_session(
        &self,
        tx: &mut Tx,
        operator: &Operator,
        session_id: &str,
    ) -> Result<Change, Problem> {
        let session = rows::session(tx, session_id).await?.filter(|session| {
            session.admin_id == operator.admin_id
                || operator.role.may(super::Permission::ManageAdmins)
        });
        let session = session.ok_or_else(|| Problem::new(Code::NotFound))?;
        rows::end_session(tx, session_id, self.inner.context.now()).await?;
        let owner = rows::by_id(tx, &session.admin_id).await?;
        Ok(Change::deed(
            "session.ended",
            owner.map(|row| row.name).unwrap_or_default(),
        ))
    }
}

/// Long enough, and not the name.
fn acceptable(name: &str, password: &str) -> Result<(), Problem> {
    let length = password.chars().count();
    let contains_name = password.to_lowercase().contains(&name.to_lowercase());
    if (SHORTEST..=256).contains(&length) && !contains_name {
        Ok(())
    } else {
        Err(Problem::new(Code::PasswordUnacceptable)
            .detail("12 to 256 characters, and not with the name in it"))
    }
}
