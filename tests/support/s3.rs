//! A store that speaks as much S3 as `push` needs, checks every signature, and misbehaves where a test asks it to.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use sha2::Sha256;

use crate::web::{Asked, Reply, Server};

/// The keys of everybody here; these are Amazon's own example.
pub const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub const TOKEN: &str = "session-token-of-a-test";

/// The environment of a push to the store.
pub fn environment(name: &str) -> Option<String> {
    let value = match name {
        "AWS_ACCESS_KEY_ID" => KEY,
        "AWS_SECRET_ACCESS_KEY" => SECRET,
        "AWS_SESSION_TOKEN" => TOKEN,
        "AWS_REGION" => "ca-central-1",
        _ => return None,
    };
    Some(value.to_owned())
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    pub bytes: Vec<u8>,
    pub etag: String,
    pub sha256: String,
}

#[derive(Clone, Debug, Default)]
pub struct Upload {
    pub key: String,
    pub sha256: String,
    /// By their numbers, from 1.
    pub parts: BTreeMap<u16, Vec<u8>>,
}

/// What the store holds.
#[derive(Debug, Default)]
pub struct Shelf {
    pub objects: BTreeMap<String, Object>,
    pub uploads: BTreeMap<String, Upload>,
    begun: usize,
}

pub struct Store {
    pub server: Server,
    pub shelf: Arc<Mutex<Shelf>>,
}

impl Store {
    pub fn start() -> Self {
        Self::mischievous(|_, _| None)
    }

    /// One that answers with what `mischief` says, if it says anything.
    pub fn mischievous(mischief: impl Fn(&Asked, &mut Shelf) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self::impatient(|_| None, mischief)
    }

    /// The same, and it hangs up where `patience` says.
    pub fn impatient(
        patience: impl Fn(&Asked) -> Option<usize> + Send + Sync + 'static,
        mischief: impl Fn(&Asked, &mut Shelf) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let own = Arc::clone(&shelf);
        let server = Server::start_impatient(patience, move |asked| {
            let mut shelf = own.lock().unwrap();
            if !is_signed(asked) {
                return error(403, "SignatureDoesNotMatch");
            }
            mischief(asked, &mut shelf).unwrap_or_else(|| serve(asked, &mut shelf))
        });
        Self { server, shelf }
    }

    pub fn keys(&self) -> Vec<String> {
        self.shelf.lock().unwrap().objects.keys().cloned().collect()
    }

    pub fn object(&self, key: &str) -> Object {
        self.shelf.lock().unwrap().objects.get(key).cloned().unwrap_or_default()
    }
}

/// An error as S3 puts it, with what must never be shown.
pub fn error(status: u16, code: &str) -> Reply {
    let body =
        format!("<Error><Code>{code}</Code><SignatureProvided>secret-signature {SECRET} {TOKEN}</SignatureProvided></Error>");
    Reply::new(status, vec![], body.as_bytes())
}

fn serve(asked: &Asked, shelf: &mut Shelf) -> Reply {
    let Some(key) = decoded(&asked.path).strip_prefix("/insects/").map(str::to_owned) else { return error(404, "NoSuchBucket") };
    let note = asked.headers.get("x-amz-meta-sha256").cloned().unwrap_or_default();
    let md5_said = asked.headers.get("content-md5");
    if md5_said.is_some_and(|said| *said != STANDARD.encode(Md5::digest(&asked.body))) {
        return error(400, "BadDigest");
    }
    let upload = asked.field("uploadId").map(decoded);
    match (asked.method.as_str(), upload) {
        ("GET", None) => list(asked, shelf),
        ("HEAD", None) => match shelf.objects.get(&key) {
            None => Reply::new(404, vec![], b""),
            Some(object) => {
                let length = object.bytes.len().to_string();
                let etag = ("etag", format!("\"{}\"", object.etag));
                Reply::new(200, vec![etag, ("content-length", length), ("x-amz-meta-sha256", object.sha256.clone())], b"")
            }
        },
        ("PUT", None) => {
            let etag = hex(&Md5::digest(&asked.body));
            shelf.objects.insert(key, Object { bytes: asked.body.clone(), etag: etag.clone(), sha256: note });
            Reply::new(200, vec![("etag", format!("\"{etag}\"")), ("content-length", "0".into())], b"")
        }
        ("POST", None) => {
            shelf.begun += 1;
            let id = format!("upload {}", shelf.begun);
            shelf.uploads.insert(id.clone(), Upload { key, sha256: note, parts: BTreeMap::new() });
            xml("InitiateMultipartUploadResult", &format!("<UploadId>{id}</UploadId>"))
        }
        (_, Some(id)) if !shelf.uploads.contains_key(&id) => error(404, "NoSuchUpload"),
        ("PUT", Some(id)) => {
            let number = asked.field("partNumber").unwrap().parse().unwrap();
            let etag = hex(&Md5::digest(&asked.body));
            shelf.uploads.get_mut(&id).unwrap().parts.insert(number, asked.body.clone());
            Reply::new(200, vec![("etag", format!("\"{etag}\"")), ("content-length", "0".into())], b"")
        }
        ("GET", Some(id)) => list_parts(asked, &shelf.uploads[&id]),
        ("POST", Some(id)) => together(asked, &id, shelf),
        ("DELETE", Some(id)) => {
            shelf.uploads.remove(&id);
            Reply::new(204, vec![], b"")
        }
        _ => error(400, "InvalidRequest"),
    }
}

/// Two to a page, so that pages must be followed.
fn list(asked: &Asked, shelf: &Shelf) -> Reply {
    let (prefix, after) = (asked.field("prefix").map(decoded), asked.field("continuation-token").map(decoded));
    let matching = |key: &&String| {
        prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix)) && after.as_ref().is_none_or(|after| *key > after)
    };
    let keys: Vec<&String> = shelf.objects.keys().filter(matching).collect();
    let mut body = String::from("<EncodingType>url</EncodingType>");
    for key in keys.iter().take(2) {
        let object = &shelf.objects[*key];
        let key: String = key
            .bytes()
            .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect();
        body += &format!(
            "<Contents><Key>{key}</Key><ETag>&quot;{}&quot;</ETag><Size>{}</Size></Contents>",
            object.etag,
            object.bytes.len()
        );
    }
    let more = keys.len() > 2;
    let token = if more { format!("<NextContinuationToken>{}</NextContinuationToken>", keys[1]) } else { String::new() };
    xml("ListBucketResult", &format!("{body}<IsTruncated>{more}</IsTruncated>{token}"))
}

/// Two to a page, too.
fn list_parts(asked: &Asked, upload: &Upload) -> Reply {
    let after: u16 = asked.field("part-number-marker").map_or(0, |marker| marker.parse().unwrap());
    let parts: Vec<_> = upload.parts.iter().filter(|(number, _)| **number > after).collect();
    let part = |(number, bytes): &(&u16, &Vec<u8>)| {
        let etag = hex(&Md5::digest(bytes));
        format!(
            "<Part><PartNumber>{number}</PartNumber><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>\"{etag}\"</ETag><Size>{}</Size></Part>",
            bytes.len()
        )
    };
    let body: String = parts.iter().take(2).map(part).collect();
    let more = parts.len() > 2;
    let next = parts.get(1).map_or(0, |(number, _)| **number);
    xml(
        "ListPartsResult",
        &format!(
            "<NextPartNumberMarker>{next}</NextPartNumberMarker><MaxParts>2</MaxParts><IsTruncated>{more}</IsTruncated>{body}"
        ),
    )
}

fn together(asked: &Asked, id: &str, shelf: &mut Shelf) -> Reply {
    let wanted = String::from_utf8_lossy(&asked.body).matches("<Part>").count();
    let upload = &shelf.uploads[id];
    if (1..=wanted).any(|number| !upload.parts.contains_key(&u16::try_from(number).unwrap())) {
        return error(400, "InvalidPart");
    }
    let Upload { key, sha256, parts } = shelf.uploads.remove(id).unwrap();
    let hashes: Vec<u8> = parts.values().flat_map(|part| Md5::digest(part).to_vec()).collect();
    let etag = format!("{}-{}", hex(&Md5::digest(hashes)), parts.len());
    let bytes = parts.into_values().flatten().collect();
    shelf.objects.insert(key, Object { bytes, etag: etag.clone(), sha256 });
    xml("CompleteMultipartUploadResult", &format!("<ETag>\"{etag}\"</ETag>"))
}

fn xml(name: &str, inside: &str) -> Reply {
    let body = format!("<?xml version=\"1.0\"?><{name} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inside}</{name}>");
    Reply::new(200, vec![("content-length", body.len().to_string())], body.as_bytes())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decoded(text: &str) -> String {
    let (mut out, mut bytes) = (Vec::new(), text.bytes());
    while let Some(byte) = bytes.next() {
        let digits: Option<Vec<u8>> = (byte == b'%').then(|| bytes.by_ref().take(2).collect());
        out.push(digits.map_or(byte, |digits| u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()));
    }
    String::from_utf8(out).unwrap()
}

/// Whether the question is signed by our keys, over all that must be signed: every `x-amz-` header, the token.
fn is_signed(asked: &Asked) -> bool {
    let signed = asked.field("X-Amz-SignedHeaders").map(decoded).unwrap_or_default();
    let own = |name: &&String| name.starts_with("x-amz-");
    asked.field("X-Amz-Security-Token") == Some(TOKEN)
        && asked.headers.keys().filter(own).all(|name| signed.split(';').any(|signed| signed == name))
        && asked.field("X-Amz-Signature").is_some_and(|said| said == signature(asked, SECRET))
}

/// Signature Version 4 of an address, as Amazon's "Authenticating Requests: Using Query Parameters" spells it out.
pub fn signature(asked: &Asked, secret: &str) -> String {
    let field = |name: &str| decoded(asked.field(name).unwrap_or_default());
    let mut query: Vec<&str> = asked.query.split('&').filter(|pair| !pair.starts_with("X-Amz-Signature=")).collect();
    query.sort_unstable();
    let signed = field("X-Amz-SignedHeaders");
    let headers: String =
        signed.split(';').map(|name| format!("{name}:{}\n", asked.headers.get(name).map_or("", |value| value))).collect();
    let canonical = format!("{}\n{}\n{}\n{headers}\n{signed}\nUNSIGNED-PAYLOAD", asked.method, asked.path, query.join("&"));
    let credential = field("X-Amz-Credential");
    let scope = credential.split_once('/').map_or("", |(_, scope)| scope);
    let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", field("X-Amz-Date"), hex(&Sha256::digest(canonical)));
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part.as_bytes()));
    hex(&hmac(&key, text.as_bytes()))
}

/// RFC 2104 with SHA-256, for keys of at most 64 bytes.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let pad = |with: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect() };
    let inner = Sha256::digest([&pad(0x36)[..], text].concat());
    Sha256::digest([&pad(0x5c)[..], &inner[..]].concat()).to_vec()
}
