//! Alipay: its gateway, and its app on the phone. Requests and the phone's string are verified with the app's public key, answers signed with the
//! simulator's own (`keys/`, public and good for this simulator only).
//!
//! The first app is of the newer kind and gets open ids, the second of the older kind and gets user ids.

use std::sync::{Arc, LazyLock};

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    rsa::KeyPair,
    signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    answer::{Body, Failure, Shared},
    book::{Dead, Grant},
    context::random_text,
    parameters::Parameters,
    phone::Decision,
    world::World,
};

const OWN_KEY: &str = include_str!("../keys/alipay-SIMULATOR-ONLY.pem");
const APP_PUBLIC_KEY: &str = include_str!("../keys/bank-app-public-SIMULATOR-ONLY.pem");

/// A code's life, in seconds.
const CODE_SECONDS: u64 = 24 * 3600;
/// An access token's life, in seconds.
const ACCESS_SECONDS: u64 = 15 * 24 * 3600;
/// How far a request's timestamp may be off, in seconds.
const CLOCK_SECONDS: i64 = 15 * 60;

static APPS: [&str; 2] = ["2021000000000001", "2021000000000002"];
/// The merchant of both.
const PID: &str = "2088000000000001";

struct Keys {
    own: KeyPair,
    app: Vec<u8>,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let decode = |pem: &str| {
        let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        STANDARD.decode(lines).expect("the key files are base64")
    };
    // A SubjectPublicKeyInfo of a 2048-bit key has 24 bytes before the key itself.
    Keys {
        own: KeyPair::from_pkcs8(&decode(OWN_KEY)).expect("the key file is PKCS#8"),
        app: decode(APP_PUBLIC_KEY)[24..].to_vec(),
    }
});

fn sign(text: &str) -> String {
    let mut signature = vec![0; KEYS.own.public().modulus_len()];
    KEYS.own
        .sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            text.as_bytes(),
            &mut signature,
        )
        .expect("a good key signs");
    STANDARD.encode(signature)
}

/// Whether the app signed these parameters, all but `sign`.
fn is_signed(parameters: &Parameters) -> bool {
    let content: Vec<_> = parameters
        .sorted()
        .into_iter()
        .filter(|(name, _)| *name != "sign")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let signature = STANDARD.decode(parameters.get("sign").unwrap_or_default());
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &KEYS.app)
        .verify(content.join("&").as_bytes(), &signature.unwrap_or_default())
        .is_ok()
}

/// A message that the person withdrew an app's authorization, as the app's gateway gets it: a signed form. `None`: there is no such app.
pub(crate) fn cancelled(world: &World, app_id: &str, person: &str) -> Option<String> {
    let app_id = APPS.iter().find(|known| **known == app_id)?;
    let (name, id) = identity(app_id, person);
    let mut content = json!({ "app_id": app_id });
    content[name] = id.into();
    let mut parameters = vec![
        ("app_id", (*app_id).to_owned()),
        ("biz_content", content.to_string()),
        ("charset", "UTF-8".to_owned()),
        (
            "msg_method",
            "alipay.open.auth.userauth.cancelled".to_owned(),
        ),
        ("notify_id", random_text(&*world.randomness, 24)),
        ("sign_type", "RSA2".to_owned()),
        ("utc_timestamp", (world.now() * 1000).to_string()),
        ("version", "1.1".to_owned()),
    ];
    // They stand in order already.
    let signed: Vec<_> = parameters
        .iter()
        .filter(|(name, _)| *name != "sign_type")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    parameters.push(("sign", sign(&signed.join("&"))));
    Some(
        url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish(),
    )
}

fn digits(kind: &str, app_id: &str, person: &str) -> u64 {
    let hash = digest(&SHA256, [kind, app_id, person].join("\n").as_bytes());
    let number = hash.as_ref()[..8]
        .iter()
        .fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    number % 1_000_000_000_000
}

/// The person's name, as this kind of app gets it.
fn identity(app_id: &str, person: &str) -> (&'static str, String) {
    if app_id == APPS[0] {
        let half = digits("open", app_id, person);
        (
            "open_id",
            format!("0{half:012}-Sim_{:012}", digits("open2", app_id, person)),
        )
    } else {
        ("user_id", format!("2088{:012}", digits("user", "", person)))
    }
}

/// A failure that a test asked for: put on the request by the layer.
#[derive(Clone)]
pub(crate) struct Injected {
    pub(crate) code: i64,
    pub(crate) sub_code: Option<String>,
}

/// A failure as Alipay tells it.
struct Refusal(i64, String);

fn refuse(code: i64, sub_code: &str) -> Refusal {
    Refusal(code, sub_code.to_owned())
}

pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/gateway.do", post(gateway))
        .route("/phone/authorize", post(authorize))
        .with_state(world)
}

async fn gateway(
    State(world): Shared,
    injected: Option<Extension<Injected>>,
    RawQuery(query): RawQuery,
    form: Bytes,
) -> Response {
    let parameters = Parameters::parse(&form, query.as_deref());
    let outcome = match injected {
        Some(Extension(Injected { code, sub_code })) => {
            Err(Refusal(code, sub_code.unwrap_or_default()))
        }
        None => answer(&world, &parameters),
    };
    let known = ["alipay.system.oauth.token", "alipay.user.info.share"]
        .into_iter()
        .find(|method| parameters.is("method", method));
    let member = known.map_or("error_response".to_owned(), |method| {
        format!("{}_response", method.replace('.', "_"))
    });
    let answer = outcome.unwrap_or_else(|Refusal(code, sub_code)| {
        let msg = match code {
            20_001 => "Insufficient Token Permissions",
            40_001 => "Missing Required Arguments",
            40_002 => "Invalid Arguments",
            40_006 => "Insufficient Permissions",
            _ => "Service Currently Unavailable",
        };
        json!({ "code": code.to_string(), "msg": msg, "sub_code": sub_code, "sub_msg": "模拟器" })
    });
    // Slashes escaped and a space here and there, as Alipay writes its JSON: only who verifies the raw text will find the signature good.
    let raw = answer
        .to_string()
        .replace('/', "\\/")
        .replacen(':', ": ", 1);
    let signature = sign(&raw);
    (
        [("content-type", "text/html;charset=utf-8")],
        format!("{{\"{member}\":{raw},\"sign\":\"{signature}\"}}"),
    )
        .into_response()
}

fn answer(world: &World, parameters: &Parameters) -> Result<Value, Refusal> {
    let need = |name: &str| {
        let missing = || refuse(40_001, &format!("isv.missing-{}", name.replace('_', "-")));
        parameters.get(name).ok_or_else(missing)
    };
    let app_id = need("app_id")?;
    let app = APPS
        .iter()
        .find(|app| **app == app_id)
        .ok_or_else(|| refuse(40_002, "isv.invalid-app-id"))?;
    for (name, value) in [
        ("format", "JSON"),
        ("charset", "utf-8"),
        ("sign_type", "RSA2"),
        ("version", "1.0"),
    ] {
        if need(name)? != value {
            return Err(refuse(
                40_002,
                &format!("isv.invalid-{}", name.replace('_', "-")),
            ));
        }
    }
    need("sign")?;
    if !is_signed(parameters) {
        return Err(refuse(40_002, "isv.invalid-signature"));
    }
    let off = seconds_of(need("timestamp")?).map(|at| at - i64::try_from(world.now()).unwrap_or(0));
    if off.is_none_or(|off| off.abs() > CLOCK_SECONDS) {
        return Err(refuse(40_002, "isv.invalid-timestamp"));
    }
    match need("method")? {
        "alipay.system.oauth.token" => {
            if need("grant_type")? != "authorization_code" {
                return Err(refuse(40_002, "isv.grant-type-invalid"));
            }
            token(world, app, need("code")?)
        }
        "alipay.user.info.share" => share(world, app, need("auth_token")?),
        _ => Err(refuse(40_002, "isv.invalid-method")),
    }
}

fn token(world: &World, app: &str, code: &str) -> Result<Value, Refusal> {
    let now = world.now();
    let [access, refresh] =
        [(); 2].map(|()| format!("auth{}", random_text(&*world.randomness, 24)));
    let mut book = world.alipay();
    let mut grant = book
        .take_code(code, app, now)
        .map_err(|_: Dead| refuse(40_002, "isv.code-invalid"))?;
    grant.since = now;
    grant.expires_at = now + ACCESS_SECONDS;
    let (name, value) = identity(app, &grant.person);
    book.add_token(access.clone(), grant, now);
    Ok(json!({
        "access_token": access,
        "expires_in": ACCESS_SECONDS,
        "re_expires_in": 2 * ACCESS_SECONDS,
        "refresh_token": refresh,
        name: value,
    }))
}

fn share(world: &World, app: &str, token: &str) -> Result<Value, Refusal> {
    let grant = world.alipay().token(token, world.now()).cloned();
    let grant = grant
        .ok()
        .filter(|grant| grant.app_id == app)
        .ok_or_else(|| refuse(20_001, "aop.invalid-auth-token"))?;
    let (name, value) = identity(app, &grant.person);
    let nickname = world
        .people()
        .at_wechat(&grant.person)
        .map(|person| person.nickname.clone())
        .unwrap_or_default();
    Ok(json!({
        "code": "10000",
        "msg": "Success",
        "avatar": format!("{}/avatars/{}", world.addresses.wechat, grant.person),
        "nick_name": nickname,
        "province": "",
        "city": "",
        "gender": "m",
        name: value,
    }))
}

/// Seconds since 1970 UTC of `2026-11-21 13:52:14` in China.
fn seconds_of(text: &str) -> Option<i64> {
    let numbers: Vec<i64> = text
        .split(['-', ' ', ':'])
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let [year, month, day, hour, minute, second] = numbers[..] else {
        return None;
    };
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [
        31,
        if is_leap(year) { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let before = usize::try_from(month - 1)
        .ok()
        .filter(|before| *before < 12)?;
    if !(1970..2200).contains(&year) || !(1..=lengths[before]).contains(&day) {
        return None;
    }
    let days = (1970..year)
        .map(|year| if is_leap(year) { 366 } else { 365 })
        .sum::<i64>()
        + lengths[..before].iter().sum::<i64>()
        + day
        - 1;
    Some(days * 86_400 + (hour - 8) * 3600 + minute * 60 + second)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorize {
    auth_info: String,
    person: String,
    decision: Decision,
}

/// What the SDK on the phone hands to the app. 4000: the string is not good, and no page was shown; 5000: its `target_id` was used.
async fn authorize(
    State(world): Shared,
    Body(body): Body<Authorize>,
) -> Result<Json<Value>, Failure> {
    if world.people().at_wechat(&body.person).is_none() {
        return Err(Failure::not_found("person"));
    }
    let status = |status: &str, result: String| {
        Ok(Json(
            json!({ "resultStatus": status, "result": result, "memo": "" }),
        ))
    };
    let parameters = Parameters::parse(body.auth_info.as_bytes(), None);
    let app = APPS.iter().find(|app| parameters.is("app_id", app));
    let as_described = [
        ("apiname", "com.alipay.account.auth"),
        ("method", "alipay.open.auth.sdk.code.get"),
        ("app_name", "mc"),
        ("biz_type", "openservice"),
        ("pid", PID),
        ("product_id", "APP_FAST_LOGIN"),
        ("scope", "kuaijie"),
        ("auth_type", "AUTHACCOUNT"),
        ("sign_type", "RSA2"),
    ]
    .iter()
    .all(|(name, value)| parameters.is(name, value));
    let target_id = parameters
        .get("target_id")
        .filter(|id| id.len() <= 32 && id.bytes().all(|b| b.is_ascii_alphanumeric()));
    let (Some(app), true, Some(target_id), true) =
        (app, as_described, target_id, is_signed(&parameters))
    else {
        return status("4000", String::new());
    };
    if !world.alipay_target(target_id) {
        return status("5000", String::new());
    }
    if body.decision != Decision::Agree {
        // There is no code for a refusal.
        return status("6001", String::new());
    }
    let code = random_text(&*world.randomness, 24);
    let now = world.now();
    let grant = Grant {
        app_id: app,
        person: body.person.clone(),
        scope: "kuaijie".to_owned(),
        redirect_uri: String::new(),
        since: now,
        expires_at: now + CODE_SECONDS,
    };
    world.alipay().add_code(code.clone(), grant, now);
    let (name, value) = identity(app, &body.person);
    let name = if name == "open_id" {
        "alipay_open_id"
    } else {
        name
    };
    status(
        "9000",
        format!(
            "success=true&auth_code={code}&result_code=200&{name}={value}&target_id={target_id}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::seconds_of;

    #[test]
    fn chinas_time_is_eight_hours_ahead() {
        assert_eq!(seconds_of("1970-01-01 08:00:00"), Some(0));
        assert_eq!(seconds_of("2023-11-15 06:13:20"), Some(1_700_000_000));
        assert_eq!(seconds_of("2000-02-29 07:59:59"), Some(951_782_399));
        for bad in [
            "",
            "2023-11-15",
            "2023-13-01 00:00:00",
            "2023-02-29 00:00:00",
            "2023-00-01 00:00:00",
            "now",
        ] {
            assert_eq!(seconds_of(bad), None, "{bad}");
        }
    }
}
