//! The consent page for a human.

use axum::{
    body::Bytes,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use url::Url;

use super::{give_code, take_pushed};
use crate::{
    answer::Shared,
    html::{escape, page as html_page},
    parameters::Parameters,
};

fn refused_page(complaint: &str) -> Response {
    let body = format!(
        "<h1>无法打开页面<small>This page cannot be opened</small></h1>\n<p role=\"alert\">{}</p>\n",
        escape(complaint)
    );
    html_page(StatusCode::BAD_REQUEST, "无法打开页面", &body)
}

pub(super) async fn page(State(world): Shared, RawQuery(query): RawQuery) -> Response {
    let parameters = Parameters::parse(&[], query.as_deref());
    let Some(asked) = take_pushed(&world, &parameters, true) else {
        return refused_page("没有等待的请求 · there is no request that waits");
    };
    let people: String = world
        .people()
        .list()
        .iter()
        .filter_map(|person| {
            let name = person.wechat_person.as_deref()?;
            Some(format!(
                "<label><input type=\"radio\" name=\"person\" value=\"{}\" required><span>{}<small>{}</small></span></label>\n",
                escape(name),
                escape(&person.nickname),
                escape(&person.phone),
            ))
        })
        .collect();
    let hidden: String = ["client_id", "request_uri"]
        .iter()
        .map(|name| {
            format!(
                "<input type=\"hidden\" name=\"{name}\" value=\"{}\">\n",
                escape(parameters.get(name).unwrap_or_default())
            )
        })
        .collect::<Vec<_>>()
        .concat();
    let body = format!(
        "<h1>统一认证<small>Single sign-on</small></h1>\n<p>{}<small>asks who you are</small></p>\n\
         <form method=\"post\" action=\"/authorize\">\n{hidden}\
         <fieldset><legend>测试用户 · Who are you?</legend>\n{people}</fieldset>\n\
         <button class=\"go\" name=\"decision\" value=\"agree\">同意<small>Agree</small></button>\n\
         <button name=\"decision\" value=\"refuse\">拒绝<small>Refuse</small></button>\n</form>\n",
        escape(asked.client.client_id)
    );
    html_page(StatusCode::OK, "统一认证 · Single sign-on", &body)
}

/// Back to the client with code, state and issuer (RFC 9207), or with the refusal.
pub(super) async fn decide(State(world): Shared, form: Bytes) -> Response {
    let parameters = Parameters::parse(&form, None);
    let known = parameters
        .get("person")
        .filter(|person| world.people().at_wechat(person).is_some());
    let agreed = parameters.is("decision", "agree");
    if agreed && known.is_none() {
        return refused_page("请选择用户 · choose a person");
    }
    let Some(asked) = take_pushed(&world, &parameters, false) else {
        return refused_page("没有等待的请求 · there is no request that waits");
    };
    let Ok(mut location) = Url::parse(asked.client.redirect_uri) else {
        return refused_page("redirect_uri");
    };
    match known.filter(|_| agreed) {
        Some(person) => {
            let code = give_code(&world, &asked, person);
            location.query_pairs_mut().append_pair("code", &code);
        }
        None => {
            location
                .query_pairs_mut()
                .append_pair("error", "access_denied");
        }
    }
    location
        .query_pairs_mut()
        .append_pair("state", &asked.state)
        .append_pair("iss", &world.addresses.oidc);
    (
        StatusCode::SEE_OTHER,
        [
            (header::LOCATION, location.as_str()),
            (header::CACHE_CONTROL, "no-store"),
        ],
    )
        .into_response()
}
