//! A hub that speaks as much of Hugging Face's interface as `push` needs, with the store behind it at another address, which must see no token.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::web::{Asked, Reply, Server};

pub const HF_TOKEN: &str = "hf_very_secret";

/// Objects longer than this go in parts of this length.
const PART: usize = 1_000;

/// What lies in the repository, and in the store behind it.
#[derive(Debug, Default)]
pub struct Shelf {
    /// As `tree` lists them.
    pub files: BTreeMap<String, Value>,
    pub commits: usize,
    /// By their SHA-256.
    pub objects: BTreeMap<String, Vec<u8>>,
    parts: BTreeMap<String, BTreeMap<usize, Vec<u8>>>,
    pub verified: Vec<String>,
    address: String,
    store: String,
}

impl Shelf {
    pub fn address(&self) -> &str {
        &self.address
    }
}

pub struct Hub {
    pub server: Server,
    pub store: Server,
    pub shelf: Arc<Mutex<Shelf>>,
}

impl Hub {
    /// Both answer with what `mischief` says, if it says anything.
    pub fn mischievous(mischief: impl Fn(&Asked, &mut Shelf) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let shelf: Arc<Mutex<Shelf>> = Arc::default();
        let mischief = Arc::new(mischief);
        let (own, how) = (Arc::clone(&shelf), Arc::clone(&mischief));
        let server = Server::start(move |asked| {
            let mut shelf = own.lock().unwrap();
            if asked.headers.get("authorization").is_none_or(|token| *token != format!("Bearer {HF_TOKEN}")) {
                return said(401, &json!({"error": format!("Invalid token {HF_TOKEN}")}));
            }
            how(asked, &mut shelf).unwrap_or_else(|| serve(asked, &mut shelf))
        });
        let (own, how) = (Arc::clone(&shelf), mischief);
        let store = Server::start(move |asked| {
            let mut shelf = own.lock().unwrap();
            if asked.headers.contains_key("authorization") {
                return Reply::new(400, vec![], b"<Error><Code>InvalidArgument</Code></Error>");
            }
            how(asked, &mut shelf).unwrap_or_else(|| keep(asked, &mut shelf))
        });
        {
            let mut shelf = shelf.lock().unwrap();
            (shelf.address, shelf.store) = (server.address.clone(), store.address.clone());
        }
        Self { server, store, shelf }
    }
}

pub fn said(status: u16, value: &Value) -> Reply {
    let body = value.to_string();
    Reply::new(
        status,
        vec![("content-length", body.len().to_string()), ("content-type", "application/json".into())],
        body.as_bytes(),
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn git_name(bytes: &[u8]) -> String {
    hex(&<Sha1 as sha1::Digest>::digest([format!("blob {}\0", bytes.len()).as_bytes(), bytes].concat()))
}

fn serve(asked: &Asked, shelf: &mut Shelf) -> Reply {
    let body = || serde_json::from_slice::<Value>(&asked.body).unwrap();
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/api/datasets/me/insects/tree/main") => tree(asked, shelf),
        ("POST", "/api/datasets/me/insects/preupload/main") => {
            let mode = |file: &Value| {
                let path = file["path"].as_str().unwrap();
                let large = path.ends_with(".zip") || path.ends_with(".hdf5");
                assert!(file["sample"].is_string() && file["size"].is_u64());
                json!({"path": path, "uploadMode": if large { "lfs" } else { "regular" }, "shouldIgnore": path.ends_with(".log")})
            };
            said(200, &json!({"files": body()["files"].as_array().unwrap().iter().map(mode).collect::<Vec<_>>()}))
        }
        ("POST", "/datasets/me/insects.git/info/lfs/objects/batch") => batch(&body()["objects"][0], shelf),
        ("POST", "/verify") => {
            shelf.verified.push(body()["oid"].as_str().unwrap().to_owned());
            said(200, &json!({}))
        }
        ("POST", "/complete") => {
            let oid = body()["oid"].as_str().unwrap().to_owned();
            let etags: Vec<Value> = body()["parts"].as_array().unwrap().iter().map(|part| part["etag"].clone()).collect();
            let parts = shelf.parts.remove(&oid).unwrap();
            assert!(parts.keys().zip(&etags).all(|(number, etag)| *etag == format!("\"part {number}\"")), "{etags:?}");
            let whole: Vec<u8> = parts.into_values().flatten().collect();
            shelf.objects.insert(hex(&Sha256::digest(&whole)), whole);
            said(200, &json!({}))
        }
        ("POST", "/api/datasets/me/insects/commit/main") => commit(&String::from_utf8_lossy(&asked.body), shelf),
        _ => said(404, &json!({"error": "Not found"})),
    }
}

/// Two to a page.
fn tree(asked: &Asked, shelf: &Shelf) -> Reply {
    let from: usize = asked.field("cursor").map_or(0, |cursor| cursor.parse().unwrap());
    let page: Vec<&Value> = shelf.files.values().skip(from).take(2).collect();
    let mut reply = said(200, &json!(page));
    if from + 2 < shelf.files.len() {
        let next = format!("<{}{}?recursive=true&cursor={}>; rel=\"next\"", shelf.address, asked.path, from + 2);
        reply.headers.push(("link", next));
    }
    reply
}

fn batch(object: &Value, shelf: &Shelf) -> Reply {
    let (oid, size) = (object["oid"].as_str().unwrap(), object["size"].as_u64().unwrap() as usize);
    let at = |part: usize| format!("{}/{oid}/{part}?X-Amz-Signature=secret-signature", shelf.store);
    let actions = if shelf.objects.contains_key(oid) {
        Value::Null
    } else if size > PART {
        let mut header = json!({"chunk_size": PART.to_string()});
        (1..=size.div_ceil(PART)).for_each(|part| header[format!("{part:05}")] = json!(at(part)));
        json!({"upload": {"href": format!("{}/complete", shelf.address), "header": header}})
    } else {
        let verify = json!({"href": format!("{}/verify", shelf.address)});
        json!({"upload": {"href": at(0), "header": {"x-of-the-store": "yes"}}, "verify": verify})
    };
    let mut object = object.clone();
    if !actions.is_null() {
        object["actions"] = actions;
    }
    said(200, &json!({"transfer": "basic", "objects": [object]}))
}

fn keep(asked: &Asked, shelf: &mut Shelf) -> Reply {
    let mut path = asked.path.trim_start_matches('/').split('/');
    let (oid, part) = (path.next().unwrap().to_owned(), path.next().unwrap().parse().unwrap());
    if part == 0 {
        assert_eq!(asked.headers["x-of-the-store"], "yes");
        shelf.objects.insert(hex(&Sha256::digest(&asked.body)), asked.body.clone());
    } else {
        shelf.parts.entry(oid).or_default().insert(part, asked.body.clone());
    }
    Reply::new(200, vec![("etag", format!("\"part {part}\"")), ("content-length", "0".into())], b"")
}

fn commit(lines: &str, shelf: &mut Shelf) -> Reply {
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let (value, path) = (&line["value"], line["value"]["path"].as_str().unwrap_or_default().to_owned());
        match line["key"].as_str().unwrap() {
            "header" => assert!(value["summary"].as_str().unwrap().starts_with("Add ")),
            "file" => {
                let bytes = STANDARD.decode(value["content"].as_str().unwrap()).unwrap();
                let file = json!({"type": "file", "path": path, "oid": git_name(&bytes), "size": bytes.len()});
                shelf.files.insert(path, file);
            }
            "lfsFile" => {
                let oid = value["oid"].as_str().unwrap();
                let Some(object) = shelf.objects.get(oid) else { return said(400, &json!({"error": "no such object"})) };
                let lfs = json!({"oid": oid, "size": object.len(), "pointerSize": 130});
                let file = json!({"type": "file", "path": path, "oid": git_name(b"a pointer"), "size": object.len(), "lfs": lfs});
                shelf.files.insert(path, file);
            }
            other => panic!("{other}"),
        }
    }
    shelf.commits += 1;
    said(200, &json!({"commitOid": "0", "commitUrl": "x"}))
}
