//! A login played with the real SDK for somebody who looks on.

fn main() {}
