//! a list of files → those files here: several at a time, each on its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use serde::Serialize;

use crate::error::{IoContext, Result};
use crate::store::digests::{self, Digests};
use crate::store::journal;
use crate::store::lock::Lock;
use crate::telemetry::Progress;
use crate::transfer::credentials::Credentials;
use crate::transfer::download::Download;
use crate::transfer::manifest::Entry;
use crate::transfer::plan::{ARRIVED, Arrival, State, changed, plan};
use crate::transfer::server::Client;
use crate::transfer::verify::difference;

/// What to fetch.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Which files.
    pub entries: &'a [&'a Entry],
    /// Where to. The folder is owned while files arrive.
    pub folder: &'a Path,
    /// How many at a time: servers are shared.
    pub at_once: usize,
    /// The first wait after a failure; it doubles with each.
    pub unit: Duration,
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fetched {
    /// Its name in the manifest.
    pub name: String,
    /// Where it is, or would be.
    pub path: PathBuf,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was here.
    Here,
    /// It was here, and its published hash agrees.
    Checked,
    /// It was here, and no hash of it is published: nobody can say whether it is whole.
    Unverified,
    /// It came; so many bytes, and whether a published hash agrees (otherwise its length alone does).
    Arrived {
        /// Its length.
        bytes: u64,
        /// Whether a published hash agrees.
        verified: bool,
    },
    /// It did not come, and this is why.
    Failed(String),
}

/// Fetches what is missing. A file that cannot be had stops no other; a full disk stops all.
pub fn fetch(request: Request) -> Result<Vec<Fetched>> {
    fs::create_dir_all(request.folder).at("create the folder", request.folder)?;
    let _owned = Lock::acquire(request.folder)?;
    let plan = plan(request.entries, request.folder)?;
    if let Some(warning) = &plan.warning {
        tracing::warn!("{warning}");
    }
    let client = Client::new(Credentials::from_environment()?);
    let progress = Progress::start(plan.bytes, "bytes");
    let queue = Mutex::new(plan.files.iter().enumerate());
    let results: Mutex<Vec<(usize, Result<Fetched>)>> = Mutex::new(Vec::new());
    let arrivals = Mutex::new(request.folder.join(ARRIVED));
    let work = || {
        while let Some((index, (entry, state))) = lock(&queue).next() {
            let fetched = one(&request, &client, &progress, entry, *state, &arrivals);
            let failed = fetched.is_err();
            lock(&results).push((index, fetched));
            if failed {
                // The disk is what failed: the others would fail on it, too.
                lock(&queue).by_ref().for_each(drop);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..request.at_once.max(1) {
            scope.spawn(work);
        }
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, fetched)| fetched).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn one(
    request: &Request,
    client: &Client,
    progress: &Progress,
    entry: &Entry,
    state: State,
    arrivals: &Mutex<PathBuf>,
) -> Result<Fetched> {
    let path = request.folder.join(&entry.path);
    let done = |outcome| Ok(Fetched { name: entry.name.clone(), path: path.clone(), outcome });
    match state {
        State::Here => return done(Outcome::Here),
        // A length alone proves little, and nothing proves nothing: it is noted as no arrival, and said again the next time.
        State::Unchecked if !entry.has_hash() => {
            let bytes = fs::metadata(&path).at("look at", &path)?.len();
            return done(match entry.bytes.filter(|published| *published != bytes) {
                Some(published) => Outcome::Failed(not_replaced(&format!("it has {bytes} bytes, not {published}"))),
                None => Outcome::Unverified,
            });
        }
        State::Unchecked => {
            let found = digests::of_file(&path)?;
            // Whoever put it there may want it: it is said, and not replaced.
            if let Some(what) = difference(entry, &found) {
                return done(Outcome::Failed(not_replaced(&what)));
            }
            arrived(arrivals, entry, &path, &found)?;
            return done(Outcome::Checked);
        }
        State::Begun(_) | State::Missing => {}
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).at("create the folder", folder)?;
    }
    let download = Download { client, entry, path: path.clone(), unit: request.unit, progress };
    match download.run()? {
        Err(reason) => done(Outcome::Failed(reason)),
        Ok(found) => {
            download.publish()?;
            arrived(arrivals, entry, &path, &found)?;
            done(Outcome::Arrived { bytes: found.bytes, verified: entry.has_hash() })
        }
    }
}

fn not_replaced(what: &str) -> String {
    format!("a file of this name is here, but {what}; remove it to fetch the published one")
}

/// Notes that the file at `path` is whole.
fn arrived(arrivals: &Mutex<PathBuf>, entry: &Entry, path: &Path, found: &Digests) -> Result<()> {
    let changed = changed(&fs::metadata(path).at("look at", path)?);
    let (md5, sha256) = (Some(found.md5.clone()), Some(found.sha256.clone()));
    let arrival = Arrival { path: entry.path.clone(), bytes: found.bytes, changed, md5, sha256 };
    journal::append(&lock(arrivals), &arrival)
}
