//! Postern for Kotlin and Swift: the only crate that knows uniffi.
