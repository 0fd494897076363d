//! What a host says once.
