//! Section 8: tokens and sessions.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

use super::{Check, checks};
use crate::device::Device;
use crate::outside::Kind;
use crate::play::Done;
use crate::tester::{PROBE, Reply, Request, Tester};
use crate::{Finding, ensure};

pub(super) fn checks() -> impl IntoIterator<Item = Check> {
    checks![8, Nothing:
        published_keys_are_public_es256_keys,
        a_call_without_a_good_token_is_refused,
    ]
    .into_iter()
    .chain(checks![8, Parties:
        an_access_token_is_an_rfc9068_token_of_the_device_key,
        the_token_opens_the_account_and_the_list_of_sessions,
        a_token_is_worth_nothing_with_another_devices_proof,
        a_refresh_token_is_rotated_and_its_predecessor_gives_the_same_successor,
        a_refresh_token_that_was_replaced_ends_the_family,
        a_refresh_token_of_another_device_is_invalid_and_harms_nobody,
        a_session_that_was_ended_is_over_for_good,
    ])
}

async fn published_keys_are_public_es256_keys(tester: &Tester) -> Result<(), Finding> {
    let reply = tester.send(&Request::get("/.well-known/jwks.json")).await?;
    reply.is(200)?;
    let set = reply.json();
    let keys = set["keys"].as_array().cloned().unwrap_or_default();
    ensure!(!keys.is_empty(), "no key is published");
    for key in keys {
        ensure!(
            key["kty"] == "EC" && key["crv"] == "P-256" && key["kid"].is_string(),
            "a published key is no P-256 key with a kid"
        );
        ensure!(key["d"].is_null(), "a private key is published");
    }
    Ok(())
}

async fn a_call_without_a_good_token_is_refused(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    for path in ["/v1/account", "/v1/sessions"] {
        let without = tester.call(&device, "GET", path, b"", None).await?;
        tester
            .send(&without)
            .await?
            .is_problem(401, "invalid_token")?;
        let made_up = tester
            .call(&device, "GET", path, b"", Some("made.up.token"))
            .await?;
        tester
            .send(&made_up)
            .await?
            .is_problem(401, "invalid_token")?;
    }
    Ok(())
}

/// A new person's session on a device.
async fn session(tester: &Tester, device: &Device) -> Result<Done, Finding> {
    let person = tester.outside()?.person(Kind::Unsigned).await?;
    tester.register(device, &person).await
}

async fn get(tester: &Tester, device: &Device, path: &str, token: &str) -> Result<Reply, Finding> {
    let call = tester.call(device, "GET", path, b"", Some(token)).await?;
    tester.send(&call).await
}

async fn refresh(tester: &Tester, device: &Device, token: &str) -> Result<Reply, Finding> {
    let body = json!({"app_id": tester.target.app_id, "refresh_token": token}).to_string();
    let call = tester
        .call(device, "POST", PROBE, body.as_bytes(), None)
        .await?;
    tester.send(&call).await
}

fn decoded(part: &str) -> Result<Vec<u8>, Finding> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Finding::new("an access token has a part that is no base64url"))
}

async fn an_access_token_is_an_rfc9068_token_of_the_device_key(
    tester: &Tester,
) -> Result<(), Finding> {
    let device = Device::new()?;
    let done = session(tester, &device).await?;
    let token = done.access_token();
    let parts: Vec<&str> = token.split('.').collect();
    ensure!(parts.len() == 3, "an access token is no compact JWS");
    let json = |part: &str| -> Result<Value, Finding> {
        serde_json::from_slice(&decoded(part)?)
            .map_err(|_| Finding::new("an access token has a part that is no JSON"))
    };
    let (header, claims) = (json(parts[0])?, json(parts[1])?);
    ensure!(
        header["typ"] == "at+jwt" && header["alg"] == "ES256",
        "an access token's header is {header}"
    );
    let keys = tester
        .send(&Request::get("/.well-known/jwks.json"))
        .await?
        .json();
    let key = keys["keys"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|key| key["kid"] == header["kid"])
        .ok_or_else(|| Finding::new("an access token's kid is not published"))?;
    let mut point = vec![4];
    for name in ["x", "y"] {
        point.extend(decoded(key[name].as_str().unwrap_or_default())?);
    }
    let signed = format!("{}.{}", parts[0], parts[1]);
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(signed.as_bytes(), &decoded(parts[2])?)
        .map_err(|_| Finding::new("an access token is not signed by its published key"))?;
    ensure!(
        claims["iss"] == tester.target.url.as_str(),
        "iss is {}",
        claims["iss"]
    );
    ensure!(claims["aud"].is_array(), "aud is no array");
    ensure!(
        claims["sub"] == done.account["user_id"] && claims["sid"] == done.session["session_id"],
        "sub and sid are not the account's and the session's"
    );
    ensure!(
        claims["client_id"] == tester.target.app_id.as_str(),
        "client_id is {}",
        claims["client_id"]
    );
    ensure!(
        claims["cnf"]["jkt"] == device.thumbprint().as_str(),
        "cnf.jkt is not the device key"
    );
    ensure!(claims["acr"] == "unsigned", "acr is {}", claims["acr"]);
    ensure!(claims["jti"].is_string(), "a token has no jti");
    let (issued, ends) = (claims["iat"].as_u64(), claims["exp"].as_u64());
    let life = ends
        .zip(issued)
        .map(|(ends, issued)| ends.saturating_sub(issued));
    ensure!(
        life.is_some_and(|life| (1..=300).contains(&life)),
        "an access token lives {life:?} seconds in place of up to 300"
    );
    ensure!(
        claims["auth_time"].as_u64() <= issued,
        "auth_time is later than iat"
    );
    Ok(())
}

async fn the_token_opens_the_account_and_the_list_of_sessions(
    tester: &Tester,
) -> Result<(), Finding> {
    let device = Device::new()?;
    let done = session(tester, &device).await?;
    let account = get(tester, &device, "/v1/account", done.access_token()).await?;
    account.is(200)?;
    ensure!(
        account.json()["account"]["user_id"] == done.account["user_id"],
        "the account is another"
    );
    let list = get(tester, &device, "/v1/sessions", done.access_token()).await?;
    list.is(200)?;
    let list = list.json();
    let current: Vec<&Value> = list["sessions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|session| session["current"] == true)
        .collect();
    ensure!(
        current.len() == 1 && current[0]["session_id"] == done.session["session_id"],
        "the list does not mark the present session"
    );
    ensure!(
        current[0]["began_with"] == "wechat",
        "a session that began with wechat says {}",
        current[0]["began_with"]
    );
    Ok(())
}

async fn a_token_is_worth_nothing_with_another_devices_proof(
    tester: &Tester,
) -> Result<(), Finding> {
    let (device, thief) = (Device::new()?, Device::new()?);
    let done = session(tester, &device).await?;
    let token = done.access_token();
    get(tester, &thief, "/v1/account", token)
        .await?
        .is_problem(401, "invalid_dpop_proof")?;
    let good = tester
        .call(&device, "GET", "/v1/account", b"", Some(token))
        .await?;
    let bearer = good
        .clone()
        .instead("Authorization", &format!("Bearer {token}"));
    tester
        .send(&bearer)
        .await?
        .is_problem(401, "invalid_token")?;
    // A proof without ath, for a call with a token.
    let nonce = tester.nonce().await?;
    let proof = device.proof("GET", &tester.url("/v1/account"), Some(&nonce), b"", None);
    tester
        .send(&good.instead("DPoP", &device.sign(&proof)?))
        .await?
        .is_problem(401, "invalid_dpop_proof")?;
    let (head, _) = token.rsplit_once('.').unwrap_or_default();
    let forged = format!("{head}.{}", crate::device::b64([1; 64]));
    get(tester, &device, "/v1/account", &forged)
        .await?
        .is_problem(401, "invalid_token")
}

fn granted(reply: &Reply) -> Result<(String, String), Finding> {
    reply.is(200)?;
    let session = &reply.json()["session"];
    let text = |name: &str| session[name].as_str().unwrap_or_default().to_owned();
    ensure!(
        session["token_type"] == "DPoP",
        "token_type is {}",
        session["token_type"]
    );
    ensure!(
        session["expires_in"]
            .as_u64()
            .is_some_and(|life| (1..=300).contains(&life)),
        "expires_in is {}",
        session["expires_in"]
    );
    Ok((text("refresh_token"), text("access_token")))
}

async fn a_refresh_token_is_rotated_and_its_predecessor_gives_the_same_successor(
    tester: &Tester,
) -> Result<(), Finding> {
    let device = Device::new()?;
    let done = session(tester, &device).await?;
    let first = done.refresh_token();
    let (second, access) = granted(&refresh(tester, &device, first).await?)?;
    ensure!(second != first, "a refresh token was not rotated");
    // The reply was lost: the predecessor is sent again, under a key of its own.
    let (again, _) = granted(&refresh(tester, &device, first).await?)?;
    ensure!(again == second, "the predecessor gave another successor");
    get(tester, &device, "/v1/account", &access).await?.is(200)
}

async fn a_refresh_token_that_was_replaced_ends_the_family(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let done = session(tester, &device).await?;
    let first = done.refresh_token();
    let (second, _) = granted(&refresh(tester, &device, first).await?)?;
    let (third, access) = granted(&refresh(tester, &device, &second).await?)?;
    refresh(tester, &device, first)
        .await?
        .is_problem(401, "refresh_token_reused")?;
    refresh(tester, &device, &third)
        .await?
        .is_problem(401, "refresh_token_invalid")?;
    get(tester, &device, "/v1/account", &access)
        .await?
        .is_problem(401, "session_ended")
}

async fn a_refresh_token_of_another_device_is_invalid_and_harms_nobody(
    tester: &Tester,
) -> Result<(), Finding> {
    let (device, thief) = (Device::new()?, Device::new()?);
    let done = session(tester, &device).await?;
    refresh(tester, &thief, done.refresh_token())
        .await?
        .is_problem(401, "refresh_token_invalid")?;
    granted(&refresh(tester, &device, done.refresh_token()).await?)?;
    Ok(())
}

async fn a_session_that_was_ended_is_over_for_good(tester: &Tester) -> Result<(), Finding> {
    let device = Device::new()?;
    let done = session(tester, &device).await?;
    let token = done.access_token();
    for _ in 0..2 {
        let call = tester
            .call(&device, "DELETE", "/v1/sessions/current", b"", Some(token))
            .await?;
        tester.send(&call).await?.is(204)?;
    }
    get(tester, &device, "/v1/account", token)
        .await?
        .is_problem(401, "session_ended")?;
    refresh(tester, &device, done.refresh_token())
        .await?
        .is_problem(401, "refresh_token_invalid")
}
