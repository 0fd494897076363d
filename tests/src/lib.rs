//! Starts the real servers and plays contract/scenarios through the Rust SDK.
