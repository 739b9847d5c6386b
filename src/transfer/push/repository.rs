//! A folder → a repository on the Hugging Face Hub.
//!
//! What is there is listed first, and what differs by git's name or SHA-256 is sent: large files into the large-file store, then all in
//! commits of a bearable size. What the hub then lists is compared again. Of a large file the hub lists the SHA-256 that it was committed
//! under; that its store holds those bytes is the hub's own word.

use std::collections::BTreeMap;
use std::fs;

use crate::error::{Error, Result};
use crate::transfer::push::contents::{Contents, in_between};
use crate::transfer::push::files::LocalFile;
use crate::transfer::push::hub::{Held, Hub, Line, MOST_ASKED, Way};
use crate::transfer::push::tries::{Fault, in_parallel};
use crate::transfer::push::{Check, Kind, Outcome, Work, lfs};

/// One commit at most: so many files, so many bytes of them within it.
const MOST_FILES: usize = 256;
const MOST_BYTES: u64 = 32 << 20;

/// A file on its way.
struct Parcel<'a> {
    index: usize,
    file: &'a LocalFile,
    contents: Contents,
    way: Way,
}

/// Sends what the repository lacks.
pub(super) fn push(work: &Work, kind: Kind, repository: &str, revision: &str) -> Result<Vec<Outcome>> {
    let hub = Hub::open(work.request.endpoint, work.request.variable, kind, repository, revision)?;
    let there = hub.tree(work.patience).map_err(|fault| Error::Server {
        server: hub.shown(),
        message: fault.words().to_owned(),
        help: Some("make the repository first, and a token that may write to it; nothing was sent".into()),
    })?;
    let mut outcomes: BTreeMap<usize, Outcome> = BTreeMap::new();
    let files: Vec<(usize, &LocalFile)> = work.files.iter().enumerate().collect();
    let hashed = in_parallel(&files, work.request.at_once, |(_, file)| Contents::of(file, file.bytes.max(1)));
    let mut parcels = Vec::new();
    for ((index, file), contents) in files.iter().zip(hashed) {
        match contents {
            Ok(contents) if there.get(&file.name).is_some_and(|held| same(held, file, &contents).is_ok()) => {
                work.progress.advance(file.bytes);
                outcomes.insert(*index, Outcome::There(Check::Hash));
            }
            Ok(contents) => parcels.push(Parcel { index: *index, file, contents, way: Way::Regular }),
            Err(fault) => drop(outcomes.insert(*index, Outcome::of(Err(fault)))),
        }
    }
    let parcels = addressed(&hub, work, parcels, &mut outcomes);
    let (large, regular): (Vec<Parcel>, Vec<Parcel>) = parcels.into_iter().partition(|parcel| parcel.way == Way::Large);
    let stored =
        in_parallel(&large, work.request.at_once, |parcel| lfs::send(&hub, parcel.file, &parcel.contents, work.patience));
    let mut ready = regular;
    for (parcel, stored) in large.into_iter().zip(stored) {
        match stored {
            Ok(()) => ready.push(parcel),
            Err(fault) => drop(outcomes.insert(parcel.index, Outcome::of(Err(fault)))),
        }
    }
    let committed = committed(&hub, work, ready, &mut outcomes);
    if !committed.is_empty() {
        let there = hub.tree(work.patience);
        for parcel in committed {
            let checked = match &there {
                Ok(there) => there
                    .get(&parcel.file.name)
                    .map_or(Err("it is not listed".into()), |held| same(held, parcel.file, &parcel.contents)),
                Err(fault) => Err(format!("the list could not be had: {}", fault.words())),
            };
            let wrong = |what| Fault::Wrong(format!("what is there now is not what was sent: {what}"));
            outcomes.insert(parcel.index, Outcome::of(checked.map(|()| Outcome::Sent(Check::Hash)).map_err(wrong)));
        }
    }
    Ok(outcomes.into_values().collect())
}

/// Asks of each parcel how it is to go; what the hub leaves out, or says nothing of, is told in `outcomes`.
fn addressed<'a>(hub: &Hub, work: &Work, parcels: Vec<Parcel<'a>>, outcomes: &mut BTreeMap<usize, Outcome>) -> Vec<Parcel<'a>> {
    let mut addressed = Vec::new();
    let mut parcels = parcels.into_iter().peekable();
    while parcels.peek().is_some() {
        let some: Vec<Parcel> = parcels.by_ref().take(MOST_ASKED).collect();
        let asked: Vec<_> =
            some.iter().map(|parcel| (parcel.file.name.as_str(), parcel.file.bytes, &parcel.contents.beginning[..])).collect();
        match work.patience.until("how to send the files", || hub.ways(&asked)) {
            Err(fault) => some.iter().for_each(|parcel| drop(outcomes.insert(parcel.index, Outcome::of(Err(fault.clone()))))),
            Ok(ways) => {
                for (parcel, way) in some.into_iter().zip(ways) {
                    if way == Way::Ignored {
                        let why = "the repository's own .gitignore leaves it out".to_owned();
                        outcomes.insert(parcel.index, Outcome::Failed(why));
                    } else {
                        addressed.push(Parcel { way, ..parcel });
                    }
                }
            }
        }
    }
    addressed
}

/// Commits in groups; gives back what was committed, and tells in `outcomes` of the rest.
fn committed<'a>(hub: &Hub, work: &Work, ready: Vec<Parcel<'a>>, outcomes: &mut BTreeMap<usize, Outcome>) -> Vec<Parcel<'a>> {
    let mut committed = Vec::new();
    for group in groups(ready) {
        let mut lines = Vec::new();
        let mut inside = Vec::new();
        for parcel in &group {
            match line(parcel) {
                Ok(line) => {
                    lines.push(line);
                    inside.push(parcel.index);
                }
                Err(fault) => drop(outcomes.insert(parcel.index, Outcome::of(Err(fault)))),
            }
        }
        let done = if lines.is_empty() { Ok(()) } else { work.patience.until("the commit", || hub.commit(&lines)) };
        drop(lines);
        for parcel in group.into_iter().filter(|parcel| inside.contains(&parcel.index)) {
            match &done {
                Ok(()) => {
                    work.progress.advance(parcel.file.bytes);
                    committed.push(parcel);
                }
                Err(fault) => drop(outcomes.insert(parcel.index, Outcome::of(Err(fault.clone())))),
            }
        }
    }
    committed
}

/// What a commit holds of a file. The bytes of a small one are read anew, and must be those that were hashed.
fn line<'a>(parcel: &'a Parcel) -> Result<Line<'a>, Fault> {
    let (file, contents) = (parcel.file, &parcel.contents);
    if parcel.way == Way::Large {
        return Ok(Line::Large { path: &file.name, sha256: &contents.sha256, size: file.bytes });
    }
    let bytes = fs::read(&file.path).map_err(|error| Fault::Failed(format!("cannot read it here: {error}")))?;
    if !file.unchanged() || Contents::of(file, contents.part)?.sha256 != contents.sha256 || bytes.len() as u64 != file.bytes {
        return Err(in_between());
    }
    Ok(Line::Regular { path: &file.name, bytes })
}

/// Parcels in groups, each fit for one commit.
fn groups(parcels: Vec<Parcel>) -> Vec<Vec<Parcel>> {
    let (mut groups, mut bytes): (Vec<Vec<Parcel>>, u64) = (Vec::new(), 0);
    for parcel in parcels {
        let inside = if parcel.way == Way::Large { 0 } else { parcel.file.bytes };
        match groups.last_mut() {
            Some(group) if group.len() < MOST_FILES && bytes + inside <= MOST_BYTES => {
                bytes += inside;
                group.push(parcel);
            }
            _ => {
                bytes = inside;
                groups.push(vec![parcel]);
            }
        }
    }
    groups
}

/// Whether `held` is the file.
fn same(held: &Held, file: &LocalFile, contents: &Contents) -> Result<(), String> {
    let (bytes, found, expected) = match &held.lfs {
        Some(large) => (large.size, &large.oid, &contents.sha256),
        None => (held.size, &held.oid, &contents.git),
    };
    if bytes != file.bytes {
        return Err(format!("it has {bytes} bytes, not {}", file.bytes));
    }
    let found: String = found.chars().filter(|c| !c.is_control()).take(64).collect();
    if found == *expected { Ok(()) } else { Err(format!("its hash is {found}, not {expected}")) }
}
