//! what an output will need → a warning where its file system, or the clusters' usual quota, has no room for it.

use std::path::Path;

use crate::error::{IoContext, Result};

/// What an output will take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Files and folders.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// What a file system has left for this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Files that can still be made; `None` where the file system does not count them.
    pub files: Option<u64>,
    /// Bytes that can still be written.
    pub bytes: u64,
}

/// Files that a group has in its project space and a user in scratch on most Alliance clusters (Fir, Nibi, Rorqual, Narval; 2026).
const ALLIANCE: (u64, u64) = (500_000, 1_000_000);

/// What the file system of `path` has left; of its nearest folder that exists, where it does not yet.
///
/// A quota may leave less: it is not the file system's, and each site has a command of its own for it.
pub fn at(path: &Path) -> Result<Room> {
    let existing = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let found = rustix::fs::statvfs(existing).map_err(std::io::Error::from).at("ask for the free space of", existing)?;
    Ok(Room { files: (found.f_files > 0).then_some(found.f_favail), bytes: found.f_bavail.saturating_mul(found.f_frsize) })
}

/// What to tell the user before an output of `need` is begun where there is `room`; `None` where nothing speaks against it.
///
/// A full file system is said first; of the quotas only what `need` alone would exceed, since what else counts against them is not known.
#[must_use]
pub fn warning(need: Need, room: Room) -> Option<String> {
    const FEWER: &str = "`zip`, `hdf5`, `tar` and `pack` hold the same images in a few files";
    if need.bytes > room.bytes {
        return Some(format!("the output needs about {}, and {} are free", size(need.bytes), size(room.bytes)));
    }
    if let Some(files) = room.files.filter(|files| need.files > *files) {
        return Some(format!(
            "the output needs {} files, and {} more can be made there: {FEWER}",
            count(need.files),
            count(files)
        ));
    }
    let (project, scratch) = ALLIANCE;
    (need.files > project).then(|| {
        let exceeded = if need.files > scratch { "both exceeded" } else { "the first exceeded" };
        format!(
            "the output needs {} files; Alliance clusters allow {} in project space and {} in scratch, {exceeded}: {FEWER}",
            count(need.files),
            count(project),
            count(scratch)
        )
    })
}

/// 1128313 → `1,128,313`.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

/// Bytes in the largest unit of which there is at least one.
fn size(bytes: u64) -> String {
    let (unit, name) = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB")]
        .into_iter()
        .find(|(unit, _)| bytes >= *unit)
        .unwrap_or((1 << 10, "KiB"));
    format!("{:.1} {name}", bytes as f64 / unit as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room { files: Some(5_000_000), bytes: 1 << 40 };

    #[test]
    fn bioscan_1m_as_single_files_exceeds_what_clusters_allow_and_is_told_what_does_not() {
        let folder = warning(Need { files: 1_128_426, bytes: 12 << 30 }, ROOM).unwrap();
        assert_eq!(
            folder,
            "the output needs 1,128,426 files; Alliance clusters allow 500,000 in project space and 1,000,000 in scratch, \
             both exceeded: `zip`, `hdf5`, `tar` and `pack` hold the same images in a few files"
        );
        assert!(warning(Need { files: 600_000, bytes: 1 << 30 }, ROOM).unwrap().contains("the first exceeded"));
        assert_eq!(warning(Need { files: 500_000, bytes: 12 << 30 }, ROOM), None);
    }

    #[test]
    fn a_file_system_without_room_comes_first() {
        let full = Room { files: Some(10), bytes: 512 << 20 };
        let said = warning(Need { files: 2_000_000, bytes: 12 << 30 }, full).unwrap();
        assert_eq!(said, "the output needs about 12.0 GiB, and 512.0 MiB are free");
        assert!(
            warning(Need { files: 1_234, bytes: 1000 }, full).unwrap().starts_with("the output needs 1,234 files, and 10 more")
        );
        assert_eq!(warning(Need { files: 1_234, bytes: 1000 }, Room { files: None, ..full }), None);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_has_the_room_of_the_one_it_will_lie_in() {
        let folder = tempfile::tempdir().unwrap();
        let room = at(&folder.path().join("not/yet/there")).unwrap();
        assert!(room.bytes > 0 && room.files.is_none_or(|files| files > 0));
        assert!(at(Path::new("relative-and-missing")).is_ok());
    }
}
