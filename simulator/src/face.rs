//! The face service: a session for a login, performed on the phone, verified server to server, once (L5).

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    middleware::from_fn_with_state,
    response::Response,
    routing::post,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    answer::{Body, Failure, Shared, require_bearer},
    context::random_text,
    tencent::{self, TencentError},
    world::World,
};

const KEY: &str = "simulator-face-key";
/// How long a session may wait for its person, in seconds.
const SESSION_SECONDS: u64 = 10 * 60;
/// How long a ticket may wait to be verified, in seconds.
const TICKET_SECONDS: u64 = 5 * 60;
/// How long a used ticket is told from an unknown one, in seconds.
const MEMORY_SECONDS: u64 = 24 * 3600;

/// What the ticket is bound to; the service keeps it and gives it back.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bound {
    customer: String,
    login: String,
    device_key: String,
    nonce: String,
}

struct Session {
    bound: Bound,
    /// The newest; performing again makes another and voids it.
    ticket: Option<String>,
    expires_at: u64,
}

struct Ticket {
    face_session: String,
    bound: Bound,
    outcome: Outcome,
    expires_at: u64,
    used: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Pass,
    Fail,
    Timeout,
}

impl Outcome {
    fn result(self) -> &'static str {
        match self {
            Self::Pass => "passed",
            Self::Fail => "failed",
            Self::Timeout => "timed_out",
        }
    }
}

/// A verification at Tencent Cloud, by its `BizToken`.
struct Detection {
    rule_id: String,
    extra: Value,
    outcome: Option<Outcome>,
    expires_at: u64,
}

/// Sessions that wait, and tickets.
#[derive(Default)]
pub(crate) struct Faces {
    sessions: HashMap<String, Session>,
    tickets: HashMap<String, Ticket>,
    detections: HashMap<String, Detection>,
    next_sweep: u64,
}

impl Faces {
    /// Forgets what died long ago, once a minute.
    fn sweep(&mut self, now: u64) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + 60;
        self.sessions.retain(|_, session| session.expires_at > now);
        self.tickets
            .retain(|_, ticket| ticket.expires_at + MEMORY_SECONDS > now);
        self.detections.retain(|_, one| one.expires_at > now);
    }
}

pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/sessions", post(begin))
        .route("/tickets/verify", post(verify))
        .route_layer(from_fn_with_state(KEY, require_bearer))
        .route("/", post(tencent_call))
        .route("/phone/sessions/{face_session}/perform", post(perform))
        .route("/phone/detections/{biz_token}/perform", post(detect))
        .with_state(world)
}

async fn begin(State(world): Shared, Body(bound): Body<Bound>) -> Json<Value> {
    let face_session = format!("fs_{}", random_text(&*world.randomness, 16));
    let url = format!("{}/phone/sessions/{face_session}", world.addresses.face);
    let now = world.now();
    let mut faces = world.faces();
    faces.sweep(now);
    faces.sessions.insert(
        face_session.clone(),
        Session {
            bound,
            ticket: None,
            expires_at: now + SESSION_SECONDS,
        },
    );
    Json(json!({ "face_session": face_session, "url": url }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Perform {
    outcome: Outcome,
}

async fn perform(
    State(world): Shared,
    Path(face_session): Path<String>,
    Body(body): Body<Perform>,
) -> Result<Json<Value>, Failure> {
    let ticket = format!("ft_{}", random_text(&*world.randomness, 24));
    let now = world.now();
    let mut faces = world.faces();
    let session = faces
        .sessions
        .get_mut(&face_session)
        .filter(|session| now < session.expires_at)
        .ok_or_else(|| {
            Failure::new(StatusCode::NOT_FOUND, "no such face session, or it is over")
        })?;
    let bound = session.bound.clone();
    let earlier = session.ticket.replace(ticket.clone());
    if let Some(earlier) = earlier {
        faces.tickets.remove(&earlier);
    }
    faces.tickets.insert(
        ticket.clone(),
        Ticket {
            face_session,
            bound,
            outcome: body.outcome,
            expires_at: now + TICKET_SECONDS,
            used: false,
        },
    );
    Ok(Json(json!({ "ticket": ticket })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    ticket: String,
}

/// An answer whatever the ticket; an expired one is unknown.
#[derive(Serialize)]
struct Verified {
    result: &'static str,
    #[serde(flatten)]
    bound: Option<Bound>,
}

async fn verify(State(world): Shared, Body(body): Body<Verify>) -> Json<Verified> {
    let now = world.now();
    let mut faces = world.faces();
    let Faces {
        sessions, tickets, ..
    } = &mut *faces;
    Json(match tickets.get_mut(&body.ticket) {
        Some(ticket) if ticket.used => Verified {
            result: "used",
            bound: None,
        },
        Some(ticket) if now < ticket.expires_at => {
            ticket.used = true;
            sessions.remove(&ticket.face_session);
            Verified {
                result: ticket.outcome.result(),
                bound: Some(ticket.bound.clone()),
            }
        }
        _ => Verified {
            result: "unknown",
            bound: None,
        },
    })
}

/// How long a `BizToken` answers, in seconds: three days.
const DETECTION_SECONDS: u64 = 3 * 24 * 3600;
const RULE: &str = "1";

/// Tencent Cloud's face verification: `DetectAuth` and `GetDetectInfoEnhanced` of 2018-03-01.
async fn tencent_call(State(world): Shared, headers: HeaderMap, body: Bytes) -> Response {
    match tencent_answer(&world, &headers, &body) {
        Ok(answer) => tencent::reply(&world, answer),
        Err(TencentError(code)) => tencent::error_reply(&world, &code),
    }
}

fn tencent_answer(world: &World, headers: &HeaderMap, body: &[u8]) -> Result<Value, TencentError> {
    let (action, parameters) = tencent::read(world, "faceid", "2018-03-01", headers, body)?;
    let text = |name: &str| parameters[name].as_str().unwrap_or_default();
    if text("RuleId") != RULE {
        return Err("InvalidParameterValue.RuleIdNotExist".into());
    }
    let now = world.now();
    match action.as_str() {
        "DetectAuth" => {
            if text("Name").is_empty() || text("IdCard").len() != 18 || text("Extra").len() > 1024 {
                return Err("InvalidParameterValue".into());
            }
            let biz_token = random_text(&*world.randomness, 24);
            let detection = Detection {
                rule_id: text("RuleId").to_owned(),
                extra: parameters["Extra"].clone(),
                outcome: None,
                expires_at: now + DETECTION_SECONDS,
            };
            let mut faces = world.faces();
            faces.sweep(now);
            faces.detections.insert(biz_token.clone(), detection);
            let url = format!("{}/phone/detections/{biz_token}", world.addresses.face);
            Ok(json!({ "Url": url, "BizToken": biz_token }))
        }
        "GetDetectInfoEnhanced" => {
            let faces = world.faces();
            let detection = faces
                .detections
                .get(text("BizToken"))
                .filter(|one| one.rule_id == text("RuleId") && now < one.expires_at)
                .ok_or("InvalidParameterValue.BizTokenIllegal")?;
            let code = detection.outcome.map(|outcome| match outcome {
                Outcome::Pass => 0,
                Outcome::Fail => 2016,
                Outcome::Timeout => 1001,
            });
            Ok(json!({ "Text": {
                "ErrCode": code, "ErrMsg": null, "LiveStatus": code.map(|_| 0), "Comparestatus": code, "Sim": "97.7", "Extra": detection.extra,
            } }))
        }
        _ => Err("InvalidAction".into()),
    }
}

async fn detect(
    State(world): Shared,
    Path(biz_token): Path<String>,
    Body(body): Body<Perform>,
) -> Result<Json<Value>, Failure> {
    let mut faces = world.faces();
    let detection = faces
        .detections
        .get_mut(&biz_token)
        .ok_or_else(|| Failure::not_found("verification"))?;
    detection.outcome = Some(body.outcome);
    Ok(Json(json!({ "ticket": biz_token })))
}
