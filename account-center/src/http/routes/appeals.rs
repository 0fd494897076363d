//! Security questions and appeals (U6), also for the people who decide them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::admin_call::{Segment, admin_call};
use super::super::reply::Reply;
use super::super::{AppState, admission, openapi};
use super::{admitted_post, authorized, authorized_change, respond};
use crate::account::Decision;
use crate::account::wire::{OperationReply, PhoneChangeRequest};
use crate::account::wire_appeals::{
    AppealCase, AppealRequest, AppealView, QuestionsReply, SetQuestionsRequest,
};
use crate::admin::{Change, Permission};
use crate::problem::{Code, Problem};

const QUESTIONS: &str = "/v1/account/security-questions";
const APPEALS: &str = "/v1/appeals";
/// Appeals on a page.
const PAGE: i64 = 50;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route(QUESTIONS, get(security_questions).put(set_questions))
        .route(APPEALS, post(open_appeal))
        .route("/v1/appeals/{appeal_id}", get(appeal_status))
        .route("/v1/appeals/{appeal_id}/recovery", post(recover))
}

/// The part for those who decide, on the admin listener.
pub(super) fn admin_router() -> Router<AppState> {
    Router::new()
        .route("/v1/admin/appeals", get(list_appeals))
        .route(
            "/v1/admin/appeals/{appeal_id}/decision",
            post(decide_appeal),
        )
}

/// Which security questions are set, and which the bank suggests (U6). Never an answer.
#[utoipa::path(get, path = "/v1/account/security-questions", tag = "account", operation_id = "getSecurityQuestions",
    params(openapi::ProofHeader), security(("access_token" = [])),
    responses(
        (status = 200, body = QuestionsReply, description = "The questions."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "The request was refused."),
    ))]
pub(in crate::http) async fn security_questions(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let read = async {
        let holder = authorized(&state, request).await?;
        state.accounts.security_questions(&holder).await
    };
    respond(read.await)
}

/// Sets three security questions (U6). Needs a proof of the person that is under five minutes old.
#[utoipa::path(put, path = "/v1/account/security-questions", tag = "account", operation_id = "setSecurityQuestions", request_body = SetQuestionsRequest,
    params(openapi::ProofHeader, openapi::IdempotencyHeader), security(("access_token" = [])),
    responses(
        (status = 200, body = QuestionsReply, description = "They are set."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "`reauthentication_required`, `invalid_request` with `pointer`, or the request was refused."),
        (status = "5XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "May be repeated."),
    ))]
pub(in crate::http) async fn set_questions(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let accounts = state.accounts.clone();
    authorized_change(
        state,
        request,
        QUESTIONS,
        move |call, holder, body| async move {
            let request = SetQuestionsRequest::parse(&body)?;
            accounts
                .set_security_questions(&call, &holder, request)
                .await
        },
    )
    .await
}

/// Claims an account that the person cannot enter any more (U6): begins, or answers the present step. Needs no session.
#[utoipa::path(post, path = "/v1/appeals", tag = "account", operation_id = "appeal", request_body = openapi::AppealRequestBody,
    params(openapi::ProofHeader, openapi::IdempotencyHeader),
    responses(
        (status = 200, body = OperationReply, description = "The next step, or the appeal."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "With `next`: to be mended. Without: the operation is over, or the request was refused."),
        (status = "5XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "May be repeated."),
    ))]
pub(in crate::http) async fn open_appeal(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let accounts = state.accounts.clone();
    admitted_post(state, request, APPEALS, move |call, body| async move {
        let request = AppealRequest::parse(&body)?;
        accounts.appeal(&call, request).await
    })
    .await
}

/// What became of an appeal, for the device that opened it.
#[utoipa::path(get, path = "/v1/appeals/{appeal_id}", tag = "account", operation_id = "getAppeal",
    params(("appeal_id" = String, Path, description = "The appeal."), openapi::ProofHeader),
    responses(
        (status = 200, body = AppealView, description = "The appeal."),
        (status = 404, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`appeal_unknown`, also for another device."),
    ))]
pub(in crate::http) async fn appeal_status(
    State(state): State<AppState>,
    Segment(appeal_id): Segment,
    request: Request,
) -> Response {
    let read = async {
        let (parts, body) = request.into_parts();
        let device_key = admission::device(&state, &parts, body).await?;
        let view = state
            .accounts
            .appeal_status(device_key.as_str(), &appeal_id)
            .await?;
        Reply::json(&view)
    };
    respond(read.await)
}

/// Uses an approved appeal: a new number for the account, once, on the device that opened it (U6).
#[utoipa::path(post, path = "/v1/appeals/{appeal_id}/recovery", tag = "account", operation_id = "recover", request_body = openapi::PhoneChangeRequestBody,
    params(("appeal_id" = String, Path, description = "The appeal."), openapi::ProofHeader, openapi::IdempotencyHeader),
    responses(
        (status = 200, body = OperationReply, description = "The next step, or done."),
        (status = "4XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "With `next`: to be mended. Without: the operation is over, or the request was refused."),
        (status = "5XX", body = openapi::ProblemBody, content_type = "application/problem+json", description = "May be repeated."),
    ))]
pub(in crate::http) async fn recover(
    State(state): State<AppState>,
    Segment(appeal_id): Segment,
    request: Request,
) -> Response {
    let accounts = state.accounts.clone();
    let path = request.uri().path().to_owned();
    admitted_post(state, request, path, move |call, body| async move {
        let request = PhoneChangeRequest::parse(&body)?;
        accounts.recover(&call, &appeal_id, request).await
    })
    .await
}

/// A page of appeals.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminAppeals)]
pub(in crate::http) struct AppealPage {
    /// Oldest first.
    appeals: Vec<AppealCase>,
    /// For the next page: `after`. Missing on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// Appeals with what speaks for and against them. Each look is audited: a contact number is shown.
#[utoipa::path(get, path = "/v1/admin/appeals", tag = "admin", operation_id = "adminAppeals", security(("admin_session" = [])),
    params(
        ("status" = Option<String>, Query, description = "`open` (the default), `approved`, `rejected`, `used`."),
        ("after" = Option<String>, Query, description = "The cursor of the page before."),
    ),
    responses((status = 200, body = AppealPage, description = "Oldest first, 50 at most.")))]
pub(in crate::http) async fn list_appeals(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let listed = async {
        let call = admin_call(&state, request, Permission::ReadAppeals).await?;
        let [status, after] = call.parameters(["status", "after"])?;
        let status = status.unwrap_or_else(|| "open".to_owned());
        if !["open", "approved", "rejected", "used"].contains(&status.as_str()) {
            return Err(Problem::new(Code::InvalidRequest)
                .detail("status: open, approved, rejected or used"));
        }
        let shared = Arc::new((state.accounts.clone(), status, after));
        let appeals = call
            .change(&state, move |tx| {
                let shared = Arc::clone(&shared);
                Box::pin(async move {
                    let (accounts, status, after) = &*shared;
                    let found = accounts.appeals(tx, status, after.as_deref(), PAGE).await?;
                    Ok((found, Change::deed("appeals.looked_at", status.clone())))
                })
            })
            .await?;
        let cursor = (i64::try_from(appeals.len()).unwrap_or(0) == PAGE)
            .then(|| appeals.last().map(|last| last.appeal_id.clone()))
            .flatten();
        Reply::json(&AppealPage { appeals, cursor })
    };
    respond(listed.await)
}

/// What [`decide_appeal`] takes.
#[derive(ToSchema)]
#[schema(as = AdminAppealDecision)]
#[allow(dead_code, reason = "describes a body")]
pub(in crate::http) struct DecisionBody {
    /// `approve` or `reject`.
    verdict: String,
    /// With `approve`: an unsigned account may get a new login password too.
    new_password: Option<bool>,
    /// With `reject`: what the appellant is told; at most 600 bytes.
    reason: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Approve,
    Reject,
}

/// Decides an open appeal (U6).
#[utoipa::path(post, path = "/v1/admin/appeals/{appeal_id}/decision", tag = "admin", operation_id = "adminDecideAppeal", security(("admin_session" = [])),
    params(("appeal_id" = String, Path, description = "The appeal.")), request_body = DecisionBody,
    responses(
        (status = 200, body = AppealCase, description = "As it is now."),
        (status = 404, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`appeal_unknown`"),
        (status = 409, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`conflict`: decided already, or approved for no account."),
    ))]
pub(in crate::http) async fn decide_appeal(
    State(state): State<AppState>,
    Segment(appeal_id): Segment,
    request: Request,
) -> Response {
    let decided = async {
        let call = admin_call(&state, request, Permission::DecideAppeals).await?;
        let mut body = call.fields()?;
        let verdict = body.word("verdict", |word| match word {
            "approve" => Some(Verdict::Approve),
            "reject" => Some(Verdict::Reject),
            _ => None,
        })?;
        let decision = match verdict {
            Verdict::Approve => Decision::Approve {
                new_password: body.flag("new_password")?,
            },
            Verdict::Reject => Decision::Reject {
                reason: body.text("reason", 600)?,
            },
        };
        body.end()?;
        let shared = Arc::new((
            state.accounts.clone(),
            appeal_id,
            call.operator.name.clone(),
            decision,
        ));
        let case = call
            .change(&state, move |tx| {
                let shared = Arc::clone(&shared);
                Box::pin(async move {
                    let (accounts, appeal_id, by, decision) = &*shared;
                    let case = accounts.decide_appeal(tx, appeal_id, by, decision).await?;
                    let change = Change {
                        action: "appeal.decided",
                        target: appeal_id.clone(),
                        before: serde_json::json!({"status": "open", "score": case.evidence.score}),
                        after: serde_json::json!({"status": case.status, "user_id": case.user_id}),
                    };
                    Ok((case, change))
                })
            })
            .await?;
        Reply::json(&case)
    };
    respond(decided.await)
}
