//! one entry of the manifest → its bytes beside where they belong, whole and as published.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, IoContext, Result};
use crate::store::digests::{self, Digests};
use crate::store::{atomic, hash};
use crate::telemetry::Progress;
use crate::transfer::credentials::shown;
use crate::transfer::manifest::Entry;
use crate::transfer::page;
use crate::transfer::plan::unfinished;
use crate::transfer::retry::{self, PATIENCE, Verdict};
use crate::transfer::server::{Answer, Client};
use crate::transfer::verify::difference;

/// A try that came so many bytes further than all before it was no failure, even where it broke off: the next begins to count
/// anew.
const PROGRESS: u64 = 64 << 10;

/// Pages that may stand between an address and its file.
const MOST_PAGES: usize = 3;

/// Longest page that is looked at for a way on.
const LONGEST_PAGE: u64 = 1 << 20;

/// Written beside the bytes that are here: of what they are the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Begun {
    /// blake3 of the address: the address itself may hold a signature.
    source: String,
    validator: Option<String>,
    total: Option<u64>,
}

/// One download.
pub(super) struct Download<'a> {
    pub client: &'a Client,
    pub entry: &'a Entry,
    /// Where the file belongs in the end.
    pub path: PathBuf,
    /// The first wait after a failure.
    pub unit: Duration,
    pub progress: &'a Progress,
}

/// What one question brought.
enum Step {
    /// All bytes are here.
    Whole,
    /// Ask again, after what the server asks for; how many bytes of the file were here before it broke off.
    Again { asked: Option<Duration>, reached: u64, why: String },
    /// Ask at this address instead.
    GoTo(String),
    /// This address is of no use.
    GiveUp(String),
}

impl Download<'_> {
    /// Gathers the bytes and compares them with what is published; leaves them at [`unfinished`]. The inner error says why no address has the
    /// file; the outer one is the disk's.
    pub fn run(&self) -> Result<Result<Digests, String>> {
        let mut reasons = Vec::new();
        for url in &self.entry.urls {
            match self.at_address(url)? {
                Ok(found) => return Ok(Ok(found)),
                Err(reason) => reasons.push(format!("{}: {reason}", shown(url))),
            }
        }
        Ok(Err(reasons.join("; ")))
    }

    fn at_address(&self, url: &str) -> Result<Result<Digests, String>> {
        let (mut address, mut pages, mut failures, mut other) = (url.to_owned(), 0, 0, false);
        // A server that knows no ranges brings the same beginning again and again.
        let mut furthest = 0;
        loop {
            let (asked, why) = match self.step(url, &address)? {
                Step::Whole => {
                    let found = digests::of_file(&self.part())?;
                    match difference(self.entry, &found) {
                        None => return Ok(Ok(found)),
                        // The file may have changed between two ranges; a second time it is another file.
                        Some(what) if other => {
                            self.forget()?;
                            return Ok(Err(format!("what it has is not the published file: {what}")));
                        }
                        Some(what) => {
                            self.forget()?;
                            other = true;
                            (None, what)
                        }
                    }
                }
                Step::GoTo(next) => {
                    pages += 1;
                    if pages > MOST_PAGES {
                        return Ok(Err("page after page, and no file".into()));
                    }
                    address = next;
                    continue;
                }
                Step::GiveUp(reason) => return Ok(Err(reason)),
                Step::Again { asked, reached, why } => {
                    failures = if reached >= furthest + PROGRESS { 0 } else { failures };
                    furthest = furthest.max(reached);
                    (asked, why)
                }
            };
            if let Some(asks) = retry::too_long(asked) {
                return Ok(Err(format!("{why}, and {asks}")));
            }
            failures += 1;
            if failures > PATIENCE {
                return Ok(Err(format!("{why}, {failures} times in a row")));
            }
            let wait = retry::wait(failures, asked, self.unit, &self.entry.name);
            tracing::warn!(file = self.entry.name, "{why}; the next try is in {:.1} s", wait.as_secs_f64());
            std::thread::sleep(wait);
        }
    }

    /// Asks once at `address`; `url` is what the manifest says, and what the bytes here are told by.
    fn step(&self, url: &str, address: &str) -> Result<Step> {
        let source = hash::of_bytes(url.as_bytes());
        // Without a name of its state, and a hash to find out by, nobody can say whether the rest is the same file's.
        let goes_on = |begun: &Begun| begun.source == source && (begun.validator.is_some() || self.entry.has_hash());
        let begun = self.begun()?.filter(goes_on);
        let have = if begun.is_some() { fs::metadata(self.part()).map_or(0, |part| part.len()) } else { 0 };
        let begun = begun.unwrap_or(Begun { source, ..Begun::default() });
        if have > 0 && begun.total == Some(have) {
            return Ok(Step::Whole);
        }
        let again = |asked, why: String| Ok(Step::Again { asked, reached: 0, why });
        let answer = match self.client.get(address, have, begun.validator.as_deref()) {
            Ok(answer) => answer,
            Err(why) => return again(None, why),
        };
        if answer.status == 416 {
            // What is here is longer than what is there: it is the beginning of something else.
            self.forget()?;
            return again(None, "the server has fewer bytes than are here".into());
        }
        match retry::verdict(answer.status, answer.header("retry-after")) {
            Verdict::Later(asked) => return again(asked, format!("the server answers {}", answer.status)),
            Verdict::Never => return Ok(Step::GiveUp(format!("the server answers {}", answer.status))),
            Verdict::Take if answer.is_page() => return Ok(self.behind_page(answer)),
            Verdict::Take => {}
        }
        let (from, total) = match answer.status {
            206 => match answer.range() {
                Some((first, total)) if first == have => (have, total.or(begun.total)),
                _ => {
                    self.forget()?;
                    return again(None, "the server sent another part than was asked for".into());
                }
            },
            _ => (0, answer.header("content-length").and_then(|length| length.parse().ok())),
        };
        if let (Some(published), Some(total)) = (self.entry.bytes, total)
            && published != total
        {
            return Ok(Step::GiveUp(format!("the server's file has {total} bytes, the published one {published}")));
        }
        if from > 0 && (begun.total.is_some() && total != begun.total || !same_state(&begun, &answer)) {
            self.forget()?;
            return again(None, "the file changed on the server".into());
        }
        if from == 0 {
            // The old bytes first: a kill in between must not leave them under the new note.
            remove(&self.part())?;
            let begun = Begun { validator: answer.validator(), total, ..begun };
            let text = serde_json::to_vec(&begun).map_err(|error| Error::library("serde_json", error))?;
            atomic::write(&self.note(), &text)?;
        }
        self.receive(answer, from, total)
    }

    /// Takes the body in from the byte `from` on.
    fn receive(&self, mut answer: Answer, from: u64, total: Option<u64>) -> Result<Step> {
        let part = self.part();
        let mut file = OpenOptions::new().create(true).append(true).open(&part).at("open", &part)?;
        file.set_len(from).at("cut", &part)?;
        let (mut buffer, mut here) = (vec![0; 256 << 10], from);
        let ended = loop {
            match answer.body.read(&mut buffer) {
                Ok(0) => break None,
                Ok(count) => {
                    file.write_all(buffer.get(..count).unwrap_or_default()).at("write", &part)?;
                    here += count as u64;
                    self.progress.advance(count as u64);
                    if total.is_some_and(|total| here > total) {
                        break Some("more bytes came than were promised".to_owned());
                    }
                }
                Err(error) => break Some(format!("the connection broke off ({error})")),
            }
        };
        match (ended, total) {
            (None, None) => Ok(Step::Whole),
            (None, Some(total)) if here == total => Ok(Step::Whole),
            (Some(why), Some(total)) if here > total => {
                self.forget()?;
                Ok(Step::Again { asked: None, reached: 0, why })
            }
            (None, Some(total)) => {
                let why = format!("the connection broke off at {here} of {total} bytes");
                Ok(Step::Again { asked: None, reached: here, why })
            }
            (Some(why), _) => Ok(Step::Again { asked: None, reached: here, why }),
        }
    }

    fn behind_page(&self, answer: Answer) -> Step {
        let mut page = Vec::new();
        let read = answer.body.take(LONGEST_PAGE).read_to_end(&mut page);
        match read.ok().and_then(|_| page::behind(&String::from_utf8_lossy(&page))) {
            Some(next) => Step::GoTo(next),
            None => Step::GiveUp("the server answers with a page, not with the file".into()),
        }
    }

    fn part(&self) -> PathBuf {
        unfinished(&self.path)
    }

    fn note(&self) -> PathBuf {
        let mut name = self.part().into_os_string();
        name.push(".json");
        name.into()
    }

    /// What the bytes here are the beginning of; a note that cannot be read is none.
    fn begun(&self) -> Result<Option<Begun>> {
        match File::open(self.note()) {
            Ok(file) => Ok(serde_json::from_reader(file).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).at("read", self.note()),
        }
    }

    /// Begins anew.
    fn forget(&self) -> Result<()> {
        remove(&self.note())?;
        remove(&self.part())
    }

    /// Makes the bytes the file.
    pub fn publish(&self) -> Result<()> {
        atomic::publish(&self.part(), &self.path)?;
        remove(&self.note())
    }
}

/// Whether a part is of the file whose beginning is here. Where that is known by its date, a part may leave the date out (RFC
/// 9110, 15.3.7).
fn same_state(begun: &Begun, answer: &Answer) -> bool {
    match (&begun.validator, answer.validator()) {
        (Some(known), None) => !known.starts_with('"'),
        // Nobody knows: the hash will tell.
        (None, _) => true,
        (Some(known), Some(named)) => *known == named,
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at("remove", path),
        _ => Ok(()),
    }
}
