//! The questions of the Hugging Face Hub's HTTP interface, and what of its answers is believed.
//!
//! The facts are those of its documentation and of its own client, `huggingface_hub` 2.4: `preupload` says whether a file goes into git itself
//! or into its large-file store, `commit` takes lines of JSON, `tree` lists what is there. The token goes to the hub's own host alone.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use crate::error::{Error, Result};
use crate::transfer::credentials::{Credentials, HUGGING_FACE, origin, shown};
use crate::transfer::page::escaped;
use crate::transfer::push::Kind;
use crate::transfer::push::refusal;
use crate::transfer::push::tries::{Fault, Patience, Refusal, Stop, again, taken};
use crate::transfer::server::{Answer, Client, Load, Question};

/// Files of one `preupload` at most, as the hub's own client has it.
pub(super) const MOST_ASKED: usize = 256;

/// A repository on a hub, and whoever pushes to it.
pub(super) struct Hub {
    client: Client,
    credentials: Credentials,
    /// Without a `/` at its end.
    pub endpoint: String,
    /// `datasets/owner/name` or `models/owner/name`.
    pub api: String,
    /// `datasets/owner/name` or `owner/name`, as git's addresses have it.
    pub git: String,
    /// As an address holds it.
    revision: String,
    /// As it is.
    pub branch: String,
}

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Held {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    /// The name git gives it.
    pub oid: String,
    #[serde(default)]
    pub size: u64,
    /// Where it lies in the large-file store.
    pub lfs: Option<Large>,
}

/// A file of the large-file store.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Large {
    /// Its SHA-256.
    pub oid: String,
    pub size: u64,
}

/// How a file is to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mode {
    path: String,
    upload_mode: String,
    #[serde(default)]
    should_ignore: bool,
}

/// What `preupload` says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Within the commit itself.
    Regular,
    /// Into the large-file store first.
    Large,
    /// Not at all: the repository's own `.gitignore` has it.
    Ignored,
}

#[derive(Deserialize)]
struct Modes {
    files: Vec<Mode>,
}

/// A line of a commit.
pub(super) enum Line<'a> {
    Regular { path: &'a str, bytes: Vec<u8> },
    Large { path: &'a str, sha256: &'a str, size: u64 },
}

impl Hub {
    pub fn open(
        endpoint: Option<&str>,
        variable: fn(&str) -> Option<String>,
        kind: Kind,
        repository: &str,
        revision: &str,
    ) -> Result<Self> {
        let given = endpoint.map(str::to_owned).or_else(|| variable("HF_ENDPOINT").filter(|value| !value.trim().is_empty()));
        let endpoint = given.as_deref().unwrap_or(HUGGING_FACE).trim_end_matches('/').to_owned();
        let credentials = Credentials::from_variables(variable)?.for_hub(&endpoint)?;
        if !credentials.has_token() {
            return Err(Error::usage("there is no token for the hub")
                .with_help("set HF_TOKEN to a token that may write, or HF_TOKEN_PATH to a file of mode 600 that holds it"));
        }
        let (api, git) = match kind {
            Kind::Dataset => (format!("datasets/{repository}"), format!("datasets/{repository}")),
            Kind::Model => (format!("models/{repository}"), repository.to_owned()),
        };
        let client = Client::new(Credentials::default());
        Ok(Self { client, credentials, endpoint, api, git, revision: escaped(revision), branch: revision.to_owned() })
    }

    /// Its address, as it may be shown.
    pub fn shown(&self) -> String {
        shown(&format!("{}/{}", self.endpoint, self.git))
    }

    /// Everything in the repository, by its path.
    pub fn tree(&self, patience: &Patience) -> Result<BTreeMap<String, Held>, Fault> {
        let mut url = format!("{}/api/{}/tree/{}?recursive=true", self.endpoint, self.api, self.revision);
        let (mut there, mut seen) = (BTreeMap::new(), BTreeSet::new());
        loop {
            if !seen.insert(url.clone()) {
                return Err(Fault::Failed("the list of what is there comes to a page again, and has no end".into()));
            }
            let (held, next) = patience.look("the list of what is there", || self.tree_page(&url))?;
            there.extend(held.into_iter().filter(|held| held.kind == "file").map(|held| (held.path.clone(), held)));
            match next {
                Some(next) => url = next,
                None => return Ok(there),
            }
        }
    }

    fn tree_page(&self, url: &str) -> Result<(Vec<Held>, Option<String>), Stop> {
        let mut answer = self.ask("GET", url, &[], Load::Nothing)?;
        // A page elsewhere would be somebody else's list.
        let next = answer.header("link").and_then(next_page).filter(|next| origin(next) == origin(&self.endpoint));
        let next = next.map(str::to_owned);
        Ok((self.json(&mut answer)?, next))
    }

    /// How each of `files` is to go: path, length, first bytes.
    pub fn ways(&self, files: &[(&str, u64, &[u8])]) -> Result<Vec<Way>, Stop> {
        let asked: Vec<_> = files
            .iter()
            .map(|(path, size, beginning)| json!({"path": path, "size": size, "sample": STANDARD.encode(beginning)}))
            .collect();
        let url = format!("{}/api/{}/preupload/{}", self.endpoint, self.api, self.revision);
        let mut answer = self.post(&url, "application/json", json!({ "files": asked }).to_string().as_bytes())?;
        let modes: Modes = self.json(&mut answer)?;
        let modes: BTreeMap<String, Mode> = modes.files.into_iter().map(|mode| (mode.path.clone(), mode)).collect();
        let way = |(path, size, _): &(&str, u64, &[u8])| match modes.get(*path) {
            Some(mode) if mode.should_ignore => Ok(Way::Ignored),
            // The stores behind the hub take no empty object.
            Some(mode) if mode.upload_mode == "regular" || *size == 0 => Ok(Way::Regular),
            Some(mode) if mode.upload_mode == "lfs" => Ok(Way::Large),
            _ => Err(again("the hub did not say how to send every file".into())),
        };
        files.iter().map(way).collect()
    }

    /// Puts `lines` into the repository, as one commit.
    pub fn commit(&self, lines: &[Line]) -> Result<(), Stop> {
        let files = if lines.len() == 1 { "a file".to_owned() } else { format!("{} files", lines.len()) };
        let summary =
            json!({"summary": format!("Add {files}"), "description": concat!("bioscan-hpc ", env!("CARGO_PKG_VERSION"))});
        let mut body = format!("{}\n", json!({"key": "header", "value": summary}));
        for line in lines {
            let line = match line {
                Line::Regular { path, bytes } => {
                    json!({"key": "file", "value": {"path": path, "encoding": "base64", "content": STANDARD.encode(bytes)}})
                }
                Line::Large { path, sha256, size } => {
                    json!({"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": sha256, "size": size}})
                }
            };
            body += &format!("{line}\n");
        }
        let url = format!("{}/api/{}/commit/{}", self.endpoint, self.api, self.revision);
        self.post(&url, "application/x-ndjson", body.as_bytes()).map(drop)
    }

    /// Posts to an address that the hub named: its own, or a store's, which sees no token.
    pub fn post(&self, url: &str, kind: &str, body: &[u8]) -> Result<Answer, Stop> {
        let mut headers = vec![("content-type".to_owned(), kind.to_owned())];
        if kind == LFS {
            headers.push(("accept".into(), LFS.into()));
        }
        self.ask("POST", url, &headers, Load::Bytes(body))
    }

    /// Asks the hub, or a store it named; the token goes along to its own host alone.
    pub fn ask(&self, method: &'static str, url: &str, headers: &[(String, String)], load: Load) -> Result<Answer, Stop> {
        if self.endpoint.starts_with("https://") && !url.starts_with("https://") {
            return Err(again(format!("the hub leads from TLS into the open, to {}", shown(url))));
        }
        let mut headers = headers.to_vec();
        if method != "PUT"
            && let Some(authorization) = self.credentials.authorization(url)
        {
            headers.push(("authorization".into(), authorization));
        }
        let answer = self.client.ask(Question { method, url, headers: &headers, load }).map_err(again)?;
        let own = origin(url) == origin(&self.endpoint);
        taken(answer, |status, body| self.refusal(own, status, body))
    }

    /// A refusal in words, by the hub or by a store behind it.
    pub fn refusal(&self, own: bool, status: u16, body: &str) -> Refusal {
        let refusal =
            if own && !body.contains("<Code>") { refusal::of_hub(status, body) } else { refusal::of_store(status, body) };
        Refusal { why: self.credentials.without_token(&refusal.why), ..refusal }
    }

    pub fn json<T: serde::de::DeserializeOwned>(&self, answer: &mut Answer) -> Result<T, Stop> {
        let text = answer.text().map_err(again)?;
        serde_json::from_str(&text).map_err(|_| again("the hub answers with something else than it should".into()))
    }
}

/// The kind of what the large-file store's questions and answers are.
pub(super) const LFS: &str = "application/vnd.git-lfs+json";

/// `<https://…>; rel="next"` of a header `Link`.
fn next_page(link: &str) -> Option<&str> {
    let part = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    part.split_once('<')?.1.split_once('>').map(|(url, _)| url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found() {
        let link = r#"<https://huggingface.co/api/x?cursor=a%3D>; rel="next""#;
        assert_eq!(next_page(link), Some("https://huggingface.co/api/x?cursor=a%3D"));
        assert_eq!(next_page(r#"<https://x>; rel="prev""#), None);
        assert_eq!(escaped("refs/pr/1"), "refs%2Fpr%2F1");
    }

    #[test]
    fn a_hub_needs_a_token_and_gets_it_over_tls_alone() {
        let open = |endpoint, variable| Hub::open(Some(endpoint), variable, Kind::Model, "me/net", "main");
        assert!(open("https://hub.example.org", |_| None).err().unwrap().help().unwrap().contains("HF_TOKEN"));
        let token = |name: &str| (name == "HF_TOKEN").then(|| "hf_abc".to_owned());
        assert!(open("http://hub.example.org", token).is_err());
        let hub = open("https://hub.example.org/", token).ok().unwrap();
        assert_eq!((hub.api.as_str(), hub.git.as_str()), ("models/me/net", "me/net"));
        assert_eq!(hub.shown(), "https://hub.example.org/me/net");
    }
}
