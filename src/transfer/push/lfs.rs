//! One file → the large-file store behind a hub, by git-lfs's batch interface and the hub's own transfer in parts.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::transfer::push::contents::{Contents, Slice, in_between};
use crate::transfer::push::files::LocalFile;
use crate::transfer::push::hub::{Hub, LFS};
use crate::transfer::push::tries::{Fault, Patience, Stop, again};
use crate::transfer::server::Load;

#[derive(Deserialize)]
struct Batch {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    actions: Option<Actions>,
    error: Option<Refused>,
}

#[derive(Deserialize)]
struct Refused {
    code: u16,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Actions {
    upload: Option<Action>,
    verify: Option<Action>,
}

#[derive(Deserialize)]
struct Action {
    href: String,
    #[serde(default)]
    header: BTreeMap<String, Value>,
}

/// Sends `file`, unless the store has it; every new try asks for new addresses, since the old may have expired.
pub(super) fn send(hub: &Hub, file: &LocalFile, contents: &Contents, patience: &Patience) -> Result<(), Fault> {
    patience.until(&file.name, || {
        let Some(actions) = batch(hub, file, contents)? else { return Ok(()) };
        let Some(upload) = &actions.upload else { return Ok(()) };
        match upload.header.get("chunk_size").and_then(number) {
            Some(part) if part > 0 => in_parts(hub, file, contents, upload, part)?,
            Some(_) => return Err(again("the hub wants parts of no length".into())),
            None => {
                let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
                let headers: Vec<_> = upload.header.iter().filter_map(text).collect();
                let (_, md5) = put(hub, file, &upload.href, &headers, 0..file.bytes)?;
                if contents.parts != [md5] {
                    return Err(in_between().into());
                }
            }
        }
        if let Some(verify) = &actions.verify {
            let body = json!({"oid": contents.sha256, "size": file.bytes}).to_string();
            hub.post(&verify.href, LFS, body.as_bytes())?;
        }
        Ok(())
    })
}

/// Where the file is to go; `None` where it is there.
fn batch(hub: &Hub, file: &LocalFile, contents: &Contents) -> Result<Option<Actions>, Stop> {
    let body = json!({
        "operation": "upload",
        "transfers": ["basic", "multipart"],
        "hash_algo": "sha256",
        "ref": {"name": hub.branch},
        "objects": [{"oid": contents.sha256, "size": file.bytes}],
    });
    let url = format!("{}/{}.git/info/lfs/objects/batch", hub.endpoint, hub.git);
    let mut answer = hub.post(&url, LFS, body.to_string().as_bytes())?;
    let batch: Batch = hub.json(&mut answer)?;
    let object = batch.objects.into_iter().find(|object| object.oid == contents.sha256);
    let object = object.ok_or_else(|| again("the hub did not say where the file goes".into()))?;
    if let Some(Refused { code, message }) = object.error {
        let refusal = hub.refusal(true, code, &json!({ "error": message }).to_string());
        return Err(if refusal.full { Stop::Full(refusal.why) } else { Stop::Never(Fault::Failed(refusal.why)) });
    }
    Ok(object.actions)
}

/// The hub's transfer in parts: their addresses come as headers named 1, 2, 3, and `href` wants their `ETag`s.
fn in_parts(hub: &Hub, file: &LocalFile, contents: &Contents, upload: &Action, part: u64) -> Result<(), Stop> {
    let mut etags = Vec::new();
    for index in 0..file.bytes.div_ceil(part) {
        let numbered = |(name, value): (&String, &Value)| {
            name.parse::<u64>().is_ok_and(|number| number == index + 1).then(|| value.as_str().map(str::to_owned)).flatten()
        };
        let url = upload.header.iter().find_map(numbered);
        let url = url.ok_or_else(|| again("the hub did not say where every part goes".into()))?;
        let range = index * part..((index + 1) * part).min(file.bytes);
        let (etag, _) = put(hub, file, &url, &[], range)?;
        let etag = etag.ok_or_else(|| again("the store behind the hub did not say what it took".into()))?;
        etags.push(json!({"partNumber": index + 1, "etag": etag}));
    }
    // The parts are not those that were hashed: the whole is read once more.
    if Contents::of(file, contents.part)?.sha256 != contents.sha256 {
        return Err(in_between().into());
    }
    let body = json!({"oid": contents.sha256, "parts": etags}).to_string();
    hub.post(&upload.href, LFS, body.as_bytes()).map(drop)
}

/// Puts some bytes; the `ETag` that the store gives them, and their MD5.
fn put(
    hub: &Hub,
    file: &LocalFile,
    url: &str,
    headers: &[(String, String)],
    range: std::ops::Range<u64>,
) -> Result<(Option<String>, [u8; 16]), Stop> {
    let bytes = range.end - range.start;
    let mut slice = Slice::open(file, range.start, bytes)?;
    let answer = hub.ask("PUT", url, headers, Load::Stream(&mut slice, bytes));
    if !file.unchanged() {
        return Err(in_between().into());
    }
    let answer = answer?;
    let md5 = slice.finish()?;
    Ok((answer.header("etag").map(str::to_owned), md5))
}

/// A number, or its digits.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
