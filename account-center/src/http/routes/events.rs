//! `/v1/events` for clients, and what operators read of them: funnels, active people, new customers (L11, contract/events.md).

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::admin_call::{AdminCall, admin_call};
use super::super::reply::Reply;
use super::super::{AppState, openapi};
use super::{admitted_post, respond};
use crate::admin::Permission;
use crate::funnel::{self, Batch, Filter, StepCount, Taken};
use crate::problem::{Code, Problem};
use crate::store::{StoreError, funnel as rows};

const EVENTS: &str = "/v1/events";
/// Days that one question may span.
const LONGEST: i64 = 3660;

pub(super) fn router() -> Router<AppState> {
    Router::new().route(EVENTS, post(events))
}

pub(super) fn admin_router() -> Router<AppState> {
    Router::new()
        .route("/v1/admin/funnel", get(funnel_counts))
        .route("/v1/admin/active-users", get(active_users))
        .route("/v1/admin/new-customers", get(new_customers))
}

/// A client's event.
#[derive(ToSchema)]
#[schema(as = ClientEvent)]
#[allow(dead_code, reason = "describes a body")]
pub(in crate::http) struct EventBody {
    /// The client's `UUIDv7`: the same event again is passed over.
    id: String,
    /// A UUID: the attempt to log in, as in `client.attempt` of the login's start.
    attempt: String,
    /// One of a closed list.
    kind: String,
    /// With `left_at_step`: which.
    step: Option<String>,
    /// The provider.
    provider: String,
    /// When, by the client's clock: seconds since 1970 UTC.
    at: i64,
}

/// A batch of events.
#[derive(ToSchema)]
#[schema(as = ClientEvents)]
#[allow(dead_code, reason = "describes a body")]
pub(in crate::http) struct EventsBody {
    /// One of the bank's apps.
    app_id: String,
    /// When the batch is sent, by the client's clock: seconds since 1970 UTC.
    sent_at: i64,
    /// What the client says of itself.
    client: Option<crate::rollout::ClientFacts>,
    /// At most 100.
    events: Vec<EventBody>,
}

/// Takes steps that only the client sees (L11).
#[utoipa::path(post, path = "/v1/events", tag = "events", operation_id = "sendEvents", request_body = EventsBody,
    params(openapi::ProofHeader, openapi::IdempotencyHeader),
    responses(
        (status = 200, body = Taken, description = "What became of them."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "`invalid_request`, `app_unknown`, `rate_limited`, or the request was refused."),
    ))]
pub(in crate::http) async fn events(State(state): State<AppState>, request: Request) -> Response {
    let shared = state.clone();
    admitted_post(state, request, EVENTS, move |call, body| async move {
        let batch = Batch::read(&body, |app_id, provider| {
            let providers = shared.catalogue.providers(app_id)?;
            Some(providers.contains(&provider))
        })?;
        let state = shared.clone();
        let asked = Arc::new((batch, call));
        shared
            .store
            .write(move |tx| {
                let (asked, state) = (Arc::clone(&asked), state.clone());
                Box::pin(async move {
                    let (batch, call) = &*asked;
                    let taken = batch
                        .write(
                            tx,
                            &state.keys,
                            call.device_key.as_str(),
                            &call.address.to_string(),
                            call.region.as_deref(),
                            state.context.now(),
                        )
                        .await?;
                    let reply = Reply::json(&taken)?;
                    call.ticket.finish(tx, &reply).await?;
                    Ok::<_, Problem>(reply)
                })
            })
            .await
    })
    .await
}

/// What a question is about.
struct Asked {
    from: i64,
    until: i64,
    filter: Filter,
}

/// `from` and `to` are days in China, both within.
fn asked(call: &AdminCall) -> Result<Asked, Problem> {
    let [from, to, app, provider, region] =
        call.parameters(["from", "to", "app", "provider", "region"])?;
    let day = |text: Option<String>| {
        text.as_deref().and_then(funnel::parse_day).ok_or_else(|| {
            Problem::new(Code::InvalidRequest).detail("from and to: days, as 2026-11-21")
        })
    };
    let (from, until) = (day(from)?, day(to)? + 1);
    if !(1..=LONGEST).contains(&(until - from)) {
        return Err(Problem::new(Code::InvalidRequest)
            .detail("to is before from, or they are more than ten years apart"));
    }
    Ok(Asked {
        from,
        until,
        filter: Filter {
            app: app.unwrap_or_default(),
            provider: provider.unwrap_or_default(),
            region: region.unwrap_or_default(),
        },
    })
}

async fn counted(state: &AppState, asked: &Asked) -> Result<Vec<StepCount>, Problem> {
    let (from, until) = (asked.from, asked.until);
    let counts = state
        .store
        .read::<_, StoreError, _>(move |tx| Box::pin(rows::counts(tx, from, until)))
        .await?;
    Ok(funnel::add_up(&counts, &asked.filter))
}

/// The reply of [`funnel_counts`].
#[derive(Serialize, ToSchema)]
#[schema(as = AdminFunnel)]
pub(in crate::http) struct FunnelReply {
    /// By provider, in the order in which people meet the steps.
    steps: Vec<StepCount>,
}

/// How many attempts reached which step.
#[utoipa::path(get, path = "/v1/admin/funnel", tag = "admin", operation_id = "adminFunnel", security(("admin_session" = [])),
    params(
        ("from" = String, Query, description = "The first day, as `2026-11-01`, in China."),
        ("to" = String, Query, description = "The last day."),
        ("app" = Option<String>, Query, description = "One of the bank's apps."),
        ("provider" = Option<String>, Query, description = "A provider."),
        ("region" = Option<String>, Query, description = "An administrative code."),
    ),
    responses((status = 200, body = FunnelReply, description = "The counts.")))]
pub(in crate::http) async fn funnel_counts(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let answered = async {
        let call = admin_call(&state, request, Permission::ReadFunnels).await?;
        let steps = counted(&state, &asked(&call)?).await?;
        Reply::json(&FunnelReply { steps })
    };
    respond(answered.await)
}

/// The reply of [`active_users`].
#[derive(Serialize, ToSchema)]
#[schema(as = AdminActiveUsers)]
pub(in crate::http) struct ActiveReply {
    /// Different people altogether.
    people: i64,
    /// By the provider that their session began with.
    providers: Vec<ActiveOfProvider>,
}

/// People of one provider.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ActiveOfProvider {
    /// The provider.
    provider: String,
    /// Different people.
    people: i64,
}

/// How many different people logged in or went on with a session, by provider. Monthly: from the first to the last of a month.
#[utoipa::path(get, path = "/v1/admin/active-users", tag = "admin", operation_id = "adminActiveUsers", security(("admin_session" = [])),
    params(
        ("from" = String, Query, description = "The first day, as `2026-11-01`, in China."),
        ("to" = String, Query, description = "The last day."),
        ("app" = Option<String>, Query, description = "One of the bank's apps."),
    ),
    responses((status = 200, body = ActiveReply, description = "The counts.")))]
pub(in crate::http) async fn active_users(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let answered = async {
        let call = admin_call(&state, request, Permission::ReadFunnels).await?;
        let Asked {
            from,
            until,
            filter,
        } = asked(&call)?;
        if !filter.provider.is_empty() || !filter.region.is_empty() {
            return Err(
                Problem::new(Code::InvalidRequest).detail("active people are counted by app only")
            );
        }
        let app = Arc::new(filter.app);
        let mut counts = state
            .store
            .read::<_, StoreError, _>(move |tx| {
                let app = Arc::clone(&app);
                Box::pin(async move { rows::active(tx, from, until, &app).await })
            })
            .await?;
        let people = counts.pop().map_or(0, |(_, people)| people);
        let providers = counts
            .into_iter()
            .map(|(provider, people)| ActiveOfProvider { provider, people })
            .collect();
        Reply::json(&ActiveReply { people, providers })
    };
    respond(answered.await)
}

/// The reply of [`new_customers`].
#[derive(Serialize, ToSchema)]
#[schema(as = AdminNewCustomers)]
pub(in crate::http) struct NewCustomersReply {
    /// By provider: `account_created` and `account_signed`.
    counts: Vec<StepCount>,
}

/// How many accounts are new, and how many became a customer's, through a login with a provider.
#[utoipa::path(get, path = "/v1/admin/new-customers", tag = "admin", operation_id = "adminNewCustomers", security(("admin_session" = [])),
    params(
        ("from" = String, Query, description = "The first day, as `2026-11-01`, in China."),
        ("to" = String, Query, description = "The last day."),
        ("app" = Option<String>, Query, description = "One of the bank's apps."),
        ("provider" = Option<String>, Query, description = "A provider."),
        ("region" = Option<String>, Query, description = "An administrative code."),
    ),
    responses((status = 200, body = NewCustomersReply, description = "The counts.")))]
pub(in crate::http) async fn new_customers(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let answered = async {
        let call = admin_call(&state, request, Permission::ReadFunnels).await?;
        let mut counts = counted(&state, &asked(&call)?).await?;
        counts.retain(|count| matches!(&*count.step, "account_created" | "account_signed"));
        Reply::json(&NewCustomersReply { counts })
    };
    respond(answered.await)
}
