//! `push` into a store that checks every signature and misbehaves: it pleads overload, hangs up, lies about hashes, loses parts, runs full.

#[path = "support/s3.rs"]
mod s3;
#[path = "support/web.rs"]
mod web;

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use assert_cmd::Command;
use bioscan_hpc::error::Exit;
use bioscan_hpc::transfer::push::{Check, Outcome, Pushed, Request, push};
use predicates::prelude::*;
use predicates::str::contains;
use s3::{SECRET, Store, TOKEN, environment, error};
use tempfile::TempDir;
use web::{Asked, Reply, bytes};

const THERE: Outcome = Outcome::There(Check::Hash);
const SENT: Outcome = Outcome::Sent(Check::Hash);

/// A prepared folder in small: a table, a name with a space and one beyond ASCII, an empty file, one of three parts and a bit.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("images 256")).unwrap();
    fs::write(folder.path().join("README.md"), b"a card").unwrap();
    fs::write(folder.path().join("empty"), b"").unwrap();
    fs::write(folder.path().join("images 256/é+#?%.zip"), bytes(700)).unwrap();
    fs::write(folder.path().join("large.hdf5"), bytes(3_500)).unwrap();
    folder
}

/// Pushes to `s3://insects/v1` in parts of 1,000 bytes.
fn pushed(folder: &Path, store: &Store) -> Vec<Pushed> {
    let to = "s3://insects/v1".parse().unwrap();
    let request = Request {
        folder,
        to: &to,
        endpoint: Some(&store.server.address),
        at_once: 3,
        part: 1_000,
        unit: Duration::from_millis(1),
        variable: environment,
    };
    push(&request).unwrap()
}

fn outcomes(folder: &Path, store: &Store) -> HashMap<String, Outcome> {
    pushed(folder, store).into_iter().map(|file| (file.name, file.outcome)).collect()
}

fn failed(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Failed(why) => why,
        other => panic!("{other:?}"),
    }
}

/// A part's question: its number.
fn part(asked: &Asked) -> Option<&str> {
    asked.field("partNumber").filter(|_| asked.method == "PUT")
}

/// Says yes once.
#[derive(Default)]
struct Once(AtomicBool);

impl Once {
    fn now(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }
}

#[test]
fn the_signatures_are_checked_as_amazon_documents_them() {
    // The example of "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)".
    let asked = Asked {
        method: "GET".into(),
        path: "/test.txt".into(),
        query:
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&\
                X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=unknown"
                .into(),
        headers: HashMap::from([("host".into(), "examplebucket.s3.amazonaws.com".into())]),
        ..Asked::default()
    };
    assert_eq!(s3::signature(&asked, SECRET), "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

#[test]
fn a_folder_arrives_whole_and_is_not_sent_again() {
    let (folder, store) = (folder(), Store::start());
    fs::write(folder.path().join("half.zip.partial"), b"x").unwrap();
    symlink(folder.path().join("README.md"), folder.path().join("link")).unwrap();
    let first = pushed(folder.path(), &store);
    assert!(first.iter().all(|file| file.outcome == SENT), "{first:?}");
    assert_eq!(store.keys(), ["v1/README.md", "v1/empty", "v1/images 256/é+#?%.zip", "v1/large.hdf5"]);
    assert_eq!(store.object("v1/images 256/é+#?%.zip").bytes, bytes(700));
    let large = store.object("v1/large.hdf5");
    assert_eq!(large.bytes, bytes(3_500));
    assert!(large.etag.ends_with("-4") && large.sha256.len() == 64, "{}", large.etag);
    assert!(!folder.path().join(".push.jsonl").exists(), "no note is left of what is whole");
    let before = store.server.asked().len();
    let again = pushed(folder.path(), &store);
    assert!(again.iter().all(|file| file.outcome == THERE), "{again:?}");
    // The list alone, in pages of two.
    assert_eq!(store.server.asked().len() - before, 2);
    // The same length, other bytes: what changed is sent, and nothing else.
    fs::write(folder.path().join("README.md"), b"a Card").unwrap();
    let changed = outcomes(folder.path(), &store);
    assert_eq!((&changed["README.md"], &changed["large.hdf5"]), (&SENT, &THERE));
    assert_eq!(store.object("v1/README.md").bytes, b"a Card");
}

#[test]
fn overload_broken_connections_damage_and_losses_are_mended() {
    let folder = folder();
    let (hang_up, lie, plead, lose) = (Once::default(), Once::default(), Once::default(), Once::default());
    let store = Store::impatient(
        move |asked| (part(asked) == Some("2") && hang_up.now()).then_some(100),
        move |asked, shelf| match (part(asked), asked.method.as_str()) {
            (Some("1"), _) if lie.now() => {
                let other = ("etag", format!("\"{}\"", "0".repeat(32)));
                Some(Reply::new(200, vec![other, ("content-length", "0".into())], b""))
            }
            (None, "PUT") if asked.path.ends_with("README.md") && plead.now() => {
                Some(Reply::new(503, vec![("retry-after", "0".into())], b"<Error><Code>SlowDown</Code></Error>"))
            }
            (None, "POST") if asked.query.contains("uploadId") && lose.now() => {
                shelf.uploads.values_mut().for_each(|upload| drop(upload.parts.remove(&3)));
                None
            }
            _ => None,
        },
    );
    let done = outcomes(folder.path(), &store);
    assert!(done.values().all(|outcome| *outcome == SENT), "{done:?}");
    assert_eq!(store.object("v1/large.hdf5").bytes, bytes(3_500));
    let puts =
        ["README.md", "partNumber=1", "partNumber=2", "partNumber=3", "partNumber=4"].map(|part| store.server.count("PUT", part));
    assert_eq!(puts, [2, 2, 2, 2, 1], "each trouble costs one question more");
}

#[test]
fn a_completion_that_fails_or_whose_answer_is_lost_is_asked_for_again() {
    let folder = folder();
    let completion = |asked: &Asked| asked.method == "POST" && asked.query.contains("uploadId");
    let times = AtomicUsize::new(0);
    let store = Store::mischievous(move |asked, shelf| {
        if !completion(asked) {
            return None;
        }
        match times.fetch_add(1, Ordering::Relaxed) {
            0 => Some(error(500, "InternalError")),
            1 => Some(error(200, "InternalError")),
            // It is done, and the answer never comes: the next try hears that there is no such upload.
            2 => {
                let id = shelf.uploads.keys().next().unwrap().clone();
                let upload = shelf.uploads.remove(&id).unwrap();
                let whole: Vec<u8> = upload.parts.values().flatten().copied().collect();
                let hashes: Vec<u8> =
                    upload.parts.values().flat_map(|part| <md5::Md5 as md5::Digest>::digest(part).to_vec()).collect();
                let etag = format!("{}-4", s3::hex(&<md5::Md5 as md5::Digest>::digest(hashes)));
                shelf.objects.insert(upload.key, s3::Object { bytes: whole, etag, sha256: upload.sha256 });
                Some(error(503, "SlowDown"))
            }
            _ => None,
        }
    });
    let done = outcomes(folder.path(), &store);
    assert_eq!(done["large.hdf5"], SENT);
    assert_eq!(store.object("v1/large.hdf5").bytes, bytes(3_500));
    assert_eq!(store.server.count("PUT", "partNumber"), 4, "no part went twice");
}

#[test]
fn what_broke_off_goes_on_with_the_parts_that_are_missing() {
    let folder = folder();
    let broken = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&broken);
    let store = Store::mischievous(move |asked, _| {
        let refuse = part(asked) == Some("2") && state.load(Ordering::Relaxed);
        refuse.then(|| error(403, "AccessDenied"))
    });
    let first = outcomes(folder.path(), &store);
    assert_eq!(failed(&first["large.hdf5"]), "the keys do not allow it (403 AccessDenied)");
    assert_eq!(first["README.md"], SENT, "what fails stops nothing else");
    assert_eq!(store.server.count("PUT", "partNumber"), 4, "the other parts went all the same");
    broken.store(false, Ordering::Relaxed);
    // Somebody's damage to a part that is there already is seen, too.
    store.shelf.lock().unwrap().uploads.values_mut().for_each(|upload| upload.parts.get_mut(&4).unwrap()[0] ^= 1);
    let second = outcomes(folder.path(), &store);
    assert_eq!((&second["large.hdf5"], &second["README.md"]), (&SENT, &THERE));
    assert_eq!(store.server.count("PUT", "partNumber"), 6, "the second part and the damaged one");
    assert_eq!(store.object("v1/large.hdf5").bytes, bytes(3_500));
    assert_eq!(store.server.count("POST", "uploads="), 1, "the same upload");
}

#[test]
fn what_is_there_afterwards_is_compared() {
    let folder = folder();
    let store = Store::mischievous(|asked, shelf| {
        let object = shelf.objects.get_mut("v1/README.md").filter(|_| asked.method == "HEAD")?;
        object.etag = "0".repeat(32);
        None
    });
    let done = outcomes(folder.path(), &store);
    assert!(matches!(&done["README.md"], Outcome::Wrong(why) if why.contains("its ETag is 00000000")), "{done:?}");
    // A store that encrypts has no MD5 to tell; its word for the length and our note are all there is.
    let store = Store::mischievous(|asked, shelf| {
        let kms = ("x-amz-server-side-encryption", "aws:kms".to_owned());
        let opaque = ("etag", format!("\"{}\"", "f".repeat(32)));
        match asked.method.as_str() {
            "PUT" if part(asked).is_none() => {
                let key = asked.path["/insects/".len()..].to_owned();
                let note = asked.headers["x-amz-meta-sha256"].clone();
                shelf.objects.insert(key, s3::Object { bytes: asked.body.clone(), etag: "f".repeat(32), sha256: note });
                Some(Reply::new(200, vec![kms, opaque, ("content-length", "0".into())], b""))
            }
            "HEAD" => {
                let object = shelf.objects.get(&asked.path["/insects/".len()..])?;
                let (length, note) = (object.bytes.len().to_string(), object.sha256.clone());
                Some(Reply::new(200, vec![kms, opaque, ("content-length", length), ("x-amz-meta-sha256", note)], b""))
            }
            _ => None,
        }
    });
    let small = tempfile::tempdir().unwrap();
    fs::write(small.path().join("a"), b"abc").unwrap();
    assert_eq!(outcomes(small.path(), &store)["a"], Outcome::Sent(Check::Length));
    assert_eq!(outcomes(small.path(), &store)["a"], Outcome::There(Check::Length));
}

#[test]
fn a_file_that_changes_on_its_way_is_not_said_to_be_there() {
    let folder = folder();
    let path = folder.path().join("large.hdf5");
    // A file system tells the times of two writes apart only so finely.
    std::thread::sleep(Duration::from_millis(20));
    let (writer, small) = (path.clone(), folder.path().join("README.md"));
    let store = Store::mischievous(move |asked, _| {
        if part(asked) == Some("1") {
            fs::write(&writer, bytes(3_500).into_iter().rev().collect::<Vec<u8>>()).unwrap();
        }
        if asked.method == "PUT" && asked.path.ends_with("README.md") {
            fs::write(&small, b"another card").unwrap();
        }
        None
    });
    let done = outcomes(folder.path(), &store);
    for name in ["large.hdf5", "README.md"] {
        assert!(failed(&done[name]).starts_with("it changed while it was being sent"), "{done:?}");
    }
    assert!(store.shelf.lock().unwrap().uploads.is_empty(), "halves of two files are of no use to anybody");
    assert!(!store.keys().contains(&"v1/large.hdf5".to_owned()));
}

#[test]
fn a_full_store_is_told_in_words_and_left_in_peace() {
    let folder = tempfile::tempdir().unwrap();
    (0..9).for_each(|name| fs::write(folder.path().join(format!("{name}")), [name; 99]).unwrap());
    for (status, code) in [(507, "XMinioStorageFull"), (403, "QuotaExceeded")] {
        let store = Store::mischievous(move |asked, _| (asked.method == "PUT").then(|| error(status, code)));
        let done = pushed(folder.path(), &store);
        let told = format!("the store is full, or its quota is used up ({status} {code})");
        assert!(done.iter().any(|file| failed(&file.outcome) == told), "{done:?}");
        assert_eq!(failed(&done[8].outcome), format!("not tried: {told}"));
        assert!(store.server.count("PUT", "") <= 3, "no more than were under way");
    }
    // Long trouble is the same: after three files the server is left alone. Each was tried seven times at most, and so were the two that
    // were under way when the third was given up.
    let store = Store::mischievous(|asked, _| (asked.method == "PUT").then(|| Reply::new(503, vec![], b"")));
    let done = pushed(folder.path(), &store);
    assert!(done.iter().all(|file| matches!(file.outcome, Outcome::Failed(_))));
    assert!(store.server.count("PUT", "") <= (3 + 2) * 7, "{}", store.server.count("PUT", ""));
    assert_eq!(failed(&done[8].outcome), "not tried: the server took nothing for a long time");
    // And so it is where it says for how long.
    let rest = || vec![("retry-after", "3600".into())];
    let store = Store::mischievous(move |asked, _| (asked.method == "PUT").then(|| Reply::new(503, rest(), b"")));
    let done = pushed(folder.path(), &store);
    assert!(failed(&done[8].outcome).ends_with("it asks to be left alone for 60 minutes: run this again then"), "{done:?}");
    assert!(store.server.count("PUT", "") <= 3, "no more than were under way");
}

/// The command line, with the keys of the store in its environment and no others.
fn command(folder: &Path, store: &Store, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("bioscan-hpc").unwrap();
    command.arg("push").arg(folder).args(["--to", "s3://insects/v1", "--endpoint", &store.server.address]).args(arguments);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"] {
        command.env(name, environment(name).unwrap());
    }
    for name in ["AWS_SHARED_CREDENTIALS_FILE", "AWS_PROFILE", "AWS_ENDPOINT_URL", "RUST_LOG"] {
        command.env_remove(name);
    }
    command.env("NO_PROXY", "127.0.0.1").env("NO_COLOR", "1");
    command
}

#[test]
fn the_command_says_what_it_did_and_no_secret() {
    let folder = folder();
    let store = Store::mischievous(|asked, _| (asked.path.ends_with("empty")).then(|| error(403, "AccessDenied")));
    let done = command(folder.path(), &store, &["-vv"]).assert().code(4);
    let output = done.get_output();
    let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    assert!(said.contains("README.md: 6 bytes, verified\n"), "{said}");
    assert!(said.contains("empty: FAILED: the keys do not allow it (403 AccessDenied)\n"), "{said}");
    assert!(
        said.contains("s3://insects/v1: 3 files sent (4206 bytes), 0 were there, 1 are not there as they should be\n"),
        "{said}"
    );
    for secret in [SECRET, TOKEN, "X-Amz-Signature", "X-Amz-Credential", "secret-signature"] {
        assert!(!said.contains(secret), "{secret} is in:\n{said}");
    }
    for entry in fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        assert!(!String::from_utf8_lossy(&fs::read(&entry).unwrap()).contains(TOKEN), "{}", entry.display());
    }
    let json = command(folder.path(), &store, &["--json"]).assert().code(4);
    let answer: serde_json::Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    assert_eq!(answer[0], serde_json::json!({"name": "README.md", "bytes": 6, "outcome": {"there": "hash"}}));
    let wrong = Store::mischievous(|asked, _| {
        (asked.method == "HEAD").then(|| Reply::new(200, vec![("content-length", "5".into()), ("etag", "\"x\"".into())], b""))
    });
    command(folder.path(), &wrong, &[])
        .assert()
        .code(i32::from(Exit::Faults.code()))
        .stdout(contains("WRONG: what is there now"));
}

#[test]
fn what_cannot_begin_says_why() {
    let (folder, store) = (folder(), Store::start());
    let plan = command(folder.path(), &store, &["--plan", "--part-mib", "5"]).assert().success();
    plan.stdout(contains("3500       1  v1/large.hdf5").and(contains("to s3://insects/v1: 4 files, 4206 bytes")));
    assert!(store.server.asked().is_empty(), "a plan asks nobody");
    let mut without = command(folder.path(), &store, &[]);
    without.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    without.assert().code(2).stderr(contains("there are no keys for the store"));
    let file = folder.path().join(".credentials");
    fs::write(&file, format!("[default]\naws_access_key_id = x\naws_secret_access_key = {SECRET}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    without.env("AWS_SHARED_CREDENTIALS_FILE", &file);
    without.assert().code(2).stderr(contains("others can read this key (mode 644)").and(contains(SECRET).not()));
    // The right key and a wrong secret: nothing is sent, and it is said whose fault it is.
    let mut wrong = command(folder.path(), &store, &[]);
    wrong.env("AWS_SECRET_ACCESS_KEY", "another");
    wrong.assert().code(6).stderr(contains("the secret key is not the access key's").and(contains(TOKEN).not()));
    // A list that comes to the same page again has no end.
    let circle = Store::mischievous(|asked, _| {
        let inside = "<IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken>";
        let page = format!("<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inside}</ListBucketResult>");
        (asked.method == "GET" && asked.query.contains("list-type")).then(|| Reply::new(200, vec![], page.as_bytes()))
    });
    command(folder.path(), &circle, &[]).assert().code(6).stderr(contains("comes to a page again, and has no end"));
    let elsewhere = ["--to", "ftp://insects"];
    Command::cargo_bin("bioscan-hpc").unwrap().arg("push").arg(folder.path()).args(elsewhere).assert().code(2);
    assert!(store.keys().is_empty());
}
