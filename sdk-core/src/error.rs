//! The errors of the core.
