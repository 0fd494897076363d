//! What a request of the admin API must show: a live session whose role has the permission. And how it changes something: with its audit entry, in one transaction.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use futures_util::future::BoxFuture;

use super::address::address_of;
use super::edge::RequestId;
use super::fields::Fields;
use super::{AppState, admission};
use crate::admin::{Change, Operator, Permission};
use crate::problem::{Code, Problem};
use crate::store::Tx;

/// A request of the admin API that may be answered.
#[derive(Clone, Debug)]
pub struct AdminCall {
    /// Who asks.
    pub operator: Operator,
    /// What was asked for at the door, and is asked again in the transaction of a change.
    pub permission: Permission,
    /// `X-Request-Id`.
    pub request_id: String,
    /// Where the request came from.
    pub address: IpAddr,
    /// The version in `If-Match`.
    pub if_match: Option<i64>,
    query: Arc<str>,
    body: Bytes,
}

/// Admits a request: `Authorization: Bearer`, a session that is not over, a role that has the permission. Without a session `invalid_token` or `session_ended`, with
/// the wrong role `forbidden`.
///
/// ```text
/// async fn decide(State(state): State<AppState>, Path(id): Path<String>, request: Request) -> Response {
///     let decided = async {
///         let call = admin_call(&state, request, Permission::DecideAppeals).await?;
///         let mut body = call.fields()?;
///         let verdict = body.word("verdict", Verdict::parse)?;
///         body.end()?;
///         let reply = call.change(&state, move |tx| Box::pin(async move {
///             …                                                       // state, history, outbox
///             Ok((reply, Change { action: "appeal.decided", target: id, before, after }))
///         })).await?;
///         Reply::json(&reply)
///     };
///     respond(decided.await)
/// }
/// ```
pub async fn admin_call(
    state: &AppState,
    request: Request,
    permission: Permission,
) -> Result<AdminCall, Problem> {
    let address = address_of(state, &request);
    let request_id = request_id_of(&request);
    let operator = state
        .admins
        .authenticate(bearer(request.headers())?)
        .await?;
    if !operator.role.may(permission) {
        return Err(Problem::new(Code::Forbidden));
    }
    let query = request.uri().query().unwrap_or_default().into();
    let if_match = if_match(request.headers())?;
    let (parts, body) = request.into_parts();
    if !matches!(parts.method, Method::GET | Method::HEAD | Method::DELETE) {
        admission::json_content(&parts.headers)?;
    }
    let body = admission::read(&parts.headers, body).await?;
    Ok(AdminCall {
        operator,
        permission,
        request_id,
        address,
        if_match,
        query,
        body,
    })
}

/// The running request's id.
pub(super) fn request_id_of(request: &Request) -> String {
    request
        .extensions()
        .get::<RequestId>()
        .map(|id| id.0.clone())
        .unwrap_or_default()
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let token = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme
                .eq_ignore_ascii_case("Bearer")
                .then_some(token.trim_start_matches(' '))
        }),
        _ => None,
    };
    token.ok_or_else(|| {
        Problem::new(Code::InvalidToken)
            .detail("this call needs Authorization: Bearer and a session's token, once")
    })
}

fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let mut values = headers.get_all(header::IF_MATCH).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    value
        .to_str()
        .ok()
        .filter(|_| values.next().is_none())
        .and_then(|text| text.strip_prefix('"')?.strip_suffix('"')?.parse().ok())
        .map(Some)
        .ok_or_else(|| {
            Problem::new(Code::InvalidRequest)
                .detail("If-Match: one version in double quotes, as \"7\"")
        })
}

impl AdminCall {
    /// The body's members.
    pub fn fields(&self) -> Result<Fields, Problem> {
        Fields::of(&self.body)
    }

    /// The version that the change is based on; without `If-Match` there is none, and nothing may be changed that others change too.
    pub fn version(&self) -> Result<i64, Problem> {
        self.if_match.ok_or_else(|| {
            Problem::new(Code::InvalidRequest)
                .detail("this call needs If-Match with the version that was read")
        })
    }

    /// The query's parameters, each at most once, each of the names given. Others are `invalid_request`.
    pub fn parameters<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<[Option<String>; N], Problem> {
        let mut found = [const { None }; N];
        for (name, value) in url::form_urlencoded::parse(self.query.as_bytes()) {
            let place = names.iter().position(|known| *known == name);
            match place.map(|place| &mut found[place]) {
                Some(empty @ None) if value.len() <= 128 => *empty = Some(value.into_owned()),
                _ => {
                    return Err(Problem::new(Code::InvalidRequest)
                        .detail("a query parameter is unknown, too long, or given twice"));
                }
            }
        }
        Ok(found)
    }

    /// Changes something: `work` gives its result and what the audit log says of it, and both are written in one transaction, in which session and permission are
    /// asked again. A look at somebody's data is a change of the audit log alone.
    pub async fn change<T, F>(&self, state: &AppState, work: F) -> Result<T, Problem>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<(T, Change), Problem>>
            + Send
            + Sync
            + 'static,
        T: Send + 'static,
    {
        let shared = Arc::new((
            state.admins.clone(),
            self.operator.clone(),
            self.permission,
            self.request_id.clone(),
            work,
        ));
        state
            .store
            .write(move |tx| {
                let shared = Arc::clone(&shared);
                Box::pin(async move {
                    let (admins, operator, permission, request_id, work) = &*shared;
                    admins.still_may(tx, operator, *permission).await?;
                    let (result, change) = work(tx).await?;
                    admins
                        .audit(tx, &operator.name, request_id, &change)
                        .await?;
                    Ok(result)
                })
            })
            .await
    }
}

/// The one variable segment of a path. One that is not UTF-8 names nothing.
#[derive(Clone, Debug)]
pub(super) struct Segment(pub(super) String);

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::<String>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(segment)| Self(segment))
            .map_err(|_| Problem::new(Code::NotFound))
    }
}
