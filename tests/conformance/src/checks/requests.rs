//! Section 1: requests and replies.

use serde_json::json;

use super::{Check, checks};
use crate::device::Device;
use crate::tester::{PROBE, Request, Tester};
use crate::{Finding, ensure};

pub(super) fn checks() -> impl IntoIterator<Item = Check> {
    checks![1, Nothing:
        unknown_paths_are_not_found,
        wrong_methods_are_not_allowed,
        a_good_request_id_is_kept_and_another_is_replaced,
        other_content_types_are_unsupported,
        a_body_over_64_kib_is_too_large,
        malformed_json_is_invalid_request,
        unknown_missing_and_duplicate_members_are_named,
        health_readiness_and_the_document_answer,
        every_call_of_the_contract_is_there,
    ]
}

async fn unknown_paths_are_not_found(tester: &Tester) -> Result<(), Finding> {
    for path in ["/v1", "/v1/logins", "/v1/sessions/refresh/x", "/nowhere"] {
        tester
            .send(&Request::get(path))
            .await?
            .is_problem(404, "not_found")?;
    }
    Ok(())
}

async fn wrong_methods_are_not_allowed(tester: &Tester) -> Result<(), Finding> {
    for (method, path) in [
        ("GET", PROBE),
        ("PUT", "/v1/login"),
        ("PATCH", "/v1/account"),
    ] {
        let request = Request {
            method,
            ..Request::get(path)
        };
        tester
            .send(&request)
            .await?
            .is_problem(405, "method_not_allowed")?;
    }
    Ok(())
}

async fn a_good_request_id_is_kept_and_another_is_replaced(tester: &Tester) -> Result<(), Finding> {
    let ask = |id: &str| Request::get("/nowhere").with("X-Request-Id", id);
    let reply = tester.send(&ask("conformance_1-A")).await?;
    ensure!(
        reply.header("x-request-id") == "conformance_1-A",
        "a client's good X-Request-Id was not kept"
    );
    for bad in ["with space", "semi;colon", &"x".repeat(65)] {
        let reply = tester.send(&ask(bad)).await?;
        let id = reply.header("x-request-id");
        ensure!(id != bad, "the X-Request-Id {bad:?} was kept");
        let dashes = [8, 13, 18, 23]
            .iter()
            .all(|&place| id.as_bytes().get(place) == Some(&b'-'));
        ensure!(
            id.len() == 36 && dashes && id.as_bytes()[14] == b'7',
            "{id:?} is no UUIDv7"
        );
    }
    Ok(())
}

async fn other_content_types_are_unsupported(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    for value in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
    ] {
        let request = tester.probe(&device).await?.instead("Content-Type", value);
        tester
            .send(&request)
            .await?
            .is_problem(415, "unsupported_media_type")?;
    }
    let charset = tester
        .probe(&device)
        .await?
        .instead("Content-Type", "application/json; charset=utf-8");
    tester.taken(&charset).await?;
    Ok(())
}

async fn a_body_over_64_kib_is_too_large(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let body = vec![b' '; 64 * 1024 + 1];
    let request = tester.call(&device, "POST", PROBE, &body, None).await?;
    tester
        .send(&request)
        .await?
        .is_problem(413, "body_too_large")
}

async fn malformed_json_is_invalid_request(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    for body in [
        &b"{"[..],
        b"nonsense",
        b"\xff\xfe{}",
        b"[]",
        b"null",
        b"{\"a\":1,}",
    ] {
        for path in [PROBE, "/v1/login", "/v1/provider-requests"] {
            let request = tester.call(&device, "POST", path, body, None).await?;
            tester
                .send(&request)
                .await?
                .is_problem(400, "invalid_request")?;
        }
    }
    Ok(())
}

async fn unknown_missing_and_duplicate_members_are_named(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    for (body, pointer) in [
        (r#"{"app_id":"a","refresh_token":"b","extra":1}"#, "/extra"),
        (
            r#"{"app_id":"a","app_id":"a","refresh_token":"b"}"#,
            "/app_id",
        ),
        (r#"{"app_id":"a"}"#, "/refresh_token"),
        (r#"{"app_id":7,"refresh_token":"b"}"#, "/app_id"),
    ] {
        let request = tester
            .call(&device, "POST", PROBE, body.as_bytes(), None)
            .await?;
        let reply = tester.send(&request).await?;
        reply.is_problem(400, "invalid_request")?;
        ensure!(
            reply.json()["pointer"] == pointer,
            "{body} was refused at {} in place of {pointer:?}",
            reply.json()["pointer"]
        );
    }
    Ok(())
}

async fn health_readiness_and_the_document_answer(tester: &Tester) -> Result<(), Finding> {
    for path in ["/healthz", "/readyz"] {
        tester.send(&Request::get(path)).await?.is(200)?;
    }
    let document = tester.send(&Request::get("/openapi.json")).await?;
    document.is(200)?;
    ensure!(
        document.json()["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1")),
        "/openapi.json is no OpenAPI 3.1"
    );
    Ok(())
}

/// Whatever the contract's document names is there: neither `not_found` nor `method_not_allowed`.
async fn every_call_of_the_contract_is_there(tester: &Tester) -> Result<(), Finding> {
    for (method, template) in tester.schemas.calls() {
        // The admin API may be on an address of its own.
        if template.starts_with("/v1/admin") || template == "/metrics" {
            continue;
        }
        let Some(method) = ["GET", "POST", "PUT", "DELETE", "PATCH"]
            .into_iter()
            .find(|known| *known == method)
        else {
            return Err(Finding::new(format!(
                "the document has the method {method}"
            )));
        };
        let path: String = template
            .split('/')
            .map(|segment| match segment {
                "{provider}" => "wechat",
                "{app_id}" => tester.target.app_id.as_str(),
                name if name.starts_with('{') => "x",
                name => name,
            })
            .collect::<Vec<_>>()
            .join("/");
        let request = Request {
            method,
            body: if method == "GET" {
                Vec::new()
            } else {
                json!({}).to_string().into_bytes()
            },
            ..Request::get(&path)
        };
        let reply = tester.send(&request).await?;
        ensure!(
            !["not_found", "method_not_allowed"].contains(&reply.code().as_str()),
            "{method} {template} is not there: {reply:?}"
        );
        ensure!(reply.status < 500, "{method} {template} answered {reply:?}");
    }
    Ok(())
}
