//! Sealed fields (RFC 9180) and the signed list of keys they are sealed to (contract sections 4 and 5).

mod key_list;
mod remembered;
mod seal;

pub use key_list::{KeyList, KeyListError, SUITE, SealingKey};
pub(crate) use remembered::{NoKeyList, RememberedKeyList};
pub(crate) use seal::{SealContext, seal};
