//! The calls of api.weixin.qq.com. Each answers HTTP 200; a failure has errcode and errmsg.

use std::collections::HashMap;

use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    App, AppKind, Scope, WeChatError, errcode_reply,
    grants::{ACCESS_SECONDS, Grant, Names},
    text_plain_json,
};
use crate::{
    answer::{Shared, same_secret},
    context::random_text,
    world::World,
};

type Outcome = Result<Value, WeChatError>;

fn reply(outcome: Outcome) -> Response {
    match outcome {
        Ok(value) => text_plain_json(&value),
        Err(error) => errcode_reply(&error),
    }
}

/// Query parameters; of a repeated one the first counts.
struct Parameters(HashMap<String, String>);

impl Parameters {
    fn parse(query: Option<&str>) -> Self {
        let mut parameters = HashMap::new();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            parameters
                .entry(name.into_owned())
                .or_insert_with(|| value.into_owned());
        }
        Self(parameters)
    }

    /// The parameter, or the error for a missing or empty one.
    fn need(&self, name: &str, errcode: i64, errmsg: &str) -> Result<&str, WeChatError> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| WeChatError::new(errcode, errmsg))
    }

    fn app(&self) -> Result<&'static App, WeChatError> {
        let appid = self.need("appid", 41002, "appid missing")?;
        App::by_id(appid).ok_or_else(|| WeChatError::new(40013, "invalid appid"))
    }

    /// The app that shows its secret.
    fn own_app(&self) -> Result<&'static App, WeChatError> {
        let app = self.app()?;
        let secret = self.need("secret", 41004, "appsecret missing")?;
        if same_secret(secret, app.secret) {
            Ok(app)
        } else {
            Err(WeChatError::new(40125, "invalid appsecret"))
        }
    }

    fn grant_type(&self, expected: &str) -> Result<(), WeChatError> {
        if self
            .0
            .get("grant_type")
            .is_some_and(|given| given == expected)
        {
            Ok(())
        } else {
            Err(WeChatError::new(40002, "invalid grant_type"))
        }
    }
}

fn names(world: &World) -> Names {
    Names::new(
        &random_text(&*world.randomness, 32),
        &random_text(&*world.randomness, 32),
    )
}

/// The union id: only with the wider scope, and only where the person has one (W2).
fn union_id(world: &World, grant: &Grant) -> Option<String> {
    let has_one = has_union_id(world, &grant.wechat_person);
    (has_one && grant.scope == Scope::UserInfo).then(|| grant.app.union_id(&grant.wechat_person))
}

fn has_union_id(world: &World, wechat_person: &str) -> bool {
    world
        .people()
        .at_wechat(wechat_person)
        .is_some_and(|person| person.union_id)
}

/// A mini program's code: the union id comes without anybody's consent (W5).
pub(super) async fn session(State(world): Shared, RawQuery(query): RawQuery) -> Response {
    reply(begin_session(&world, &Parameters::parse(query.as_deref())))
}

fn begin_session(world: &World, parameters: &Parameters) -> Outcome {
    let app = parameters.own_app()?;
    if app.kind != AppKind::MiniProgram {
        return Err(WeChatError::new(40013, "invalid appid"));
    }
    parameters.grant_type("authorization_code")?;
    let code = parameters.need("js_code", 41008, "missing code")?;
    let now = world.now();
    let (wechat_person, _) = world.wechat().take_code(app, code, now)?;
    let mut key = [0; 16];
    world.randomness.fill(&mut key);
    let mut value = json!({
        "session_key": STANDARD.encode(key),
        "openid": app.open_id(&wechat_person),
    });
    if has_union_id(world, &wechat_person) {
        value["unionid"] = app.union_id(&wechat_person).into();
    }
    Ok(value)
}

fn tokens(grant: &Grant) -> Value {
    json!({
        "access_token": grant.access_token,
        "expires_in": ACCESS_SECONDS,
        "refresh_token": grant.refresh_token,
        "openid": grant.app.open_id(&grant.wechat_person),
        "scope": grant.scope.name(),
    })
}

pub(super) async fn access_token(State(world): Shared, RawQuery(query): RawQuery) -> Response {
    reply(exchange(&world, &Parameters::parse(query.as_deref())))
}

fn exchange(world: &World, parameters: &Parameters) -> Outcome {
    let app = parameters.own_app()?;
    if app.kind == AppKind::MiniProgram {
        return Err(WeChatError::new(40013, "invalid appid"));
    }
    parameters.grant_type("authorization_code")?;
    let code = parameters.need("code", 41008, "missing code")?;
    let now = world.now();
    let grant = world.wechat().exchange(app, code, names(world), now)?;
    let mut value = tokens(&grant);
    if let Some(union_id) = union_id(world, &grant) {
        value["unionid"] = union_id.into();
    }
    Ok(value)
}

pub(super) async fn refresh_token(State(world): Shared, RawQuery(query): RawQuery) -> Response {
    reply(refresh(&world, &Parameters::parse(query.as_deref())))
}

fn refresh(world: &World, parameters: &Parameters) -> Outcome {
    let app = parameters.app()?;
    parameters.grant_type("refresh_token")?;
    let refresh_token = parameters.need("refresh_token", 41003, "refresh_token missing")?;
    let now = world.now();
    let grant = world
        .wechat()
        .refresh(app, refresh_token, names(world), now)?;
    Ok(tokens(&grant))
}

pub(super) async fn userinfo(State(world): Shared, RawQuery(query): RawQuery) -> Response {
    reply(profile(&world, &Parameters::parse(query.as_deref())))
}

fn profile(world: &World, parameters: &Parameters) -> Outcome {
    let grant = granted(world, parameters)?;
    if grant.scope != Scope::UserInfo {
        return Err(WeChatError::new(48001, "api unauthorized"));
    }
    let union_id = union_id(world, &grant);
    let people = world.people();
    let nickname = people
        .at_wechat(&grant.wechat_person)
        .map(|person| person.nickname.clone())
        .unwrap_or_default();
    let country = match parameters.0.get("lang").map(String::as_str) {
        Some("zh_CN") => "中国",
        Some("zh_TW") => "中國",
        _ => "CN",
    };
    let mut value = json!({
        "openid": grant.app.open_id(&grant.wechat_person),
        "nickname": nickname,
        "sex": 0,
        "province": "",
        "city": "",
        "country": country,
        "headimgurl": format!("{}/avatars/{}", world.addresses.wechat, grant.wechat_person),
        "privilege": [],
    });
    if let Some(union_id) = union_id {
        value["unionid"] = union_id.into();
    }
    Ok(value)
}

pub(super) async fn auth(State(world): Shared, RawQuery(query): RawQuery) -> Response {
    reply(
        granted(&world, &Parameters::parse(query.as_deref()))
            .map(|_| json!({ "errcode": 0, "errmsg": "ok" })),
    )
}

/// The grant of the access token, where the open id is the token's own.
fn granted(world: &World, parameters: &Parameters) -> Result<Grant, WeChatError> {
    let access_token = parameters.need("access_token", 41001, "access_token missing")?;
    let open_id = parameters.need("openid", 41009, "missing openid")?;
    let now = world.now();
    let grant = world.wechat().granted(access_token, now)?.clone();
    if grant.app.open_id(&grant.wechat_person) == open_id {
        Ok(grant)
    } else {
        Err(WeChatError::new(40003, "invalid openid"))
    }
}
