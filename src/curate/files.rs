//! files → their names, sizes and SHA-256.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::store::digests;

/// One file of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatasetFile {
    /// Its path from the dataset's folder, with `/`.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

/// Looks at every file of `paths`, each below `root`, with all threads; sorted by name.
pub fn hashed(root: &Path, paths: &[PathBuf]) -> Result<Vec<DatasetFile>> {
    let mut files: Vec<DatasetFile> = paths.par_iter().map(|path| file(root, path)).collect::<Result<_>>()?;
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn file(root: &Path, path: &Path) -> Result<DatasetFile> {
    let below = path.strip_prefix(root).map_err(|_| {
        Error::usage(format!("{} is not below {}", path.display(), root.display()))
            .with_help("the document names files by their paths from its own folder")
    })?;
    let found = digests::of_file(path)?;
    Ok(DatasetFile { name: below.to_string_lossy().into_owned(), bytes: found.bytes, sha256: found.sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_from_the_folder_and_hashed() {
        let folder = tempfile::tempdir().unwrap();
        let (b, a) = (folder.path().join("b.zip"), folder.path().join("x/a.tsv"));
        std::fs::create_dir(folder.path().join("x")).unwrap();
        std::fs::write(&b, b"abc").unwrap();
        std::fs::write(&a, b"").unwrap();
        let files = hashed(folder.path(), &[a, b.clone()]).unwrap();
        assert_eq!((files[0].name.as_str(), files[0].bytes), ("b.zip", 3));
        // FIPS 180-2's own example.
        assert_eq!(files[0].sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(files[1].name, "x/a.tsv");
        assert!(hashed(&folder.path().join("x"), &[b]).unwrap_err().to_string().contains("is not below"));
    }
}
