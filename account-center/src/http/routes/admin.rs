//! `/v1/admin`: operators, their sessions, the audit log, and looks at an account (contract/admin.md). On the admin listener only.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::address::address_of;
use super::super::admin_call::{Segment, admin_call, request_id_of};
use super::super::fields::Fields;
use super::super::reply::Reply;
use super::super::{AppState, admission, openapi};
use super::respond;
use crate::admin::{
    Change, OperatorChange, OperatorView, Permission, Role, SessionView, SetUp, SetUpDone, SignIn,
    SignedIn,
};
use crate::identity::{AccountView, account_view, phone_index};
use crate::keys::Purpose;
use crate::phone_number::PhoneNumber;
use crate::problem::{Code, Problem};
use crate::store::limits::{self, Limit, Taken};
use crate::store::{StoreError, accounts, admin as rows};

/// Accounts that one operator may look at.
const LOOKS: Limit = Limit {
    count: 60,
    window: Duration::from_hours(1),
};

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/v1/admin/sessions", post(sign_in).get(sessions))
        .route(
            "/v1/admin/sessions/{session_id}",
            delete(end_session_of_operator),
        )
        .route("/v1/admin/set-up", post(set_up))
        .route("/v1/admin/password", put(change_password))
        .route("/v1/admin/operators", post(create).get(operators))
        .route("/v1/admin/operators/{name}", put(change_operator))
        .route("/v1/admin/operators/{name}/reset", post(reset_operator))
        .route("/v1/admin/audit", get(audit_log))
        .route("/v1/admin/accounts/{user_id}", get(look_at_account))
        .route("/v1/admin/account-lookups", post(look_for_account))
}

/// A call without a session: content type, size, and strict members.
async fn open_call(
    state: &AppState,
    request: Request,
) -> Result<(Fields, std::net::IpAddr, String), Problem> {
    let address = address_of(state, &request);
    let request_id = request_id_of(&request);
    let (parts, body) = request.into_parts();
    admission::json_content(&parts.headers)?;
    let body = admission::read(&parts.headers, body).await?;
    Ok((Fields::of(&body)?, address, request_id))
}

/// What [`sign_in`] takes.
#[derive(ToSchema)]
#[schema(as = AdminSignIn)]
#[allow(dead_code, reason = "describes a body")]
pub(in crate::http) struct SignInBody {
    /// The operator's name.
    name: String,
    /// Their password.
    password: String,
    /// Six digits from the authenticator app; always in production.
    totp: Option<String>,
}

/// Opens an operator's session.
#[utoipa::path(post, path = "/v1/admin/sessions", tag = "admin", operation_id = "adminSignIn", request_body = SignInBody,
    responses(
        (status = 200, body = SignedIn, description = "The session."),
        (status = 401, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`credentials_invalid`: the same for a name that is not known."),
        (status = 429, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`rate_limited`."),
    ))]
pub(in crate::http) async fn sign_in(State(state): State<AppState>, request: Request) -> Response {
    let signed_in = async {
        let (mut body, address, request_id) = open_call(&state, request).await?;
        let sign_in = SignIn {
            name: body.text("name", 64)?,
            password: body.text("password", 1024)?.into(),
            totp: body.optional_text("totp", 16)?.map(Into::into),
        };
        body.end()?;
        let opened = state.admins.sign_in(sign_in, address, &request_id).await?;
        Reply::json(&opened)
    };
    respond(signed_in.await)
}

/// What [`set_up`] takes.
#[derive(ToSchema)]
#[schema(as = AdminSetUp)]
#[allow(dead_code, reason = "describes a body")]
pub(in crate::http) struct SetUpBody {
    /// The operator's name.
    name: String,
    /// What `admin create`, `admin reset` or an admin handed over.
    setup_secret: String,
    /// 12 to 256 characters.
    password: String,
}

/// Sets one's password and gets the second factor, with a set-up secret.
#[utoipa::path(post, path = "/v1/admin/set-up", tag = "admin", operation_id = "adminSetUp", request_body = SetUpBody,
    responses(
        (status = 200, body = SetUpDone, description = "For the authenticator app."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "`credentials_invalid`, `password_unacceptable`, `rate_limited`."),
    ))]
pub(in crate::http) async fn set_up(State(state): State<AppState>, request: Request) -> Response {
    let done = async {
        let (mut body, address, request_id) = open_call(&state, request).await?;
        let set_up = SetUp {
            name: body.text("name", 64)?,
            setup_secret: body.text("setup_secret", 64)?.into(),
            password: body.text("password", 1024)?.into(),
        };
        body.end()?;
        let done = state.admins.set_up(set_up, address, &request_id).await?;
        Reply::json(&done)
    };
    respond(done.await)
}

/// What [`change_password`] takes.
#[derive(ToSchema)]
#[schema(as = AdminPassword)]
#[allow(dead_code, reason = "describes a body")]
pub(in crate::http) struct PasswordBody {
    /// The present one.
    password: String,
    /// 12 to 256 characters.
    new_password: String,
}

/// Changes one's own password; all other sessions of one's own end.
#[utoipa::path(put, path = "/v1/admin/password", tag = "admin", operation_id = "adminChangePassword", request_body = PasswordBody,
    security(("admin_session" = [])),
    responses(
        (status = 204, description = "It is changed."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "`credentials_invalid`, `password_unacceptable`, `rate_limited`."),
    ))]
pub(in crate::http) async fn change_password(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let changed = async {
        let call = admin_call(&state, request, Permission::Own).await?;
        let mut body = call.fields()?;
        let (old, new) = (
            body.text("password", 1024)?.into(),
            body.text("new_password", 1024)?.into(),
        );
        body.end()?;
        state
            .admins
            .change_password(&call.operator, &old, &new, call.address, &call.request_id)
            .await?;
        Ok(Reply::no_content())
    };
    respond(changed.await)
}

/// The reply of [`sessions`].
#[derive(Serialize, ToSchema)]
#[schema(as = AdminSessions)]
pub(in crate::http) struct SessionsReply {
    /// Newest first.
    sessions: Vec<SessionView>,
}

/// One's own live sessions.
#[utoipa::path(get, path = "/v1/admin/sessions", tag = "admin", operation_id = "adminSessions", security(("admin_session" = [])),
    responses((status = 200, body = SessionsReply, description = "Newest first.")))]
pub(in crate::http) async fn sessions(State(state): State<AppState>, request: Request) -> Response {
    let listed = async {
        let call = admin_call(&state, request, Permission::Own).await?;
        let sessions = state.admins.sessions(&call.operator).await?;
        Reply::json(&SessionsReply { sessions })
    };
    respond(listed.await)
}

/// Ends a session: `current`, another of one's own, or, for who manages operators, anybody's.
#[utoipa::path(delete, path = "/v1/admin/sessions/{session_id}", tag = "admin", operation_id = "adminEndSession", security(("admin_session" = [])),
    params(("session_id" = String, Path, description = "`current`, or a session's name.")),
    responses(
        (status = 204, description = "It is over."),
        (status = 404, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`not_found`."),
    ))]
pub(in crate::http) async fn end_session_of_operator(
    State(state): State<AppState>,
    Segment(session_id): Segment,
    request: Request,
) -> Response {
    let ended = async {
        let call = admin_call(&state, request, Permission::Own).await?;
        let session_id = if session_id == "current" {
            call.operator.session_id.clone()
        } else {
            session_id
        };
        let shared = Arc::new((state.admins.clone(), call.operator.clone(), session_id));
        call.change(&state, move |tx| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                let (admins, operator, session_id) = &*shared;
                Ok(((), admins.end_session(tx, operator, session_id).await?))
            })
        })
        .await?;
        Ok(Reply::no_content())
    };
    respond(ended.await)
}

/// The reply of [`operators`].
#[derive(Serialize, ToSchema)]
#[schema(as = AdminOperators)]
pub(in crate::http) struct OperatorsReply {
    /// By name.
    operators: Vec<OperatorView>,
}

/// All operators.
#[utoipa::path(get, path = "/v1/admin/operators", tag = "admin", operation_id = "adminOperators", security(("admin_session" = [])),
    responses((status = 200, body = OperatorsReply, description = "By name.")))]
pub(in crate::http) async fn operators(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let listed = async {
        admin_call(&state, request, Permission::ManageAdmins).await?;
        let operators = state.admins.list().await?;
        Reply::json(&OperatorsReply { operators })
    };
    respond(listed.await)
}

/// What [`create`] takes.
#[derive(ToSchema)]
#[schema(as = AdminNewOperator)]
#[allow(dead_code, reason = "describes a body")]
pub(in crate::http) struct NewOperatorBody {
    /// 2 to 64 of: small letters, digits, point, hyphen, underscore.
    name: String,
    /// `viewer`, `operator`, `appeals` or `admin`.
    role: String,
}

/// An operator with the secret to hand over, shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminSetupSecret)]
pub(in crate::http) struct SetupSecretReply {
    /// The operator.
    operator: OperatorView,
    /// For `POST /v1/admin/set-up`, 24 hours.
    setup_secret: String,
}

/// Makes an operator.
#[utoipa::path(post, path = "/v1/admin/operators", tag = "admin", operation_id = "adminCreateOperator", security(("admin_session" = [])),
    request_body = NewOperatorBody,
    responses(
        (status = 200, body = SetupSecretReply, description = "Made."),
        (status = 409, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`conflict`: the name is taken."),
    ))]
pub(in crate::http) async fn create(State(state): State<AppState>, request: Request) -> Response {
    let made = async {
        let call = admin_call(&state, request, Permission::ManageAdmins).await?;
        let mut body = call.fields()?;
        let (name, role) = (body.text("name", 64)?, body.word("role", Role::parse)?);
        body.end()?;
        let shared = Arc::new((state.admins.clone(), name));
        let (setup_secret, operator) = call
            .change(&state, move |tx| {
                let shared = Arc::clone(&shared);
                Box::pin(async move {
                    let (admins, name) = &*shared;
                    let (secret, operator, change) = admins.create(tx, name, role).await?;
                    Ok(((secret, operator), change))
                })
            })
            .await?;
        Reply::json(&SetupSecretReply {
            operator,
            setup_secret: setup_secret.expose().to_owned(),
        })
    };
    respond(made.await)
}

/// What [`change_operator`] takes.
#[derive(ToSchema)]
#[schema(as = AdminOperatorChange)]
#[allow(dead_code, reason = "describes a body")]
pub(in crate::http) struct OperatorBody {
    /// `viewer`, `operator`, `appeals` or `admin`.
    role: String,
    /// Shut out.
    disabled: Option<bool>,
}

/// Changes an operator's role, or shuts them out.
#[utoipa::path(put, path = "/v1/admin/operators/{name}", tag = "admin", operation_id = "adminChangeOperator", security(("admin_session" = [])),
    params(("name" = String, Path, description = "The operator."), ("If-Match" = String, Header, description = "The version that was read.")),
    request_body = OperatorBody,
    responses(
        (status = 200, body = OperatorView, description = "As it is now."),
        (status = 409, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`conflict`: another version, or the last admin."),
    ))]
pub(in crate::http) async fn change_operator(
    State(state): State<AppState>,
    Segment(name): Segment,
    request: Request,
) -> Response {
    let changed = async {
        let call = admin_call(&state, request, Permission::ManageAdmins).await?;
        let version = call.version()?;
        let mut body = call.fields()?;
        let wanted = OperatorChange {
            role: body.word("role", Role::parse)?,
            disabled: body.flag("disabled")?,
        };
        body.end()?;
        let shared = Arc::new((state.admins.clone(), name));
        let view = call
            .change(&state, move |tx| {
                let shared = Arc::clone(&shared);
                Box::pin(async move {
                    let (admins, name) = &*shared;
                    admins.change(tx, name, Some(version), wanted).await
                })
            })
            .await?;
        Reply::json(&view)
    };
    respond(changed.await)
}

/// Gives an operator who lost password or second factor a new set-up secret; what was before is over at once.
#[utoipa::path(post, path = "/v1/admin/operators/{name}/reset", tag = "admin", operation_id = "adminResetOperator", security(("admin_session" = [])),
    params(("name" = String, Path, description = "The operator."), ("If-Match" = String, Header, description = "The version that was read.")),
    request_body = crate::login::wire::Nothing,
    responses(
        (status = 200, body = SetupSecretReply, description = "To hand over."),
        (status = 409, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`conflict`."),
    ))]
pub(in crate::http) async fn reset_operator(
    State(state): State<AppState>,
    Segment(name): Segment,
    request: Request,
) -> Response {
    let made = async {
        let call = admin_call(&state, request, Permission::ManageAdmins).await?;
        let version = call.version()?;
        call.fields()?.end()?;
        let shared = Arc::new((state.admins.clone(), name));
        let (setup_secret, operator) = call
            .change(&state, move |tx| {
                let shared = Arc::clone(&shared);
                Box::pin(async move {
                    let (admins, name) = &*shared;
                    let (secret, operator, change) = admins.reset(tx, name, Some(version)).await?;
                    Ok(((secret, operator), change))
                })
            })
            .await?;
        Reply::json(&SetupSecretReply {
            operator,
            setup_secret: setup_secret.expose().to_owned(),
        })
    };
    respond(made.await)
}

/// An entry of the audit log.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct AuditEntry {
    /// 1, 2, 3, … without a gap.
    seq: i64,
    /// Seconds since 1970 UTC.
    at: i64,
    /// Who.
    actor: String,
    /// What: `rollout.changed`.
    action: String,
    /// To what.
    target: String,
    /// How it was.
    #[schema(value_type = Object)]
    before: serde_json::Value,
    /// How it is.
    #[schema(value_type = Object)]
    after: serde_json::Value,
    /// The request that did it.
    request_id: String,
    /// The keyed hash of the entry and of the one before it.
    hash: String,
}

/// A page of the audit log.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct AuditPage {
    /// Newest first.
    entries: Vec<AuditEntry>,
    /// For the next page; missing on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// The audit log, newest first.
#[utoipa::path(get, path = "/v1/admin/audit", tag = "admin", operation_id = "adminAudit", security(("admin_session" = [])),
    params(
        ("cursor" = Option<String>, Query, description = "From the page before."),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 where it is not given."),
        ("actor" = Option<String>, Query, description = "Only this operator's."),
        ("target" = Option<String>, Query, description = "Only about this."),
    ),
    responses(
        (status = 200, body = AuditPage, description = "A page."),
        (status = 400, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`cursor_invalid`."),
    ))]
pub(in crate::http) async fn audit_log(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let page = async {
        let call = admin_call(&state, request, Permission::ReadAudit).await?;
        let [cursor, limit, actor, target] =
            call.parameters(["cursor", "limit", "actor", "target"])?;
        let before = cursor.map_or(Ok(i64::MAX), |cursor| {
            cursor
                .parse()
                .map_err(|_| Problem::new(Code::CursorInvalid))
        })?;
        let limit: i64 = limit
            .map_or(Ok(50), |limit| limit.parse())
            .ok()
            .filter(|limit| (1..=200).contains(limit))
            .ok_or_else(|| {
                Problem::new(Code::InvalidRequest).detail("limit: a number from 1 to 200")
            })?;
        let asked = Arc::new((actor.unwrap_or_default(), target.unwrap_or_default()));
        let rows = state
            .store
            .read(move |tx| {
                let asked = Arc::clone(&asked);
                Box::pin(async move {
                    rows::entries_before(tx, before, &asked.0, &asked.1, limit).await
                })
            })
            .await?;
        let full = i64::try_from(rows.len()).is_ok_and(|count| count == limit);
        let cursor = rows.last().filter(|_| full).map(|row| row.seq.to_string());
        let entries = rows
            .into_iter()
            .map(|row| {
                let json = |text: &str| {
                    serde_json::from_str(text)
                        .map_err(|_| StoreError::Corrupt("an audit entry's value"))
                };
                Ok(AuditEntry {
                    seq: row.seq,
                    at: row.at.seconds(),
                    before: json(&row.before)?,
                    after: json(&row.after)?,
                    actor: row.actor,
                    action: row.action,
                    target: row.target,
                    request_id: row.request_id,
                    hash: row.entry_hash,
                })
            })
            .collect::<Result<_, StoreError>>()?;
        Reply::json(&AuditPage { entries, cursor })
    };
    respond(page.await)
}

/// An account as an operator sees it: masked.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminAccount)]
pub(in crate::http) struct AccountReply {
    /// The account; its nickname is masked, its picture left out.
    account: AccountView,
}

/// Looks at an account. Audited.
#[utoipa::path(get, path = "/v1/admin/accounts/{user_id}", tag = "admin", operation_id = "adminAccount", security(("admin_session" = [])),
    params(("user_id" = String, Path, description = "The account.")),
    responses(
        (status = 200, body = AccountReply, description = "Masked."),
        (status = 404, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`not_found`."),
        (status = 429, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`rate_limited`: 60 looks in an hour."),
    ))]
pub(in crate::http) async fn look_at_account(
    State(state): State<AppState>,
    Segment(user_id): Segment,
    request: Request,
) -> Response {
    respond(look(&state, request, Wanted::UserId(user_id)).await)
}

/// What [`look_for_account`] takes.
#[derive(ToSchema)]
#[schema(as = AdminLookup)]
#[allow(dead_code, reason = "describes a body")]
pub(in crate::http) struct LookupBody {
    /// E.164.
    phone: String,
}

/// Looks for the account of a phone number, which has no place in an address. Audited.
#[utoipa::path(post, path = "/v1/admin/account-lookups", tag = "admin", operation_id = "adminAccountLookup", security(("admin_session" = [])),
    request_body = LookupBody,
    responses(
        (status = 200, body = AccountReply, description = "Masked."),
        (status = 404, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`not_found`."),
        (status = 429, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`rate_limited`: 60 looks in an hour."),
    ))]
pub(in crate::http) async fn look_for_account(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    respond(look(&state, request, Wanted::Phone).await)
}

enum Wanted {
    UserId(String),
    /// It is in the body.
    Phone,
}

async fn look(state: &AppState, request: Request, wanted: Wanted) -> Result<Reply, Problem> {
    let call = admin_call(state, request, Permission::ReadAccounts).await?;
    let (user_id, number) = match wanted {
        Wanted::UserId(user_id) if user_id.len() <= 64 => (Some(user_id), None),
        Wanted::UserId(_) => return Err(Problem::new(Code::NotFound)),
        Wanted::Phone => {
            let mut body = call.fields()?;
            let number = PhoneNumber::parse(&body.text("phone", 32)?)
                .map_err(|_| body.refuse("phone", "not a phone number in E.164"))?;
            body.end()?;
            (None, Some(number))
        }
    };
    let now = state.context.now();
    let bucket = state.keys.name(
        Purpose::RateBucket,
        &[b"admin-look", call.operator.admin_id.as_bytes()],
    );
    let asked = Arc::new((state.keys.clone(), user_id, number, bucket));
    let found = call
        .change(state, move |tx| {
            let asked = Arc::clone(&asked);
            Box::pin(async move {
                let (keys, user_id, number, bucket) = &*asked;
                if let Taken::UsedUp(until) = limits::take(tx, bucket, LOOKS, now).await? {
                    return Err(
                        Problem::new(Code::RateLimited).retry_after(now.seconds_until(until))
                    );
                }
                let user_id = match (user_id, number) {
                    (Some(user_id), _) => Some(user_id.clone()),
                    (None, Some(number)) => {
                        accounts::by_phone(tx, &phone_index(keys, number)).await?
                    }
                    (None, None) => None,
                };
                let mut account = match &user_id {
                    Some(user_id) => account_view(tx, keys, user_id).await?,
                    None => None,
                };
                if let Some(account) = &mut account {
                    account.avatar_url = None;
                    account.nickname = account.nickname.as_deref().map(masked);
                }
                // A look that found nothing is told too: who tries numbers shows. What was asked for is a stranger's text or a number, so it is not kept.
                let target = account
                    .as_ref()
                    .map_or_else(|| "(none)".to_owned(), |account| account.user_id.clone());
                Ok((account, Change::deed("account.looked_at", target)))
            })
        })
        .await?;
    let account = found.ok_or_else(|| Problem::new(Code::NotFound))?;
    Reply::json(&AccountReply { account })
}

/// The first character, and how it goes on is nobody's business.
fn masked(name: &str) -> String {
    name.chars().take(1).chain("**".chars()).collect()
}
