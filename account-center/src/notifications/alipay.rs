//! Alipay's message service over HTTP: a form, signed with RSA2 over its parameters, as answers to us are over their text.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{Event, Happened, Refused};
use crate::context::Timestamp;
use crate::http::json;
use crate::providers::alipay::AlipayKeys;

/// Alipay repeats a message that was not answered for 24 hours and 25 minutes, with the time of its first sending.
const WINDOW_SECONDS: i64 = 25 * 3600;
const CLOCK_TOLERANCE_SECONDS: i64 = 300;
/// The person withdrew the app's authorization in Alipay.
const CANCELLED: &str = "alipay.open.auth.userauth.cancelled";

/// Opens a message. `None`: something that is no matter of ours.
pub(super) fn open(
    apps: &BTreeMap<String, Arc<AlipayKeys>>,
    body: &[u8],
    now: Timestamp,
) -> Result<Option<Event>, Refused> {
    let mut parameters = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(body) {
        if parameters
            .insert(name.into_owned(), value.into_owned())
            .is_some()
        {
            return Err(Refused::Form);
        }
    }
    let get = |name: &str| {
        parameters
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
            .ok_or(Refused::Form)
    };
    let keys = apps.get(get("app_id")?).ok_or(Refused::Signature)?;
    let signature = get("sign")?;
    if get("sign_type")? != "RSA2" {
        return Err(Refused::Signature);
    }
    // Alipay's kits check some messages without sign_type and some with it; either text is Alipay's own word.
    let signed = |without: &[&str]| {
        let covered: Vec<(&str, &str)> = parameters
            .iter()
            .filter(|(name, _)| !without.contains(&name.as_str()))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        keys.signed_by_alipay(&covered, signature)
    };
    if !signed(&["sign", "sign_type"]) && !signed(&["sign"]) {
        return Err(Refused::Signature);
    }
    let sent_at: i64 = get("utc_timestamp")?.parse().map_err(|_| Refused::Form)?;
    let age = now.seconds().saturating_sub(sent_at.div_euclid(1000));
    if !(-CLOCK_TOLERANCE_SECONDS..=WINDOW_SECONDS).contains(&age) {
        return Err(Refused::Stale);
    }
    if get("msg_method")? != CANCELLED {
        return Ok(None);
    }
    let content = json::value(get("biz_content")?.as_bytes()).map_err(|_| Refused::Form)?;
    let names: Vec<String> = ["open_id", "user_id"]
        .iter()
        .filter_map(|name| content.get(*name).and_then(Value::as_str))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    if names.is_empty() {
        return Err(Refused::Form);
    }
    Ok(Some(Event {
        provider: "alipay",
        app_id: get("app_id")?.to_owned(),
        names,
        happened: Happened::Revoked,
        name: get("notify_id")?.to_owned(),
    }))
}
