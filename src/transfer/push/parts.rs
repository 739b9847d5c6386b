//! A large file → an object that is sent in parts.
//!
//! The upload's name is noted in the folder, hidden, before the first part goes: the next push asks the store which parts it has, takes those
//! whose length and MD5 are right, and sends the rest. What no push ever ends stays in the store until its rules clean it up.

use std::path::PathBuf;

use rusty_s3::S3Action;
use rusty_s3::actions::{CompleteMultipartUpload, CompleteMultipartUploadResponse, CreateMultipartUpload, ListParts};
use serde::{Deserialize, Serialize};

use crate::store::journal;
use crate::transfer::push::bucket::{GOOD_FOR, Store, bare};
use crate::transfer::push::contents::{Contents, hex, in_between};
use crate::transfer::push::files::LocalFile;
use crate::transfer::push::refusal;
use crate::transfer::push::tries::{Fault, Stop, again, in_parallel, stop};
use crate::transfer::server::{Load, Question};

/// The list of uploads under way, in the folder that is pushed.
pub(super) const NOTES: &str = ".push.jsonl";

/// So often a store may lose parts, or a whole upload, before it is given up.
const ROUNDS: usize = 3;

/// An upload that was begun, or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Begun {
    /// The object's address.
    to: String,
    /// What is sent there, and how it is cut.
    sha256: String,
    part: u64,
    /// The store's name for it; `None` once it is over.
    upload: Option<String>,
}

/// What became of putting the parts together.
enum Together {
    Done,
    /// The store lacks a part, or knows nothing of the upload any more: its code for that.
    Lost(String),
}

/// Sends `file` to `key`; what is there afterwards is for the caller to check.
pub(super) fn send(store: &Store, key: &str, file: &LocalFile, contents: &Contents) -> Result<(), Fault> {
    let upload = Upload { store, key, file, contents };
    let mut lost = String::new();
    for round in 0..ROUNDS {
        let (id, mut etags) = upload.begin()?;
        let missing: Vec<usize> =
            (0..contents.parts.len()).filter(|index| etags.get(*index).is_some_and(Option::is_none)).collect();
        let bytes = |index: usize| upload.range(index).end - upload.range(index).start;
        if round == 0 {
            let here: u64 = (0..contents.parts.len()).filter(|index| !missing.contains(index)).map(bytes).sum();
            store.work.progress.advance(here);
        }
        let sent = in_parallel(&missing, store.work.request.at_once, |index| upload.part(&id, *index).map(|etag| (*index, etag)));
        let mut fault = None;
        for result in sent {
            match result {
                Ok((index, etag)) => {
                    etags.get_mut(index).into_iter().for_each(|place| *place = Some(etag.clone()));
                    store.work.progress.advance(if round == 0 { bytes(index) } else { 0 });
                }
                Err(other) => fault = fault.or(Some(other)),
            }
        }
        if !file.unchanged() {
            // Half of one file and half of another: no later push could use them.
            upload.abort(&id);
            return Err(in_between());
        }
        // The parts that did arrive are kept for the next push.
        if let Some(fault) = fault {
            return Err(fault);
        }
        let etags: Vec<String> = etags.into_iter().flatten().collect();
        match store.work.patience.until(&file.name, || upload.together(&id, &etags))? {
            Together::Done => {
                upload.note(None);
                return Ok(());
            }
            Together::Lost(code) => lost = code,
        }
        if lost == "NoSuchUpload" {
            // It may be over because an earlier answer, that it is done, was lost on the way.
            upload.note(None);
            if store.check(key, file, contents).is_ok() {
                return Ok(());
            }
        }
        tracing::warn!(file = file.name, "the store lost some of it ({lost}); what is missing is sent again");
    }
    Err(Fault::Failed(format!("the store lost parts of it {ROUNDS} times ({lost})")))
}

struct Upload<'a> {
    store: &'a Store<'a>,
    key: &'a str,
    file: &'a LocalFile,
    contents: &'a Contents,
}

impl Upload<'_> {
    /// The bytes of a part, counted from 0.
    fn range(&self, index: usize) -> std::ops::Range<u64> {
        let from = index as u64 * self.contents.part;
        from..(from + self.contents.part).min(self.file.bytes)
    }

    /// The name of an upload, an earlier one's or a new one's, and the `ETag`s of the parts that are there.
    fn begin(&self) -> Result<(String, Vec<Option<String>>), Fault> {
        let (store, patience) = (self.store, self.store.work.patience);
        if let Some(id) = self.noted()
            && let Some(etags) = patience.until(&self.file.name, || self.there(&id))?
        {
            return Ok((id, etags));
        }
        let (name, sha256) = store.note(&self.contents.sha256);
        let mut action = CreateMultipartUpload::new(&store.bucket, Some(&store.keys), self.key);
        action.headers_mut().insert(name, sha256.as_str());
        let headers = [(name.to_owned(), sha256.clone())];
        let id = patience.until(&self.file.name, || {
            let text = store.ask("POST", action.sign(GOOD_FOR).as_str(), &headers, Load::Bytes(&[]))?.text().map_err(again)?;
            let begun =
                CreateMultipartUpload::parse_response(&text).map_err(|_| again("the store did not name the upload".into()))?;
            Ok(begun.upload_id().to_owned())
        })?;
        self.note(Some(id.clone()));
        Ok((id, vec![None; self.contents.parts.len()]))
    }

    /// Which parts the store has, as they should be; `None` where it knows no such upload.
    fn there(&self, id: &str) -> Result<Option<Vec<Option<String>>>, Stop> {
        let (mut etags, mut marker) = (vec![None; self.contents.parts.len()], None);
        loop {
            let mut action = ListParts::new(&self.store.bucket, Some(&self.store.keys), self.key, id);
            if let Some(marker) = marker {
                action.set_part_number_marker(marker);
            }
            let url = action.sign(GOOD_FOR);
            let question = Question { method: "GET", url: url.as_str(), headers: &[], load: Load::Nothing };
            let mut answer = self.store.client.ask(question).map_err(again)?;
            let text = answer.text().map_err(again)?;
            match answer.status {
                404 => return Ok(None),
                200..300 => {}
                status => return Err(stop(&answer, refusal::of_store(status, &text))),
            }
            let page = ListParts::parse_response(&text).map_err(|_| again("the store sent no list of parts".into()))?;
            for part in page.parts {
                let index = usize::from(part.number).wrapping_sub(1);
                let right = self.contents.parts.get(index).is_some_and(|md5| hex(md5) == bare(&part.etag));
                let range = self.range(index.min(self.contents.parts.len()));
                if right && part.size == range.end - range.start {
                    etags.get_mut(index).into_iter().for_each(|place| *place = Some(part.etag.clone()));
                }
            }
            // A marker that does not move would lead in a circle.
            match page.next_part_number_marker.filter(|next| marker.is_none_or(|marker| *next > marker)) {
                Some(next) => marker = Some(next),
                None => return Ok(Some(etags)),
            }
        }
    }

    fn part(&self, id: &str, index: usize) -> Result<String, Fault> {
        let (store, md5) = (self.store, self.contents.parts.get(index).copied().unwrap_or_default());
        let number = u16::try_from(index + 1).map_err(|_| Fault::Failed("it has too many parts".into()))?;
        store.work.patience.until(&format!("{}, part {number}", self.file.name), || {
            let action = store.bucket.upload_part(Some(&store.keys), self.key, number, id);
            store.bytes(action.sign(GOOD_FOR).as_str(), Vec::new(), self.file, self.range(index), md5)
        })
    }

    fn together(&self, id: &str, etags: &[String]) -> Result<Together, Stop> {
        let etags = etags.iter().map(String::as_str);
        let action = CompleteMultipartUpload::new(&self.store.bucket, Some(&self.store.keys), self.key, id, etags);
        let url = action.sign(GOOD_FOR);
        let body = action.body();
        let question = Question { method: "POST", url: url.as_str(), headers: &[], load: Load::Bytes(body.as_bytes()) };
        let mut answer = self.store.client.ask(question).map_err(again)?;
        let text = answer.text().map_err(again)?;
        let code = refusal::code(&text).unwrap_or_default().to_owned();
        match answer.status {
            // Amazon answers 200 before it knows, and may then say that it failed.
            200..300 if CompleteMultipartUploadResponse::parse(&text).is_ok() => Ok(Together::Done),
            200..300 => Err(again(format!("the store could not put the parts together ({code})"))),
            _ if ["InvalidPart", "InvalidPartOrder", "NoSuchUpload"].contains(&code.as_str()) => Ok(Together::Lost(code)),
            status => Err(stop(&answer, refusal::of_store(status, &text))),
        }
    }

    /// Tells the store to forget it all; a failure leaves garbage that its rules clean up.
    fn abort(&self, id: &str) {
        let action = self.store.bucket.abort_multipart_upload(Some(&self.store.keys), self.key, id);
        if self.store.ask("DELETE", action.sign(GOOD_FOR).as_str(), &[], Load::Nothing).is_err() {
            tracing::warn!(file = self.file.name, "the store still keeps the parts of an upload that will never end");
        }
        self.note(None);
    }

    fn notes(&self) -> PathBuf {
        self.store.work.request.folder.join(NOTES)
    }

    fn begun(&self, upload: Option<String>) -> Begun {
        let to = format!("{}{}", self.store.bucket.base_url(), self.key);
        Begun { to, sha256: self.contents.sha256.clone(), part: self.contents.part, upload }
    }

    /// The upload of the same bytes, cut the same, that an earlier push did not end.
    fn noted(&self) -> Option<String> {
        let notes: Vec<Begun> = journal::read(&self.notes()).unwrap_or_default();
        let same = |note: &&Begun| Begun { upload: None, ..(*note).clone() } == self.begun(None);
        notes.iter().rev().find(same).and_then(|note| note.upload.clone())
    }

    /// Notes that an upload was begun, or is over. Without the note the next push begins anew, and that is all.
    fn note(&self, upload: Option<String>) {
        if self.store.work.remember
            && let Err(error) = journal::append(&self.notes(), &self.begun(upload))
        {
            tracing::warn!(file = self.file.name, "where this upload stands could not be noted: {error}");
        }
    }
}
