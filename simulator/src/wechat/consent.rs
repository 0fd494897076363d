//! The consent page for a human: choose who one is, then agree, refuse or close.

use axum::{
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use url::{Url, form_urlencoded};

use super::{
    App, Scope,
    phone::{Decision, give_code},
};
use crate::{
    answer::{Failure, Shared, is_loopback},
    html::{escape, page as html_page},
    people::Person,
};

/// What the app asks for, checked.
struct Asked {
    app: &'static App,
    scope: Scope,
    state: String,
    redirect_uri: Url,
    person: Option<String>,
    decision: Option<Decision>,
}

impl Asked {
    /// Reads a query or a form; the error is for the human.
    fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let (mut appid, mut scope, mut state, mut redirect_uri, mut person, mut decision) =
            Default::default();
        for (name, value) in form_urlencoded::parse(text) {
            let slot: &mut Option<String> = match &*name {
                "appid" => &mut appid,
                "scope" => &mut scope,
                "state" => &mut state,
                "redirect_uri" => &mut redirect_uri,
                "person" => &mut person,
                "decision" => &mut decision,
                _ => continue,
            };
            *slot = Some(value.into_owned());
        }
        let app = appid
            .as_deref()
            .and_then(App::by_id)
            .ok_or("AppID 参数错误 · unknown appid")?;
        let scope = scope
            .as_deref()
            .and_then(Scope::parse)
            .ok_or("Scope 参数错误 · unknown scope")?;
        let redirect_uri = redirect_uri
            .and_then(|uri| Url::parse(&uri).ok())
            .filter(may_return_to)
            .ok_or("redirect_uri 参数错误 · redirect_uri is missing or not allowed")?;
        let decision = match decision.as_deref() {
            None => None,
            Some("agree") => Some(Decision::Agree),
            Some("refuse") => Some(Decision::Refuse),
            Some("close") => Some(Decision::Close),
            Some(_) => return Err("decision 参数错误 · unknown decision"),
        };
        Ok(Self {
            app,
            scope,
            state: state.unwrap_or_default(),
            redirect_uri,
            person,
            decision,
        })
    }
}

/// A page of this machine or an app's own scheme. Never a script, and never another machine.
fn may_return_to(uri: &Url) -> bool {
    match uri.scheme() {
        "http" | "https" => is_loopback(uri),
        scheme => scheme.contains(['.', '-', '+']) || scheme.starts_with("wx"),
    }
}

fn refused_page(complaint: &str) -> Response {
    let body = format!(
        "<h1>无法打开页面<small>This page cannot be opened</small></h1>\n<p role=\"alert\">{}</p>\n",
        escape(complaint)
    );
    html_page(StatusCode::BAD_REQUEST, "无法打开页面", &body)
}

pub(super) async fn page(State(world): Shared, RawQuery(query): RawQuery) -> Response {
    let asked = match Asked::parse(query.unwrap_or_default().as_bytes()) {
        Ok(asked) => asked,
        Err(complaint) => return refused_page(complaint),
    };
    let people: String = world
        .people()
        .list()
        .iter()
        .enumerate()
        .filter_map(|(place, person)| choice(person, place == 0))
        .collect();
    let wants = match asked.scope {
        Scope::UserInfo => {
            "获取你的昵称、头像等公开信息<small>See your nickname, picture and other public details</small>"
        }
        Scope::Base => "静默登录，仅获取 OpenID<small>Silent login: the open id only</small>",
    };
    let body = format!(
        "<h1>{}<small>{}</small></h1>\n<p>申请 · asks to</p>\n<p>{wants}</p>\n\
         <form method=\"post\" action=\"/connect/authorize\">\n{}{}{}{}\
         <fieldset><legend>测试用户 · Who are you?</legend>\n{people}</fieldset>\n\
         <button class=\"go\" name=\"decision\" value=\"agree\">同意<small>Agree</small></button>\n\
         <button name=\"decision\" value=\"refuse\">拒绝<small>Refuse</small></button>\n\
         <button class=\"bare\" name=\"decision\" value=\"close\">关闭<small>Close</small></button>\n</form>\n",
        escape(asked.app.name),
        escape(asked.app.name_en),
        hidden("appid", asked.app.appid),
        hidden("scope", asked.scope.name()),
        hidden("state", &asked.state),
        hidden("redirect_uri", asked.redirect_uri.as_str()),
    );
    html_page(StatusCode::OK, "微信登录 · WeChat login", &body)
}

fn hidden(name: &str, value: &str) -> String {
    format!(
        "<input type=\"hidden\" name=\"{name}\" value=\"{}\">\n",
        escape(value)
    )
}

fn choice(person: &Person, chosen: bool) -> Option<String> {
    let wechat_person = person.wechat_person.as_deref()?;
    let kind = match person.kind {
        crate::people::Kind::Unsigned => "未签约 · unsigned",
        crate::people::Kind::Signed => "签约客户 · signed",
        crate::people::Kind::Ambiguous => "一号多户 · two customers",
    };
    let union_id = if person.union_id {
        ""
    } else {
        " · 无 UnionID · no union id"
    };
    Some(format!(
        "<label><input type=\"radio\" name=\"person\" value=\"{}\" required{}><span>{}<small>{} · {kind}{union_id}</small></span></label>\n",
        escape(wechat_person),
        if chosen { " checked" } else { "" },
        escape(&person.nickname),
        escape(&person.phone),
    ))
}

/// Redirects to the app with code and state, or with error, errcode (as the mobile SDK numbers it) and state.
pub(super) async fn decide(State(world): Shared, body: Bytes) -> Response {
    let asked = match Asked::parse(&body) {
        Ok(asked) => asked,
        Err(complaint) => return refused_page(complaint),
    };
    let Some(decision) = asked.decision else {
        return refused_page("decision 参数错误 · decision is missing");
    };
    let mut location = asked.redirect_uri;
    match decision {
        Decision::Agree => {
            let known = asked
                .person
                .filter(|person| world.people().at_wechat(person).is_some());
            let Some(person) = known else {
                return refused_page("请选择用户 · choose a person");
            };
            let code = give_code(&world, asked.app, &person, asked.scope);
            location.query_pairs_mut().append_pair("code", &code);
        }
        Decision::Refuse => {
            location
                .query_pairs_mut()
                .append_pair("error", "access_denied");
        }
        Decision::Close => {
            location.query_pairs_mut().append_pair("error", "cancelled");
        }
    }
    if decision != Decision::Agree {
        location
            .query_pairs_mut()
            .append_pair("errcode", &decision.error_code().to_string());
    }
    location
        .query_pairs_mut()
        .append_pair("state", &asked.state);
    (
        StatusCode::SEE_OTHER,
        [
            (header::LOCATION, location.as_str()),
            (header::CACHE_CONTROL, "no-store"),
        ],
    )
        .into_response()
}

/// A picture with the first character of the nickname, so that no page of ours fetches one from elsewhere.
pub(super) async fn avatar(State(world): Shared, Path(wechat_person): Path<String>) -> Response {
    let people = world.people();
    let Some(person) = people.at_wechat(&wechat_person) else {
        return Failure::not_found("person at WeChat").into_response();
    };
    let initial: String = person.nickname.chars().take(1).collect();
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 132 132\"><rect width=\"132\" height=\"132\" fill=\"#07883f\"/>\
         <text x=\"66\" y=\"84\" font-size=\"56\" text-anchor=\"middle\" fill=\"#fff\" font-family=\"sans-serif\">{}</text></svg>",
        escape(&initial)
    );
    (
        [
            (header::CONTENT_TYPE, "image/svg+xml"),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
        ],
        svg,
    )
        .into_response()
}
