#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use ring::rand::SystemRandom;

use super::*;

fn keys() -> SealingKeys {
    SealingKeys::new(vec![
        SealingKeyPair::derive("new", &[1; 32]).unwrap(),
        SealingKeyPair::derive("old", &[2; 32]).unwrap(),
    ])
}

fn device_key() -> Thumbprint {
    Thumbprint::parse("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs").unwrap()
}

const RECIPIENT: Recipient<'_> = Recipient {
    issuer: "https://login.bank.example",
    app_id: "bank-android",
};

fn place(device_key: &Thumbprint) -> Place<'_> {
    Place {
        device_key,
        idempotency_key: "AAAAAAAAAAAAAAAAAAAAAA",
        path: "/v1/login",
        field: "login_password",
        login_handle: "lg_x",
        step_id: "s1",
    }
}

fn sealed(text: &str, pair: usize) -> String {
    let keys = keys();
    let pair = &keys.pairs()[pair];
    seal(
        pair.kid(),
        pair.public_bytes(),
        text,
        &RECIPIENT,
        &place(&device_key()),
        &SystemRandom::new(),
    )
    .unwrap()
}

#[test]
fn contract_4_a_field_sealed_to_any_key_in_use_opens() {
    for pair in [0, 1] {
        let opened = keys()
            .open(
                &sealed("correct horse 马", pair),
                &RECIPIENT,
                &place(&device_key()),
            )
            .unwrap();
        assert_eq!(opened.expose(), "correct horse 马");
    }
}

#[test]
fn contract_4_a_field_opens_in_no_other_place() {
    let field = sealed("secret", 0);
    let mine = device_key();
    let other_key = Thumbprint::parse("AzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs").unwrap();
    let here = place(&mine);
    let elsewhere = [
        Place {
            device_key: &other_key,
            ..here
        },
        Place {
            idempotency_key: "BAAAAAAAAAAAAAAAAAAAAA",
            ..here
        },
        Place {
            path: "/v1/logins",
            ..here
        },
        Place {
            field: "card.withdrawal_password",
            ..here
        },
        Place {
            login_handle: "lg_y",
            ..here
        },
        Place {
            step_id: "s2",
            ..here
        },
        // The same characters, cut otherwise: the lengths keep them apart.
        Place {
            login_handle: "lg_",
            step_id: "xs1",
            ..here
        },
    ];
    for place in elsewhere {
        assert_eq!(
            keys().open(&field, &RECIPIENT, &place).unwrap_err(),
            OpenError::Invalid,
            "{place:?}"
        );
    }
    for recipient in [
        Recipient {
            issuer: "https://login.other.example",
            ..RECIPIENT
        },
        Recipient {
            app_id: "bank-ios",
            ..RECIPIENT
        },
    ] {
        assert_eq!(
            keys().open(&field, &recipient, &here).unwrap_err(),
            OpenError::Invalid
        );
    }
    assert!(keys().open(&field, &RECIPIENT, &here).is_ok());
}

#[test]
fn contract_4_an_unknown_key_is_told_from_an_invalid_field() {
    let good = sealed("secret", 0);
    let tail = good.strip_prefix("new").unwrap();
    let (_, ciphertext) = good.rsplit_once('.').unwrap();
    let no_point = format!("new.{}.{ciphertext}", base64url::encode([0; 32]));
    let cases = [
        (format!("gone{tail}"), OpenError::UnknownKey),
        (format!("old{tail}"), OpenError::Invalid),
        (tail.to_owned(), OpenError::Invalid),
        (format!("ne w{tail}"), OpenError::Invalid),
        (format!("{good}.x"), OpenError::Invalid),
        (format!("{good}="), OpenError::Invalid),
        (no_point, OpenError::Invalid),
        (String::new(), OpenError::Invalid),
        ("..".into(), OpenError::Invalid),
        (
            format!("gone.{}", "A".repeat(MAX_SEALED_LENGTH)),
            OpenError::Invalid,
        ),
    ];
    for (field, error) in cases {
        assert_eq!(
            keys()
                .open(&field, &RECIPIENT, &place(&device_key()))
                .unwrap_err(),
            error,
            "{field}"
        );
    }
}

#[test]
fn a_field_at_the_limit_of_length_opens_and_beyond_it_does_not() {
    let overhead = sealed("", 0).len();
    let longest = (MAX_SEALED_LENGTH - overhead) / 4 * 3;
    assert!(
        keys()
            .open(
                &sealed(&"x".repeat(longest), 0),
                &RECIPIENT,
                &place(&device_key())
            )
            .is_ok()
    );
    let longer = sealed(&"x".repeat(longest + 4), 0);
    assert!(longer.len() > MAX_SEALED_LENGTH);
    assert_eq!(
        keys()
            .open(&longer, &RECIPIENT, &place(&device_key()))
            .unwrap_err(),
        OpenError::Invalid
    );
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let keys = keys();
    let info = info(&RECIPIENT, "new").unwrap();
    let mine = device_key();
    let aad = associated_data(&place(&mine)).unwrap();
    let (enc, ciphertext) = seal_raw(
        keys.pairs()[0].public_bytes(),
        &[9; 32],
        b"\xff\xfe",
        &info,
        &aad,
    )
    .unwrap();
    let field = format!(
        "new.{}.{}",
        base64url::encode(enc),
        base64url::encode(ciphertext)
    );
    assert_eq!(
        keys.open(&field, &RECIPIENT, &place(&mine)).unwrap_err(),
        OpenError::Invalid
    );
}

#[test]
fn a_part_that_cannot_be_framed_is_refused() {
    let long = "x".repeat(65_536);
    let mine = device_key();
    let place = Place {
        step_id: &long,
        ..place(&mine)
    };
    let public = [9; 32];
    assert_eq!(
        seal("k", &public, "x", &RECIPIENT, &place, &SystemRandom::new()),
        Err(SealError)
    );
    assert_eq!(
        keys()
            .open(&sealed("x", 0), &RECIPIENT, &place)
            .unwrap_err(),
        OpenError::Invalid
    );
    assert_eq!(
        frame(&["ab", "", "é"]).unwrap(),
        b"\0\x02ab\0\0\0\x02\xc3\xa9"
    );
    assert!(frame(&[&long[1..]]).is_some());
}

#[test]
fn a_public_key_of_low_order_is_not_sealed_to() {
    assert_eq!(
        seal(
            "k",
            &[0; 32],
            "x",
            &RECIPIENT,
            &place(&device_key()),
            &SystemRandom::new()
        ),
        Err(SealError)
    );
}

#[test]
fn a_key_pair_is_kept_and_read_again() {
    let pair = SealingKeyPair::generate("k-1_A", &SystemRandom::new()).unwrap();
    let again = SealingKeyPair::from_private_bytes("k-1_A", pair.private_bytes().as_ref()).unwrap();
    assert_eq!(pair.public_bytes(), again.public_bytes());
    let other = SealingKeyPair::generate("k-1_A", &SystemRandom::new()).unwrap();
    assert_ne!(pair.public_bytes(), other.public_bytes());
    assert_eq!(
        SealingKeyPair::from_private_bytes("k", &[1; 31]).unwrap_err(),
        SealingKeyError
    );
    let long = "k".repeat(65);
    for kid in ["", "a.b", "a b", long.as_str()] {
        assert_eq!(
            SealingKeyPair::generate(kid, &SystemRandom::new()).unwrap_err(),
            SealingKeyError
        );
    }
}

#[test]
fn debug_of_a_key_pair_is_a_placeholder() {
    assert_eq!(
        format!("{:?}", keys()),
        "SealingKeys([SealingKeyPair(new, [redacted]), SealingKeyPair(old, [redacted])])"
    );
}

/// The fixed numbers of RFC 9180, appendix A.1.1, from `contract/vectors/sealing.json`.
#[test]
fn rfc9180_a_1_1_opens_and_seals_to_the_same_bytes() {
    let file = include_str!("../../../../contract/vectors/sealing.json");
    let vectors: serde_json::Value = serde_json::from_str(file).unwrap();
    let rfc = &vectors["rfc9180_a_1_1"];
    let bytes = |name: &str| base64url::decode(rfc[name].as_str().unwrap()).unwrap();
    let ephemeral_seed: [u8; 32] = bytes("ikm_e").try_into().unwrap();
    let recipient = SealingKeyPair::derive("r", &bytes("ikm_r").try_into().unwrap()).unwrap();
    assert_eq!(recipient.public_bytes().to_vec(), bytes("pk_r"));
    let kept = SealingKeyPair::from_private_bytes("r", &bytes("sk_r")).unwrap();
    assert_eq!(kept.public_bytes(), recipient.public_bytes());

    let (enc, ciphertext) = seal_raw(
        recipient.public_bytes(),
        &ephemeral_seed,
        &bytes("pt"),
        &bytes("info"),
        &bytes("aad"),
    )
    .unwrap();
    assert_eq!(enc.to_vec(), bytes("enc"));
    assert_eq!(ciphertext, bytes("ct"));
    let opened = open_raw(
        &recipient.private,
        &enc,
        &ciphertext,
        &bytes("info"),
        &bytes("aad"),
    )
    .unwrap();
    assert_eq!(opened, bytes("pt"));
}

#[test]
fn contract_4_the_frames_of_the_vectors_are_ours() {
    let file = include_str!("../../../../contract/vectors/sealing.json");
    let vectors: serde_json::Value = serde_json::from_str(file).unwrap();
    for case in vectors["good"].as_array().unwrap() {
        let text = |name: &str| case[name].as_str().unwrap();
        let device_key = Thumbprint::parse(text("device_key")).unwrap();
        let place = Place {
            device_key: &device_key,
            idempotency_key: text("idempotency_key"),
            path: text("path"),
            field: text("field"),
            login_handle: text("login_handle"),
            step_id: text("step_id"),
        };
        let recipient = Recipient {
            issuer: text("issuer"),
            app_id: text("app_id"),
        };
        assert_eq!(
            base64url::encode(info(&recipient, text("kid")).unwrap()),
            text("info")
        );
        assert_eq!(
            base64url::encode(associated_data(&place).unwrap()),
            text("aad")
        );
    }
}

proptest! {
    // Few cases: X25519 without optimisation takes milliseconds.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_is_sealed_opens(text in ".{0,64}") {
        let opened = keys().open(&sealed(&text, 1), &RECIPIENT, &place(&device_key())).unwrap();
        prop_assert_eq!(opened.expose(), text);
    }

    #[test]
    fn any_text_as_a_sealed_field_is_refused_without_a_panic(
        text: String,
        kid in "(new|old|gone)",
        enc in prop::collection::vec(any::<u8>(), 30..34),
        ciphertext: Vec<u8>,
    ) {
        let mine = device_key();
        prop_assert!(keys().open(&text, &RECIPIENT, &place(&mine)).is_err());
        let field = format!("{kid}.{}.{}", base64url::encode(enc), base64url::encode(ciphertext));
        prop_assert!(keys().open(&field, &RECIPIENT, &place(&mine)).is_err());
    }

    #[test]
    fn a_changed_character_spoils_a_sealed_field(at in 4_usize..80) {
        let mut field = sealed("some secret text", 0).into_bytes();
        prop_assume!(at < field.len() && field[at] != b'.');
        field[at] = if field[at] == b'A' { b'Q' } else { b'A' };
        let field = String::from_utf8(field).unwrap();
        prop_assert_eq!(
            keys().open(&field, &RECIPIENT, &place(&device_key())).unwrap_err(),
            OpenError::Invalid
        );
    }
}
