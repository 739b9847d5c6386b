//! `fetch` against servers that misbehave: they cut connections, lie about lengths, plead overload, change their files, lead in circles.

#[path = "support/web.rs"]
mod web;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assert_cmd::Command;
use bioscan_hpc::store::digests;
use bioscan_hpc::transfer::{Entry, Fetched, Outcome, Request, fetch};
use predicates::prelude::*;
use predicates::str::contains;
use web::{Asked, Reply, Server, bytes};

fn entry_at(server: &Server, name: &str) -> Entry {
    Entry {
        name: name.into(),
        path: format!("{name}.bin").into(),
        urls: vec![format!("{}/{name}", server.address)],
        bytes: None,
        about_bytes: None,
        md5: None,
        sha256: None,
        verified: false,
    }
}

fn md5(bytes: &[u8]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x"), bytes).unwrap();
    Some(digests::of_file(&folder.path().join("x")).unwrap().md5)
}

fn get(folder: &Path, entries: &[&Entry]) -> Vec<Outcome> {
    let request = Request { entries, folder, at_once: 2, unit: Duration::from_millis(1) };
    fetch(request).unwrap().into_iter().map(|Fetched { outcome, .. }| outcome).collect()
}

fn arrived(bytes: &[u8], verified: bool) -> Outcome {
    Outcome::Arrived { bytes: bytes.len() as u64, verified }
}

/// Names in a folder, without the list of arrivals.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "fetched.jsonl");
    names.sort();
    names
}

#[test]
fn a_whole_file_is_verified_and_not_taken_again() {
    let (folder, data) = (tempfile::tempdir().unwrap(), bytes(300_000));
    let sent = data.clone();
    let server = Server::start(move |asked| Reply::good(asked, &sent, "\"a\""));
    let entry = Entry { md5: md5(&data), bytes: Some(300_000), ..entry_at(&server, "a") };
    assert_eq!(get(folder.path(), &[&entry]), [arrived(&data, true)]);
    assert_eq!(fs::read(folder.path().join("a.bin")).unwrap(), data);
    assert_eq!(get(folder.path(), &[&entry]), [Outcome::Here]);
    assert_eq!(server.asked().len(), 1);
    assert_eq!(names(folder.path()), ["a.bin"], "nothing else is left behind");
    // Somebody's own copy is looked at, and one that is something else is said so and kept.
    fs::write(folder.path().join("a.bin"), b"mine").unwrap();
    assert!(matches!(&get(folder.path(), &[&entry])[..], [Outcome::Failed(why)] if why.contains("it has 4 bytes, not 300000")));
    assert_eq!(fs::read(folder.path().join("a.bin")).unwrap(), b"mine");
}

#[test]
fn cut_connections_go_on_where_they_broke() {
    let (folder, data) = (tempfile::tempdir().unwrap(), bytes(1_000_000));
    let sent = data.clone();
    let server = Server::start(move |asked| Reply::good(asked, &sent, "\"a\"").cut(300_000));
    let entry = Entry { md5: md5(&data), ..entry_at(&server, "a") };
    assert_eq!(get(folder.path(), &[&entry]), [arrived(&data, true)]);
    assert_eq!(server.ranges("/a"), [0, 300_000, 600_000, 900_000]);
}

#[test]
fn overload_is_waited_for_and_what_is_gone_is_not() {
    let (folder, data) = (tempfile::tempdir().unwrap(), bytes(10));
    let sent = data.clone();
    let server = Server::start(move |asked| match (asked.path.as_str(), asked.before) {
        ("/gone", _) => Reply::new(404, vec![], b""),
        ("/busy", 0) => Reply::new(429, vec![("retry-after", "0".into())], b""),
        ("/busy", 1) => Reply::new(503, vec![], b"<html>later</html>"),
        _ => Reply::good(asked, &sent, "\"a\""),
    });
    let (busy, gone) = (entry_at(&server, "busy"), entry_at(&server, "gone"));
    let mirrored =
        Entry { urls: vec![format!("{}/gone", server.address), format!("{}/here", server.address)], ..entry_at(&server, "m") };
    let outcomes = get(folder.path(), &[&gone, &busy, &mirrored]);
    assert!(matches!(&outcomes[0], Outcome::Failed(why) if why.ends_with("/gone: the server answers 404")), "{outcomes:?}");
    assert_eq!(outcomes[1..], [arrived(&data, false), arrived(&data, false)]);
    assert_eq!((server.ranges("/gone").len(), server.ranges("/busy").len()), (2, 3));
}

#[test]
fn a_file_that_changes_in_between_is_never_a_mixture() {
    let (old, new) = (bytes(400_000), bytes(800_000)[400_000..].to_vec());
    for honest in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (first, then) = (old.clone(), new.clone());
        let server = Server::start(move |asked| match asked.before {
            0 => Reply::good(asked, &first, "\"old\"").cut(200_000),
            _ if honest => Reply::good(asked, &then, "\"new\""),
            // A server that knows no If-Range sends the second half of another file.
            _ => Reply::good(&Asked { headers: HashMap::new(), ..asked.clone() }, &then, "\"new\""),
        });
        let entry = Entry { md5: md5(&new), ..entry_at(&server, "a") };
        assert_eq!(get(folder.path(), &[&entry]), [arrived(&new, true)], "honest: {honest}");
        assert_eq!(fs::read(folder.path().join("a.bin")).unwrap(), new);
        assert_eq!(server.ranges("/a"), if honest { vec![0, 200_000] } else { vec![0, 200_000, 0] });
    }
}

#[test]
fn without_a_hash_no_part_of_another_file_is_joined_on() {
    let (old, new) = (bytes(400_000), bytes(800_000)[400_000..].to_vec());
    for named in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (first, then) = (old.clone(), new.clone());
        let server = Server::start(move |asked| {
            // It knows no If-Range; and says of which file a part is, or not even that.
            let deaf = Asked { headers: HashMap::new(), ..asked.clone() };
            let mut reply = match asked.before {
                0 => Reply::good(&deaf, &first, "\"old\"").cut(200_000),
                _ => Reply::good(&deaf, &then, "\"new\""),
            };
            reply.headers.retain(|(name, _)| named || *name != "etag");
            reply
        });
        assert_eq!(get(folder.path(), &[&entry_at(&server, "a")]), [arrived(&new, false)], "named: {named}");
        assert_eq!(fs::read(folder.path().join("a.bin")).unwrap(), new);
        assert_eq!(server.ranges("/a"), if named { vec![0, 200_000, 0] } else { vec![0, 0] });
    }
}

#[test]
fn a_server_without_ranges_that_always_breaks_off_is_given_up() {
    let (folder, data) = (tempfile::tempdir().unwrap(), bytes(1_000_000));
    let sent = data.clone();
    let server = Server::start(move |asked| Reply::good(&Asked { from: 0, ..asked.clone() }, &sent, "\"a\"").cut(300_000));
    let entry = Entry { md5: md5(&data), ..entry_at(&server, "a") };
    assert!(matches!(&get(folder.path(), &[&entry])[..], [Outcome::Failed(why)] if why.contains("times in a row")));
    assert_eq!(server.asked().len(), 7);
}

#[test]
fn a_server_that_wants_a_long_rest_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_| Reply::new(429, vec![("retry-after", "86400".into())], b""));
    let outcome = &get(folder.path(), &[&entry_at(&server, "a")])[0];
    assert!(
        matches!(outcome, Outcome::Failed(why)
            if why.ends_with("answers 429, and it asks to be left alone for 1440 minutes: run this again then")),
        "{outcome:?}"
    );
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn what_nothing_is_published_of_is_not_called_checked() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_| Reply::new(404, vec![], b""));
    let entry = entry_at(&server, "a");
    fs::write(folder.path().join("a.bin"), b"").unwrap();
    // Nor is it the second time, when it could be taken for an arrival.
    for _ in 0..2 {
        assert_eq!(get(folder.path(), &[&entry]), [Outcome::Unverified]);
    }
    let sized = Entry { bytes: Some(7), ..entry };
    assert!(matches!(&get(folder.path(), &[&sized])[..], [Outcome::Failed(why)] if why.contains("it has 0 bytes, not 7")));
    assert!(server.asked().is_empty());
}

#[test]
fn lies_about_length_and_content_fail_without_leaving_anything_visible() {
    let (folder, data) = (tempfile::tempdir().unwrap(), bytes(1_000));
    let sent = data.clone();
    let server = Server::start(move |asked| match asked.path.as_str() {
        "/short" => Reply::new(200, vec![("content-length", "2000".into())], &sent),
        "/other" => Reply::good(asked, &sent[..999], "\"a\""),
        "/shrunk" if asked.from > 0 => Reply::new(416, vec![], b""),
        "/shrunk" => Reply::new(200, vec![("content-length", "2000".into())], &sent),
        _ => Reply::good(asked, &sent, "\"a\""),
    });
    let published = |name: &str| Entry { md5: md5(&data), ..entry_at(&server, name) };
    let sized = Entry { bytes: Some(1_000), ..published("other") };
    let hashed = Entry { path: "hashed.bin".into(), ..published("other") };
    let outcomes = get(folder.path(), &[&published("short"), &sized, &hashed, &published("shrunk"), &published("good")]);
    let why = |index: usize| match &outcomes[index] {
        Outcome::Failed(why) => why.as_str(),
        other => panic!("{other:?}"),
    };
    assert!(why(0).contains("broke off") && why(0).contains("times in a row"), "{}", why(0));
    assert!(why(1).ends_with("the server's file has 999 bytes, the published one 1000"), "{}", why(1));
    assert!(why(2).contains("what it has is not the published file: its MD5 is"), "{}", why(2));
    assert!(why(3).contains("times in a row"), "{}", why(3));
    assert_eq!(outcomes[4], arrived(&data, true), "what fails stops nothing else");
    assert!(names(folder.path()).iter().all(|name| name == "good.bin" || name.starts_with('.')), "{:?}", names(folder.path()));
}

#[test]
fn redirects_are_followed_but_not_in_circles() {
    let (folder, data) = (tempfile::tempdir().unwrap(), bytes(1_000));
    let sent = data.clone();
    let server = Server::start(move |asked| match asked.path.as_str() {
        "/a" => Reply::new(302, vec![("location", "/b/c?signature=secret".into())], b""),
        "/b/c" => Reply::new(307, vec![("location", "d".into())], b""),
        "/b/d" => Reply::good(asked, &sent, "\"a\""),
        "/out" => Reply::new(302, vec![("location", "file:///etc/passwd".into())], b""),
        _ => Reply::new(301, vec![("location", "/circle".into())], b""),
    });
    let outcomes = get(folder.path(), &[&entry_at(&server, "a"), &entry_at(&server, "circle"), &entry_at(&server, "out")]);
    assert_eq!(outcomes[0], arrived(&data, false));
    assert!(matches!(&outcomes[1], Outcome::Failed(why) if why.contains("more than 10 redirects")), "{outcomes:?}");
    assert!(matches!(&outcomes[2], Outcome::Failed(why) if why.contains("a redirect to file:///etc/passwd")), "{outcomes:?}");
}

#[test]
fn the_page_before_a_large_file_is_passed_and_any_other_page_is_no_file() {
    let (folder, data) = (tempfile::tempdir().unwrap(), bytes(1_000_000));
    let sent = data.clone();
    let address: Arc<Mutex<String>> = Arc::default();
    let own = Arc::clone(&address);
    let server = Server::start(move |asked| {
        let html = ("content-type", "text/html; charset=utf-8".to_owned());
        let form = format!(
            r#"<form id="download-form" action="{}/download" method="get"><input type="hidden" name="id" value="1"></form>"#,
            own.lock().unwrap()
        );
        match asked.path.as_str() {
            "/drive" => Reply::new(200, vec![html], form.as_bytes()),
            "/quota" => Reply::new(200, vec![html], b"<html>Too many users have viewed this file</html>"),
            _ => Reply::good(asked, &sent, "\"a\"").cut(600_000),
        }
    });
    *address.lock().unwrap() = server.address.clone();
    let outcomes = get(folder.path(), &[&entry_at(&server, "drive"), &entry_at(&server, "quota")]);
    assert_eq!(outcomes[0], arrived(&data, false));
    assert_eq!(server.ranges("/download"), [0, 600_000]);
    assert!(matches!(&outcomes[1], Outcome::Failed(why) if why.contains("with a page, not with the file")), "{outcomes:?}");
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("bioscan-hpc").unwrap();
    command.arg("fetch").args(arguments).arg("--to").arg(folder.join("data"));
    command.env_remove("RUST_LOG").env("NO_PROXY", "127.0.0.1").env("NO_COLOR", "1");
    command
}

fn manifest(folder: &Path, entry: &Entry) -> String {
    let path = folder.join("files.toml");
    let (url, md5) = (&entry.urls[0], entry.md5.as_deref().unwrap());
    fs::write(&path, format!("[[file]]\nname = \"a\"\npath = \"deep/a.bin\"\nurls = [\"{url}\"]\nmd5 = \"{md5}\"\n")).unwrap();
    path.display().to_string()
}

#[test]
fn a_killed_fetch_goes_on_and_a_token_is_shown_to_no_stranger() {
    let (folder, data) = (tempfile::tempdir().unwrap(), bytes(2_000_000));
    let sent = data.clone();
    let server = Server::start(move |asked| {
        if asked.before == 0 {
            let reply = Reply::good(asked, &sent, "\"a\"").cut(1_000_000);
            return Reply { headers: reply.headers, body: reply.body, status: 200 };
        }
        // The second answer is long in coming: there the kill falls.
        if asked.before == 1 {
            std::thread::sleep(Duration::from_secs(600));
        }
        Reply::good(asked, &sent, "\"a\"")
    });
    let files = manifest(folder.path(), &Entry { md5: md5(&data), ..entry_at(&server, "a") });
    let mut first = std::process::Command::new(env!("CARGO_BIN_EXE_bioscan-hpc"));
    first.args(["fetch", "--manifest", &files, "--to"]).arg(folder.path().join("data")).env("NO_PROXY", "127.0.0.1");
    let mut first = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while server.asked().len() < 2 {
        std::thread::sleep(Duration::from_millis(10));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(!folder.path().join("data/deep/a.bin").exists());
    command(folder.path(), &["--manifest", &files, "--plan"]).assert().success().stdout(contains("(1000000 bytes are here)"));
    let mut again = command(folder.path(), &["--manifest", &files, "-vv"]);
    let done = again.env("HF_TOKEN", "hf_very_secret").assert().success().stdout("a: 2000000 bytes, verified\n");
    assert!(!String::from_utf8_lossy(&done.get_output().stderr).contains("hf_very_secret"));
    assert_eq!(fs::read(folder.path().join("data/deep/a.bin")).unwrap(), data);
    assert_eq!(server.ranges("/a"), [0, 1_000_000, 1_000_000]);
    assert!(server.asked().iter().all(|asked| !asked.headers.contains_key("authorization")));
    command(folder.path(), &["--manifest", &files]).assert().success().stdout("a: was here\n");
}

#[test]
fn the_published_files_are_planned_without_a_network_and_names_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let chunks = command(folder.path(), &["bioscan-1m/original_full", "--plan"]).assert().success();
    chunks.stdout(
        contains("part113.zip")
            .and(contains("to come: 723200000000 bytes; 113 new files\nneeds 723.2 GB and 113 files; usual quotas on"))
            .and(contains("project 1 TB and 500,000 files a group, scratch 20 TB and 1,000,000 files a user\n")),
    );
    let plan = command(folder.path(), &["bioscan-1m/metadata", "--plan"]).assert().success();
    plan.stdout(
        contains("bioscan-1m/metadata")
            .and(contains("about 1230000000  unverified MD5"))
            .and(contains("to come: 1230000000 bytes; 1 new files\nneeds 1.2 GB and 1 files; usual quotas on")),
    );
    let plan = command(folder.path(), &["bioscan-1m/cropped_256", "--plan"]).assert().success();
    plan.stdout(contains("files of unknown length").and(contains("needs at least ")));
    command(folder.path(), &["bioscan-2m"]).assert().code(2).stderr(contains("no file is called").and(contains("valid are")));
    assert!(!folder.path().join("data").exists());
    let server = Server::start(|_| Reply::new(404, vec![], b""));
    let files = manifest(folder.path(), &Entry { md5: md5(b""), ..entry_at(&server, "a") });
    command(folder.path(), &["--manifest", &files]).assert().code(4).stdout(contains("a: FAILED: http://127.0.0.1"));
}
