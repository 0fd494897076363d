//! uniffi's generator as a program of this workspace, so that its version is the one in the lock file.

fn main() {
    uniffi::uniffi_bindgen_main();
}
