//! files asked for and a folder → what is there, what is begun and what is missing.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::store::{journal, room};
use crate::transfer::manifest::Entry;

/// Lists, in the folder that is fetched into, what arrived whole.
pub(super) const ARRIVED: &str = "fetched.jsonl";

/// How far one file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Here, and found whole when it arrived.
    Here,
    /// A file of its name is here, but nobody has looked at it yet.
    Unchecked,
    /// So many bytes of it are here.
    Begun(u64),
    /// Nothing of it is here.
    Missing,
}

/// A line of the list of arrivals: a file that changes afterwards is no longer what arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Arrival {
    pub path: PathBuf,
    pub bytes: u64,
    /// Nanoseconds since 1970 of its last change.
    pub changed: u64,
    /// The hashes it was found to have.
    pub md5: Option<String>,
    pub sha256: Option<String>,
}

/// What a fetch would do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Each file with its state.
    pub files: Vec<(Entry, State)>,
    /// Bytes that are to come, as far as their lengths are known.
    pub bytes: u64,
    /// Files of unknown length that are to come.
    pub unknown: usize,
    /// Files to be made.
    pub inodes: u64,
    /// What speaks against it.
    pub warning: Option<String>,
}

/// Looks at `folder`. Asks no server.
pub fn plan(entries: &[&Entry], folder: &Path) -> Result<Plan> {
    let arrivals: Vec<Arrival> = journal::read(&folder.join(ARRIVED))?;
    let files: Vec<(Entry, State)> = entries.iter().map(|entry| ((*entry).clone(), state(entry, folder, &arrivals))).collect();
    let (mut bytes, mut unknown, mut inodes) = (0, 0, 0);
    for (entry, state) in &files {
        let begun = match state {
            State::Here | State::Unchecked => continue,
            State::Begun(begun) => *begun,
            State::Missing => 0,
        };
        inodes += 1;
        match entry.bytes.or(entry.about_bytes) {
            Some(length) => bytes += length.saturating_sub(begun),
            None => unknown += 1,
        }
    }
    let warning = room::warning(room::Need { files: inodes, bytes }, room::at(folder)?);
    Ok(Plan { files, bytes, unknown, inodes, warning })
}

fn state(entry: &Entry, folder: &Path, arrivals: &[Arrival]) -> State {
    let path = folder.join(&entry.path);
    match (fs::metadata(&path), fs::metadata(unfinished(&path))) {
        (Ok(there), _) => {
            let arrived = arrivals.iter().rev().find(|arrival| arrival.path == entry.path);
            let same = arrived.is_some_and(|arrival| {
                let is = |known: &Option<String>, asked: &Option<String>| asked.is_none() || known == asked;
                arrival.bytes == there.len()
                    && arrival.changed == changed(&there)
                    && is(&arrival.md5, &entry.md5)
                    && is(&arrival.sha256, &entry.sha256)
            });
            if same { State::Here } else { State::Unchecked }
        }
        (Err(_), Ok(begun)) => State::Begun(begun.len()),
        (Err(_), Err(_)) => State::Missing,
    }
}

/// When a file was last changed, in nanoseconds since 1970.
pub(super) fn changed(file: &fs::Metadata) -> u64 {
    let since = file.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_nanos() as u64)
}

/// Where a file is gathered until it is whole.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.fetching"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_counts_what_is_still_to_come() {
        let folder = tempfile::tempdir().unwrap();
        let entry = |name: &str, bytes| Entry {
            name: name.into(),
            path: name.into(),
            urls: vec!["https://example.org".into()],
            bytes,
            about_bytes: None,
            md5: None,
            sha256: None,
            verified: false,
        };
        let (here, begun, missing, unknown) = (entry("a", Some(3)), entry("b", Some(100)), entry("c", Some(7)), entry("d", None));
        fs::write(folder.path().join("a"), b"abc").unwrap();
        fs::write(folder.path().join(".b.fetching"), [0; 40]).unwrap();
        let of = |entries: &[&Entry]| plan(entries, folder.path()).unwrap();
        let found = of(&[&here, &begun, &missing, &unknown]);
        assert_eq!(
            found.files.iter().map(|(_, state)| *state).collect::<Vec<_>>(),
            [State::Unchecked, State::Begun(40), State::Missing, State::Missing]
        );
        assert_eq!((found.bytes, found.unknown, found.inodes), (67, 1, 3));
        let changed = changed(&fs::metadata(folder.path().join("a")).unwrap());
        journal::append(&folder.path().join(ARRIVED), &Arrival { path: "a".into(), bytes: 3, changed, md5: None, sha256: None })
            .unwrap();
        assert_eq!(of(&[&here]).files[0].1, State::Here);
        let hashed = Entry { md5: Some("0".repeat(32)), ..here };
        assert_eq!(of(&[&hashed]).files[0].1, State::Unchecked, "the list may know more now than when it arrived");
    }
}
