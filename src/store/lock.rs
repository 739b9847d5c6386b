//! a folder → its one owner (contract 9).
//!
//! A file that is there or not names the owner; no `flock`, because shared file systems differ in what they make of it. It is
//! written beside and linked to its name, which fails where the name is taken: so nobody ever reads half of it. An owner that is
//! provably dead is replaced, aloud; one that cannot be judged from here counts as alive.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, IoContext, Result};

const NAME: &str = ".lock";

/// A lock that cannot be read was torn by a crash if it is older than this; before, somebody may still be writing it.
const TORN_AFTER: Duration = Duration::from_mins(1);

/// Who owns a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    host: String,
    pid: u32,
    /// Clock ticks from boot to the start of the process: tells a reused pid from the old process.
    started: Option<u64>,
    job: Option<String>,
    restart: u64,
}

impl Owner {
    fn me() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let job = match (variable("SLURM_ARRAY_JOB_ID"), variable("SLURM_ARRAY_TASK_ID")) {
            (Some(array), Some(task)) => Some(format!("{array}_{task}")),
            _ => variable("SLURM_JOB_ID"),
        };
        let pid = std::process::id();
        let restart = variable("SLURM_RESTART_COUNT").and_then(|count| count.parse().ok()).unwrap_or(0);
        Self { host: host(), pid, started: start_of(pid), job, restart }
    }

    /// Whether the owner can be shown to be gone, seen from `me`; `forgotten` says whether Slurm knows no such job.
    fn is_gone(&self, me: &Self, forgotten: impl Fn(&str) -> bool) -> bool {
        if self.host == me.host {
            return start_of(self.pid).is_none_or(|now| self.started.is_some_and(|then| then != now));
        }
        match &self.job {
            // The same job started again elsewhere: Slurm never runs two lives of one job at once.
            Some(job) if me.job.as_ref() == Some(job) => self.restart < me.restart,
            Some(job) => forgotten(job),
            None => false,
        }
    }

    fn describe(&self) -> String {
        let job = self.job.as_ref().map(|job| format!(", job {job}")).unwrap_or_default();
        format!("process {} on {}{job}", self.pid, self.host)
    }
}

/// Ownership of a folder, given back when dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    owner: Owner,
}

impl Lock {
    /// Takes `folder`, making it where needed. Another live owner is [`Error::Owned`]; a dead one is replaced.
    pub fn acquire(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).at("create the folder", folder)?;
        let path = folder.join(NAME);
        let me = Owner::me();
        // Two attempts: a dead owner's file is moved away once; whoever then finds a new one has lost the race.
        for _ in 0..2 {
            match create(&path, &me) {
                Ok(()) => return Ok(Self { path, owner: me }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let Some(owner) = read(&path)? else { continue };
                    if !owner.is_gone(&me, slurm_has_forgotten) {
                        return Err(Error::Owned { path: folder.to_owned(), owner: owner.describe() });
                    }
                    tracing::warn!(folder = %folder.display(), owner = owner.describe(), "taking over from an owner that is gone");
                    evict(&path, &owner, me.pid)?;
                }
                // The new owner of the folder took what we had written for a leftover.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).at("create", &path),
            }
        }
        Err(Error::Owned { path: folder.to_owned(), owner: "a process that took it just now".into() })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if matches!(read(&self.path), Ok(Some(owner)) if owner == self.owner) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Who owns `folder`, in words; `None` where nobody does, or an owner that can be shown to be gone.
pub fn owner_of(folder: &Path) -> Result<Option<String>> {
    owner_unless(folder, slurm_has_forgotten)
}

/// As [`owner_of`], for whoever looks at many folders and has asked Slurm once for all: `forgotten` says whether it knows no such job.
pub fn owner_unless(folder: &Path, forgotten: impl Fn(&str) -> bool) -> Result<Option<String>> {
    let Some(owner) = read(&folder.join(NAME))? else { return Ok(None) };
    Ok((!owner.is_gone(&Owner::me(), forgotten)).then(|| owner.describe()))
}

/// Makes the lock `path` with all that it says, unless it is there.
fn create(path: &Path, me: &Owner) -> io::Result<()> {
    // Threads of one process may want the same folder.
    static MADE: AtomicU64 = AtomicU64::new(0);
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    // Named as all that is unfinished, so that the next owner removes what a kill leaves.
    let written = path.with_file_name(format!("{NAME}.{}.{}.{made}.part", me.host, me.pid));
    let write = |mut file: File| file.write_all(serde_json::to_string(me)?.as_bytes()).and_then(|()| file.sync_all());
    let linked = File::create(&written).and_then(write).and_then(|()| match fs::hard_link(&written, path) {
        // A file system without links: whoever reads it half-written sees that it is new.
        Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) => {
            File::create_new(path).and_then(write)
        }
        linked => linked,
    });
    let _ = fs::remove_file(&written);
    linked
}

/// Moves the dead owner's file away; puts it back if it turns out to be somebody else's by now.
fn evict(path: &Path, dead: &Owner, pid: u32) -> Result<()> {
    let aside = path.with_extension(format!("{pid}.stale"));
    match fs::rename(path, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.at("move", path)?,
    }
    if read(&aside)?.as_ref() != Some(dead) {
        let _ = fs::hard_link(&aside, path);
    }
    fs::remove_file(&aside).at("remove", &aside)
}

/// The owner named in a lock file; `None` where the file is gone. One that cannot be parsed is somebody's whom nobody can judge,
/// until its age shows that a crash tore it.
fn read(path: &Path) -> Result<Option<Owner>> {
    let read = fs::read(path).and_then(|text| match serde_json::from_slice(&text) {
        Ok(owner) => Ok(owner),
        Err(_) => {
            // A time ahead of ours is that of a server whose clock is.
            let age = fs::metadata(path)?.modified()?.elapsed().unwrap_or_default();
            let host = if age > TORN_AFTER { host() } else { "a host that is just writing its name".into() };
            Ok(Owner { host, pid: 0, started: None, job: None, restart: 0 })
        }
    });
    match read {
        Ok(owner) => Ok(Some(owner)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at("read", path),
    }
}

fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned()).unwrap_or_else(|_| "unknown host".into())
}

/// When process `pid` of this host started; `None` where there is none (or only its zombie).
fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name may hold spaces and parentheses, so count from the last closing one: state is field 3, start time 22.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (state != "Z" && state != "X").then(|| fields.nth(18)?.parse().ok()).flatten()
}

/// Whether Slurm answers and knows no such job.
fn slurm_has_forgotten(job: &str) -> bool {
    let Ok(answer) = Command::new("squeue").args(["-h", "-o", "%T", "-j", job]).env_remove("SQUEUE_FORMAT").output() else {
        return false;
    };
    let unknown = String::from_utf8_lossy(&answer.stderr).contains("Invalid job id");
    unknown || (answer.status.success() && answer.stdout.iter().all(u8::is_ascii_whitespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_owner_keeps_its_folder_and_gives_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::acquire(folder.path()).unwrap();
        let error = Lock::acquire(folder.path()).unwrap_err();
        assert!(matches!(&error, Error::Owned { owner, .. } if owner.contains(&std::process::id().to_string())));
        drop(lock);
        drop(Lock::acquire(folder.path()).unwrap());
    }

    #[test]
    fn a_dead_owner_is_replaced_and_so_is_a_reused_pid() {
        let folder = tempfile::tempdir().unwrap();
        for owner in [
            Owner { pid: u32::MAX, ..Owner::me() },
            Owner { started: Some(1), ..Owner::me() },
            Owner { host: "elsewhere".into(), job: Some("7".into()), ..Owner::me() },
        ] {
            let me = Owner { job: Some("7".into()), restart: 1, ..Owner::me() };
            assert!(owner.is_gone(&me, |_| false), "{owner:?}");
        }
        fs::write(folder.path().join(NAME), serde_json::to_string(&Owner { pid: u32::MAX, ..Owner::me() }).unwrap()).unwrap();
        drop(Lock::acquire(folder.path()).unwrap());
    }

    #[test]
    fn a_lock_that_cannot_be_read_is_somebodys_until_it_is_a_minute_old() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        for torn in [&b""[..], b"{\"host\": \"el", b"\0\xff"] {
            fs::write(&path, torn).unwrap();
            assert!(matches!(Lock::acquire(folder.path()).unwrap_err(), Error::Owned { .. }));
            let old = std::time::SystemTime::now() - 2 * TORN_AFTER;
            File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
            drop(Lock::acquire(folder.path()).unwrap());
        }
    }

    #[test]
    fn of_many_that_want_a_folder_at_once_one_gets_it_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..20 {
            let locks: Vec<Result<Lock>> = std::thread::scope(|scope| {
                let takers: Vec<_> = (0..8).map(|_| scope.spawn(|| Lock::acquire(folder.path()))).collect();
                takers.into_iter().map(|taker| taker.join().unwrap()).collect()
            });
            assert_eq!(locks.iter().flatten().count(), 1);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn an_owner_on_another_host_counts_as_alive() {
        let elsewhere = Owner { host: "elsewhere".into(), job: None, ..Owner::me() };
        assert!(!elsewhere.is_gone(&Owner::me(), |_| true));
    }

    #[test]
    fn an_owner_on_another_host_is_gone_once_slurm_knows_its_job_no_more() {
        let elsewhere = Owner { host: "elsewhere".into(), job: Some("7_3".into()), ..Owner::me() };
        assert!(elsewhere.is_gone(&Owner::me(), |job| job == "7_3"));
        assert!(!elsewhere.is_gone(&Owner::me(), |_| false));
    }
}
