//! What the account center and business lines check of a stranger's request: proofs, tokens, sealed fields, key lists.
//!
//! Pure code: no database, no HTTP framework, no clock. The time is a parameter (`now`, whole seconds since 1970 UTC), and so is
//! randomness (`&dyn ring::rand::SecureRandom`). The rules are those of `contract/README.md`; section numbers refer to it.
//!
//! | module | what it is |
//! |---|---|
//! | [`jws`] [`keys`] [`thumbprint`] | compact JWS with ES256 and nothing else; P-256 keys, JWK, JWK sets, RFC 7638 names |
//! | [`dpop`] [`nonce`] [`public_url`] | a proof (section 2, RFC 9449), its stateless nonces, the comparison of addresses |
//! | [`access_token`] | access tokens (section 8, RFC 9068) |
//! | [`bank_session`] | what the bank's own login says of somebody (contract/identity.md) |
//! | [`resource`] [`guards`] | what a business line runs before its own code: token and proof together |
//! | [`sealing`] [`key_list`] | sealed fields (section 4, RFC 9180), and the signed list of the keys to seal to (section 5) |
//! | [`refresh`] | refresh tokens, derived with a server key |
//! | [`webhook`] | signatures of webhooks (`contract/webhooks.md`) |
//! | [`strict_json`] [`base64url`] [`secret`] | JSON without duplicate members, canonical base64url, text that is not printed |

#![forbid(unsafe_code)]

pub mod access_token;
pub mod bank_session;
pub mod base64url;
pub mod dpop;
pub mod guards;
pub mod jws;
pub mod key_list;
pub mod keys;
pub mod nonce;
pub mod public_url;
pub mod refresh;
pub mod resource;
pub mod sealing;
pub mod secret;
pub mod strict_json;
pub mod thumbprint;
pub mod webhook;

pub use thumbprint::Thumbprint;
