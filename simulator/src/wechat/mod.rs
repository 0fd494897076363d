//! WeChat: apps, authorization codes, tokens, and its way to say no (HTTP 200 with errcode and errmsg).

mod consent;
mod grants;
mod phone;
pub(crate) mod push;
mod sns;

use std::sync::Arc;

use axum::{
    Router,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

pub(crate) use grants::WeChat;

use crate::world::World;

/// What an app is at WeChat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AppKind {
    Mobile,
    MiniProgram,
    /// An official account, to which web pages in WeChat are tied.
    OfficialAccount,
}

/// An app registered at the open platform. The secrets are public and good for this simulator only.
pub(crate) struct App {
    kind: AppKind,
    appid: &'static str,
    secret: &'static str,
    name: &'static str,
    name_en: &'static str,
    open_platform: &'static str,
}

static APPS: [App; 4] = [
    App {
        kind: AppKind::Mobile,
        appid: "wx5b1e0c6a7d000001",
        secret: "simulator-secret-of-app-1",
        name: "Postern 手机银行",
        name_en: "Postern Mobile Bank",
        open_platform: "op_postern_bank",
    },
    App {
        kind: AppKind::Mobile,
        appid: "wx5b1e0c6a7d000002",
        secret: "simulator-secret-of-app-2",
        name: "Postern 生活",
        name_en: "Postern Life",
        open_platform: "op_postern_bank",
    },
    App {
        kind: AppKind::MiniProgram,
        appid: "wx5b1e0c6a7d000003",
        secret: "simulator-secret-of-app-3",
        name: "Postern 小程序",
        name_en: "Postern Mini Program",
        open_platform: "op_postern_bank",
    },
    App {
        kind: AppKind::OfficialAccount,
        appid: "wx5b1e0c6a7d000004",
        secret: "simulator-secret-of-app-4",
        name: "Postern 公众号",
        name_en: "Postern Official Account",
        open_platform: "op_postern_bank",
    },
];

impl App {
    fn by_id(appid: &str) -> Option<&'static Self> {
        APPS.iter().find(|app| app.appid == appid)
    }

    /// The person's name within this app; it never changes.
    fn open_id(&self, wechat_person: &str) -> String {
        stable_id(&["openid", self.appid, wechat_person])
    }

    /// The person's name within all apps of the open-platform account; it never changes.
    fn union_id(&self, wechat_person: &str) -> String {
        stable_id(&["unionid", self.open_platform, wechat_person])
    }
}

/// 28 characters that begin with `o`, as WeChat's do.
fn stable_id(parts: &[&str]) -> String {
    let hash = digest(&SHA256, parts.join("\n").as_bytes());
    format!("o{}", &URL_SAFE_NO_PAD.encode(hash)[..27])
}

/// What an app asks to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The open id, without a page.
    Base,
    /// The profile and the union id too, with consent (M3).
    UserInfo,
}

impl Scope {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "snsapi_base" => Some(Self::Base),
            "snsapi_userinfo" => Some(Self::UserInfo),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Base => "snsapi_base",
            Self::UserInfo => "snsapi_userinfo",
        }
    }
}

/// A failure as WeChat tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WeChatError {
    errcode: i64,
    errmsg: String,
}

impl WeChatError {
    fn new(errcode: i64, errmsg: &str) -> Self {
        Self {
            errcode,
            errmsg: errmsg.to_owned(),
        }
    }

    /// A failure that a test asked for; the message of the known ones is filled in.
    pub(crate) fn injected(errcode: i64, errmsg: Option<String>) -> Self {
        let errmsg = errmsg.unwrap_or_else(|| {
            let known = match errcode {
                -1 => "system error",
                40001 => "invalid credential, access_token is invalid or not latest",
                40003 => "invalid openid",
                40013 => "invalid appid",
                40014 => "invalid access_token",
                40029 => "invalid code",
                40030 => "invalid refresh_token",
                40125 => "invalid appsecret",
                40163 => "code been used",
                40226 => "code blocked",
                42001 => "access_token expired",
                42002 => "refresh_token expired",
                42003 => "code expired",
                45011 => "api minute-quota reach limit",
                48001 => "api unauthorized",
                _ => "injected by the simulator",
            };
            known.to_owned()
        });
        Self { errcode, errmsg }
    }
}

/// The reply that carries a failure.
pub(crate) fn errcode_reply(error: &WeChatError) -> Response {
    text_plain_json(&json!({ "errcode": error.errcode, "errmsg": error.errmsg }))
}

/// HTTP 200, and JSON that calls itself text, as WeChat sends it.
fn text_plain_json(value: &Value) -> Response {
    ([(CONTENT_TYPE, "text/plain")], value.to_string()).into_response()
}

pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/sns/oauth2/access_token", get(sns::access_token))
        .route("/sns/oauth2/refresh_token", get(sns::refresh_token))
        .route("/sns/userinfo", get(sns::userinfo))
        .route("/sns/auth", get(sns::auth))
        .route("/sns/jscode2session", get(sns::session))
        .route("/phone/authorize", post(phone::authorize))
        .route("/phone/login", post(phone::login))
        .route(
            "/connect/authorize",
            get(consent::page).post(consent::decide),
        )
        .route("/avatars/{wechat_person}", get(consent::avatar))
        .with_state(world)
}
