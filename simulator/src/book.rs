//! What Weibo, QQ and Alipay remember alike: codes that serve once, and tokens. Pure: time and random names are arguments.

use std::collections::HashMap;

/// How long a dead code or token is told from an unknown one, in seconds.
const MEMORY_SECONDS: u64 = 24 * 3600;

/// Whom a code or a token speaks of, and to which app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The app's id at the provider.
    pub(crate) app_id: &'static str,
    /// The person's name among the test people.
    pub(crate) person: String,
    /// What was asked for.
    pub(crate) scope: String,
    /// Where the answer was to go; empty where the provider does not ask.
    pub(crate) redirect_uri: String,
    /// Seconds since 1970 UTC.
    pub(crate) since: u64,
    /// Seconds since 1970 UTC.
    pub(crate) expires_at: u64,
}

/// Why a code or a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dead {
    /// Never given, or given to another app.
    Unknown,
    /// A code that was exchanged.
    Used,
    /// Too old.
    Expired,
    /// A token that was taken back.
    Revoked,
}

/// Why a code gave no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoToken {
    Dead(Dead),
    /// It was asked for with another address.
    OtherAddress,
}

impl From<Dead> for NoToken {
    fn from(dead: Dead) -> Self {
        Self::Dead(dead)
    }
}

#[derive(Default)]
struct Shelf {
    entries: HashMap<String, (Grant, Option<Dead>)>,
    next_sweep: u64,
}

impl Shelf {
    fn add(&mut self, name: String, grant: Grant, now: u64) {
        if now >= self.next_sweep {
            self.next_sweep = now + MEMORY_SECONDS / 24;
            self.entries.retain(|_, (grant, _)| {
                grant.expires_at == 0 || grant.expires_at + MEMORY_SECONDS > now
            });
        }
        self.entries.insert(name, (grant, None));
    }

    fn get(&mut self, name: &str, now: u64) -> Result<&mut (Grant, Option<Dead>), Dead> {
        let entry = self.entries.get_mut(name).ok_or(Dead::Unknown)?;
        match entry.1 {
            Some(dead) => Err(dead),
            None if now >= entry.0.expires_at => Err(Dead::Expired),
            None => Ok(entry),
        }
    }
}

/// Codes and tokens of one provider.
#[derive(Default)]
pub(crate) struct Book {
    codes: Shelf,
    tokens: Shelf,
}

impl Book {
    /// Notes a code that a person's consent gave.
    pub(crate) fn add_code(&mut self, code: String, grant: Grant, now: u64) {
        self.codes.add(code, grant, now);
    }

    /// Notes a token.
    pub(crate) fn add_token(&mut self, token: String, grant: Grant, now: u64) {
        self.tokens.add(token, grant, now);
    }

    /// Takes a code, once, for the app that asked for it. A failed attempt uses nothing up.
    pub(crate) fn take_code(&mut self, code: &str, app_id: &str, now: u64) -> Result<Grant, Dead> {
        let entry = self.codes.get(code, now)?;
        if entry.0.app_id != app_id {
            return Err(Dead::Unknown);
        }
        entry.1 = Some(Dead::Used);
        Ok(entry.0.clone())
    }

    /// Turns a code into a token of so many seconds, for the app and the address that it was asked for with.
    pub(crate) fn exchange(
        &mut self,
        (code, app_id, redirect_uri): (&str, &str, &str),
        (token, seconds): (&str, u64),
        now: u64,
    ) -> Result<Grant, NoToken> {
        let entry = self.codes.get(code, now)?;
        if entry.0.redirect_uri != redirect_uri {
            return Err(NoToken::OtherAddress);
        }
        let grant = Grant {
            since: now,
            expires_at: now + seconds,
            ..self.take_code(code, app_id, now)?
        };
        self.add_token(token.to_owned(), grant.clone(), now);
        Ok(grant)
    }

    /// The grant of a good token.
    pub(crate) fn token(&mut self, token: &str, now: u64) -> Result<&Grant, Dead> {
        self.tokens.get(token, now).map(|entry| &entry.0)
    }

    /// Ends a token.
    pub(crate) fn revoke(&mut self, token: &str, now: u64) -> Result<(), Dead> {
        self.tokens.get(token, now)?.1 = Some(Dead::Revoked);
        Ok(())
    }

    /// Every code given so far expires now.
    pub(crate) fn expire_codes(&mut self) {
        for (grant, _) in self.codes.entries.values_mut() {
            grant.expires_at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Book, Dead, Grant, NoToken};

    fn grant(app_id: &'static str) -> Grant {
        Grant {
            app_id,
            person: "lin".to_owned(),
            scope: String::new(),
            redirect_uri: String::new(),
            since: 0,
            expires_at: 600,
        }
    }

    #[test]
    fn m2_a_code_serves_once_for_its_app_and_until_it_expires() {
        let mut book = Book::default();
        for name in ["a", "b"] {
            book.add_code(name.to_owned(), grant("app"), 0);
        }
        assert_eq!(book.take_code("x", "app", 1), Err(Dead::Unknown));
        assert_eq!(book.take_code("a", "other", 1), Err(Dead::Unknown));
        assert_eq!(book.take_code("a", "app", 1), Ok(grant("app")));
        assert_eq!(book.take_code("a", "app", 1), Err(Dead::Used));
        assert_eq!(book.take_code("b", "app", 600), Err(Dead::Expired));
    }

    #[test]
    fn a_code_becomes_a_token_for_its_own_app_and_address() {
        let mut book = Book::default();
        book.add_code("a".to_owned(), grant("app"), 0);
        let token = ("t", 100);
        let other = book.exchange(("a", "app", "https://other"), token, 1);
        assert_eq!(other, Err(NoToken::OtherAddress));
        let stolen = book.exchange(("a", "other", ""), token, 1);
        assert_eq!(stolen, Err(NoToken::Dead(Dead::Unknown)));
        assert!(book.exchange(("a", "app", ""), token, 1).is_ok());
        assert_eq!(book.token("t", 1).map(|grant| grant.expires_at), Ok(101));
        let again = book.exchange(("a", "app", ""), token, 1);
        assert_eq!(again, Err(NoToken::Dead(Dead::Used)));
    }

    #[test]
    fn a_token_ends_when_it_is_taken_back_or_too_old() {
        let mut book = Book::default();
        book.add_token("t".to_owned(), grant("app"), 0);
        assert!(book.token("t", 599).is_ok());
        assert_eq!(book.token("t", 600), Err(Dead::Expired));
        assert_eq!(book.revoke("t", 1), Ok(()));
        assert_eq!(book.token("t", 1), Err(Dead::Revoked));
    }

    #[test]
    fn what_died_long_ago_is_forgotten() {
        let mut book = Book::default();
        book.add_code("a".to_owned(), grant("app"), 0);
        book.add_code("b".to_owned(), grant("app"), 600 + 24 * 3600);
        assert_eq!(
            book.take_code("a", "app", 600 + 24 * 3600),
            Err(Dead::Unknown)
        );
    }
}
