//! Tencent Cloud's API 3.0, as SMS and face speak it: a signed POST to `/` (TC3-HMAC-SHA256), HTTP 200 whatever happens, `{"Response":{…}}`.
//!
//! The signature is verified from the headers and bytes as they arrived, by the list that the request itself says was signed.

use axum::{
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use ring::{
    digest::{SHA256, digest},
    hmac,
};
use serde_json::{Value, json};
use std::fmt::Write as _;

use crate::{answer::same_secret, context::random_text, world::World};

/// Public, and good for this simulator only.
const SECRET_ID: &str = "AKIDsimulator0000000000000000000000";
const SECRET_KEY: &str = "simulator-tencent-secret-key";
/// How far a request's time may be off, in seconds.
const CLOCK_SECONDS: u64 = 300;

/// A failure as Tencent Cloud tells it.
pub(crate) struct TencentError(pub(crate) String);

impl From<&str> for TencentError {
    fn from(code: &str) -> Self {
        Self(code.to_owned())
    }
}

/// The reply that carries a failure.
pub(crate) fn error_reply(world: &World, code: &str) -> Response {
    let error = json!({ "Error": { "Code": code, "Message": "said by the simulator" } });
    reply(world, error)
}

/// The reply that carries an answer.
pub(crate) fn reply(world: &World, mut answer: Value) -> Response {
    answer["RequestId"] = random_text(&*world.randomness, 16).into();
    axum::Json(json!({ "Response": answer })).into_response()
}

/// The action of a request that is signed well, and its parameters.
pub(crate) fn read(
    world: &World,
    service: &str,
    version: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(String, Value), TencentError> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let timestamp = header("x-tc-timestamp").ok_or("MissingParameter")?;
    let at: u64 = timestamp.parse().map_err(|_| "InvalidParameter")?;
    if world.now().abs_diff(at) > CLOCK_SECONDS {
        return Err("AuthFailure.SignatureExpire".into());
    }
    let parts = header("authorization")
        .and_then(|text| text.strip_prefix("TC3-HMAC-SHA256 "))
        .ok_or("AuthFailure.InvalidAuthorization")?;
    let part = |name: &str| {
        parts
            .split(',')
            .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
            .ok_or("AuthFailure.InvalidAuthorization")
    };
    let credential: Vec<&str> = part("Credential")?.split('/').collect();
    let [id, date, of_service, "tc3_request"] = credential[..] else {
        return Err("AuthFailure.InvalidAuthorization".into());
    };
    if id != SECRET_ID {
        return Err("AuthFailure.SecretIdNotFound".into());
    }
    let signed: Vec<&str> = part("SignedHeaders")?.split(';').collect();
    let needed = ["content-type", "host"]
        .iter()
        .all(|name| signed.contains(name));
    if of_service != service || date != utc_date(at) || !needed {
        return Err("AuthFailure.SignatureFailure".into());
    }
    let mut canonical = String::from("POST\n/\n\n");
    for name in &signed {
        let value = header(name).ok_or("AuthFailure.SignatureFailure")?;
        let _ = writeln!(canonical, "{name}:{}", value.trim().to_lowercase());
    }
    let _ = write!(
        canonical,
        "\n{}\n{}",
        signed.join(";"),
        hex(digest(&SHA256, body))
    );
    let to_sign = format!(
        "TC3-HMAC-SHA256\n{timestamp}\n{date}/{service}/tc3_request\n{}",
        hex(digest(&SHA256, canonical.as_bytes()))
    );
    let mut key = format!("TC3{SECRET_KEY}").into_bytes();
    for step in [date, service, "tc3_request", to_sign.as_str()] {
        let with = hmac::Key::new(hmac::HMAC_SHA256, &key);
        key = hmac::sign(&with, step.as_bytes()).as_ref().to_vec();
    }
    if !same_secret(part("Signature")?, &hex(key)) {
        return Err("AuthFailure.SignatureFailure".into());
    }
    if header("x-tc-version") != Some(version) {
        return Err("NoSuchVersion".into());
    }
    let action = header("x-tc-action").ok_or("MissingParameter")?.to_owned();
    let parameters = serde_json::from_slice(body).map_err(|_| "InvalidRequest")?;
    Ok((action, parameters))
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The day in UTC, counted from year to year.
fn utc_date(seconds: u64) -> String {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut day = seconds / 86_400;
    let mut year = 1970;
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if day < length {
            break;
        }
        day -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", day + 1)
}

#[cfg(test)]
mod tests {
    use super::utc_date;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (1_551_113_065, "2019-02-25"),
            (1_798_761_599, "2026-12-31"),
        ] {
            assert_eq!(utc_date(seconds), date);
        }
    }
}
