//! Made-up people, by their number: what a provider and a phone company say of them.

use postern_server_security::base64url;
use ring::digest::{SHA256, digest};

/// The provider's app of `bank-android` in the development settings.
pub(crate) const PROVIDER_APP: &str = "wx5b1e0c6a7d000001";
/// Its open-platform account.
pub(crate) const PLATFORM: &str = "op_postern_bank";
/// The bank's app.
pub(crate) const APP: &str = "bank-android";
/// Where the people begin who have no account yet.
pub(crate) const STRANGERS: u64 = 1_000_000_000;

/// As long as WeChat's, and in no order, so that the database meets them as it meets real ones.
pub(crate) fn open_id(person: u64) -> String {
    named("open", person)
}

/// See [`open_id`].
pub(crate) fn union_id(person: u64) -> String {
    named("union", person)
}

fn named(kind: &str, person: u64) -> String {
    let hash = digest(&SHA256, format!("{kind} {person}").as_bytes());
    let text = base64url::encode(hash);
    format!("o{}", &text[..27])
}

/// A mobile number in China. People with an account have one below 150; strangers have one of their own too.
pub(crate) fn phone(person: u64) -> String {
    format!(
        "+861{}",
        if person < STRANGERS {
            3_000_000_000 + person
        } else {
            5_000_000_000 + (person - STRANGERS)
        }
    )
}

/// A provider's code for this person; each `attempt` is another code.
pub(crate) fn code(person: u64, attempt: &str) -> String {
    format!("c.{person}.{attempt}")
}

/// Whose code it is.
pub(crate) fn of_code(code: &str) -> Option<u64> {
    code.strip_prefix("c.")?.split('.').next()?.parse().ok()
}

/// Numbers in no order, the same in each run (xorshift64*).
pub(crate) struct Shuffle(u64);

impl Shuffle {
    /// Begins anew.
    pub(crate) fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    /// One below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn people_have_names_and_numbers_of_their_own() {
        let people = (0..500).chain(STRANGERS..STRANGERS + 500);
        let phones: HashSet<String> = people.clone().map(phone).collect();
        let names: HashSet<String> = people
            .clone()
            .flat_map(|n| [open_id(n), union_id(n)])
            .collect();
        assert_eq!((phones.len(), names.len()), (1000, 2000));
        assert!(
            phones
                .iter()
                .all(|phone| phone.len() == 14 && phone.starts_with("+861"))
        );
        assert!(people.clone().all(|n| of_code(&code(n, "x")) == Some(n)));
    }
}
