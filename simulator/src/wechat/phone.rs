//! The WeChat app on the phone, as the mobile SDK reaches it.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};

use super::{App, AppKind, Scope};
use crate::{
    answer::{Body, Failure, Shared},
    context::random_text,
    world::World,
};

/// What the person does with the consent page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Decision {
    Agree,
    Refuse,
    Close,
}

impl Decision {
    /// The SDK's errCode.
    pub(super) fn error_code(self) -> i32 {
        match self {
            Self::Agree => 0,
            Self::Refuse => -4,
            Self::Close => -2,
        }
    }
}

/// A new code for the app, from a person that exists at WeChat.
pub(super) fn give_code(
    world: &World,
    app: &'static App,
    wechat_person: &str,
    scope: Scope,
) -> String {
    let code = format!("0{}", &random_text(&*world.randomness, 24)[..31]);
    let now = world.now();
    world
        .wechat()
        .add_code(code.clone(), app, wechat_person, scope, now);
    code
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SendAuth {
    appid: String,
    scope: String,
    #[serde(default)]
    state: String,
    person: String,
    decision: Decision,
}

/// `SendAuth.Resp`.
#[derive(Serialize)]
pub(super) struct SendAuthReply {
    #[serde(rename = "errCode")]
    error_code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    state: String,
}

/// An unknown app gets -4 and an unknown scope -1 at once: no page was shown.
pub(super) async fn authorize(
    State(world): Shared,
    Body(body): Body<SendAuth>,
) -> Result<Json<SendAuthReply>, Failure> {
    if world.people().at_wechat(&body.person).is_none() {
        return Err(Failure::not_found("person at WeChat"));
    }
    let without_page = |error_code| {
        Ok(Json(SendAuthReply {
            error_code,
            code: None,
            state: body.state.clone(),
        }))
    };
    let Some(app) = App::by_id(&body.appid).filter(|app| app.kind != AppKind::MiniProgram) else {
        return without_page(-4);
    };
    let Some(scope) = Scope::parse(&body.scope) else {
        return without_page(-1);
    };
    // A web page that asks for the open id alone shows no page, so there is nothing to refuse.
    let silent = app.kind == AppKind::OfficialAccount && scope == Scope::Base;
    let decision = if silent {
        Decision::Agree
    } else {
        body.decision
    };
    let code = (decision == Decision::Agree).then(|| give_code(&world, app, &body.person, scope));
    Ok(Json(SendAuthReply {
        error_code: decision.error_code(),
        code,
        state: body.state,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    appid: String,
    person: String,
}

/// `wx.login` in a mini program.
#[derive(Serialize)]
pub(super) struct LoginReply {
    #[serde(rename = "errMsg")]
    error_message: &'static str,
    code: String,
}

/// A code without a page (M3).
pub(super) async fn login(
    State(world): Shared,
    Body(body): Body<Login>,
) -> Result<Json<LoginReply>, Failure> {
    if world.people().at_wechat(&body.person).is_none() {
        return Err(Failure::not_found("person at WeChat"));
    }
    let app = App::by_id(&body.appid)
        .filter(|app| app.kind == AppKind::MiniProgram)
        .ok_or_else(|| Failure::not_found("mini program"))?;
    Ok(Json(LoginReply {
        error_message: "login:ok",
        code: give_code(&world, app, &body.person, Scope::Base),
    }))
}
