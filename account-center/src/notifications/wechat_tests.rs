#![allow(clippy::unwrap_used)]
use cbc::cipher::BlockModeEncrypt as _;
use proptest::prelude::*;
use serde_json::json;

use super::*;

pub(crate) const TOKEN: &str = "push-token";
/// Its last character has spare bits, as the console's keys may have.
pub(crate) const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFt";
const APP: &str = "wx1";
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

pub(crate) fn secrets() -> PushSecrets {
    PushSecrets::new(APP, TOKEN.into(), &KEY.into()).unwrap()
}

/// As WeChat encrypts: 16 bytes, the length, the message, the app id, padded to 32.
fn encrypt(secrets: &PushSecrets, message: &str, app_id: &str) -> String {
    let mut plain = b"0123456789abcdef".to_vec();
    plain.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    plain.extend(message.as_bytes());
    plain.extend(app_id.as_bytes());
    let padding = PADDING_BLOCK - plain.len() % PADDING_BLOCK;
    plain.extend(vec![u8::try_from(padding).unwrap(); padding]);
    let length = plain.len();
    let cipher =
        cbc::Encryptor::<Aes256>::new_from_slices(&*secrets.key, &secrets.key[..16]).unwrap();
    cipher
        .encrypt_padded::<NoPadding>(&mut plain, length)
        .unwrap();
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

/// A push: query and body.
pub(crate) fn push(message: &str, at: i64, as_json: bool) -> (String, String) {
    let encrypted = encrypt(&secrets(), message, APP);
    let timestamp = at.to_string();
    let signature = sha1(&[TOKEN, &timestamp, "n1", &encrypted]);
    let query = format!(
        "signature=x&timestamp={timestamp}&nonce=n1&openid=o&encrypt_type=aes&msg_signature={signature}"
    );
    let body = if as_json {
        json!({"ToUserName": "gh_1", "Encrypt": encrypted}).to_string()
    } else {
        format!(
            "<xml><ToUserName><![CDATA[gh_1]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
        )
    };
    (query, body)
}

pub(crate) fn message(event: &str, open_id: &str, revoke_info: &str, at: i64) -> String {
    format!(
        "<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[push]]></FromUserName><CreateTime>{at}</CreateTime>\
         <MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{event}]]></Event><OpenID><![CDATA[{open_id}]]></OpenID><AppID><![CDATA[{APP}]]></AppID>\
         <RevokeInfo><![CDATA[{revoke_info}]]></RevokeInfo></xml>"
    )
}

fn opened(query: &str, body: &str) -> Result<Option<Event>, Refused> {
    open(
        &[secrets()],
        &Query::parse(query).unwrap(),
        body.as_bytes(),
        NOW,
    )
}

fn now() -> i64 {
    NOW.seconds()
}

#[test]
fn l8_a_push_in_secure_mode_tells_what_happened_in_xml_and_in_json() {
    for (event, revoke_info, happened) in [
        ("user_authorization_revoke", "301", Happened::Revoked),
        ("user_authorization_revoke", "6", Happened::ProfileTakenBack),
        ("user_info_modified", "", Happened::ProfileTakenBack),
        ("user_authorization_cancellation", "", Happened::Closed),
    ] {
        for as_json in [false, true] {
            let text = if as_json {
                // As WeChat's own documents write it, spaces and all.
                json!({"ToUserName": "gh_1", "FromUserName": "push", "CreateTime": now(), "MsgType": "event", "Event": event,
                       " OpenID": "o1", " AppID": APP, " RevokeInfo": revoke_info})
                .to_string()
            } else {
                message(event, "o1", revoke_info, now())
            };
            let (query, body) = push(&text, now(), as_json);
            let event = opened(&query, &body).unwrap().unwrap();
            assert_eq!(event.happened, happened);
            assert_eq!(
                (event.app_id.as_str(), &event.names[..]),
                (APP, &["o1".to_owned()][..])
            );
        }
    }
    let (query, body) = push(&message("subscribe", "o1", "", now()), now(), false);
    assert_eq!(opened(&query, &body), Ok(None));
}

#[test]
fn a_push_that_is_not_wechats_for_this_app_or_not_of_now_is_refused() {
    let text = message("user_authorization_revoke", "o1", "301", now());
    let (query, body) = push(&text, now(), false);
    assert!(opened(&query, &body).unwrap().is_some());
    // Another body under the same signature.
    let (_, other) = push(
        &message("user_authorization_revoke", "o2", "301", now()),
        now(),
        false,
    );
    assert_eq!(opened(&query, &other), Err(Refused::Signature));
    for (from, to) in [
        ("nonce=n1", "nonce=n2"),
        ("msg_signature=", "msg_signature=0"),
    ] {
        assert_eq!(
            opened(&query.replace(from, to), &body),
            Err(Refused::Signature)
        );
    }
    for at in [now() - 301, now() + 301] {
        let (query, body) = push(&text, at, false);
        assert_eq!(opened(&query, &body), Err(Refused::Stale), "{at}");
    }
    // Encrypted for another app, though with our key.
    let encrypted = encrypt(&secrets(), &text, "wx2");
    let timestamp = now().to_string();
    let query = format!(
        "timestamp={timestamp}&nonce=n&msg_signature={}",
        sha1(&[TOKEN, &timestamp, "n", &encrypted])
    );
    let body = format!("<xml><Encrypt>{encrypted}</Encrypt></xml>");
    assert_eq!(opened(&query, &body), Err(Refused::Signature));
    // The plain mode: a good signature over timestamp and nonce covers no body.
    let signature = sha1(&[TOKEN, &timestamp, "n"]);
    for query in [
        format!("timestamp={timestamp}&nonce=n&signature={signature}"),
        format!("timestamp={timestamp}&nonce=n&signature={signature}&msg_signature={signature}"),
    ] {
        assert_eq!(opened(&query, &text), Err(Refused::Form));
    }
    // An app that another app's push names.
    let foreign = text.replace("<AppID><![CDATA[wx1]]>", "<AppID><![CDATA[wx2]]>");
    let (query, body) = push(&foreign, now(), false);
    assert_eq!(opened(&query, &body), Err(Refused::Signature));
    assert!(Query::parse("nonce=1&nonce=2").is_err());
}

#[test]
fn the_consoles_question_is_answered_with_its_digits_and_nothing_else() {
    let timestamp = now().to_string();
    let signature = sha1(&[TOKEN, &timestamp, "n"]);
    let asked = |echo: &str, signature: &str| {
        let query = format!("signature={signature}&timestamp={timestamp}&nonce=n&echostr={echo}");
        super::echo(&[secrets()], &Query::parse(&query).unwrap(), NOW)
    };
    assert_eq!(asked("4567", &signature).as_deref(), Ok("4567"));
    assert_eq!(asked("4567", "0000"), Err(Refused::Signature));
    assert_eq!(asked("%3Cscript%3E", &signature), Err(Refused::Form));
}

#[test]
fn a_key_has_43_characters_and_is_not_shown() {
    assert!(PushSecrets::new(APP, TOKEN.into(), &"short".into()).is_none());
    assert!(PushSecrets::new(APP, TOKEN.into(), &format!("{KEY}A").as_str().into()).is_none());
    let shown = format!("{:?}", secrets());
    assert!(shown.contains(APP) && !shown.contains(TOKEN));
}

proptest! {
    #[test]
    fn nothing_that_is_encrypted_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let encrypted = STANDARD.encode(&bytes);
        let timestamp = now().to_string();
        let query = format!("timestamp={timestamp}&nonce=n&msg_signature={}", sha1(&[TOKEN, &timestamp, "n", &encrypted]));
        let body = format!("<xml><Encrypt>{encrypted}</Encrypt></xml>");
        prop_assert!(opened(&query, &body).is_err());
    }
}
