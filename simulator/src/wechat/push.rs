//! What WeChat pushes to a developer's server, in its secure mode: AES-256-CBC under the `EncodingAESKey`, signed with the token (SHA-1).

use aes::Aes256;
use base64::{
    Engine as _,
    alphabet::STANDARD as ALPHABET,
    engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD},
};
use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _, block_padding::NoPadding};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::json;

use super::App;
use crate::{context::random_text, world::World};

/// As written into the console of each app; for this simulator only.
const TOKEN: &str = "simulator-push-token";
const KEY: &str = "simulatorSIMULATORsimulatorSIMULATORsimulat";
const PADDING_BLOCK: usize = 32;

/// An event of one person.
#[allow(clippy::struct_field_names, reason = "the names on the wire")]
pub(crate) struct Event<'a> {
    pub(crate) appid: &'a str,
    pub(crate) person: &'a str,
    pub(crate) event: &'a str,
    pub(crate) revoke_info: &'a str,
    pub(crate) as_json: bool,
}

/// Query and body of the push; `None`: there is no such app.
pub(crate) fn push(world: &World, event: &Event<'_>) -> Option<(String, String)> {
    let app = App::by_id(event.appid)?;
    let now = world.now().to_string();
    let open_id = app.open_id(event.person);
    let message = if event.as_json {
        json!({"ToUserName": "gh_simulator", "FromUserName": "simulator-push", "CreateTime": world.now(), "MsgType": "event",
               "Event": event.event, "OpenID": open_id, "AppID": app.appid, "RevokeInfo": event.revoke_info})
        .to_string()
    } else {
        let members = [
            ("ToUserName", "gh_simulator"),
            ("FromUserName", "simulator-push"),
            ("CreateTime", &now),
            ("MsgType", "event"),
            ("Event", event.event),
            ("OpenID", &open_id),
            ("AppID", app.appid),
            ("RevokeInfo", event.revoke_info),
        ]
        .map(|(name, value)| format!("<{name}><![CDATA[{value}]]></{name}>"));
        format!("<xml>{}</xml>", members.concat())
    };
    let head = random_text(&*world.randomness, 12);
    let encrypted = encrypt(&head.as_bytes()[..16], message.as_bytes(), app.appid);
    let nonce = random_text(&*world.randomness, 6);
    let signature = sha1(&[TOKEN, &now, &nonce]);
    let msg_signature = sha1(&[TOKEN, &now, &nonce, &encrypted]);
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("signature", &signature)
        .append_pair("timestamp", &now)
        .append_pair("nonce", &nonce)
        .append_pair("openid", &open_id)
        .append_pair("encrypt_type", "aes")
        .append_pair("msg_signature", &msg_signature)
        .finish();
    let body = if event.as_json {
        json!({"ToUserName": "gh_simulator", "Encrypt": encrypted}).to_string()
    } else {
        format!(
            "<xml><ToUserName><![CDATA[gh_simulator]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
        )
    };
    Some((query, body))
}

fn encrypt(head: &[u8], message: &[u8], appid: &str) -> String {
    let lenient = GeneralPurpose::new(
        &ALPHABET,
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    let key = lenient
        .decode(format!("{KEY}="))
        .expect("the key is 43 characters of base64");
    let length = u32::try_from(message.len()).expect("a message is short");
    let mut plain = [head, &length.to_be_bytes(), message, appid.as_bytes()].concat();
    let padding = PADDING_BLOCK - plain.len() % PADDING_BLOCK;
    plain.resize(
        plain.len() + padding,
        u8::try_from(padding).expect("at most 32"),
    );
    let size = plain.len();
    cbc::Encryptor::<Aes256>::new_from_slices(&key, &key[..16])
        .expect("the key has 32 bytes")
        .encrypt_padded::<NoPadding>(&mut plain, size)
        .expect("whole blocks");
    STANDARD.encode(plain)
}

fn sha1(parts: &[&str]) -> String {
    let mut parts = parts.to_vec();
    parts.sort_unstable();
    let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, parts.concat().as_bytes());
    sum.as_ref().iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
}
