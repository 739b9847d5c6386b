//! a method's name → a long-lived Python process that answers requests with what they cost (`peers.py` is the other end).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::contest::Cost;

/// What a peer is to do.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Request {
    /// The JPEG files to work on.
    pub files: Vec<PathBuf>,
    /// How often, over all of them.
    pub repetitions: usize,
    /// Where a method that writes a file writes it.
    pub out: PathBuf,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Hello { versions: BTreeMap<String, String> },
    Cost(Cost),
    Failed { error: String },
}

/// One method, ready: interpreter started, libraries imported.
pub struct Peer {
    method: &'static str,
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What it measures with.
    pub versions: BTreeMap<String, String>,
}

impl Peer {
    /// Starts `method` in the virtual environment `.bench`.
    pub fn start(method: &'static str) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/peers.py");
        let mut process = Command::new(python()?).arg(script).arg(method).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(requests), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("the pipes of a peer".into());
        };
        let mut peer = Self { method, process, requests, answers: BufReader::new(answers), versions: BTreeMap::new() };
        match peer.answer()? {
            Answer::Hello { versions } => peer.versions = versions,
            _ => return Err(format!("{method} did not begin with its versions").into()),
        }
        Ok(peer)
    }

    /// Sends a request and waits for what it cost.
    pub fn ask(&mut self, request: &Request) -> Result<Cost> {
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        self.requests.write_all(line.as_bytes())?;
        match self.answer()? {
            Answer::Cost(cost) => Ok(cost),
            _ => Err(format!("{} answered out of turn", self.method).into()),
        }
    }

    fn answer(&mut self) -> Result<Answer> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        match serde_json::from_str(&line).map_err(|error| format!("{} said {line:?}: {error}", self.method))? {
            Answer::Failed { error } => Err(format!("{}: {error}", self.method).into()),
            answer => Ok(answer),
        }
    }
}

/// The interpreter of the peers' virtual environment, `.bench`.
pub fn python() -> Result<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".bench/bin/python");
    if python.is_file() { Ok(python) } else { Err("no peers here: run .ci/setup.sh bench".into()) }
}

/// The launcher beside it.
pub fn torchrun() -> Result<PathBuf> {
    Ok(python()?.with_file_name("torchrun"))
}

impl Drop for Peer {
    /// Ends the process, whatever it is doing: after a failed measurement nobody waits for the rest of it.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
