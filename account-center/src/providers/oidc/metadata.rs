//! What an issuer says of itself (`OpenID` Connect Discovery 1.0, RFC 8414).

use postern_server_security::strict_json;
use serde_json::Value;
use url::Url;

use super::keys::Algorithm;

/// How we show the token endpoint who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAuthentication {
    /// `client_secret_basic`
    Basic,
    /// `client_secret_post`
    Post,
}

/// The parts of the document that we use.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) jwks: Url,
    pub(super) userinfo: Option<Url>,
    /// RFC 9126.
    pub(super) pushed: Option<Url>,
    /// RFC 9207: answers name their issuer.
    pub(super) answers_name_issuer: bool,
    pub(super) authentication: ClientAuthentication,
}

/// Why a document is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// It is not such a document: perhaps something stands before the issuer.
    #[error("the issuer's configuration cannot be read")]
    Unreadable,
    /// It says that it is somebody else's (Discovery, section 4.3).
    #[error("the configuration is another issuer's")]
    OtherIssuer,
    /// It does not have what is needed.
    #[error("the issuer {0}")]
    Lacks(&'static str),
}

/// Reads the document that an issuer gave. `plain`: addresses may be `http` (development).
pub(super) fn read(body: &[u8], issuer: &str, plain: bool) -> Result<Metadata, Unfit> {
    let document = strict_json::value(body)
        .ok()
        .filter(Value::is_object)
        .ok_or(Unfit::Unreadable)?;
    if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err(Unfit::OtherIssuer);
    }
    let address = |name: &str| match document.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_str()
            .and_then(|text| Url::parse(text).ok())
            .filter(|url| url.scheme() == "https" || (plain && url.scheme() == "http"))
            .filter(|url| url.has_host() && url.username().is_empty() && url.password().is_none())
            .map(Some)
            .ok_or(Unfit::Lacks("names an address that is not https")),
    };
    // Absent: what the specification has as its default.
    let offers =
        |name: &str, default: &[&str], wanted: &dyn Fn(&str) -> bool| match document.get(name) {
            None => default.iter().any(|one| wanted(one)),
            Some(list) => list
                .as_array()
                .is_some_and(|list| list.iter().filter_map(Value::as_str).any(wanted)),
        };
    if !offers("response_types_supported", &["code"], &|one| one == "code") {
        return Err(Unfit::Lacks("does not offer the code flow"));
    }
    if !offers("code_challenge_methods_supported", &["S256"], &|one| {
        one == "S256"
    }) {
        return Err(Unfit::Lacks("does not offer PKCE with S256"));
    }
    let algorithms = "id_token_signing_alg_values_supported";
    if !offers(algorithms, &["RS256"], &|one| {
        Algorithm::of_name(one).is_some()
    }) {
        return Err(Unfit::Lacks("signs ID tokens with none of our algorithms"));
    }
    let methods = "token_endpoint_auth_methods_supported";
    let authentication = if offers(methods, &["client_secret_basic"], &|one| {
        one == "client_secret_basic"
    }) {
        ClientAuthentication::Basic
    } else if offers(methods, &[], &|one| one == "client_secret_post") {
        ClientAuthentication::Post
    } else {
        return Err(Unfit::Lacks("takes no client secret"));
    };
    let is = |name: &str| document.get(name).and_then(Value::as_bool) == Some(true);
    let needed =
        |name: &str| address(name)?.ok_or(Unfit::Lacks("does not name all of its addresses"));
    let pushed = address("pushed_authorization_request_endpoint")?;
    if pushed.is_none() && is("require_pushed_authorization_requests") {
        return Err(Unfit::Lacks("wants pushed requests and does not say where"));
    }
    Ok(Metadata {
        authorization: needed("authorization_endpoint")?,
        token: needed("token_endpoint")?,
        jwks: needed("jwks_uri")?,
        userinfo: address("userinfo_endpoint")?,
        pushed,
        answers_name_issuer: is("authorization_response_iss_parameter_supported"),
        authentication,
    })
}
