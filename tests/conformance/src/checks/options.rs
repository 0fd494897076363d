//! Sections 5 and 6: login-options and the key list.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{Check, checks};
use crate::seal::{payload, usable_key, verified};
use crate::tester::{Request, Tester};
use crate::{Finding, ensure};

pub(super) fn checks() -> impl IntoIterator<Item = Check> {
    checks![6, Nothing:
        options_name_the_app_the_issuer_and_the_buttons,
        options_have_an_etag_and_answer_304_to_it,
        an_unknown_app_has_no_options,
        the_key_list_has_a_usable_key_and_is_in_force,
    ]
    .into_iter()
    .chain(checks![5, RootKey: the_key_list_is_signed_by_the_offline_root])
}

async fn options_name_the_app_the_issuer_and_the_buttons(tester: &Tester) -> Result<(), Finding> {
    let options = tester.options().await?.json();
    ensure!(
        options["app_id"] == tester.target.app_id.as_str(),
        "app_id is {}",
        options["app_id"]
    );
    ensure!(
        options["issuer"] == tester.target.url.as_str(),
        "issuer is {}, not the public URL",
        options["issuer"]
    );
    let mut names: Vec<&str> = options["providers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|provider| provider["provider"].as_str())
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    ensure!(names.len() == count, "a provider has two buttons");
    Ok(())
}

async fn options_have_an_etag_and_answer_304_to_it(tester: &Tester) -> Result<(), Finding> {
    let first = tester.options().await?;
    let etag = first.header("etag");
    ensure!(
        etag.trim_start_matches("W/").starts_with('"') && etag.ends_with('"'),
        "ETag is {etag:?}"
    );
    let path = format!("/v1/apps/{}/login-options", tester.target.app_id);
    let ask = |value: &str| Request::get(&path).with("If-None-Match", value);
    let same = tester.send(&ask(etag)).await?;
    same.is(304)?;
    ensure!(same.body.is_empty(), "304 came with a body");
    tester.send(&ask("\"another\"")).await?.is(200)
}

async fn an_unknown_app_has_no_options(tester: &Tester) -> Result<(), Finding> {
    tester
        .send(&Request::get("/v1/apps/no-such-app/login-options"))
        .await?
        .is_problem(404, "app_unknown")
}

async fn the_key_list_has_a_usable_key_and_is_in_force(tester: &Tester) -> Result<(), Finding> {
    let list = key_list(tester).await?;
    in_force(tester, &payload(&list)?)
}

async fn the_key_list_is_signed_by_the_offline_root(tester: &Tester) -> Result<(), Finding> {
    let root_key = tester.target.root_key.as_deref().unwrap_or_default();
    let list = key_list(tester).await?;
    in_force(tester, &verified(&list, root_key)?)
}

async fn key_list(tester: &Tester) -> Result<String, Finding> {
    let options = tester.options().await?.json();
    let list = options["key_list"].as_str().unwrap_or_default().to_owned();
    ensure!(list.len() <= 32 * 1024, "key_list is over 32 KiB");
    Ok(list)
}

fn in_force(tester: &Tester, list: &Value) -> Result<(), Finding> {
    ensure!(
        list["issuer"] == tester.target.url.as_str(),
        "key_list is of the issuer {}",
        list["issuer"]
    );
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    ensure!(
        list["expires_at"].as_u64().is_some_and(|end| end > now),
        "key_list has expired"
    );
    ensure!(
        list["issued_at"]
            .as_u64()
            .is_some_and(|start| start <= now + 300),
        "key_list is of the future"
    );
    ensure!(
        list["version"].as_u64().is_some_and(|version| version >= 1),
        "key_list has no version"
    );
    for pin in list["tls_pins"].as_array().into_iter().flatten() {
        ensure!(
            pin.as_str()
                .is_some_and(|pin| pin.starts_with("sha256/") && pin.len() == 51),
            "a TLS pin is not sha256/ and a padded SHA-256"
        );
    }
    let key = usable_key(list)?;
    ensure!(
        key.public_key.len() == 32,
        "a sealing key is not of 32 bytes"
    );
    Ok(())
}
