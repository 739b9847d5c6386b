//! What there is to fetch.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{from_file, from_text, nearest};
use crate::error::{Error, Result};

/// A list of files. The published ones are built in; people may write another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// In no particular order.
    #[serde(default, rename = "file")]
    pub files: Vec<Entry>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What people ask for, its parts divided by `/`: a beginning asks for all that begin so.
    pub name: String,
    /// Where it goes, below the folder that is fetched into.
    pub path: PathBuf,
    /// Where it is: the first that answers is taken.
    pub urls: Vec<String>,
    /// Its length, where that is published.
    pub bytes: Option<u64>,
    /// About its length, for the plan alone.
    pub about_bytes: Option<u64>,
    /// 32 hexadecimal digits, where they are published.
    pub md5: Option<String>,
    /// 64 hexadecimal digits, likewise.
    pub sha256: Option<String>,
    /// Whether somebody has downloaded it by this entry and found it so.
    #[serde(default)]
    pub verified: bool,
}

impl Entry {
    /// Whether a hash of it is published.
    #[must_use]
    pub fn has_hash(&self) -> bool {
        self.md5.is_some() || self.sha256.is_some()
    }
}

impl Manifest {
    /// The published files.
    pub fn published() -> Result<Self> {
        from_text::<Self>(include_str!("manifest.toml"), "manifest.toml")?.checked()
    }

    /// Reads a list.
    pub fn load(path: &Path) -> Result<Self> {
        from_file::<Self>(path)?.checked()
    }

    /// A list may come from anywhere: its paths must not lead out of the folder, and its addresses must be the web's.
    fn checked(self) -> Result<Self> {
        let mut seen = HashSet::new();
        for Entry { name, path, urls, md5, sha256, .. } in &self.files {
            let plain = |part: Component| matches!(part, Component::Normal(_));
            let of_digits = |hash: &Option<String>, count: usize| {
                hash.as_ref().is_none_or(|hash| hash.len() == count && hash.bytes().all(|digit| digit.is_ascii_hexdigit()))
            };
            let faults = [
                (!path.components().all(plain) || path.as_os_str().is_empty(), "`path` leads out of the folder"),
                (!seen.insert(path), "`path` is another file's, too"),
                (urls.is_empty(), "`urls` is empty"),
                (
                    !urls.iter().all(|url| url.starts_with("https://") || url.starts_with("http://")),
                    "an address is not http(s)://",
                ),
                (!of_digits(md5, 32), "`md5` has not 32 hexadecimal digits"),
                (!of_digits(sha256, 64), "`sha256` has not 64 hexadecimal digits"),
            ];
            if let Some((_, fault)) = faults.into_iter().find(|(wrong, _)| *wrong) {
                return Err(Error::usage(format!("file `{name}` of the manifest: {fault}")));
            }
        }
        Ok(self)
    }

    /// The files whose names are, or begin with, one of `names`; all where there are no names.
    pub fn select(&self, names: &[String]) -> Result<Vec<&Entry>> {
        let is = |entry: &Entry, name: &str| {
            entry.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        for name in names {
            if !self.files.iter().any(|entry| is(entry, name)) {
                let all: Vec<&str> = self.files.iter().map(|entry| entry.name.as_str()).collect();
                let near =
                    nearest(name, all.iter().copied()).map(|near| format!("; the nearest is `{near}`")).unwrap_or_default();
                let help = format!("valid are {}, and what they begin with{near}", in_short(&all).join(", "));
                return Err(Error::usage(format!("no file is called `{name}`")).with_help(help));
            }
        }
        Ok(self.files.iter().filter(|entry| names.is_empty() || names.iter().any(|name| is(entry, name))).collect())
    }
}

/// The names, those of three parts by their first two: 113 chunks are no list to read.
fn in_short(names: &[&str]) -> Vec<String> {
    let mut short: Vec<String> = names
        .iter()
        .map(|name| match name.splitn(3, '/').collect::<Vec<_>>()[..] {
            [first, second, _] => format!("{first}/{second}/.."),
            _ => (*name).to_owned(),
        })
        .collect();
    short.dedup();
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_list_is_sound_and_claims_nothing_unseen() {
        let manifest = Manifest::published().unwrap();
        assert!(manifest.files.iter().all(|entry| !entry.verified));
        let names = |asked: &str| manifest.select(&[asked.to_owned()]).unwrap().len();
        assert_eq!((names("bioscan-5m/cropped_256"), names("weights"), names("bioscan-1m/metadata")), (4, 3, 1));
        assert_eq!((names("bioscan-1m/original_full"), names("bioscan-1m/cropped_full/part1-20")), (113, 1));
        let addresses: HashSet<&String> = manifest.files.iter().flat_map(|entry| &entry.urls).collect();
        assert_eq!(addresses.len(), manifest.files.iter().map(|entry| entry.urls.len()).sum::<usize>(), "none twice");
        let error = manifest.select(&["wieghts".to_owned()]).unwrap_err();
        let help = error.help().unwrap();
        assert!(help.contains("weights/resnet50") && help.contains(", bioscan-1m/original_full/.., "), "{help}");
        assert!(help.len() < 700, "{help}");
        assert!(manifest.select(&["bioscan-1".to_owned()]).is_err(), "a beginning ends where a part does");
    }

    #[test]
    fn a_list_that_would_write_elsewhere_is_refused() {
        let entry = |change: &str| {
            let text = "[[file]]\nname = \"a\"\npath = \"a\"\nurls = [\"https://example.org/a\"]\n";
            let (from, to) = change.split_once(" → ").unwrap();
            from_text::<Manifest>(&text.replace(from, to), "m.toml").unwrap().checked().unwrap_err().to_string()
        };
        assert!(entry("path = \"a\" → path = \"../a\"").contains("leads out of the folder"));
        assert!(entry("path = \"a\" → path = \"/etc/passwd\"").contains("leads out of the folder"));
        assert!(entry("https:// → file:///").contains("not http(s)://"));
        assert!(entry("urls → md5 = \"12\"\nurls").contains("`md5` has not 32"));
    }
}
