//! a table and the files beside it → its Croissant document and its card.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::curate::about::About;
use crate::curate::card::{MARK, card};
use crate::curate::croissant::croissant;
use crate::curate::files::hashed;
use crate::dataset::statistics::{Query, statistics_with};
use crate::dataset::table;
use crate::error::{Error, IoContext, Result};
use crate::store::atomic;

/// What to document.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What no table holds.
    pub about: &'a About,
    /// The dataset's folder, into which the documents go.
    pub folder: &'a Path,
    /// The metadata, below the folder.
    pub metadata: &'a Path,
    /// Further files, below the folder.
    pub files: &'a [PathBuf],
    /// Whether a card that somebody else wrote is written over.
    pub force: bool,
}

/// What was documented.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Documented {
    /// The Croissant document.
    pub croissant: PathBuf,
    /// The card.
    pub card: PathBuf,
    /// Files with their SHA-256 in both.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Writes `croissant.json` and `README.md`; reads every byte of every file.
pub fn document(request: Request) -> Result<Documented> {
    let (croissant_path, card_path) = (request.folder.join("croissant.json"), request.folder.join("README.md"));
    if !request.force {
        is_ours_to_replace(&card_path)?;
    }
    let columns = table::open(request.metadata)?.columns().clone();
    let paths: Vec<PathBuf> = std::iter::once(request.metadata.to_owned()).chain(request.files.iter().cloned()).collect();
    let files = hashed(request.folder, &paths)?;
    let name = request.metadata.strip_prefix(request.folder).unwrap_or(request.metadata).to_string_lossy().replace('\\', "/");
    let found = statistics_with(request.metadata, &Query::default())?;
    let value = croissant(request.about, &name, columns.names(), &files, found.synthetic);
    let text = serde_json::to_string_pretty(&value).map_err(|error| Error::library("serde_json", error))?;
    atomic::write(&croissant_path, format!("{text}\n").as_bytes())?;
    atomic::write(&card_path, card(request.about, &files, &found, found.synthetic)?.as_bytes())?;
    let bytes = files.iter().map(|file| file.bytes).sum();
    Ok(Documented { croissant: croissant_path, card: card_path, files: files.len(), bytes })
}

/// Refuses a card without [`MARK`].
fn is_ours_to_replace(path: &Path) -> Result<()> {
    match fs::read(path) {
        Ok(text) if !String::from_utf8_lossy(&text).contains(MARK) => {
            Err(Error::input(path, "somebody wrote this card by hand").with_help("move it away, or write over it with --force"))
        }
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).at("read", path),
        _ => Ok(()),
    }
}
