//! Alipay as its documents have it: what is signed is checked, what is answered is signed, and each refusal can be had.
#![allow(clippy::unwrap_used)]

mod common;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{Bench, read};
use reqwest::Method;
use ring::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use serde_json::{Value, json};

const APP: &str = "2021000000000001";
const OLDER_APP: &str = "2021000000000002";

fn key(pem: &str) -> KeyPair {
    let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    KeyPair::from_pkcs8(&STANDARD.decode(lines).unwrap()).unwrap()
}

fn sign(key: &KeyPair, text: &str) -> String {
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        text.as_bytes(),
        &mut signature,
    )
    .unwrap();
    STANDARD.encode(signature)
}

fn signed_by_bank(parameters: &[(&str, &str)]) -> (String, String) {
    let mut sorted = parameters.to_vec();
    sorted.sort_unstable();
    let pairs: Vec<_> = sorted
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let content = pairs.join("&");
    let signature = sign(
        &key(include_str!("../keys/bank-app-SIMULATOR-ONLY.pem")),
        &content,
    );
    (content, signature)
}

/// What the Alipay app answers to the bank's string.
async fn authorize(bench: &Bench, app: &str, target: &str, decision: &str, spoil: bool) -> Value {
    let (content, signature) = signed_by_bank(&[
        ("apiname", "com.alipay.account.auth"),
        ("method", "alipay.open.auth.sdk.code.get"),
        ("app_id", app),
        ("app_name", "mc"),
        ("biz_type", "openservice"),
        ("pid", "2088000000000001"),
        ("product_id", "APP_FAST_LOGIN"),
        ("scope", "kuaijie"),
        ("target_id", target),
        ("auth_type", "AUTHACCOUNT"),
        ("sign_type", "RSA2"),
    ]);
    let escaped: String = url::form_urlencoded::byte_serialize(signature.as_bytes()).collect();
    let content = if spoil {
        content.replace("app_name=mc", "app_name=md")
    } else {
        content
    };
    let body = json!({"auth_info": format!("{content}&sign={escaped}"), "person": "lin", "decision": decision});
    let url = format!("{}/phone/authorize", bench.at().alipay);
    bench.send(Method::POST, url, None, &body).await.json()
}

async fn code(bench: &Bench, app: &str, target: &str) -> String {
    let answer = authorize(bench, app, target, "agree", false).await;
    assert_eq!(answer["resultStatus"], "9000", "{answer}");
    let result = answer["result"].as_str().unwrap();
    assert!(result.starts_with("success=true&") && result.contains("&result_code=200&"));
    result
        .split('&')
        .find_map(|pair| pair.strip_prefix("auth_code="))
        .unwrap()
        .to_owned()
}

/// A call of the gateway: the answer, after checking that its raw text is signed.
async fn ask(
    bench: &Bench,
    app: &str,
    extra: &[(&str, &str)],
    spoil: Option<(&str, &str)>,
) -> Value {
    let mut parameters = vec![
        ("app_id", app),
        ("format", "JSON"),
        ("charset", "utf-8"),
        ("sign_type", "RSA2"),
        // 1700000000 in China, where the bench's clock stands.
        ("timestamp", "2023-11-15 06:13:20"),
        ("version", "1.0"),
    ];
    parameters.extend(extra);
    let (_, signature) = signed_by_bank(&parameters);
    if let Some((name, value)) = spoil {
        parameters.retain(|(known, _)| *known != name);
        parameters.push((name, value));
    }
    parameters.push(("sign", &signature));
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    let url = format!("{}/gateway.do", bench.at().alipay);
    let reply = read(bench.client.post(url).body(body)).await;
    assert_eq!(reply.status, 200);
    let (_, rest) = reply.text.split_once("_response\":").unwrap();
    let (raw, rest) = rest.rsplit_once(",\"sign\":\"").unwrap();
    let own = key(include_str!("../keys/alipay-SIMULATOR-ONLY.pem"));
    assert_eq!(
        rest,
        format!("{}\"}}", sign(&own, raw)),
        "the raw text is signed"
    );
    assert_ne!(
        raw,
        serde_json::from_str::<Value>(raw).unwrap().to_string(),
        "and no serializer writes it so"
    );
    serde_json::from_str(raw).unwrap()
}

fn exchange(code: &str) -> [(&'static str, &str); 3] {
    [
        ("method", "alipay.system.oauth.token"),
        ("grant_type", "authorization_code"),
        ("code", code),
    ]
}

#[tokio::test]
async fn the_phones_string_is_checked_and_its_target_serves_once() {
    let bench = Bench::start().await;
    for (target, decision, spoil, status) in [
        ("t1", "close", false, "6001"),
        ("t1", "agree", false, "5000"),
        ("t2", "refuse", false, "6001"),
        ("t3", "agree", true, "4000"),
        ("not a target", "agree", false, "4000"),
    ] {
        let answer = authorize(&bench, APP, target, decision, spoil).await;
        assert_eq!(answer["resultStatus"], status, "{target} {decision}");
    }
    assert_eq!(
        authorize(&bench, "2021", "t4", "agree", false).await["resultStatus"],
        "4000"
    );
}

#[tokio::test]
async fn a_newer_app_gets_an_open_id_and_an_older_one_a_user_id_and_a_code_serves_once() {
    let bench = Bench::start().await;
    let (first, second) = (
        code(&bench, APP, "t1").await,
        code(&bench, OLDER_APP, "t2").await,
    );
    let stolen = ask(&bench, OLDER_APP, &exchange(&first), None).await;
    assert_eq!(stolen["sub_code"], "isv.code-invalid");
    let newer = ask(&bench, APP, &exchange(&first), None).await;
    assert!(
        newer["open_id"].is_string()
            && newer.get("user_id").is_none()
            && newer.get("code").is_none()
    );
    let older = ask(&bench, OLDER_APP, &exchange(&second), None).await;
    assert!(
        older["user_id"].as_str().unwrap().starts_with("2088") && older.get("open_id").is_none()
    );
    let again = ask(&bench, APP, &exchange(&first), None).await;
    assert_eq!(
        (&again["code"], &again["sub_code"]),
        (&json!("40002"), &json!("isv.code-invalid"))
    );

    let share = [
        ("method", "alipay.user.info.share"),
        ("auth_token", newer["access_token"].as_str().unwrap()),
    ];
    let profile = ask(&bench, APP, &share, None).await;
    assert_eq!(
        (&profile["code"], &profile["nick_name"]),
        (&json!("10000"), &json!("林晓"))
    );
    let foreign = ask(&bench, OLDER_APP, &share, None).await;
    assert_eq!(
        (&foreign["code"], &foreign["sub_code"]),
        (&json!("20001"), &json!("aop.invalid-auth-token"))
    );
}

#[tokio::test]
async fn the_gateway_refuses_what_is_not_as_it_was_signed_or_described() {
    let bench = Bench::start().await;
    for (app, extra, spoil, sub_code) in [
        ("2021", exchange("c"), None, "isv.invalid-app-id"),
        (
            APP,
            exchange("c"),
            Some(("code", "d")),
            "isv.invalid-signature",
        ),
        (
            APP,
            exchange("c"),
            Some(("version", "2.0")),
            "isv.invalid-version",
        ),
        (APP, exchange(""), None, "isv.missing-code"),
        (
            APP,
            [("method", "alipay.pay"), ("grant_type", "x"), ("code", "c")],
            None,
            "isv.invalid-method",
        ),
        (APP, exchange("c"), None, "isv.code-invalid"),
    ] {
        let extra: Vec<_> = extra
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect();
        assert_eq!(ask(&bench, app, &extra, spoil).await["sub_code"], sub_code);
    }
    bench.clock.advance(16 * 60);
    assert_eq!(
        ask(&bench, APP, &exchange("c"), None).await["sub_code"],
        "isv.invalid-timestamp"
    );
}
