//! `dpop.json`: proofs that are wrong in one way each.

use postern_server_security::{base64url, jws};
use serde_json::{Value, json};

use crate::dpop::{BODY, Case, NOW, TOKEN, device_key, hash, nonce_key, signed_parts};
use crate::{same, signing_key};

pub(crate) fn make() -> Vec<Value> {
    [
        headers(),
        embedded_keys(),
        forms(),
        signatures(),
        claims(),
        requests(),
        nonces(),
    ]
    .concat()
}

/// A case that is wrong in its header or claims, and signed as such.
fn bad(reason: &str, case: &Case) -> Value {
    bad_proof(reason, case, &case.signed())
}

/// A case whose proof was changed otherwise.
fn bad_proof(reason: &str, case: &Case, proof: &str) -> Value {
    let mut case = case.with_proof(proof);
    case["reason"] = json!(reason);
    case
}

/// A case with a header or payload that is given as text.
fn bad_texts(
    reason: &str,
    name: &'static str,
    header: Option<&str>,
    claims: Option<&str>,
) -> Value {
    let case = Case::new(name);
    let header = header.map_or_else(|| case.header.to_string(), str::to_owned);
    let claims = claims.map_or_else(|| case.claims.to_string(), str::to_owned);
    bad_proof(
        reason,
        &case,
        &signed_parts(header.as_bytes(), claims.as_bytes()),
    )
}

fn headers() -> Vec<Value> {
    let jwk = device_key().public().jwk();
    let twice = format!(r#"{{"typ":"dpop+jwt","alg":"ES256","alg":"ES256","jwk":{jwk}}}"#);
    let escaped = format!(r#"{{"typ":"dpop+jwt","alg":"none","\u0061lg":"ES256","jwk":{jwk}}}"#);
    vec![
        bad(
            "type",
            &Case::new("typ of another kind of token").header("typ", "at+jwt"),
        ),
        bad(
            "type",
            &Case::new("typ in upper case").header("typ", "DPoP+JWT"),
        ),
        bad(
            "type",
            &Case::new("typ with application/").header("typ", "application/dpop+jwt"),
        ),
        bad("type", &Case::new("no typ").without_header("typ")),
        bad("algorithm", &Case::new("alg none").header("alg", "none")),
        bad("algorithm", &Case::new("alg HS256").header("alg", "HS256")),
        bad("algorithm", &Case::new("alg ES384").header("alg", "ES384")),
        bad(
            "algorithm",
            &Case::new("alg in lower case").header("alg", "es256"),
        ),
        bad(
            "algorithm",
            &Case::new("alg in a list").header("alg", json!(["ES256"])),
        ),
        bad("algorithm", &Case::new("no alg").without_header("alg")),
        bad(
            "critical",
            &Case::new("a critical extension")
                .header("crit", json!(["b64"]))
                .header("b64", false),
        ),
        bad(
            "critical",
            &Case::new("an empty list of critical extensions").header("crit", json!([])),
        ),
        bad(
            "header_members",
            &Case::new("a kid beside the key").header("kid", "k"),
        ),
        bad(
            "header_members",
            &Case::new("a key address beside the key").header("jku", "https://evil.example"),
        ),
        bad("header_members", &Case::new("no key").without_header("jwk")),
        bad_texts("header_json", "alg twice", Some(&twice), None),
        bad_texts(
            "header_json",
            "alg twice, once escaped",
            Some(&escaped),
            None,
        ),
        bad_texts("header_json", "a header that is a list", Some("[]"), None),
        bad_texts("header_json", "a header that is no JSON", Some("{"), None),
        bad_texts("header_json", "an empty header", Some(""), None),
    ]
}

fn embedded_keys() -> Vec<Value> {
    let with = |name, member: &str, value: Value| {
        let mut jwk = device_key().public().jwk();
        jwk[member] = value;
        Case::new(name).header("jwk", jwk)
    };
    let without = |name, member: &str| {
        let mut jwk = device_key().public().jwk();
        jwk.as_object_mut().expect("an object").remove(member);
        Case::new(name).header("jwk", jwk)
    };
    let x = base64url::encode(&device_key().public().sec1()[1..33]);
    let short = base64url::encode(&device_key().public().sec1()[2..33]);
    let long = base64url::encode([&[0], &device_key().public().sec1()[1..33]].concat());
    let mut loose = x.clone().into_bytes();
    let last = loose.last_mut().expect("43 characters");
    *last = if *last == b'A' { b'B' } else { *last + 1 };
    let loose = String::from_utf8(loose).expect("ASCII");
    vec![
        bad(
            "private_key",
            &with("a private key", "d", json!(base64url::encode([0x11; 32]))),
        ),
        bad(
            "private_key",
            &Case::new("a symmetric key").header("jwk", json!({"kty": "oct", "k": "AAAA"})),
        ),
        bad(
            "jwk_members",
            &with("a key with its use", "use", json!("sig")),
        ),
        bad(
            "jwk_members",
            &with("a key with certificates", "x5c", json!([])),
        ),
        bad("jwk_members", &without("a key without y", "y")),
        bad("jwk_members", &without("a key without kty", "kty")),
        bad(
            "jwk_members",
            &Case::new("a key that is text").header("jwk", x.as_str()),
        ),
        bad("curve", &with("a key of P-384", "crv", json!("P-384"))),
        bad("curve", &with("a key of another type", "kty", json!("OKP"))),
        bad(
            "curve",
            &with("a key type in lower case", "kty", json!("ec")),
        ),
        bad(
            "coordinates",
            &with("a coordinate of 31 bytes", "x", json!(short)),
        ),
        bad(
            "coordinates",
            &with("a coordinate of 33 bytes", "x", json!(long)),
        ),
        bad(
            "coordinates",
            &with("a coordinate with padding", "x", json!(format!("{x}="))),
        ),
        bad(
            "coordinates",
            &with("a coordinate with loose bits", "x", json!(loose)),
        ),
        bad(
            "signature",
            &with(
                "a key that is no point of the curve",
                "x",
                json!(base64url::encode([0x22; 32])),
            ),
        ),
        bad(
            "signature",
            &with(
                "a key beyond the field",
                "x",
                json!(base64url::encode([0xff; 32])),
            ),
        ),
        bad("signature", &{
            let zero = base64url::encode([0; 32]);
            Case::new("a key that is the point at infinity").header(
                "jwk",
                json!({"kty": "EC", "crv": "P-256", "x": zero, "y": zero}),
            )
        }),
    ]
}

fn forms() -> Vec<Value> {
    let good = Case::new("").signed();
    let parts: Vec<&str> = good.split('.').collect();
    let signature = base64url::decode(parts[2]).expect("base64url");
    let with_signature =
        |signature: &[u8]| format!("{}.{}.{}", parts[0], parts[1], base64url::encode(signature));
    let json_form = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]});
    let long = Case::new("longer than 4096 bytes").claim("x", "x".repeat(4096));
    let form = |name, proof: &str| bad_proof("form", &Case::new(name), proof);
    vec![
        form("an empty proof", ""),
        form("two dots", ".."),
        form("two parts", &format!("{}.{}", parts[0], parts[1])),
        form("four parts", &format!("{good}.x")),
        form("an empty signature", &format!("{}.{}.", parts[0], parts[1])),
        form("a signature of 63 bytes", &with_signature(&signature[..63])),
        form(
            "a signature of 65 bytes",
            &with_signature(&[&signature[..], &[0]].concat()),
        ),
        form(
            "a signature in DER",
            &with_signature(
                &[
                    &[0x30, 0x44, 2, 32],
                    &signature[..32],
                    &[2, 32],
                    &signature[32..],
                ]
                .concat(),
            ),
        ),
        form("padding", &format!("{good}==")),
        form("a blank before", &format!(" {good}")),
        form("a line end after", &format!("{good}\n")),
        form("a foreign character in the header", &format!("+{good}")),
        form("two proofs in one header", &format!("{good}, {good}")),
        form("JSON serialisation", &json_form.to_string()),
        bad("too_long", &long),
    ]
}

fn signatures() -> Vec<Value> {
    let good = Case::new("").signed();
    let parts: Vec<&str> = good.split('.').collect();
    let mut flipped = base64url::decode(parts[2]).expect("base64url");
    flipped[40] ^= 1;
    let with_signature = |name, signature: &[u8]| {
        let proof = format!("{}.{}.{}", parts[0], parts[1], base64url::encode(signature));
        bad_proof("signature", &Case::new(name), &proof)
    };
    let case = Case::new("signed by another key");
    let by_other = jws::sign_parts(
        case.header.to_string().as_bytes(),
        case.claims.to_string().as_bytes(),
        &signing_key(0x12),
        &same(0x5a),
    )
    .expect("signing works");
    let other_claims = base64url::encode(Case::new("").claim("iat", 1).claims.to_string());
    let other_header = base64url::encode(
        Case::new("")
            .header("jwk", signing_key(0x12).public().jwk())
            .header
            .to_string(),
    );
    vec![
        with_signature("a bit of the signature changed", &flipped),
        with_signature("a signature of zeros", &[0; 64]),
        with_signature("a signature of ones", &[0xff; 64]),
        bad_proof("signature", &case, &by_other),
        bad_proof(
            "signature",
            &Case::new("the claims of another proof"),
            &format!("{}.{other_claims}.{}", parts[0], parts[2]),
        ),
        bad_proof(
            "signature",
            &Case::new("the header of another proof"),
            &format!("{other_header}.{}.{}", parts[1], parts[2]),
        ),
    ]
}

fn claims() -> Vec<Value> {
    let twice = Case::new("")
        .claims
        .to_string()
        .replacen('{', r#"{"htm":"GET","#, 1);
    let nested = Case::new("")
        .claims
        .to_string()
        .replacen('{', r#"{"x":{"y":1,"y":2},"#, 1);
    vec![
        bad_texts("claims", "claims that are no JSON", None, Some("{")),
        bad_texts("claims", "claims that are text", None, Some("\"\"")),
        bad_texts("claims", "no claims", None, Some("")),
        bad_texts("claims", "a claim twice", None, Some(&twice)),
        bad_texts(
            "claims",
            "a member twice inside a claim",
            None,
            Some(&nested),
        ),
        bad("claims", &Case::new("no jti").without_claim("jti")),
        bad("claims", &Case::new("no htm").without_claim("htm")),
        bad("claims", &Case::new("no htu").without_claim("htu")),
        bad("claims", &Case::new("no iat").without_claim("iat")),
        bad(
            "claims",
            &Case::new("an iat that is text").claim("iat", NOW.to_string()),
        ),
        bad(
            "claims",
            &Case::new("a jti that is a number").claim("jti", 1),
        ),
        bad(
            "claims",
            &Case::new("a nonce that is null").claim("nonce", Value::Null),
        ),
        bad(
            "claims",
            &Case::new("a nonce in a list").claim("nonce", json!([nonce_key().issue(NOW)])),
        ),
        bad(
            "claims",
            &Case::new("an ath that is null").claim("ath", Value::Null),
        ),
        bad(
            "claims",
            &Case::new("a bh that is null").claim("bh", Value::Null),
        ),
        bad("jti", &Case::new("an empty jti").claim("jti", "")),
        bad(
            "jti",
            &Case::new("a jti of 120 bits").claim("jti", "AAECAwQFBgcICQoLDA0O"),
        ),
        bad(
            "jti",
            &Case::new("a jti that is a UUID").claim("jti", "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        ),
        bad(
            "jti",
            &Case::new("a jti with loose bits").claim("jti", "AAECAwQFBgcICQoLDA0ODx"),
        ),
    ]
}

fn requests() -> Vec<Value> {
    let url = |name, htu: &str| bad("url", &Case::new(name).claim("htu", htu));
    let mut other_method = Case::new("a proof for POST with a GET");
    other_method.method = "GET";
    let mut other_path = Case::new("a proof for another path");
    other_path.path = "/v1/sessions/refresh";
    let mut other_body = Case::new("another body");
    other_body.body = "{}";
    let mut no_body = Case::new("a body taken away");
    no_body.body = "";
    let mut other_token = Case::new("another token").get();
    other_token.access_token = Some("another.access.token");
    vec![
        bad("method", &other_method),
        bad(
            "method",
            &Case::new("a method in lower case").claim("htm", "post"),
        ),
        bad("url", &other_path),
        url("another host", "https://login.evil.example/gate/v1/login"),
        url("another scheme", "http://login.bank.example/gate/v1/login"),
        url(
            "another port",
            "https://login.bank.example:8443/gate/v1/login",
        ),
        url("without the prefix", "https://login.bank.example/v1/login"),
        url(
            "a slash at the end",
            "https://login.bank.example/gate/v1/login/",
        ),
        url(
            "a path in another case",
            "https://login.bank.example/gate/v1/LOGIN",
        ),
        url("a query", "https://login.bank.example/gate/v1/login?a=b"),
        url("a fragment", "https://login.bank.example/gate/v1/login#a"),
        url(
            "a user",
            "https://login.bank.example@login.bank.example/gate/v1/login",
        ),
        url("a path alone", "/gate/v1/login"),
        url(
            "backslashes",
            "https:\\\\login.bank.example\\gate\\v1\\login",
        ),
        url(
            "an escaped slash",
            "https://login.bank.example/gate/v1%2flogin",
        ),
        url("an empty htu", ""),
        bad("body_hash", &other_body),
        bad("body_hash", &no_body),
        bad("body_hash", &Case::new("no bh").without_claim("bh")),
        bad("body_hash", &Case::new("an empty bh").claim("bh", "")),
        bad(
            "body_hash",
            &Case::new("no bh and no body").get().without_claim("bh"),
        ),
        bad(
            "body_hash",
            &Case::new("a bh with padding").claim("bh", format!("{}=", hash(BODY))),
        ),
        bad("token_hash", &other_token),
        bad(
            "token_hash",
            &Case::new("no ath with a token").get().without_claim("ath"),
        ),
        bad(
            "token_hash",
            &Case::new("an ath without a token").claim("ath", hash(TOKEN)),
        ),
    ]
}

fn nonces() -> Vec<Value> {
    let start = NOW / 900 * 900;
    let foreign = postern_server_security::nonce::NonceKey::new(&[0x4f; 32]).issue(NOW);
    let nonce = |name, nonce: &str| bad("use_nonce", &Case::new(name).claim("nonce", nonce));
    vec![
        bad("use_nonce", &Case::new("no nonce").without_claim("nonce")),
        bad(
            "use_nonce",
            &Case::new("the first second after a nonce").at(start + 1800),
        ),
        nonce("an empty nonce", ""),
        nonce(
            "the nonce of two windows ago",
            &nonce_key().issue(start - 901),
        ),
        nonce(
            "the nonce of a window to come",
            &nonce_key().issue(start + 900),
        ),
        nonce("a nonce of another server", &foreign),
        nonce("a nonce cut short", &nonce_key().issue(NOW)[..21]),
        nonce(
            "a nonce with padding",
            &format!("{}==", nonce_key().issue(NOW)),
        ),
    ]
}
