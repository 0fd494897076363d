//! Weibo: api.weibo.com, and its app on the phone. Failures are HTTP 400 or 401 with `error`, `error_code` and `error_description`.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    answer::{Body, Failure, Shared, same_secret},
    book::{Dead, Grant, NoToken},
    context::random_text,
    parameters::Parameters,
    phone::Decision,
    world::World,
};

/// A code's life, in seconds.
const CODE_SECONDS: u64 = 10 * 60;
/// An access token's life, in seconds: 30 days.
const ACCESS_SECONDS: u64 = 30 * 24 * 3600;

/// An app registered at Weibo. Its secret is public and good for this simulator only.
struct App {
    appkey: &'static str,
    secret: &'static str,
    redirect_uri: &'static str,
}

static APPS: [App; 2] = [
    App {
        appkey: "3100000001",
        secret: "simulator-weibo-secret-1",
        redirect_uri: "https://bank.example/weibo/callback",
    },
    App {
        appkey: "3100000002",
        secret: "simulator-weibo-secret-2",
        redirect_uri: "https://life.bank.example/weibo/callback",
    },
];

impl App {
    fn by_key(appkey: &str) -> Option<&'static Self> {
        APPS.iter().find(|app| app.appkey == appkey)
    }
}

/// The person's name at Weibo, the same for every app: ten digits.
fn uid(person: &str) -> u64 {
    let hash = digest(&SHA256, format!("weibo\n{person}").as_bytes());
    let number = hash.as_ref()[..8]
        .iter()
        .fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    1_000_000_000 + number % 9_000_000_000
}

/// A failure as Weibo tells it.
#[derive(Debug, Clone)]
pub(crate) struct WeiboError {
    code: i64,
    description: Option<String>,
}

impl WeiboError {
    /// A failure that a test asked for.
    pub(crate) fn injected(code: i64, description: Option<String>) -> Self {
        Self { code, description }
    }

    fn name(&self) -> &'static str {
        match self.code {
            10001 => "system error",
            10009 => "too many pending tasks, system is busy",
            21322 => "redirect_uri_mismatch",
            21323 => "invalid_request",
            21324 => "invalid_client",
            21325 => "invalid_grant",
            21326 => "unauthorized_client",
            21327 => "expired_token",
            21328 => "unsupported_grant_type",
            21330 => "access_denied",
            21331 => "temporarily_unavailable",
            21332 => "invalid_access_token",
            21338 => "sso package or sign error",
            _ => "error",
        }
    }

    fn json(&self) -> Value {
        json!({
            "error": self.name(),
            "error_code": self.code,
            "error_description": self.description.as_deref().unwrap_or(self.name()),
        })
    }
}

impl From<i64> for WeiboError {
    fn from(code: i64) -> Self {
        Self::injected(code, None)
    }
}

impl IntoResponse for WeiboError {
    fn into_response(self) -> Response {
        let status = match self.code {
            21324 | 21327 | 21332 => StatusCode::UNAUTHORIZED,
            10001..=10099 => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        };
        (status, Json(self.json())).into_response()
    }
}

pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/oauth2/access_token", post(access_token))
        .route("/oauth2/get_token_info", post(token_info))
        .route("/oauth2/revokeoauth2", post(revoke))
        .route("/2/users/show.json", get(show))
        .route("/phone/authorize", post(authorize))
        .with_state(world)
}

type Outcome = Result<Json<Value>, WeiboError>;

async fn access_token(State(world): Shared, RawQuery(query): RawQuery, form: Bytes) -> Outcome {
    let parameters = Parameters::parse(&form, query.as_deref());
    let need = |name| parameters.get(name).ok_or(WeiboError::from(21323));
    let app = App::by_key(need("client_id")?).ok_or(21324)?;
    if !same_secret(need("client_secret")?, app.secret) {
        return Err(21324.into());
    }
    if need("grant_type")? != "authorization_code" {
        return Err(21328.into());
    }
    let code = need("code")?;
    let redirect_uri = need("redirect_uri")?;
    let now = world.now();
    let token = format!("2.00{}", random_text(&*world.randomness, 24));
    let grant = world
        .weibo()
        .exchange(
            (code, app.appkey, redirect_uri),
            (&token, ACCESS_SECONDS),
            now,
        )
        .map_err(|why| match why {
            // Unknown, used, expired: all the same to Weibo.
            NoToken::Dead(_) => WeiboError::from(21325),
            NoToken::OtherAddress => 21322.into(),
        })?;
    let uid = uid(&grant.person).to_string();
    Ok(Json(json!({
        "access_token": token,
        "expires_in": ACCESS_SECONDS,
        "remind_in": ACCESS_SECONDS.to_string(),
        "uid": uid,
        "isRealName": "true",
    })))
}

/// The grant of the access token.
fn granted(world: &World, parameters: &Parameters) -> Result<Grant, WeiboError> {
    let token = parameters.get("access_token").ok_or(21323)?;
    let now = world.now();
    let mut book = world.weibo();
    book.token(token, now).cloned().map_err(|dead| match dead {
        Dead::Expired => 21327.into(),
        Dead::Unknown | Dead::Used | Dead::Revoked => 21332.into(),
    })
}

async fn token_info(State(world): Shared, RawQuery(query): RawQuery, form: Bytes) -> Outcome {
    let grant = granted(&world, &Parameters::parse(&form, query.as_deref()))?;
    // Numbers, and `expire_in` without an s: Weibo's own spelling.
    Ok(Json(json!({
        "uid": uid(&grant.person),
        "appkey": grant.app_id,
        "scope": grant.scope,
        "create_at": grant.since,
        "expire_in": grant.expires_at.saturating_sub(world.now()),
    })))
}

async fn revoke(State(world): Shared, RawQuery(query): RawQuery, form: Bytes) -> Outcome {
    let parameters = Parameters::parse(&form, query.as_deref());
    granted(&world, &parameters)?;
    let now = world.now();
    let token = parameters.get("access_token").unwrap_or_default();
    let revoked = world.weibo().revoke(token, now).is_ok();
    Ok(Json(json!({ "result": revoked })))
}

async fn show(State(world): Shared, RawQuery(query): RawQuery) -> Outcome {
    let parameters = Parameters::parse(&[], query.as_deref());
    let grant = granted(&world, &parameters)?;
    let uid = uid(&grant.person);
    if !parameters.is("uid", &uid.to_string()) {
        return Err(WeiboError::injected(
            20003,
            Some("User does not exists!".to_owned()),
        ));
    }
    let nickname = world
        .people()
        .at_wechat(&grant.person)
        .map(|person| person.nickname.clone())
        .unwrap_or_default();
    let picture = format!("{}/avatars/{}", world.addresses.wechat, grant.person);
    Ok(Json(json!({
        "id": uid,
        "idstr": uid.to_string(),
        "screen_name": nickname,
        "name": nickname,
        "profile_image_url": picture,
        "avatar_large": picture,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorize {
    client_id: String,
    redirect_uri: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    state: String,
    person: String,
    decision: Decision,
}

/// What the SDK on the phone hands to the app.
#[derive(Serialize)]
struct Authorized {
    /// `complete`, `error` or `cancel`: the listener's method.
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<i64>,
    state: String,
}

async fn authorize(
    State(world): Shared,
    Body(body): Body<Authorize>,
) -> Result<Json<Authorized>, Failure> {
    if world.people().at_wechat(&body.person).is_none() {
        return Err(Failure::not_found("person"));
    }
    let app = App::by_key(&body.client_id);
    let error_code = match (app, body.decision) {
        // Package or signature are of no app of this key: no page was shown.
        (None, _) => Some(21338),
        (Some(app), _) if app.redirect_uri != body.redirect_uri => Some(21322),
        (Some(_), Decision::Refuse) => Some(21330),
        (Some(_), Decision::Agree | Decision::Close) => None,
    };
    let mut code = None;
    if let (Some(app), None, Decision::Agree) = (app, error_code, body.decision) {
        let name = random_text(&*world.randomness, 16);
        let now = world.now();
        let grant = Grant {
            app_id: app.appkey,
            person: body.person,
            scope: body.scope,
            redirect_uri: body.redirect_uri,
            since: now,
            expires_at: now + CODE_SECONDS,
        };
        world.weibo().add_code(name.clone(), grant, now);
        code = Some(name);
    }
    Ok(Json(Authorized {
        event: match (&code, error_code) {
            (Some(_), _) => "complete",
            (None, Some(_)) => "error",
            (None, None) => "cancel",
        },
        code,
        error_code,
        state: body.state,
    }))
}
