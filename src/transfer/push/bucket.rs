//! A folder → objects of an S3 store.
//!
//! The store is asked once what it has, by listing; what differs in length or MD5 is sent, with `Content-MD5`, so that the store itself
//! refuses bytes that were damaged on the way; what it then says it holds is compared once more. Addresses are signed by `rusty-s3`: a signed
//! address is a secret and is shown nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusty_s3::actions::{ListObjectsV2, ListObjectsV2Response};
use rusty_s3::{Bucket, Credentials as Keys, S3Action, UrlStyle};

use crate::error::{Error, Result};
use crate::transfer::credentials::{Credentials, is_loopback, shown};
use crate::transfer::push::contents::{Contents, Slice, hex, in_between};
use crate::transfer::push::files::LocalFile;
use crate::transfer::push::tries::{Fault, Stop, again, in_parallel, taken};
use crate::transfer::push::{Check, Outcome, Work, key, keys, part_of, parts, refusal};
use crate::transfer::server::{Answer, Client, Load, Question};

/// How long a signed address is good for: a question must begin within it.
pub(super) const GOOD_FOR: Duration = Duration::from_secs(3600);

/// Where an object's SHA-256 is noted, for stores that encrypt and so give no hash of their own.
const NOTE: &str = "x-amz-meta-sha256";

/// A store and whoever sends to it.
pub(super) struct Store<'a> {
    pub work: &'a Work<'a>,
    pub client: Client,
    pub bucket: Bucket,
    pub keys: Keys,
    prefix: &'a str,
}

/// What a store says of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held {
    bytes: Option<u64>,
    /// Without its quotes.
    etag: Option<String>,
    sha256: Option<String>,
    /// Its `ETag` is no hash of its bytes.
    encrypted: bool,
}

/// Sends what the bucket lacks.
pub(super) fn push(work: &Work, bucket: &str, prefix: &str) -> Result<Vec<Outcome>> {
    let store = Store::open(work, bucket, prefix)?;
    let there = store.list()?;
    let (small, large): (Vec<usize>, Vec<usize>) =
        (0..work.files.len()).partition(|index| work.files.get(*index).is_some_and(|file| file.bytes <= work.request.part));
    let one = |index: &usize| {
        let outcome = work.files.get(*index).map(|file| store.one(file, &there));
        (*index, Outcome::of(outcome.unwrap_or_else(|| Err(Fault::Failed("it is gone".into())))))
    };
    let mut outcomes = in_parallel(&small, work.request.at_once, one);
    // One after the other: the parts of each take all the connections.
    outcomes.extend(large.iter().map(one));
    outcomes.sort_by_key(|(index, _)| *index);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

impl<'a> Store<'a> {
    fn open(work: &'a Work<'a>, bucket: &str, prefix: &'a str) -> Result<Self> {
        let variable = |name: &str| (work.request.variable)(name).filter(|value| !value.trim().is_empty());
        let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).unwrap_or_else(|| "us-east-1".into());
        let given = work.request.endpoint.map(str::to_owned).or_else(|| variable("AWS_ENDPOINT_URL"));
        // A store of one's own has one host name, as a rule; and of Amazon's certificates none covers a bucket with a dot.
        let plain = bucket.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let style = if given.is_some() || !plain { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let endpoint = given.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let wrong = || {
            Error::usage(format!("{} is no address of a store", shown(&endpoint))).with_help("https://HOST, or http://HOST:PORT")
        };
        if endpoint.starts_with("http://") && !is_loopback(&endpoint) {
            tracing::warn!("{} is not under TLS: what is sent can be read and changed on the way", shown(&endpoint));
        }
        let bucket =
            Bucket::new(endpoint.parse().map_err(|_| wrong())?, style, bucket.to_owned(), region).map_err(|_| wrong())?;
        let keys = keys::keys(work.request.variable)?;
        Ok(Self { work, client: Client::new(Credentials::default()), bucket, keys, prefix })
    }

    /// What the bucket holds below the prefix.
    fn list(&self) -> Result<BTreeMap<String, Held>> {
        let (mut there, mut token, mut seen) = (BTreeMap::new(), None::<String>, BTreeSet::new());
        let refused = |message: &str, help: &str| Error::Server {
            server: shown(self.bucket.base_url().as_str()),
            message: message.to_owned(),
            help: Some(format!("{help}; nothing was sent")),
        };
        loop {
            if token.as_ref().is_some_and(|token| !seen.insert(token.clone())) {
                let message = "the list of what is there comes to a page again, and has no end";
                return Err(refused(message, "the store, or a proxy before it, is at fault"));
            }
            let page = self.page(token.as_deref());
            let help = "the keys must allow listing, reading and writing below the prefix";
            let page = page.map_err(|fault| refused(fault.words(), help))?;
            there.extend(page.contents.into_iter().map(|object| {
                let etag = object.etag.map(|etag| bare(&etag));
                (object.key, Held { bytes: object.size, etag, ..Held::default() })
            }));
            token = page.next_continuation_token;
            if token.is_none() {
                return Ok(there);
            }
        }
    }

    /// The page of the list that `token` leads to, or the first.
    fn page(&self, token: Option<&str>) -> Result<ListObjectsV2Response, Fault> {
        let mut action = self.bucket.list_objects_v2(Some(&self.keys));
        if !self.prefix.is_empty() {
            action.with_prefix(format!("{}/", self.prefix));
        }
        if let Some(token) = token {
            action.with_continuation_token(token);
        }
        self.work.patience.until("the list of what is there", || {
            let text = self.ask("GET", action.sign(GOOD_FOR).as_str(), &[], Load::Nothing)?.text().map_err(again)?;
            ListObjectsV2::parse_response(&text).map_err(|_| again("the store sent no list".into()))
        })
    }

    fn one(&self, file: &LocalFile, there: &BTreeMap<String, Held>) -> Result<Outcome, Fault> {
        let contents = Contents::of(file, part_of(file, self.work.request.part))?;
        let key = key(self.prefix, &file.name);
        if let Some(listed) = there.get(&key).filter(|listed| listed.bytes == Some(file.bytes)) {
            // A list shows no encryption; only the object itself does.
            let check = match same(listed, file, &contents) {
                Ok(check) => Some(check),
                Err(_) => self
                    .work
                    .patience
                    .look(&file.name, || self.head(&key))
                    .ok()
                    .flatten()
                    .and_then(|held| same(&held, file, &contents).ok()),
            };
            if let Some(check) = check {
                self.work.progress.advance(file.bytes);
                return Ok(Outcome::There(check));
            }
        }
        match &contents.parts[..] {
            [md5] => {
                self.work.patience.until(&file.name, || self.put(&key, file, &contents, *md5))?;
                self.work.progress.advance(file.bytes);
            }
            _ => parts::send(self, &key, file, &contents)?,
        }
        self.check(&key, file, &contents).map(Outcome::Sent)
    }

    /// Compares what the store now says it holds.
    pub fn check(&self, key: &str, file: &LocalFile, contents: &Contents) -> Result<Check, Fault> {
        let held = self.work.patience.look(&file.name, || self.head(key));
        let held = held.map_err(|fault| {
            Fault::Failed(format!("it was sent, but what is there could not be looked at: {}", fault.words()))
        })?;
        let same = held.map_or_else(|| Err("nothing".to_owned()), |held| same(&held, file, contents));
        same.map_err(|what| Fault::Wrong(format!("what is there now is not what was sent: {what}")))
    }

    /// What the store says of an object; `None` where it has none.
    fn head(&self, key: &str) -> Result<Option<Held>, Stop> {
        let url = self.bucket.head_object(Some(&self.keys), key).sign(GOOD_FOR);
        let question = Question { method: "HEAD", url: url.as_str(), headers: &[], load: Load::Nothing };
        let answer = self.client.ask(question).map_err(again)?;
        if answer.status == 404 {
            return Ok(None);
        }
        let answer = taken(answer, refusal::of_store)?;
        Ok(Some(Held {
            bytes: answer.header("content-length").and_then(|length| length.parse().ok()),
            etag: answer.header("etag").map(bare),
            sha256: answer.header(NOTE).map(str::to_owned),
            encrypted: is_encrypted(&answer),
        }))
    }

    fn put(&self, key: &str, file: &LocalFile, contents: &Contents, md5: [u8; 16]) -> Result<(), Stop> {
        let mut action = self.bucket.put_object(Some(&self.keys), key);
        action.headers_mut().insert(NOTE, contents.sha256.as_str());
        let note = (NOTE.to_owned(), contents.sha256.clone());
        self.bytes(action.sign(GOOD_FOR).as_str(), vec![note], file, 0..file.bytes, md5).map(drop)
    }

    /// The header that every large object's upload begins with.
    pub fn note(&self, sha256: &str) -> (&'static str, String) {
        (NOTE, sha256.to_owned())
    }

    /// Puts some bytes of `file` whose MD5 is known; the `ETag` that the store gave them, in its quotes.
    pub fn bytes(
        &self,
        url: &str,
        mut headers: Vec<(String, String)>,
        file: &LocalFile,
        range: std::ops::Range<u64>,
        md5: [u8; 16],
    ) -> Result<String, Stop> {
        headers.push(("content-md5".into(), STANDARD.encode(md5)));
        let bytes = range.end - range.start;
        let mut slice = Slice::open(file, range.start, bytes)?;
        let load = if bytes == 0 { Load::Bytes(&[]) } else { Load::Stream(&mut slice, bytes) };
        let answer = self.ask("PUT", url, &headers, load);
        // Looked at first: a store refuses bytes whose MD5 is not what was said, and the reason is here.
        if !file.unchanged() {
            return Err(in_between().into());
        }
        let answer = answer?;
        if slice.finish()? != md5 {
            return Err(in_between().into());
        }
        let etag = answer.header("etag").unwrap_or_default().to_owned();
        if !is_encrypted(&answer) && bare(&etag) != hex(&md5) {
            let words = format!("the store says that it took other bytes than were sent (its ETag is {})", brief(&etag));
            return Err(Stop::Again(None, Fault::Wrong(words)));
        }
        Ok(etag)
    }

    /// Asks, and reads a refusal.
    pub fn ask(&self, method: &'static str, url: &str, headers: &[(String, String)], load: Load) -> Result<Answer, Stop> {
        let answer = self.client.ask(Question { method, url, headers, load }).map_err(again)?;
        taken(answer, refusal::of_store)
    }
}

/// Whether `held` is the file.
fn same(held: &Held, file: &LocalFile, contents: &Contents) -> Result<Check, String> {
    if held.bytes != Some(file.bytes) {
        let bytes = held.bytes.map_or("no length".into(), |bytes| format!("{bytes} bytes"));
        return Err(format!("it has {bytes}, not {}", file.bytes));
    }
    let (etag, expected) = (held.etag.as_deref().unwrap_or_default(), contents.etag());
    match &held.sha256 {
        _ if etag == expected => Ok(Check::Hash),
        Some(noted) if held.encrypted && *noted == contents.sha256 => Ok(Check::Length),
        _ => Err(format!("its ETag is {}, not {expected}", brief(etag))),
    }
}

/// Whether the store encrypts with a key of its own or the user's: then an `ETag` is no MD5, and the store says so.
fn is_encrypted(answer: &Answer) -> bool {
    answer.header("x-amz-server-side-encryption").is_some_and(|how| how.starts_with("aws:kms"))
        || answer.header("x-amz-server-side-encryption-customer-algorithm").is_some()
}

/// An `ETag` without its quotes.
pub(super) fn bare(etag: &str) -> String {
    etag.trim_matches('"').to_ascii_lowercase()
}

fn brief(etag: &str) -> String {
    etag.chars().filter(|c| !c.is_control()).take(64).collect()
}
