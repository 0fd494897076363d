//! Build, package, test and verify: all automation of this repository.

fn main() {}
