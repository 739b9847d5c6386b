//! what an output will need → a warning where its file system, or the clusters' usual quotas, have no room for it.

use std::path::Path;

use crate::error::{IoContext, Result};

/// What an output will take, or may.
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

/// The clusters' documentation says "TB" and not of which kind: taken for the smaller, so that a warning comes early rather than late.
const TB: u64 = 1_000_000_000_000;

/// What a group may have in its project space, and a user in scratch, on most Alliance clusters (Fir, Nibi, Rorqual, Narval; 2026);
/// Trillium allows more.
const ALLIANCE: [Need; 2] = [Need { files: 500_000, bytes: TB }, Need { files: 1_000_000, bytes: 20 * TB }];

const FEWER: &str = "`zip`, `hdf5`, `tar` and `pack` hold the same images in a few files";

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
/// A full file system is said first; of the quotas only what `need` alone would exceed, since what else counts against them only the
/// site's own command knows.
#[must_use]
pub fn warning(need: Need, room: Room) -> Option<String> {
    if need.bytes > room.bytes {
        return Some(format!("the output needs about {}, and {} are free", size(need.bytes), size(room.bytes)));
    }
    if let Some(left) = room.files.filter(|left| need.files > *left) {
        return Some(format!("the output needs {}, and {} more can be made there: {FEWER}", files(need.files), count(left)));
    }
    over_quota(need)
}

/// What an output of `need` takes, beside the usual quotas: `723.2 GB and 113 files; usual quotas on Alliance clusters: ..`.
#[must_use]
pub fn beside_quotas(need: Need) -> String {
    let both = |amount: Need| format!("{} and {}", size(amount.bytes), files(amount.files));
    let (need, [project, scratch]) = (both(need), ALLIANCE.map(both));
    format!("{need}; usual quotas on Alliance clusters: project {project} a group, scratch {scratch} a user")
}

/// What to say where `need` alone exceeds a usual quota.
fn over_quota(need: Need) -> Option<String> {
    // Nibi's scratch has a soft limit, too, as low as that of project space.
    let of_bytes = beyond(need.bytes, ALLIANCE.map(|quota| quota.bytes), size)
        .map(|said| format!("{said} (on Nibi, scratch holds more than 1 TB for 60 days only)"));
    let of_files = beyond(need.files, ALLIANCE.map(|quota| quota.files), files).map(|said| format!("{said}: {FEWER}"));
    let said: Vec<String> = [of_bytes, of_files].into_iter().flatten().collect();
    (!said.is_empty())
        .then(|| format!("the output needs {}; `diskusage_report` there knows what is left", said.join("; it needs ")))
}

/// What is needed, and which of the quotas of project space and of scratch it exceeds, if any.
fn beyond(needed: u64, [project, scratch]: [u64; 2], shown: fn(u64) -> String) -> Option<String> {
    let exceeded = if needed > scratch { "both exceeded" } else { "the first exceeded" };
    let [what, in_project, in_scratch] = [needed, project, scratch].map(shown);
    (needed > project).then(|| {
        format!("{what}; Alliance clusters usually allow {in_project} in project space and {in_scratch} in scratch, {exceeded}")
    })
}

/// 1128313 → `1,128,313 files`.
fn files(number: u64) -> String {
    format!("{} files", count(number))
}

/// 1128313 → `1,128,313`.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

/// Bytes in the largest unit of which there is at least one: decimal, as publishers and clusters give theirs. 1.23e12 → `1.2 TB`.
fn size(bytes: u64) -> String {
    let (unit, name) = [(TB, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB")]
        .into_iter()
        .find(|(unit, _)| bytes >= *unit)
        .unwrap_or((1000, "KB"));
    let number = format!("{:.1}", bytes as f64 / unit as f64);
    format!("{} {name}", number.strip_suffix(".0").unwrap_or(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;
    const ROOM: Room = Room { files: Some(5_000_000), bytes: 100 * TB };

    #[test]
    fn bioscan_1m_as_single_files_exceeds_what_clusters_allow_and_is_told_what_does_not() {
        let folder = warning(Need { files: 1_128_426, bytes: 12 * GB }, ROOM).unwrap();
        assert_eq!(
            folder,
            "the output needs 1,128,426 files; Alliance clusters usually allow 500,000 files in project space and \
             1,000,000 files in scratch, both exceeded: `zip`, `hdf5`, `tar` and `pack` hold the same images in a few files; \
             `diskusage_report` there knows what is left"
        );
        assert!(warning(Need { files: 600_000, bytes: GB }, ROOM).unwrap().contains("the first exceeded"));
        assert_eq!(warning(Need { files: 500_000, bytes: 12 * GB }, ROOM), None);
    }

    #[test]
    fn bytes_have_quotas_of_their_own() {
        assert_eq!(
            warning(Need { files: 134, bytes: 1_234 * GB }, ROOM).unwrap(),
            "the output needs 1.2 TB; Alliance clusters usually allow 1 TB in project space and 20 TB in scratch, \
             the first exceeded (on Nibi, scratch holds more than 1 TB for 60 days only); \
             `diskusage_report` there knows what is left"
        );
        assert!(warning(Need { files: 134, bytes: 20 * TB + 1 }, ROOM).unwrap().contains("both exceeded"));
        assert_eq!(warning(Need { files: 134, bytes: TB }, ROOM), None);
        // A quota of 1 TiB would be enough for this; which of the two a cluster means is not known.
        assert!(warning(Need { files: 134, bytes: TB + 1 }, ROOM).is_some());
    }

    #[test]
    fn bytes_and_files_that_exceed_are_both_said() {
        let said = warning(Need { files: 1_128_426, bytes: 25 * TB }, ROOM).unwrap();
        assert!(said.starts_with("the output needs 25 TB; Alliance clusters usually allow 1 TB in"), "{said}");
        assert!(said.contains("; it needs 1,128,426 files; Alliance clusters usually allow 500,000 files in"), "{said}");
        assert_eq!(said.matches("both exceeded").count(), 2);
    }

    #[test]
    fn a_need_stands_beside_the_usual_quotas() {
        assert_eq!(
            beside_quotas(Need { files: 1_134, bytes: 723_200_000_000 }),
            "723.2 GB and 1,134 files; usual quotas on Alliance clusters: project 1 TB and 500,000 files a group, \
             scratch 20 TB and 1,000,000 files a user"
        );
    }

    #[test]
    fn sizes_are_in_the_largest_unit_of_which_there_is_one() {
        let sizes = [0, 67, 1_500, 999_999, 1_000_000, 12 * GB, 1_050 * GB, 20 * TB].map(size);
        assert_eq!(sizes, ["0 KB", "0.1 KB", "1.5 KB", "1000 KB", "1 MB", "12 GB", "1.1 TB", "20 TB"]);
    }

    #[test]
    fn a_file_system_without_room_comes_first() {
        let full = Room { files: Some(10), bytes: 512_600_000 };
        let said = warning(Need { files: 2_000_000, bytes: 12 * GB }, full).unwrap();
        assert_eq!(said, "the output needs about 12 GB, and 512.6 MB are free");
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
