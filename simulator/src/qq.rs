//! QQ: graph.qq.com, and its app on the phone. The app gets the access token itself; `/oauth2.0/` answers JSONP, or a form where a code was exchanged.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use ring::digest::{SHA256, digest};
use serde::Deserialize;
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
/// An access token's life, in seconds: three months.
const ACCESS_SECONDS: u64 = 7_776_000;

/// An app registered at QQ. Its key is public and good for this simulator only.
struct App {
    appid: &'static str,
    appkey: &'static str,
    redirect_uri: &'static str,
    /// Apps of one developer share union ids.
    developer: &'static str,
}

static APPS: [App; 2] = [
    App {
        appid: "101900001",
        appkey: "simulator-qq-key-1",
        redirect_uri: "https://bank.example/qq/callback",
        developer: "dev_postern_bank",
    },
    App {
        appid: "101900002",
        appkey: "simulator-qq-key-2",
        redirect_uri: "https://life.bank.example/qq/callback",
        developer: "dev_postern_bank",
    },
];

impl App {
    fn by_id(appid: &str) -> Option<&'static Self> {
        APPS.iter().find(|app| app.appid == appid)
    }

    fn open_id(&self, person: &str) -> String {
        hex(&["qq-openid", self.appid, person])
    }

    fn union_id(&self, person: &str) -> String {
        format!("UID_{}", hex(&["qq-unionid", self.developer, person]))
    }
}

/// 32 capital hexadecimal digits, as QQ's open ids are.
fn hex(parts: &[&str]) -> String {
    let hash = digest(&SHA256, parts.join("\n").as_bytes());
    let half = hash.as_ref()[..16]
        .iter()
        .fold(0, |number: u128, byte| number << 8 | u128::from(*byte));
    format!("{half:032X}")
}

/// A failure as QQ tells it.
#[derive(Debug, Clone)]
pub(crate) struct QqError {
    code: i64,
    description: String,
}

impl QqError {
    /// A failure that a test asked for.
    pub(crate) fn injected(code: i64, description: Option<String>) -> Self {
        let description = description.unwrap_or_else(|| {
            let known = match code {
                100_001 => "param client_id is wrong or lost",
                100_004 => "param grant_type is wrong or lost",
                100_007 => "param access_token is wrong or lost",
                100_008 => "client_id is not exist",
                100_009 => "client_secret is wrong",
                100_010 => "redirect uri is illegal",
                100_013 | 100_014 => "access token is expired",
                100_015 => "access token is revoked",
                100_016 => "access token check failed",
                100_019 => "code to access token error",
                100_020 => "code is reused error",
                100_030 => "user not authorized this api",
                100_048 => "unionid is not applied for",
                110_406 => "app is not approved",
                _ => "injected by the simulator",
            };
            known.to_owned()
        });
        Self { code, description }
    }

    /// JSONP where the protocol is OAuth's, JSON with `ret` where it is QQ's own.
    pub(crate) fn reply(&self, path: &str) -> Response {
        if path.starts_with("/oauth2.0/") {
            jsonp(&json!({ "error": self.code, "error_description": self.description }))
        } else {
            html_json(&json!({ "ret": self.code, "msg": self.description }))
        }
    }
}

impl From<i64> for QqError {
    fn from(code: i64) -> Self {
        Self::injected(code, None)
    }
}

/// QQ calls all of its answers HTML.
fn html(text: String) -> Response {
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

fn jsonp(value: &Value) -> Response {
    html(format!("callback( {value} );\n"))
}

fn html_json(value: &Value) -> Response {
    html(value.to_string())
}

pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/oauth2.0/token", get(token))
        .route("/oauth2.0/me", get(me))
        .route("/user/get_user_info", get(user_info))
        .route("/phone/authorize", post(authorize))
        .with_state(world)
}

async fn token(State(world): Shared, RawQuery(query): RawQuery) -> Response {
    let parameters = Parameters::parse(&[], query.as_deref());
    exchange(&world, &parameters).unwrap_or_else(|error| error.reply("/oauth2.0/token"))
}

fn exchange(world: &World, parameters: &Parameters) -> Result<Response, QqError> {
    if !parameters.is("grant_type", "authorization_code") {
        return Err(100_004.into());
    }
    let app = App::by_id(parameters.get("client_id").ok_or(100_001)?).ok_or(100_008)?;
    if !same_secret(
        parameters.get("client_secret").unwrap_or_default(),
        app.appkey,
    ) {
        return Err(100_009.into());
    }
    let code = parameters.get("code").unwrap_or_default();
    let now = world.now();
    let name = random_text(&*world.randomness, 24);
    let redirect_uri = parameters.get("redirect_uri").unwrap_or_default();
    world
        .qq()
        .exchange(
            (code, app.appid, redirect_uri),
            (&name, ACCESS_SECONDS),
            now,
        )
        .map_err(|why| match why {
            NoToken::Dead(Dead::Used) => QqError::from(100_020),
            NoToken::Dead(_) => 100_019.into(),
            NoToken::OtherAddress => 100_010.into(),
        })?;
    let refresh_token = random_text(&*world.randomness, 24);
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("access_token", &name)
        .append_pair("expires_in", &ACCESS_SECONDS.to_string())
        .append_pair("refresh_token", &refresh_token)
        .finish();
    let reply = json!({ "access_token": name, "expires_in": ACCESS_SECONDS.to_string(), "refresh_token": refresh_token });
    Ok(if parameters.is("fmt", "json") {
        html_json(&reply)
    } else {
        html(form)
    })
}

/// The app and the grant of the access token.
fn granted(world: &World, parameters: &Parameters) -> Result<(&'static App, Grant), QqError> {
    let token = parameters.get("access_token").ok_or(100_007)?;
    let now = world.now();
    let grant = world.qq().token(token, now).cloned();
    let grant = grant.map_err(|dead| match dead {
        Dead::Expired => QqError::from(100_014),
        Dead::Revoked => QqError::from(100_015),
        Dead::Unknown | Dead::Used => QqError::from(100_016),
    })?;
    let app = App::by_id(grant.app_id).ok_or(100_008)?;
    Ok((app, grant))
}

async fn me(State(world): Shared, RawQuery(query): RawQuery) -> Response {
    let parameters = Parameters::parse(&[], query.as_deref());
    let (app, grant) = match granted(&world, &parameters) {
        Ok(granted) => granted,
        Err(error) => return error.reply("/oauth2.0/me"),
    };
    let mut value = json!({ "client_id": app.appid, "openid": app.open_id(&grant.person) });
    let has_union_id = world
        .people()
        .at_wechat(&grant.person)
        .is_some_and(|person| person.union_id);
    if parameters.is("unionid", "1") && has_union_id {
        value["unionid"] = app.union_id(&grant.person).into();
    }
    if parameters.is("fmt", "json") {
        html_json(&value)
    } else {
        jsonp(&value)
    }
}

async fn user_info(State(world): Shared, RawQuery(query): RawQuery) -> Response {
    let parameters = Parameters::parse(&[], query.as_deref());
    profile(&world, &parameters).unwrap_or_else(|error| error.reply("/user/get_user_info"))
}

fn profile(world: &World, parameters: &Parameters) -> Result<Response, QqError> {
    let (app, grant) = granted(world, parameters)?;
    if !parameters.is("oauth_consumer_key", app.appid) {
        return Err(100_008.into());
    }
    if !parameters.is("openid", &app.open_id(&grant.person)) {
        return Err(100_016.into());
    }
    if grant.scope != "get_user_info" && grant.scope != "all" {
        return Err(100_030.into());
    }
    let nickname = world
        .people()
        .at_wechat(&grant.person)
        .map(|person| person.nickname.clone())
        .unwrap_or_default();
    let picture = format!("{}/avatars/{}", world.addresses.wechat, grant.person);
    Ok(html_json(&json!({
        "ret": 0,
        "msg": "",
        "is_lost": 0,
        "nickname": nickname,
        "gender": "男",
        "figureurl_qq_1": picture,
        "figureurl_qq_2": picture,
    })))
}

/// What the phone asks: the app's SDK for a token, a web page for a code.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    #[default]
    Token,
    Code,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorize {
    appid: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    wanted: Wanted,
    person: String,
    decision: Decision,
}

/// `{"event":"complete|error|cancel", …}`: the listener's method on the phone, and what it is given.
async fn authorize(
    State(world): Shared,
    Body(body): Body<Authorize>,
) -> Result<Json<Value>, Failure> {
    if world.people().at_wechat(&body.person).is_none() {
        return Err(Failure::not_found("person"));
    }
    let error = |code: i64| {
        let error = QqError::from(code);
        Ok(Json(
            json!({ "event": "error", "errorCode": code, "errorMessage": error.description }),
        ))
    };
    let Some(app) = App::by_id(&body.appid) else {
        return error(100_008);
    };
    if body.decision != Decision::Agree {
        // QQ's page has no button for a refusal: whoever does not agree, leaves.
        return Ok(Json(json!({ "event": "cancel" })));
    }
    let name = random_text(&*world.randomness, 24);
    let now = world.now();
    let grant = |seconds: u64, redirect_uri: &str| Grant {
        app_id: app.appid,
        person: body.person.clone(),
        scope: body.scope.clone(),
        redirect_uri: redirect_uri.to_owned(),
        since: now,
        expires_at: now + seconds,
    };
    if body.wanted == Wanted::Code {
        let grant = grant(CODE_SECONDS, app.redirect_uri);
        world.qq().add_code(name.clone(), grant, now);
        return Ok(Json(json!({ "event": "complete", "code": name })));
    }
    world
        .qq()
        .add_token(name.clone(), grant(ACCESS_SECONDS, ""), now);
    Ok(Json(json!({
        "event": "complete",
        "ret": 0,
        "openid": app.open_id(&body.person),
        "access_token": name,
        "expires_in": ACCESS_SECONDS,
    })))
}
