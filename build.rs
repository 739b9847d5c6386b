//! Build-time facts for the binary.
fn main() {}
