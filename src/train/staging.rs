//! A container on a shared file system and a folder on the node's own disk → a copy of it there, whole, checked, once a node.
//!
//! The ranks of a node, and runs that share it, find out among themselves through the folder's lock who copies; the others wait. A copy is
//! made beside its place and renamed, so that what can be seen is complete, and it is called after the names, sizes and times of the
//! files it was made from: another preparation of the images gets another copy.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rayon::prelude::*;

use crate::comm::signals::StopFlag;
use crate::error::{Error, IoContext, Result};
use crate::store::lock::Lock;
use crate::store::{hash, room};

/// How often a rank looks whether another has finished.
const PATIENCE: Duration = Duration::from_millis(200);
/// Bytes copied at a time: shared file systems like large pieces.
const PIECE: usize = 8 << 20;

/// One file to copy.
struct Piece {
    /// Below the container's own path; empty where the container is a file.
    name: PathBuf,
    bytes: u64,
}

/// The container `source`, a file or a folder, copied below `place`; returns the copy's path.
///
/// # Errors
/// Where `place` has too little room, where a file cannot be read or written, or where what was written is not what was read.
/// [`Error::Stopped`] where `stop` is raised before the copy is there.
pub fn stage(source: &Path, place: &Path, stop: &StopFlag) -> Result<PathBuf> {
    let (pieces, fingerprint) = survey(source)?;
    let name = source.file_name().ok_or_else(|| Error::usage(format!("{} names no container", source.display())))?;
    let home = place.join(format!("bioscan-{}", &fingerprint[..16]));
    let copy = home.join(name);
    loop {
        if copy.exists() {
            tracing::debug!(copy = %copy.display(), "staged before");
            return Ok(copy);
        }
        match Lock::acquire(&home) {
            // Somebody may have finished between the look and the lock.
            Ok(_lock) if copy.exists() => return Ok(copy),
            Ok(_lock) => {
                make(source, &pieces, &home, &copy, stop)?;
                return Ok(copy);
            }
            Err(Error::Owned { .. }) if stop.raised() => return Err(Error::Stopped),
            Err(Error::Owned { .. }) => std::thread::sleep(PATIENCE),
            Err(other) => return Err(other),
        }
    }
}

/// The files of a container, and what tells it from any other.
fn survey(source: &Path) -> Result<(Vec<Piece>, String)> {
    let mut pieces = Vec::new();
    let mut hasher = blake3::Hasher::new();
    list(source, Path::new(""), &mut pieces, &mut hasher)?;
    Ok((pieces, hasher.finalize().to_hex().to_string()))
}

fn list(source: &Path, name: &Path, pieces: &mut Vec<Piece>, hasher: &mut blake3::Hasher) -> Result<()> {
    let path = at(source, name);
    let about = fs::metadata(&path).at("look at", &path)?;
    if !about.is_dir() {
        let changed = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        hasher.update(format!("{}\0{}\0{}\n", path.display(), about.len(), changed.as_nanos()).as_bytes());
        pieces.push(Piece { name: name.to_owned(), bytes: about.len() });
        return Ok(());
    }
    let mut names = fs::read_dir(&path)
        .at("list", &path)?
        .map(|entry| Ok(entry.at("list", &path)?.file_name()))
        .collect::<Result<Vec<_>>>()?;
    // Unfinished files of whoever is writing there are nobody's images.
    names.retain(|name| !name.to_string_lossy().starts_with('.'));
    names.sort();
    names.iter().try_for_each(|below| list(source, &name.join(below), pieces, hasher))
}

/// `path.join("")` would put a slash behind a file's name.
fn at(root: &Path, name: &Path) -> PathBuf {
    if name.as_os_str().is_empty() { root.to_owned() } else { root.join(name) }
}

/// Copies everything beside `copy`, then lets it appear. Call it only as the owner of `home`.
fn make(source: &Path, pieces: &[Piece], home: &Path, copy: &Path, stop: &StopFlag) -> Result<()> {
    let needed: u64 = pieces.iter().map(|piece| piece.bytes).sum();
    let free = room::at(home)?.bytes;
    if needed > free {
        let message = format!("{} needs {} MiB there, and {} are free", source.display(), needed >> 20, free >> 20);
        return Err(Error::input(home, message)
            .with_help("ask for a larger local disk, or read the images where they are, without --stage"));
    }
    tracing::info!(from = %source.display(), to = %copy.display(), mib = needed >> 20, "staging the images");
    let unfinished = home.join(".unfinished");
    remove(&unfinished)?;
    pieces.par_iter().try_for_each(|piece| copy_checked(&at(source, &piece.name), &at(&unfinished, &piece.name), stop))?;
    fs::rename(&unfinished, copy).at("publish", copy)
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at("remove", path),
        _ => Ok(()),
    }
}

/// Copies a file and reads the copy again. It need not outlive a power cut, so nothing is flushed to the disk.
fn copy_checked(from: &Path, to: &Path, stop: &StopFlag) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).at("create the folder", folder)?;
    }
    let mut input = File::open(from).at("open", from)?;
    let mut output = File::create(to).at("create", to)?;
    let (mut hasher, mut piece) = (blake3::Hasher::new(), vec![0; PIECE]);
    loop {
        let read = input.read(&mut piece).at("read", from)?;
        if read == 0 {
            break;
        }
        if stop.raised() {
            return Err(Error::Stopped);
        }
        hasher.update(&piece[..read]);
        output.write_all(&piece[..read]).at("write", to)?;
    }
    if hash::of_file(to)? != hasher.finalize().to_hex().as_str() {
        let help = "this node's disk does not keep what is written: read the images where they are, without --stage";
        return Err(Error::input(to, format!("the copy differs from {}", from.display())).with_help(help));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(root: &Path) -> PathBuf {
        let source = root.join("packs");
        fs::create_dir_all(source.join("below")).unwrap();
        for (name, bytes) in [("part1.pack", &b"one"[..]), ("below/part2.pack", b"two"), (".part3.pack.17.part", b"half")] {
            fs::write(source.join(name), bytes).unwrap();
        }
        source
    }

    #[test]
    fn a_folder_is_copied_once_whole_and_without_what_is_unfinished() {
        let root = tempfile::tempdir().unwrap();
        let (source, place) = (container(root.path()), root.path().join("tmp"));
        let copies: Vec<PathBuf> = std::thread::scope(|scope| {
            let ranks: Vec<_> = (0..4).map(|_| scope.spawn(|| stage(&source, &place, &StopFlag::never()).unwrap())).collect();
            ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
        });
        let copy = &copies[0];
        assert!(copies.iter().all(|other| other == copy) && copy.ends_with("packs"));
        assert_eq!(fs::read(copy.join("part1.pack")).unwrap(), b"one");
        assert_eq!(fs::read(copy.join("below/part2.pack")).unwrap(), b"two");
        assert_eq!(fs::read_dir(copy).unwrap().count(), 2);
        // Nothing is copied again: a mark on the copy stays.
        fs::write(copy.join("mark"), b"").unwrap();
        assert_eq!(&stage(&source, &place, &StopFlag::never()).unwrap(), copy);
        assert!(copy.join("mark").exists());
    }

    #[test]
    fn a_changed_container_gets_another_copy_and_a_killed_one_s_remains_are_replaced() {
        let root = tempfile::tempdir().unwrap();
        let (source, place) = (root.path().join("original_256.zip"), root.path().join("tmp"));
        fs::write(&source, b"old").unwrap();
        let old = stage(&source, &place, &StopFlag::never()).unwrap();
        assert_eq!(fs::read(&old).unwrap(), b"old");
        fs::write(&source, b"newer").unwrap();
        let (_, fingerprint) = survey(&source).unwrap();
        let remains = place.join(format!("bioscan-{}", &fingerprint[..16])).join(".unfinished");
        fs::create_dir_all(&remains).unwrap();
        let new = stage(&source, &place, &StopFlag::never()).unwrap();
        assert_eq!((fs::read(&new).unwrap(), fs::read(&old).unwrap()), (b"newer".to_vec(), b"old".to_vec()));
        assert!(!remains.exists());
    }

    #[test]
    fn a_signal_ends_the_copy_and_the_wait_for_another_s() {
        let root = tempfile::tempdir().unwrap();
        let (source, place) = (container(root.path()), root.path().join("tmp"));
        let stop = StopFlag::never();
        stop.raise();
        assert!(matches!(stage(&source, &place, &stop), Err(Error::Stopped)));
        let (_, fingerprint) = survey(&source).unwrap();
        let _theirs = Lock::acquire(&place.join(format!("bioscan-{}", &fingerprint[..16]))).unwrap();
        assert!(matches!(stage(&source, &place, &stop), Err(Error::Stopped)));
    }

    #[test]
    fn what_is_not_there_is_an_error_that_names_it() {
        let root = tempfile::tempdir().unwrap();
        let error = stage(&root.path().join("nowhere"), root.path(), &StopFlag::never()).unwrap_err();
        assert!(error.to_string().contains("nowhere"), "{error}");
    }
}
