//! The bank's own channel to its customers, and what arrived there (L9).

use std::{collections::VecDeque, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    middleware::from_fn_with_state,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    answer::{Body, Shared, require_bearer},
    context::random_text,
    world::World,
};

const KEY: &str = "simulator-notices-key";
/// Notices kept.
const KEPT: usize = 1000;

/// A notice as it came.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notice {
    user_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer: Option<String>,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    at: i64,
}

/// Newest first.
#[derive(Default)]
pub(crate) struct Board(VecDeque<Notice>);

pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/notices", post(take))
        .route_layer(from_fn_with_state(KEY, require_bearer))
        .route("/board/{user_id}", get(board))
        .with_state(world)
}

async fn take(State(world): Shared, Body(notice): Body<Notice>) -> Json<Value> {
    let mut board = world.board();
    board.0.push_front(notice);
    board.0.truncate(KEPT);
    Json(json!({ "notice_id": format!("nt_{}", random_text(&*world.randomness, 12)) }))
}

async fn board(
    State(world): Shared,
    axum::extract::Path(user_id): axum::extract::Path<String>,
) -> Json<Value> {
    let board = world.board();
    let notices: Vec<&Notice> = board
        .0
        .iter()
        .filter(|notice| notice.user_id == user_id)
        .collect();
    Json(json!({ "notices": notices }))
}
