//! The address under which a server is known, and the comparison of a proof's `htu` with it (RFC 9449 section 4.3, RFC 3986 section 6.2).
//!
//! Host headers say nothing here: what counts is the configured public address.

use std::fmt;

use url::Url;

/// A configured address: http or https, a host, maybe a port and a path prefix; no user, query or fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicUrl {
    /// As configured, without a slash at the end.
    text: String,
}

/// Scheme, host, port and path, after normalisation.
#[derive(PartialEq, Eq)]
struct Normalized {
    scheme: String,
    host: String,
    port: u16,
    path: String,
}

/// The text is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an http or https address without user, query and fragment")]
pub struct NotAPublicUrl;

impl PublicUrl {
    /// Reads an address. A slash at its end does not count.
    pub fn parse(text: &str) -> Result<Self, NotAPublicUrl> {
        let text = text.trim_end_matches('/');
        normalized(text).ok_or(NotAPublicUrl)?;
        Ok(Self {
            text: text.to_owned(),
        })
    }

    /// The address, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `htu` is this address followed by the request's path (which begins with a slash and has no query).
    ///
    /// Equal after normalisation: case of scheme and host, default port, empty path, percent-encoding, dot segments. An `htu` with a query,
    /// a fragment or a user is never equal, nor is one with a character that RFC 3986 does not have.
    pub fn is_target(&self, path: &str, htu: &str) -> bool {
        // A path that begins with a slash cannot change the host before it.
        path.starts_with('/')
            && normalized(&format!("{}{path}", self.text))
                .is_some_and(|expected| normalized(htu).is_some_and(|given| given == expected))
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicUrl({})", self.text)
    }
}

fn normalized(text: &str) -> Option<Normalized> {
    // The parser is a browser's and forgives much (blanks, backslashes, a missing slash), so only RFC 3986's characters get to it.
    let after_scheme = ["https://", "http://"].iter().find_map(|scheme| {
        let start = text.get(..scheme.len())?;
        start
            .eq_ignore_ascii_case(scheme)
            .then(|| &text[scheme.len()..])
    })?;
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b"-._~:/[]@!$&'()*+,;=%".contains(&c);
    if after_scheme.starts_with('/') || !after_scheme.bytes().all(allowed) {
        return None;
    }
    let authority = after_scheme.split('/').next().unwrap_or_default();
    if authority.contains('@') || authority.ends_with(':') {
        return None;
    }
    let url = Url::parse(&normalize_percent(text)?).ok()?;
    Some(Normalized {
        scheme: url.scheme().to_owned(),
        host: url.host_str()?.to_owned(),
        port: url.port_or_known_default()?,
        path: url.path().to_owned(),
    })
}

/// RFC 3986 section 6.2.2: escapes of unreserved characters are undone, the others get upper-case digits. An escape that is none is refused.
fn normalize_percent(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('%') {
        out.push_str(plain);
        let digits = escape.get(..2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let byte = u8::from_str_radix(digits, 16).ok()?;
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&digits.to_ascii_uppercase());
        }
        rest = &escape[2..];
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc3986_spellings_of_one_address_are_equal() {
        let base = PublicUrl::parse("https://Login.Bank.example:443/gate/").unwrap();
        assert_eq!(base.as_str(), "https://Login.Bank.example:443/gate");
        for htu in [
            "https://login.bank.example/gate/v1/login",
            "HTTPS://LOGIN.bank.example:443/gate/v1/login",
            "https://login.bank.example/gate/v1/%6Cogin",
            "https://login.bank.example/gate/x/../v1/./login",
            "https://login.bank.example/gate/x/%2e%2E/v1/login",
        ] {
            assert!(base.is_target("/v1/login", htu), "{htu}");
        }
        assert!(base.is_target("/a%2fb", "https://login.bank.example/gate/a%2Fb"));
    }

    #[test]
    fn contract_2_another_address_is_never_the_target() {
        let base = PublicUrl::parse("https://login.bank.example").unwrap();
        for htu in [
            "",
            "/v1/login",
            "http://login.bank.example/v1/login",
            "https://login.bank.example:8443/v1/login",
            "https://login.bank.example:/v1/login",
            "https://evil.example/v1/login",
            "https://login.bank.example.evil.example/v1/login",
            "https://login.bank.example/v1/login/",
            "https://login.bank.example/v1/Login",
            "https://login.bank.example/v1/login?",
            "https://login.bank.example/v1/login?a=b",
            "https://login.bank.example/v1/login#",
            "https://user@login.bank.example/v1/login",
            "https://@login.bank.example/v1/login",
            "https:///login.bank.example/v1/login",
            "https:login.bank.example/v1/login",
            "https:\\\\login.bank.example\\v1\\login",
            "https://login.bank.example/v1\\login",
            " https://login.bank.example/v1/login",
            "https://login.bank.example/v1/login ",
            "https://login.bank.example/v1/lo\ngin",
            "https://login.bank.example/v1/login%",
            "https://login.bank.example/v1%2Flogin",
            "https://login.bank.example/v1/%login",
            "https://login.bank.example/v1/%+1login",
        ] {
            assert!(!base.is_target("/v1/login", htu), "{htu:?}");
        }
        assert!(!base.is_target("v1/login", "https://login.bank.examplev1/login"));
        assert!(!base.is_target("", "https://login.bank.example"));
        assert!(!base.is_target(
            "@evil.example/x",
            "https://login.bank.example@evil.example/x"
        ));
    }

    #[test]
    fn a_public_url_has_no_user_query_or_fragment() {
        for bad in [
            "",
            "login.bank.example",
            "ftp://a",
            "https://",
            "https://a?b",
            "https://a#b",
            "https://u@a",
            "https://a b",
        ] {
            assert_eq!(PublicUrl::parse(bad).unwrap_err(), NotAPublicUrl, "{bad:?}");
        }
        assert!(PublicUrl::parse("http://127.0.0.1:8610").is_ok());
        assert!(PublicUrl::parse("http://[::1]:8610/x").is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_compared_without_a_panic(path: String, htu: String) {
            let base = PublicUrl::parse("https://login.bank.example").unwrap();
            prop_assert!(!base.is_target(&path, &htu));
        }

        #[test]
        fn an_address_is_its_own_target(path in "(/[a-z0-9_~%-]{0,8}){1,4}") {
            let base = PublicUrl::parse("https://login.bank.example/p").unwrap();
            let htu = format!("https://login.bank.example/p{path}");
            prop_assert_eq!(base.is_target(&path, &htu), normalize_percent(&path).is_some());
        }
    }
}
