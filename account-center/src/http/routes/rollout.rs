//! `/v1/admin/rollout` and `/v1/admin/trial-groups`: staged release, changed while all nodes run (L12, contract/admin.md section 6).

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::super::admin_call::{Segment, admin_call};
use super::super::reply::Reply;
use super::super::{AppState, openapi};
use super::respond;
use crate::admin::{Change, Permission};
use crate::problem::{Code, Problem};
use crate::rollout::Rule;
use crate::store::rollout::{self as rows, GroupRow, RuleRow};
use crate::store::{StoreError, Tx};

/// Members that one group can have; for more there is a percentage.
const MEMBERS: usize = 1000;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/v1/admin/rollout", get(rollout_rules))
        .route(
            "/v1/admin/rollout/{app_id}/{provider}",
            axum::routing::put(put_rollout_rule),
        )
        .route("/v1/admin/trial-groups", get(trial_groups))
        .route(
            "/v1/admin/trial-groups/{name}",
            get(trial_group).put(put_trial_group),
        )
}

/// The rule of a provider in an app.
#[derive(Clone, Serialize, ToSchema)]
pub(in crate::http) struct RuleView {
    /// One of the bank's apps.
    app_id: String,
    /// The provider.
    provider: String,
    /// Who is offered it.
    rule: Rule,
    /// For `If-Match`; 0 where nobody ever changed it: everybody is offered it.
    version: i64,
    /// Seconds since 1970 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_at: Option<i64>,
}

impl RuleView {
    fn unchanged(app_id: &str, provider: &str) -> Self {
        Self {
            app_id: app_id.to_owned(),
            provider: provider.to_owned(),
            rule: Rule::default(),
            version: 0,
            changed_at: None,
        }
    }

    fn of(row: RuleRow) -> Result<Self, StoreError> {
        Ok(Self {
            rule: serde_json::from_str(&row.rule)
                .map_err(|_| StoreError::Corrupt("a rule of the rollout"))?,
            app_id: row.app_id,
            provider: row.provider,
            version: row.version,
            changed_at: Some(row.changed_at.seconds()),
        })
    }
}

async fn rule_of(tx: &mut Tx, app_id: &str, provider: &str) -> Result<RuleView, StoreError> {
    let rules = rows::rules(tx, app_id).await?;
    match rules.into_iter().find(|row| row.provider == provider) {
        Some(row) => RuleView::of(row),
        None => Ok(RuleView::unchanged(app_id, provider)),
    }
}

/// The reply of [`rollout_rules`].
#[derive(Serialize, ToSchema)]
#[schema(as = AdminRollout)]
pub(in crate::http) struct RulesReply {
    /// Of each app each provider.
    rules: Vec<RuleView>,
}

/// How far the release of each provider has come in each app.
#[utoipa::path(get, path = "/v1/admin/rollout", tag = "admin", operation_id = "adminRollout", security(("admin_session" = [])),
    responses((status = 200, body = RulesReply, description = "Of each app each provider.")))]
pub(in crate::http) async fn rollout_rules(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let listed = async {
        admin_call(&state, request, Permission::ReadRollout).await?;
        let all: Arc<Vec<(String, String)>> = Arc::new(
            state
                .catalogue
                .all()
                .map(|(app_id, provider)| (app_id.to_owned(), provider.to_owned()))
                .collect(),
        );
        let rules = state
            .store
            .read::<_, StoreError, _>(move |tx| {
                let all = Arc::clone(&all);
                Box::pin(async move {
                    let mut rules = Vec::new();
                    for (app_id, provider) in all.iter() {
                        rules.push(rule_of(tx, app_id, provider).await?);
                    }
                    Ok(rules)
                })
            })
            .await?;
        Reply::json(&RulesReply { rules })
    };
    respond(listed.await)
}

/// Changes who is offered a provider. It counts on every node with the next request.
#[utoipa::path(put, path = "/v1/admin/rollout/{app_id}/{provider}", tag = "admin", operation_id = "adminChangeRollout", security(("admin_session" = [])),
    params(("app_id" = String, Path, description = "One of the bank's apps."), ("provider" = String, Path, description = "The provider."), ("If-Match" = String, Header, description = "The version that was read; 0 where there is no rule yet.")),
    request_body = Rule,
    responses(
        (status = 200, body = RuleView, description = "As it is now."),
        (status = 404, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`app_unknown`, or `not_found`: the app has no such provider."),
        (status = 409, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`conflict`."),
    ))]
pub(in crate::http) async fn put_rollout_rule(
    State(state): State<AppState>,
    Path((app_id, provider)): Path<(String, String)>,
    request: Request,
) -> Response {
    let changed = async {
        let call = admin_call(&state, request, Permission::ChangeRollout).await?;
        let version = call.version()?;
        let mut body = call.fields()?;
        let rule = Rule::read(&mut body)?;
        body.end()?;
        match state.catalogue.providers(&app_id) {
            None => return Err(Problem::new(Code::AppUnknown)),
            Some(known) if !known.contains(&provider.as_str()) => {
                return Err(Problem::new(Code::NotFound).detail("the app has no such provider"));
            }
            Some(_) => {}
        }
        let row = Arc::new(RuleRow {
            rule: serde_json::to_string(&rule).map_err(Problem::internal)?,
            app_id,
            provider,
            version: version
                .checked_add(1)
                .ok_or_else(|| Problem::new(Code::Conflict))?,
            changed_at: state.context.now(),
        });
        let view = call
            .change(&state, move |tx| {
                let row = Arc::clone(&row);
                Box::pin(async move {
                    let before = rule_of(tx, &row.app_id, &row.provider).await?;
                    if before.version + 1 != row.version || !rows::put_rule(tx, &row).await? {
                        return Err(Problem::new(Code::Conflict));
                    }
                    let after = RuleView::of((*row).clone())?;
                    let told = |view: &RuleView| {
                        serde_json::to_value(&view.rule).map_err(Problem::internal)
                    };
                    let change = Change {
                        action: "rollout.changed",
                        target: format!("{}/{}", row.app_id, row.provider),
                        before: told(&before)?,
                        after: told(&after)?,
                    };
                    Ok((after, change))
                })
            })
            .await?;
        Reply::json(&view)
    };
    respond(changed.await)
}

/// A trial group in the list.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct GroupEntry {
    /// Its name.
    name: String,
    /// For `If-Match`.
    version: i64,
}

/// The reply of [`trial_groups`].
#[derive(Serialize, ToSchema)]
#[schema(as = AdminTrialGroups)]
pub(in crate::http) struct GroupsReply {
    /// By name.
    groups: Vec<GroupEntry>,
}

/// The trial groups.
#[utoipa::path(get, path = "/v1/admin/trial-groups", tag = "admin", operation_id = "adminTrialGroups", security(("admin_session" = [])),
    responses((status = 200, body = GroupsReply, description = "By name.")))]
pub(in crate::http) async fn trial_groups(
    State(state): State<AppState>,
    request: Request,
) -> Response {
    let listed = async {
        admin_call(&state, request, Permission::ReadRollout).await?;
        let groups = state
            .store
            .read::<_, StoreError, _>(|tx| Box::pin(rows::group_names(tx)))
            .await?
            .into_iter()
            .map(|(name, version)| GroupEntry { name, version })
            .collect();
        Reply::json(&GroupsReply { groups })
    };
    respond(listed.await)
}

/// A trial group with its members.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct GroupView {
    /// Its name.
    name: String,
    /// Thumbprints of device keys.
    devices: BTreeSet<String>,
    /// User ids: they count on the devices that the person has had a session on.
    users: BTreeSet<String>,
    /// For `If-Match`; 0: there is none.
    version: i64,
}

impl From<GroupRow> for GroupView {
    fn from(row: GroupRow) -> Self {
        Self {
            name: row.name,
            devices: row.devices,
            users: row.users,
            version: row.version,
        }
    }
}

/// A trial group.
#[utoipa::path(get, path = "/v1/admin/trial-groups/{name}", tag = "admin", operation_id = "adminTrialGroup", security(("admin_session" = [])),
    params(("name" = String, Path, description = "The group.")),
    responses(
        (status = 200, body = GroupView, description = "With its members."),
        (status = 404, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`not_found`."),
    ))]
pub(in crate::http) async fn trial_group(
    State(state): State<AppState>,
    Segment(name): Segment,
    request: Request,
) -> Response {
    let read = async {
        admin_call(&state, request, Permission::ReadRollout).await?;
        let group = state
            .store
            .read::<_, StoreError, _>(move |tx| {
                let name = name.clone();
                Box::pin(async move { rows::group(tx, &name).await })
            })
            .await?;
        if group.version == 0 {
            return Err(Problem::new(Code::NotFound));
        }
        Reply::json(&GroupView::from(group))
    };
    respond(read.await)
}

/// What [`put_trial_group`] takes: all members.
#[derive(ToSchema)]
#[schema(as = AdminTrialMembers)]
#[allow(dead_code, reason = "describes a body")]
pub(in crate::http) struct GroupBody {
    /// Thumbprints of device keys.
    devices: Vec<String>,
    /// User ids.
    users: Vec<String>,
}

/// Writes a trial group whole: at most 1000 members.
#[utoipa::path(put, path = "/v1/admin/trial-groups/{name}", tag = "admin", operation_id = "adminChangeTrialGroup", security(("admin_session" = [])),
    params(("name" = String, Path, description = "1 to 64 of: letters, digits, point, hyphen, underscore."), ("If-Match" = String, Header, description = "The version that was read; 0 for a new one.")),
    request_body = GroupBody,
    responses(
        (status = 200, body = GroupView, description = "As it is now."),
        (status = 409, body = openapi::ProblemBody, content_type = "application/problem+json", description = "`conflict`."),
    ))]
pub(in crate::http) async fn put_trial_group(
    State(state): State<AppState>,
    Segment(name): Segment,
    request: Request,
) -> Response {
    let changed = async {
        let call = admin_call(&state, request, Permission::ChangeRollout).await?;
        let version = call.version()?;
        let mut body = call.fields()?;
        let devices: BTreeSet<String> = body.texts("devices", MEMBERS, 43)?.into_iter().collect();
        let users: BTreeSet<String> = body.texts("users", MEMBERS, 64)?.into_iter().collect();
        body.end()?;
        let good = (1..=64).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
        if !good || devices.len() + users.len() > MEMBERS {
            return Err(Problem::new(Code::InvalidRequest).detail(
                "a name of letters, digits, point, hyphen, underscore; at most 1000 members",
            ));
        }
        let group = Arc::new(GroupRow {
            name,
            version: version
                .checked_add(1)
                .ok_or_else(|| Problem::new(Code::Conflict))?,
            devices,
            users,
        });
        let now = state.context.now();
        let view = call
            .change(&state, move |tx| {
                let group = Arc::clone(&group);
                Box::pin(async move {
                    let before = rows::group(tx, &group.name).await?;
                    if before.version + 1 != group.version
                        || !rows::put_group(tx, &group, now).await?
                    {
                        return Err(Problem::new(Code::Conflict));
                    }
                    let change = Change {
                        action: "trial_group.changed",
                        target: group.name.clone(),
                        before: told(&before, &group),
                        after: told(&group, &before),
                    };
                    Ok((GroupView::from((*group).clone()), change))
                })
            })
            .await?;
        Reply::json(&view)
    };
    respond(changed.await)
}

/// For the audit log: how many, and which are not in the other version.
fn told(group: &GroupRow, other: &GroupRow) -> Value {
    if group.version == 0 {
        return Value::Null;
    }
    json!({
        "count": group.devices.len() + group.users.len(),
        "devices_only_here": group.devices.difference(&other.devices).collect::<Vec<_>>(),
        "users_only_here": group.users.difference(&other.users).collect::<Vec<_>>(),
    })
}
