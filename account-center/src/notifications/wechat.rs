//! WeChat's message push: what its signatures cover, and its secure mode (AES-256-CBC under the `EncodingAESKey`). Pure: keys, time and bytes are arguments.
//!
//! Only the secure mode is taken: in the plain one nothing covers the body, so whoever saw one push could write another. A push in the mixed mode is read from its
//! encrypted member.

use std::collections::BTreeMap;
use std::fmt;

use aes::Aes256;
use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::Value;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::xml;
use super::{Event, Happened, Refused};
use crate::context::Timestamp;
use crate::http::json;
use crate::secret::SecretText;

/// How old a push may be, and how far ahead of our clock, in seconds. WeChat repeats one within some seconds.
const WINDOW: i64 = 300;
/// WeChat pads to blocks of this size.
const PADDING_BLOCK: usize = 32;
/// Random bytes before the message, and the four of its length.
const HEAD: usize = 20;

/// The console's keys were drawn from letters and digits, so the last character's spare bits may be anything.
const KEYS: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// What was written into WeChat's console for one app. Debug shows the app alone.
#[derive(Clone)]
pub struct PushSecrets {
    app_id: String,
    token: SecretText,
    key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for PushSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushSecrets")
            .field("app_id", &self.app_id)
            .finish_non_exhaustive()
    }
}

impl PushSecrets {
    /// `None`: the `EncodingAESKey` is not 43 characters of base64.
    pub fn new(app_id: &str, token: SecretText, encoding_aes_key: &SecretText) -> Option<Self> {
        let padded = Zeroizing::new(format!("{}=", encoding_aes_key.expose()));
        let bytes = Zeroizing::new(KEYS.decode(padded.as_bytes()).ok()?);
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() != key.len() {
            return None;
        }
        key.copy_from_slice(&bytes);
        Some(Self {
            app_id: app_id.to_owned(),
            token,
            key,
        })
    }

    /// Whether its token is this one.
    pub fn is_of(&self, token: &str) -> bool {
        self.token.same_as(token)
    }

    fn signed(&self, signature: &str, others: &[&str]) -> bool {
        let mut parts = vec![self.token.expose()];
        parts.extend(others);
        parts.sort_unstable();
        let mut text = Zeroizing::new(String::new());
        for part in parts {
            text.push_str(part);
        }
        let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        let hex: String = sum.as_ref().iter().fold(String::new(), |mut text, byte| {
            use std::fmt::Write as _;
            let _ = write!(text, "{byte:02x}");
            text
        });
        hex.as_bytes().ct_eq(signature.as_bytes()).into()
    }

    /// Decrypts a member whose signature is good, so that nobody learns anything by trying paddings.
    fn decrypt(&self, encrypted: &str) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let mut bytes = Zeroizing::new(STANDARD.decode(encrypted).map_err(|_| Refused::Form)?);
        let (key, iv) = (&*self.key, &self.key[..16]);
        let cipher =
            cbc::Decryptor::<Aes256>::new_from_slices(key, iv).map_err(|_| Refused::Form)?;
        let length = cipher
            .decrypt_padded::<NoPadding>(&mut bytes)
            .map_err(|_| Refused::Form)?
            .len();
        let padding = bytes[..length]
            .last()
            .map(|byte| usize::from(*byte))
            .filter(|padding| (1..=PADDING_BLOCK).contains(padding))
            .ok_or(Refused::Form)?;
        let plain = bytes
            .get(HEAD..length.saturating_sub(padding))
            .ok_or(Refused::Form)?;
        let size = u32::from_be_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
        let size = usize::try_from(size).map_err(|_| Refused::Form)?;
        let (message, app_id) = plain.split_at_checked(size).ok_or(Refused::Form)?;
        if app_id != self.app_id.as_bytes() {
            return Err(Refused::Signature);
        }
        Ok(Zeroizing::new(message.to_vec()))
    }
}

/// The query of a push.
#[derive(Default)]
pub struct Query {
    members: BTreeMap<String, String>,
}

impl Query {
    /// Reads it; a parameter that occurs twice is refused.
    pub fn parse(query: &str) -> Result<Self, Refused> {
        let mut members = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if members
                .insert(name.into_owned(), value.into_owned())
                .is_some()
            {
                return Err(Refused::Form);
            }
        }
        Ok(Self { members })
    }

    fn get(&self, name: &str) -> Result<&str, Refused> {
        self.members
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
            .ok_or(Refused::Form)
    }

    /// Timestamp and nonce, where the timestamp is of now.
    fn fresh(&self, now: Timestamp) -> Result<(&str, &str), Refused> {
        let (timestamp, nonce) = (self.get("timestamp")?, self.get("nonce")?);
        let at: i64 = timestamp.parse().map_err(|_| Refused::Form)?;
        if (now.seconds().saturating_sub(at)).saturating_abs() > WINDOW {
            return Err(Refused::Stale);
        }
        Ok((timestamp, nonce))
    }
}

/// The console asks whether the address is ours: the text to answer with.
pub fn echo(apps: &[PushSecrets], query: &Query, now: Timestamp) -> Result<String, Refused> {
    let (timestamp, nonce) = query.fresh(now)?;
    let (signature, echo) = (query.get("signature")?, query.get("echostr")?);
    // What WeChat sends here are digits. Nothing else is sent back, so that no browser finds a page in it.
    let harmless = echo.len() <= 64 && echo.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !harmless {
        return Err(Refused::Form);
    }
    if apps
        .iter()
        .any(|app| app.signed(signature, &[timestamp, nonce]))
    {
        Ok(echo.to_owned())
    } else {
        Err(Refused::Signature)
    }
}

/// Opens a push: signature, time, app, and what happened. `None`: something that is no matter of ours.
pub fn open(
    apps: &[PushSecrets],
    query: &Query,
    body: &[u8],
    now: Timestamp,
) -> Result<Option<Event>, Refused> {
    let (timestamp, nonce) = query.fresh(now)?;
    let signature = query.get("msg_signature")?;
    let envelope = read(body)?;
    let encrypted = envelope.get("Encrypt").ok_or(Refused::Form)?;
    let app = apps
        .iter()
        .find(|app| {
            app.signed(signature, &[timestamp, nonce, encrypted]) && app.decrypt(encrypted).is_ok()
        })
        .ok_or(Refused::Signature)?;
    let message = read(&app.decrypt(encrypted)?)?;
    event(app, &message)
}

fn event(app: &PushSecrets, message: &BTreeMap<String, String>) -> Result<Option<Event>, Refused> {
    let get = |name: &str| message.get(name).map(String::as_str);
    if get("MsgType") != Some("event") {
        return Ok(None);
    }
    let happened = match get("Event").unwrap_or_default() {
        // 301: the whole authorization. Others name a kind of data that was taken back.
        "user_authorization_revoke" if get("RevokeInfo") == Some("301") => Happened::Revoked,
        "user_authorization_revoke" | "user_info_modified" => Happened::ProfileTakenBack,
        "user_authorization_cancellation" => Happened::Closed,
        _ => return Ok(None),
    };
    if get("AppID").is_some_and(|named| named != app.app_id) {
        return Err(Refused::Signature);
    }
    let needed = |name: &str| {
        get(name)
            .filter(|text| !text.is_empty())
            .ok_or(Refused::Form)
    };
    let open_id = needed("OpenID")?;
    Ok(Some(Event {
        provider: "wechat",
        app_id: app.app_id.clone(),
        names: vec![open_id.to_owned()],
        happened,
        // Repeated pushes have these in common; MsgId is only there for messages.
        name: [
            needed("FromUserName")?,
            needed("CreateTime")?,
            needed("Event")?,
            open_id,
            get("RevokeInfo").unwrap_or_default(),
            get("MsgId").unwrap_or_default(),
        ]
        .join("\n"),
    }))
}

/// XML or JSON, as the console was told. Names in WeChat's JSON have been seen with spaces around them.
fn read(body: &[u8]) -> Result<BTreeMap<String, String>, Refused> {
    let text = std::str::from_utf8(body).map_err(|_| Refused::Form)?;
    if text.trim_start().starts_with('<') {
        return xml::members(text).map_err(|_| Refused::Form);
    }
    let Ok(Value::Object(object)) = json::value(body) else {
        return Err(Refused::Form);
    };
    let mut members = BTreeMap::new();
    for (name, value) in object {
        let value = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => continue,
        };
        if members.insert(name.trim().to_owned(), value).is_some() {
            return Err(Refused::Form);
        }
    }
    Ok(members)
}

#[cfg(test)]
#[path = "wechat_tests.rs"]
pub(crate) mod tests;
