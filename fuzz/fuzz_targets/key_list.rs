//! Any key list, and any payload in one that the root signed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_fuzz::{KEY, NOW, URL, signed};
use postern_server_security::key_list::{KeyList, PROFILE};
use ring::rand::SystemRandom;

fuzz_target!(|data: &[u8]| {
    let raw = String::from_utf8_lossy(data);
    assert!(KeyList::verify(&raw, KEY.public(), URL, 0, NOW).is_err());
    if let Ok(list) = KeyList::verify(&signed(&PROFILE, data), KEY.public(), URL, 0, NOW) {
        // What is taken has a form that would be signed, and reads the same again.
        let again = list
            .sign(&KEY, &SystemRandom::new())
            .expect("a list of the right form");
        assert_eq!(
            KeyList::verify(&again, KEY.public(), URL, list.version, NOW),
            Ok(list)
        );
    }
});
