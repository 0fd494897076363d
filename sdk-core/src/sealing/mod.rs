//! Sealed fields (RFC 9180) and the signed list of keys they are sealed to (contract sections 4 and 5).

mod key_list;

pub use key_list::KeyListError;
