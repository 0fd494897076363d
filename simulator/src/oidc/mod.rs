//! An `OpenID` Connect issuer: discovery, keys that change, pushed requests, a consent page, the code flow with PKCE, ID tokens that can be wrong in every way.

mod issue;
mod page;

use std::{collections::HashMap, sync::Arc};

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    answer::{Body, Failure, Shared, same_secret},
    context::random_text,
    parameters::Parameters,
    phone::Decision,
    world::World,
};

pub(crate) use issue::{Algorithm, SigningKey, Wrong};

/// A code's life, in seconds.
const CODE_SECONDS: u64 = 60;
/// A pushed request's life, in seconds.
const PUSHED_SECONDS: u64 = 90;
/// An access token's life, in seconds.
const ACCESS_SECONDS: u64 = 300;

/// A client. Its secret is public and good for this simulator only.
#[allow(clippy::struct_field_names, reason = "the name on the wire")]
struct Client {
    client_id: &'static str,
    secret: &'static str,
    redirect_uri: &'static str,
}

static CLIENTS: [Client; 2] = [
    Client {
        client_id: "postern-bank-page",
        secret: "simulator-oidc-secret",
        redirect_uri: "https://bank.example/sso/callback",
    },
    Client {
        client_id: "another-client",
        secret: "simulator-oidc-secret-of-another",
        redirect_uri: "https://other.example/callback",
    },
];

impl Client {
    fn by_id(client_id: &str) -> Option<&'static Self> {
        CLIENTS.iter().find(|client| client.client_id == client_id)
    }
}

/// An authorization request, checked.
#[derive(Clone)]
struct Asked {
    client: &'static Client,
    state: String,
    nonce: String,
    challenge: String,
    scope: String,
}

struct Code {
    asked: Asked,
    person: String,
    expires_at: u64,
    used: bool,
}

struct Token {
    person: String,
    scope: String,
    expires_at: u64,
}

/// What the issuer remembers.
#[derive(Default)]
pub(crate) struct Issuer {
    pushed: HashMap<String, (Asked, u64)>,
    codes: HashMap<String, Code>,
    tokens: HashMap<String, Token>,
    /// The one that signs; made when it is first needed.
    pub(crate) key: Option<SigningKey>,
}

impl Issuer {
    fn sweep(&mut self, now: u64) {
        self.pushed.retain(|_, (_, expires_at)| *expires_at > now);
        self.codes
            .retain(|_, code| code.expires_at == 0 || code.expires_at + 3600 > now);
        self.tokens.retain(|_, token| token.expires_at > now);
    }

    /// Every code given so far expires now.
    pub(crate) fn expire_codes(&mut self) {
        for code in self.codes.values_mut() {
            code.expires_at = 0;
        }
    }
}

/// The person's name at this issuer.
fn subject(person: &str) -> String {
    let hash = digest(&SHA256, format!("oidc\n{person}").as_bytes());
    format!("sub-{}", &URL_SAFE_NO_PAD.encode(hash)[..24])
}

/// A failure of RFC 6749, section 5.2.
pub(crate) struct OidcError(StatusCode, String);

impl OidcError {
    fn new(error: &str) -> Self {
        let status = match error {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "temporarily_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self(status, error.to_owned())
    }

    /// One that a test asked for: `errmsg` is its name.
    #[allow(clippy::needless_pass_by_value, reason = "as every party takes it")]
    pub(crate) fn injected(error: Option<String>) -> Self {
        Self::new(error.as_deref().unwrap_or("server_error"))
    }
}

impl IntoResponse for OidcError {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

type Outcome = Result<Json<Value>, OidcError>;

pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(configuration))
        .route("/jwks", get(jwks))
        .route("/par", post(push))
        .route("/authorize", get(page::page).post(page::decide))
        .route("/token", post(token))
        .route("/userinfo", get(userinfo))
        .route("/phone/authorize", post(authorize))
        .with_state(world)
}

async fn configuration(State(world): Shared) -> Json<Value> {
    let own = &world.addresses.oidc;
    Json(json!({
        "issuer": own,
        "authorization_endpoint": format!("{own}/authorize"),
        "token_endpoint": format!("{own}/token"),
        "jwks_uri": format!("{own}/jwks"),
        "userinfo_endpoint": format!("{own}/userinfo"),
        "pushed_authorization_request_endpoint": format!("{own}/par"),
        "require_pushed_authorization_requests": true,
        "authorization_response_iss_parameter_supported": true,
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "scopes_supported": ["openid", "profile"],
        "code_challenge_methods_supported": ["S256"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256", "PS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    }))
}

async fn jwks(State(world): Shared) -> Json<Value> {
    let key = issue::current(&world);
    Json(json!({ "keys": [key.public()] }))
}

/// The client that shows its secret, in the header or in the form.
fn client(headers: &HeaderMap, form: &Parameters) -> Result<&'static Client, OidcError> {
    let refused = || OidcError::new("invalid_client");
    let basic = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
        .and_then(|text| String::from_utf8(STANDARD.decode(text).ok()?).ok());
    let (id, secret) = match &basic {
        Some(pair) => {
            let (id, secret) = pair.split_once(':').ok_or_else(refused)?;
            (issue::unescaped(id), issue::unescaped(secret))
        }
        None => (
            form.get("client_id").unwrap_or_default().to_owned(),
            form.get("client_secret").unwrap_or_default().to_owned(),
        ),
    };
    Client::by_id(&id)
        .filter(|client| same_secret(&secret, client.secret))
        .ok_or_else(refused)
}

/// Reads a request's parameters.
fn asked(client: &'static Client, parameters: &Parameters) -> Result<Asked, OidcError> {
    let text = |name| parameters.get(name).unwrap_or_default().to_owned();
    let good = parameters.is("response_type", "code")
        && parameters.is("redirect_uri", client.redirect_uri)
        && parameters.is("code_challenge_method", "S256")
        && text("code_challenge").len() == 43
        && text("scope").split(' ').any(|scope| scope == "openid");
    if !good {
        return Err(OidcError::new("invalid_request"));
    }
    Ok(Asked {
        client,
        state: text("state"),
        nonce: text("nonce"),
        challenge: text("code_challenge"),
        scope: text("scope"),
    })
}

/// RFC 9126.
async fn push(
    State(world): Shared,
    headers: HeaderMap,
    form: Bytes,
) -> Result<(StatusCode, Json<Value>), OidcError> {
    let parameters = Parameters::parse(&form, None);
    let asked = asked(client(&headers, &parameters)?, &parameters)?;
    let uri = format!(
        "urn:ietf:params:oauth:request_uri:{}",
        random_text(&*world.randomness, 24)
    );
    let now = world.now();
    let mut issuer = world.oidc();
    issuer.sweep(now);
    issuer
        .pushed
        .insert(uri.clone(), (asked, now + PUSHED_SECONDS));
    let body = json!({ "request_uri": uri, "expires_in": PUSHED_SECONDS });
    Ok((StatusCode::CREATED, Json(body)))
}

/// The pushed request that the page's address names; it serves once.
fn take_pushed(world: &World, parameters: &Parameters, keep: bool) -> Option<Asked> {
    let uri = parameters.get("request_uri")?;
    let now = world.now();
    let mut issuer = world.oidc();
    let (asked, expires_at) = issuer.pushed.get(uri)?.clone();
    if !keep {
        issuer.pushed.remove(uri);
    }
    (now < expires_at && parameters.is("client_id", asked.client.client_id)).then_some(asked)
}

fn give_code(world: &World, asked: &Asked, person: &str) -> String {
    let code = random_text(&*world.randomness, 24);
    let entry = Code {
        asked: asked.clone(),
        person: person.to_owned(),
        expires_at: world.now() + CODE_SECONDS,
        used: false,
    };
    world.oidc().codes.insert(code.clone(), entry);
    code
}

async fn token(
    State(world): Shared,
    wrong: Option<Extension<Wrong>>,
    headers: HeaderMap,
    form: Bytes,
) -> Outcome {
    let parameters = Parameters::parse(&form, None);
    let client = client(&headers, &parameters)?;
    if !parameters.is("grant_type", "authorization_code") {
        return Err(OidcError::new("unsupported_grant_type"));
    }
    let refused = || OidcError::new("invalid_grant");
    let now = world.now();
    let name = parameters.get("code").unwrap_or_default();
    let verifier = parameters.get("code_verifier").unwrap_or_default();
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    let (asked, person) = {
        let mut issuer = world.oidc();
        let code = issuer.codes.get_mut(name).ok_or_else(refused)?;
        let good = !code.used
            && now < code.expires_at
            && code.asked.client.client_id == client.client_id
            && parameters.is("redirect_uri", client.redirect_uri)
            && code.asked.challenge == challenge;
        if !good {
            return Err(refused());
        }
        code.used = true;
        (code.asked.clone(), code.person.clone())
    };
    let access_token = random_text(&*world.randomness, 24);
    let wrong = wrong.map(|Extension(wrong)| wrong);
    let id_token = issue::id_token(&world, &asked, &person, &access_token, wrong);
    let entry = Token {
        person,
        scope: asked.scope.clone(),
        expires_at: now + ACCESS_SECONDS,
    };
    world.oidc().tokens.insert(access_token.clone(), entry);
    Ok(Json(json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": ACCESS_SECONDS,
        "scope": asked.scope,
        "id_token": id_token,
    })))
}

async fn userinfo(State(world): Shared, headers: HeaderMap) -> Outcome {
    let refused = || OidcError(StatusCode::UNAUTHORIZED, "invalid_token".to_owned());
    let name = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .ok_or_else(refused)?;
    let now = world.now();
    let (person, scope) = {
        let issuer = world.oidc();
        let token = issuer.tokens.get(name).ok_or_else(refused)?;
        if now >= token.expires_at {
            return Err(refused());
        }
        (token.person.clone(), token.scope.clone())
    };
    let mut value = json!({ "sub": subject(&person) });
    if scope.split(' ').any(|one| one == "profile") {
        let people = world.people();
        if let Some(known) = people.at_wechat(&person) {
            value["name"] = known.nickname.clone().into();
            value["picture"] = format!("{}/avatars/{person}", world.addresses.wechat).into();
        }
    }
    Ok(Json(value))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorize {
    /// The page's address, as the account center made it.
    authorization_url: String,
    person: String,
    decision: Decision,
}

/// What the browser brings back to the app: the parameters of the redirect.
async fn authorize(
    State(world): Shared,
    Body(body): Body<Authorize>,
) -> Result<Json<Value>, Failure> {
    if world.people().at_wechat(&body.person).is_none() {
        return Err(Failure::not_found("person"));
    }
    let query = body
        .authorization_url
        .strip_prefix(&format!("{}/authorize?", world.addresses.oidc))
        .ok_or_else(|| Failure::bad_request("authorization_url: not this issuer's page"))?;
    let parameters = Parameters::parse(&[], Some(query));
    let asked = take_pushed(&world, &parameters, false)
        .ok_or_else(|| Failure::bad_request("authorization_url: no request that waits"))?;
    let issuer = &world.addresses.oidc;
    Ok(Json(match body.decision {
        Decision::Agree => {
            let code = give_code(&world, &asked, &body.person);
            json!({ "code": code, "state": asked.state, "iss": issuer })
        }
        Decision::Refuse => {
            json!({ "error": "access_denied", "state": asked.state, "iss": issuer })
        }
        // The person closed the browser: nothing comes back.
        Decision::Close => json!({}),
    }))
}
