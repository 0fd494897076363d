//! The XML that WeChat pushes. The reader is one file of the account center, taken here without the rest of it.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../account-center/src/notifications/xml.rs"]
mod xml;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(members) = xml::members(text) {
        assert!(members.len() <= 64);
        // Nothing grows by reading: there is no entity that stands for more than a character.
        let size: usize = members.values().map(String::len).sum();
        assert!(size <= text.len());
    }
});
