//! a folder → the files in it that are sent, and those that are not, with the reason.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, IoContext, Result};
use crate::store::lock;
use crate::transfer::plan::changed;

/// A file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LocalFile {
    pub path: PathBuf,
    /// Its path below the folder, with `/`.
    pub name: String,
    pub bytes: u64,
    /// Nanoseconds since 1970 of its last change.
    pub changed: u64,
}

impl LocalFile {
    /// Whether it is still the file that was found.
    pub fn unchanged(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|now| now.is_file() && now.len() == self.bytes && changed(&now) == self.changed)
    }
}

/// What is not sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its path below the folder.
    pub name: String,
    /// Why.
    pub why: &'static str,
}

/// Endings of what somebody is still writing, or owns.
const UNFINISHED: [&str; 4] = ["partial", "part", "tmp", "lock"];

/// Looks through `folder`; sorted by name. A folder in it that a live process owns is an error: what it holds is not finished.
pub(super) fn files(folder: &Path) -> Result<(Vec<LocalFile>, Vec<LeftOut>)> {
    let (mut found, mut left_out) = (Vec::new(), Vec::new());
    if !folder.is_dir() {
        return Err(Error::input(folder, "is no folder"));
    }
    look(folder, "", &mut found, &mut left_out)?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    left_out.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((found, left_out))
}

fn look(folder: &Path, above: &str, found: &mut Vec<LocalFile>, left_out: &mut Vec<LeftOut>) -> Result<()> {
    if let Some(owner) = lock::owner_of(folder)? {
        return Err(Error::Owned { path: folder.to_owned(), owner });
    }
    for entry in fs::read_dir(folder).at("list", folder)? {
        let entry = entry.at("list", folder)?;
        let path = entry.path();
        let name = entry.file_name();
        let Some(own) = name.to_str().filter(|name| !name.chars().any(char::is_control)) else {
            return Err(Error::input(&path, "its name is no UTF-8, or has control characters, which no store keeps")
                .with_help("rename it"));
        };
        let name = if above.is_empty() { own.to_owned() } else { format!("{above}/{own}") };
        // Of the entry itself, not of what a link leads to.
        let there = fs::symlink_metadata(&path).at("look at", &path)?;
        let why = if own.starts_with('.') {
            "hidden"
        } else if there.is_symlink() {
            "a symbolic link"
        } else if there.is_dir() {
            look(&path, &name, found, left_out)?;
            continue;
        } else if !there.is_file() {
            "neither a file nor a folder"
        } else if path.extension().is_some_and(|ending| UNFINISHED.iter().any(|unfinished| ending == *unfinished)) {
            "unfinished, or a lock"
        } else {
            found.push(LocalFile { bytes: there.len(), changed: changed(&there), path, name });
            continue;
        };
        left_out.push(LeftOut { name, why });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::store::lock::Lock;

    #[test]
    fn what_is_hidden_linked_or_unfinished_stays_here() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("images/part 1")).unwrap();
        for name in ["b.tsv", "images/part 1/é.jpg", ".hidden", "c.zip.partial", "d.lock", "fetch.tmp"] {
            fs::write(at(name), b"abc").unwrap();
        }
        symlink(at("b.tsv"), at("link.tsv")).unwrap();
        let (found, left_out) = files(folder.path()).unwrap();
        assert_eq!(found.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["b.tsv", "images/part 1/é.jpg"]);
        let left_out: Vec<_> = left_out.iter().map(|left| (left.name.as_str(), left.why)).collect();
        let unfinished = "unfinished, or a lock";
        assert_eq!(
            left_out,
            [
                (".hidden", "hidden"),
                ("c.zip.partial", unfinished),
                ("d.lock", unfinished),
                ("fetch.tmp", unfinished),
                ("link.tsv", "a symbolic link")
            ]
        );
        assert!(found[0].unchanged());
        fs::write(at("b.tsv"), b"abcd").unwrap();
        assert!(!found[0].unchanged());
        let _owned = Lock::acquire(&at("images")).unwrap();
        assert!(matches!(files(folder.path()), Err(Error::Owned { .. })), "somebody is still writing there");
    }
}
