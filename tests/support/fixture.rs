//! The JSON files of `tests/fixtures`, which scripts beside them wrote.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Where the fixture `name` lies.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The fixture `{name}.json`.
pub fn json<T: DeserializeOwned>(name: &str) -> T {
    let path = path(&format!("{name}.json"));
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
