//! Sessions: access tokens and refresh families (contract section 8).
