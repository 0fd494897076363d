//! What the account center and business lines check of a stranger's request: DPoP proofs, tokens, sealed fields, key lists.
