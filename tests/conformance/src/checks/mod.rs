//! The checks, by the section of `contract/README.md` that they read.

mod idempotency;
mod login;
mod options;
mod proof;
mod requests;
mod sealing;
mod sessions;

use futures_util::future::BoxFuture;

use crate::Finding;
use crate::tester::Tester;

/// What a check needs beside the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// The offline root's public key.
    RootKey,
    /// The simulator around the account center.
    Parties,
}

/// One check.
pub struct Check {
    /// A sentence, as a name.
    pub name: &'static str,
    /// The section of `contract/README.md`.
    pub section: u8,
    /// What it needs.
    pub needs: Needs,
    /// Performs it.
    pub run: for<'a> fn(&'a Tester) -> BoxFuture<'a, Result<(), Finding>>,
}

/// Makes a list of checks of async functions.
macro_rules! checks {
    ($section:literal, $needs:ident: $($name:ident),* $(,)?) => {
        [$($crate::checks::Check {
            name: stringify!($name),
            section: $section,
            needs: $crate::checks::Needs::$needs,
            run: |tester| Box::pin($name(tester)),
        }),*]
    };
}
use checks;

/// All of them, in the contract's order.
pub fn all() -> Vec<Check> {
    let mut all = Vec::new();
    all.extend(requests::checks());
    all.extend(proof::checks());
    all.extend(idempotency::checks());
    all.extend(sealing::checks());
    all.extend(options::checks());
    all.extend(login::checks());
    all.extend(sessions::checks());
    all
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_check_has_a_name_of_its_own() {
        let mut names = HashSet::new();
        for check in all() {
            assert!(names.insert(check.name), "{} stands twice", check.name);
        }
    }
}
