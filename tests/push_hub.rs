//! `push` into a hub of Hugging Face's kind, which misbehaves; the real one was never asked.

#[path = "support/hub.rs"]
mod hub;
#[path = "support/web.rs"]
mod web;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use assert_cmd::Command;
use bioscan_hpc::transfer::push::{Check, Outcome, Pushed, Request, push};
use hub::{HF_TOKEN, Hub, said};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::json;
use tempfile::TempDir;
use web::{Reply, bytes};

const THERE: Outcome = Outcome::There(Check::Hash);
const SENT: Outcome = Outcome::Sent(Check::Hash);

/// A table and an empty file for git itself; a small archive and one of three parts and a bit for the large-file store.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("images 256")).unwrap();
    fs::write(folder.path().join("README.md"), b"a card").unwrap();
    fs::write(folder.path().join("empty.zip"), b"").unwrap();
    fs::write(folder.path().join("images 256/é.zip"), bytes(700)).unwrap();
    fs::write(folder.path().join("large.hdf5"), bytes(3_500)).unwrap();
    folder
}

fn outcomes(folder: &Path, hub: &Hub) -> BTreeMap<String, Outcome> {
    let to = "hf://datasets/me/insects".parse().unwrap();
    let request = Request {
        folder,
        to: &to,
        endpoint: Some(&hub.server.address),
        at_once: 2,
        part: 1_000,
        unit: Duration::from_millis(1),
        variable: |name| (name == "HF_TOKEN").then(|| HF_TOKEN.to_owned()),
    };
    push(&request).unwrap().into_iter().map(|Pushed { name, outcome, .. }| (name, outcome)).collect()
}

fn failed(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Failed(why) | Outcome::Wrong(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_folder_arrives_whole_and_is_not_sent_again() {
    let (folder, hub) = (folder(), Hub::mischievous(|_, _| None));
    let done = outcomes(folder.path(), &hub);
    assert!(done.len() == 4 && done.values().all(|outcome| *outcome == SENT), "{done:?}");
    {
        let shelf = hub.shelf.lock().unwrap();
        assert_eq!(shelf.files.keys().collect::<Vec<_>>(), ["README.md", "empty.zip", "images 256/é.zip", "large.hdf5"]);
        assert!(shelf.files["large.hdf5"]["lfs"].is_object() && shelf.files["empty.zip"]["lfs"].is_null());
        let objects: Vec<&Vec<u8>> = shelf.objects.values().collect();
        assert!(objects.contains(&&bytes(700)) && objects.contains(&&bytes(3_500)));
        assert_eq!((shelf.commits, shelf.verified.len()), (1, 1));
    }
    assert!(hub.store.asked().iter().all(|asked| !asked.headers.contains_key("authorization")));
    let before = (hub.server.asked().len(), hub.store.asked().len());
    assert!(outcomes(folder.path(), &hub).values().all(|outcome| *outcome == THERE));
    // Two pages of the list, and nothing else.
    assert_eq!((hub.server.asked().len() - before.0, hub.store.asked().len() - before.1), (2, 0));
    fs::write(folder.path().join("README.md"), b"a Card").unwrap();
    let changed = outcomes(folder.path(), &hub);
    assert_eq!((&changed["README.md"], &changed["large.hdf5"]), (&SENT, &THERE));
}

#[test]
fn trouble_of_the_hub_and_of_the_store_behind_it_is_waited_for() {
    let folder = folder();
    let tries = [const { AtomicUsize::new(0) }; 3];
    let hub = Hub::mischievous(move |asked, _| {
        let first = |index: usize| tries[index].fetch_add(1, Ordering::Relaxed) == 0;
        if asked.path.ends_with("/commit/main") && first(0) {
            return Some(said(500, &json!({"error": "Internal"})));
        }
        if asked.path.ends_with("/preupload/main") && first(1) {
            return Some(Reply::new(429, vec![("retry-after", "0".into())], b""));
        }
        (asked.path.ends_with("/2") && first(2)).then(|| Reply::new(503, vec![], b""))
    });
    let done = outcomes(folder.path(), &hub);
    assert!(done.values().all(|outcome| *outcome == SENT), "{done:?}");
    // An address may have expired by the next try: new ones are asked for.
    assert_eq!(hub.server.count("POST", "objects/batch"), 3);
}

#[test]
fn what_the_hub_leaves_out_refuses_or_lists_otherwise_is_told() {
    let folder = folder();
    fs::write(folder.path().join("a.log"), b"x").unwrap();
    let hub = Hub::mischievous(|asked, shelf| {
        if asked.method == "GET"
            && let Some(card) = shelf.files.get_mut("README.md")
        {
            card["oid"] = json!("0".repeat(40));
        }
        let batch = asked.path.ends_with("/batch") && String::from_utf8_lossy(&asked.body).contains("\"size\":700");
        let error = json!({"code": 422, "message": format!("no {HF_TOKEN} here")});
        let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        batch.then(|| said(200, &json!({"objects": [{"oid": body["objects"][0]["oid"], "size": 700, "error": error}]})))
    });
    let done = outcomes(folder.path(), &hub);
    assert_eq!(failed(&done["a.log"]), "the repository's own .gitignore leaves it out");
    assert_eq!(failed(&done["images 256/é.zip"]), "the hub refused (422: no (secret) here)");
    assert!(matches!(&done["README.md"], Outcome::Wrong(why) if why.contains("its hash is 00000000")), "{done:?}");
    assert_eq!(done["large.hdf5"], SENT, "what fails stops nothing else");
    let full = Hub::mischievous(|asked, _| {
        let error = json!({"error": "Private repository storage limit reached"});
        asked.path.ends_with("/commit/main").then(|| said(403, &error))
    });
    let done = outcomes(folder.path(), &full);
    assert!(failed(&done["README.md"]).starts_with("the hub has no more room for this account (403"), "{done:?}");
    // A list that leads in a circle has no end.
    let circle = Hub::mischievous(|asked, shelf| {
        let next = |page: &str| format!("<{}{}?cursor={page}>; rel=\"next\"", shelf.address(), asked.path);
        let mut reply = said(200, &json!([]));
        reply.headers.push(("link", next(if asked.field("cursor") == Some("a") { "b" } else { "a" })));
        asked.path.contains("/tree/").then_some(reply)
    });
    command(folder.path(), &circle).assert().code(6).stderr(contains("comes to a page again, and has no end"));
}

fn command(folder: &Path, hub: &Hub) -> Command {
    let mut command = Command::cargo_bin("bioscan-hpc").unwrap();
    command.arg("push").arg(folder).args(["--to", "hf://datasets/me/insects", "-vv"]);
    command.env("HF_ENDPOINT", &hub.server.address).env("HF_TOKEN", HF_TOKEN).env_remove("RUST_LOG");
    command.env("NO_PROXY", "127.0.0.1").env("NO_COLOR", "1");
    command
}

#[test]
fn the_command_shows_the_token_to_the_hub_alone() {
    let (folder, hub) = (folder(), Hub::mischievous(|_, _| None));
    let quiet = || contains(HF_TOKEN).not().and(contains("secret-signature").not());
    let done = command(folder.path(), &hub).assert().success().stderr(quiet()).stdout(quiet());
    done.stdout(contains("hf://datasets/me/insects@main: 4 files sent (4206 bytes), 0 were there"));
    // However much is asked to be logged: the client writes its requests out in rows of a few bytes, so any piece is too much.
    let mut loud = command(folder.path(), &hub);
    for filter in ["trace", "ureq_proto::util=trace,ureq::run=debug"] {
        let loud = loud.env("RUST_LOG", filter).assert().success();
        let said = String::from_utf8_lossy(&loud.get_output().stderr).into_owned();
        let pieces: Vec<String> = HF_TOKEN.as_bytes().windows(6).map(|piece| String::from_utf8_lossy(piece).into()).collect();
        assert!(!pieces.iter().any(|piece| said.contains(piece)), "{filter}: {said}");
    }
    // The hub repeats the token in its refusal; that is taken out.
    let mut wrong = command(folder.path(), &hub);
    wrong.env("HF_TOKEN", "hf_another");
    wrong.assert().code(6).stderr(contains("the hub does not take the token (401").and(contains("hf_another").not()));
    let mut none = command(folder.path(), &hub);
    none.env_remove("HF_TOKEN").env_remove("HF_TOKEN_PATH");
    none.assert().code(2).stderr(contains("there is no token for the hub"));
    let mut elsewhere = Command::cargo_bin("bioscan-hpc").unwrap();
    elsewhere.arg("push").arg(folder.path()).args(["--to", "hf://datasets/me/others", "--endpoint", &hub.server.address]);
    elsewhere
        .env("HF_TOKEN", HF_TOKEN)
        .assert()
        .code(6)
        .stderr(contains("there is no such repository").and(contains("nothing was sent")));
}
