//! What a request must show before anything is done for it: content type and size, a proof that is good and was not seen before, an Idempotency-Key or
//! an access token. Proof and key are spent and begun in one transaction.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, header};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use postern_server_security::Thumbprint;
use postern_server_security::dpop::{DpopError, DpopVerifier, Proof, VerifiedProof};

use super::Call;
use super::address::region_of;
use super::reply::Reply;
use super::state::AppState;
use super::work::Done;
use crate::context::Timestamp;
use crate::idempotency::{Entry, Ledger, Scope, Ticket, well_formed};
use crate::problem::{Code, Problem};
use crate::sessions::Holder;
use crate::store::{Tx, proofs};

/// The largest body: 64 KiB (contract section 1).
const BODY_LIMIT: usize = 64 * 1024;
/// How much of a larger one is read and thrown away: who is still sending when the answer comes sees a broken connection in its place.
const READ_LIMIT: usize = 4 * BODY_LIMIT;

const DPOP: HeaderName = HeaderName::from_static("dpop");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What admission says to a call with an Idempotency-Key.
pub(super) enum Admitted {
    /// The work is to be done.
    Work(Call, Bytes),
    /// It was done before: the same reply again.
    Replay(Reply),
}

/// Admits a call with proof and Idempotency-Key. `path` is the route's, `address` the client's.
pub(super) async fn keyed(
    state: &AppState,
    parts: &Parts,
    body: Body,
    path: Cow<'static, str>,
    address: IpAddr,
    request_id: String,
) -> Result<Admitted, Problem> {
    json_content(&parts.headers)?;
    let body = read(&parts.headers, body).await?;
    let proof = check_proof(state, parts, &body, None)?;
    begin(state, parts, body, proof, path, address, request_id).await
}

/// Admits a call with proof, access token and Idempotency-Key, and says whose it is. A DELETE has no body and no content type.
pub(super) async fn keyed_holder(
    state: &AppState,
    parts: &Parts,
    body: Body,
    path: Cow<'static, str>,
    address: IpAddr,
    request_id: String,
) -> Result<(Admitted, Holder), Problem> {
    if parts.method != Method::DELETE {
        json_content(&parts.headers)?;
    }
    let body = read(&parts.headers, body).await?;
    let (proof, holder) = prove_holder(state, parts, &body)?;
    let admitted = begin(state, parts, body, proof, path, address, request_id).await?;
    Ok((admitted, holder))
}

/// As [`keyed`], for work that asks nobody outside: proof, key, work and reply are one transaction, which costs half of two. `work` gives the reply and leaves
/// storing it to us; a problem that may be kept (contract section 3) it gives before it has changed anything.
pub(super) async fn keyed_at_once<W>(
    state: &AppState,
    parts: &Parts,
    body: Body,
    path: &'static str,
    address: IpAddr,
    request_id: String,
    work: W,
) -> Result<Done, Problem>
where
    W: for<'t> Fn(&'t mut Tx, &'t Call, &'t [u8]) -> BoxFuture<'t, Result<Reply, Problem>>
        + Send
        + Sync
        + 'static,
{
    json_content(&parts.headers)?;
    let body = read(&parts.headers, body).await?;
    let proof = check_proof(state, parts, &body, None)?;
    let key = idempotency_key(parts)?;
    let region = region_of(state, &parts.headers);
    let given = Arc::new((work, body, proof, key, request_id, region));
    let ledger = state.ledger.clone();
    state
        .store
        .write(move |tx| {
            let (ledger, given) = (ledger.clone(), Arc::clone(&given));
            Box::pin(async move {
                let (work, body, proof, key, request_id, region) = &*given;
                let entry = enter(tx, &ledger, proof, key, &Method::POST, path, body).await?;
                let ticket = match begun(entry) {
                    Ok(Ok(ticket)) => ticket,
                    Ok(Err(reply)) => {
                        return Ok(Ok(Done {
                            reply,
                            replayed: true,
                        }));
                    }
                    // The proof is spent all the same.
                    Err(problem) => return Ok(Err(problem)),
                };
                let call = Call {
                    request_id: request_id.clone(),
                    device_key: proof.device_key.clone(),
                    address,
                    region: region.clone(),
                    path: path.into(),
                    ticket,
                };
                let reply = match work(tx, &call, body).await {
                    Ok(reply) => reply,
                    Err(problem) if problem.may_be_kept() => Reply::problem(&problem, request_id),
                    Err(problem) => return Err(problem),
                };
                call.ticket.finish(tx, &reply).await?;
                Ok(Ok(Done {
                    reply,
                    replayed: false,
                }))
            })
        })
        .await?
}

/// The request's Idempotency-Key.
fn idempotency_key(parts: &Parts) -> Result<String, Problem> {
    match only(&parts.headers, &IDEMPOTENCY_KEY) {
        One(key) if well_formed(key) => Ok(key.to_owned()),
        _ => Err(Problem::new(Code::IdempotencyKeyRequired)
            .detail("Idempotency-Key: 22 base64url characters, once")),
    }
}

/// Spends the proof and begins the key, in the transaction of the caller.
async fn enter(
    tx: &mut Tx,
    ledger: &Ledger,
    proof: &VerifiedProof,
    key: &str,
    method: &Method,
    path: &str,
    body: &[u8],
) -> Result<Entry, Problem> {
    spend(tx, proof).await?;
    let scope = Scope {
        device_key: proof.device_key.as_str(),
        method: method.as_str(),
        path,
        key,
    };
    Ok(ledger.begin(tx, scope, body).await?)
}

/// The right to do the work, or the reply of whoever did it before.
fn begun(entry: Entry) -> Result<Result<Ticket, Reply>, Problem> {
    match entry {
        Entry::Begun(ticket) => Ok(Ok(ticket)),
        Entry::Done(reply) => Ok(Err(reply)),
        // Most work is done within a second; after a crash the repetitions get through when the lease ends.
        Entry::InFlight => Err(Problem::new(Code::RequestInFlight).retry_after(1)),
        Entry::OtherBytes => Err(Problem::new(Code::IdempotencyKeyReused)),
    }
}

/// Spends the proof and begins the Idempotency-Key, in one transaction.
async fn begin(
    state: &AppState,
    parts: &Parts,
    body: Bytes,
    proof: VerifiedProof,
    path: Cow<'static, str>,
    address: IpAddr,
    request_id: String,
) -> Result<Admitted, Problem> {
    let key = idempotency_key(parts)?;
    let given = Arc::new((proof.clone(), key, parts.method.clone(), path.clone()));
    let (ledger, bytes) = (state.ledger.clone(), body.clone());
    let entry = state
        .store
        .write(move |tx| {
            let (ledger, bytes, given) = (ledger.clone(), bytes.clone(), Arc::clone(&given));
            Box::pin(async move {
                let (proof, key, method, path) = &*given;
                enter(tx, &ledger, proof, key, method, path, &bytes).await
            })
        })
        .await?;
    Ok(match begun(entry)? {
        Ok(ticket) => Admitted::Work(
            Call {
                request_id,
                device_key: proof.device_key,
                address,
                region: region_of(state, &parts.headers),
                path,
                ticket,
            },
            body,
        ),
        Err(reply) => Admitted::Replay(reply),
    })
}

/// Admits a request with a proof alone, and says by which key: for what needs no session.
pub(super) async fn device(
    state: &AppState,
    parts: &Parts,
    body: Body,
) -> Result<Thumbprint, Problem> {
    let body = read(&parts.headers, body).await?;
    let proof = check_proof(state, parts, &body, None)?;
    let device_key = proof.device_key.clone();
    state
        .store
        .write(move |tx| {
            let proof = proof.clone();
            Box::pin(async move { spend(tx, &proof).await })
        })
        .await?;
    Ok(device_key)
}

/// Admits a request with proof and access token, and says whose it is. Whether the session is still alive is the route's to ask.
pub(super) async fn holder(state: &AppState, parts: &Parts, body: Body) -> Result<Holder, Problem> {
    let body = read(&parts.headers, body).await?;
    let (proof, holder) = prove_holder(state, parts, &body)?;
    state
        .store
        .write(move |tx| {
            let proof = proof.clone();
            Box::pin(async move { spend(tx, &proof).await })
        })
        .await?;
    Ok(holder)
}

/// Checks access token and proof, which is not spent yet.
fn prove_holder(
    state: &AppState,
    parts: &Parts,
    body: &[u8],
) -> Result<(VerifiedProof, Holder), Problem> {
    let token = match only(&parts.headers, &header::AUTHORIZATION) {
        One(value) => dpop_token(value).ok_or_else(|| {
            Problem::new(Code::InvalidToken).detail("the scheme of Authorization must be DPoP")
        })?,
        _ => {
            return Err(Problem::new(Code::InvalidToken)
                .detail("this call needs Authorization: DPoP and an access token, once"));
        }
    };
    let proof = check_proof(state, parts, body, Some(token))?;
    let holder = state.sessions.check_token(token, &proof.device_key)?;
    Ok((proof, holder))
}

/// A `jti` serves once for each device key while its nonce is good.
async fn spend(tx: &mut Tx, proof: &VerifiedProof) -> Result<(), Problem> {
    let good_until = Timestamp::from_seconds(i64::try_from(proof.good_until).unwrap_or(i64::MAX));
    if proofs::spend(tx, proof.replay_key.as_str(), good_until).await? {
        Ok(())
    } else {
        Err(Problem::new(Code::InvalidDpopProof).detail("this proof was used before"))
    }
}

fn check_proof(
    state: &AppState,
    parts: &Parts,
    body: &[u8],
    access_token: Option<&str>,
) -> Result<VerifiedProof, Problem> {
    let header = match only(&parts.headers, &DPOP) {
        One(header) => header,
        Nothing => {
            return Err(Problem::new(Code::InvalidDpopProof)
                .detail("this call needs a proof in the header DPoP"));
        }
        Several => {
            return Err(
                Problem::new(Code::InvalidDpopProof).detail("the header DPoP must come once")
            );
        }
    };
    let verifier: &DpopVerifier = &state.proofs;
    let proof = Proof {
        header,
        method: parts.method.as_str(),
        path: parts.uri.path(),
        body: Some(body),
        access_token,
    };
    let now = u64::try_from(state.context.now().seconds()).unwrap_or(0);
    verifier.verify(&proof, now).map_err(|error| match error {
        DpopError::UseNonce => Problem::new(Code::UseDpopNonce),
        DpopError::Invalid(reason) => {
            Problem::new(Code::InvalidDpopProof).detail(reason.to_string())
        }
    })
}

/// The values of a header: none, one that is text, or anything else.
enum Values<'a> {
    Nothing,
    One(&'a str),
    Several,
}
use Values::{Nothing, One, Several};

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Values<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Nothing,
        (Some(value), None) => value.to_str().map_or(Several, One),
        _ => Several,
    }
}

/// The token of `DPoP …`; the scheme's case does not count (RFC 9110 section 11.1).
fn dpop_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("DPoP") && !token.is_empty()).then_some(token)
}

/// `application/json`, at most with `charset=utf-8`, and not compressed.
pub(super) fn json_content(headers: &HeaderMap) -> Result<(), Problem> {
    let plain = !headers.contains_key(header::CONTENT_ENCODING);
    let json = match only(headers, &header::CONTENT_TYPE) {
        One(value) => is_json(value),
        _ => false,
    };
    if plain && json {
        Ok(())
    } else {
        Err(Problem::new(Code::UnsupportedMediaType))
    }
}

fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    essence.eq_ignore_ascii_case("application/json")
        && parts.all(|parameter| {
            parameter.eq_ignore_ascii_case("charset=utf-8")
                || parameter.eq_ignore_ascii_case("charset=\"utf-8\"")
        })
}

pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<usize>().ok());
    let mut pieces = body.into_data_stream();
    let mut whole = Vec::with_capacity(declared.unwrap_or(0).min(BODY_LIMIT));
    let mut length = 0_usize;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| {
            Problem::new(Code::InvalidRequest).detail("the body did not arrive whole")
        })?;
        length = length.saturating_add(piece.len());
        if length > READ_LIMIT {
            break;
        }
        if length <= BODY_LIMIT {
            whole.extend_from_slice(&piece);
        }
    }
    if length > BODY_LIMIT {
        return Err(Problem::new(Code::BodyTooLarge));
    }
    Ok(whole.into())
}
