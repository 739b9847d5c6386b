//! A server on loopback that answers as a test tells it to, and remembers what it was asked.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One question as the server heard it.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// What stands behind the `?`, as it came.
    pub query: String,
    /// First byte of the range asked for.
    pub from: usize,
    /// Their names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
    /// How often the path was asked for before.
    pub before: usize,
}

impl Asked {
    /// A field of the query, as it came.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// What the server says: a head, and as much of the body as it cares to send.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn new(status: u16, headers: Vec<(&'static str, String)>, body: &[u8]) -> Self {
        Self { status, headers, body: body.to_vec() }
    }

    /// `bytes` as a good server sends them to `asked`, under an ETag.
    pub fn good(asked: &Asked, bytes: &[u8], tag: &str) -> Self {
        let same = asked.headers.get("if-range").is_none_or(|known| known == tag);
        let etag = ("etag", tag.to_owned());
        if asked.from == 0 || !same {
            return Self::new(200, vec![etag, ("content-length", bytes.len().to_string())], bytes);
        }
        let range = format!("bytes {}-{}/{}", asked.from, bytes.len() - 1, bytes.len());
        let length = (bytes.len() - asked.from).to_string();
        Self::new(206, vec![etag, ("content-range", range), ("content-length", length)], &bytes[asked.from..])
    }

    /// The same, broken off after `count` bytes.
    pub fn cut(mut self, count: usize) -> Self {
        self.body.truncate(count);
        self
    }
}

/// The server itself.
pub struct Server {
    pub address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub fn start(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_impatient(|_| None, reply)
    }

    /// One that hangs up on a question, before it heard all of the body, where `patience` says after how many bytes.
    pub fn start_impatient(
        patience: impl Fn(&Asked) -> Option<usize> + Send + Sync + 'static,
        reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (heard, how) = (Arc::clone(&asked), Arc::new((patience, reply)));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (heard, how) = (Arc::clone(&heard), Arc::clone(&how));
                std::thread::spawn(move || answer(stream.unwrap(), &heard, &how.0, &how.1));
            }
        });
        Self { address, asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Where each question began, of those for `path`.
    pub fn ranges(&self, path: &str) -> Vec<usize> {
        self.asked().iter().filter(|asked| asked.path == path).map(|asked| asked.from).collect()
    }

    /// How many questions there were with this method whose path and query hold `part`.
    pub fn count(&self, method: &str, part: &str) -> usize {
        let holds = |asked: &&Asked| asked.method == method && format!("{}?{}", asked.path, asked.query).contains(part);
        self.asked().iter().filter(holds).count()
    }
}

fn answer(
    stream: TcpStream,
    heard: &Mutex<Vec<Asked>>,
    patience: &dyn Fn(&Asked) -> Option<usize>,
    reply: &dyn Fn(&Asked) -> Reply,
) {
    let mut reader = BufReader::new(&stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0).map(|_| line.trim_end().to_owned())
    };
    let Some(first) = line() else { return };
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = HashMap::new();
    while let Some(line) = line().filter(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(": ") {
            headers.insert(name.to_lowercase(), value.to_owned());
        }
    }
    let from = headers.get("range").map_or(0, |range| range["bytes=".len()..range.len() - 1].parse().unwrap());
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut asked = {
        let mut heard = heard.lock().unwrap();
        let before = heard.iter().filter(|asked| asked.path == path).count();
        heard.push(Asked { method, path: path.into(), query: query.into(), from, headers, body: Vec::new(), before });
        heard.last().unwrap().clone()
    };
    let enough = patience(&asked);
    let mut body = vec![0; enough.unwrap_or(length).min(length)];
    if reader.read_exact(&mut body).is_err() || enough.is_some() {
        return;
    }
    asked.body = body;
    let reply = reply(&asked);
    let mut head = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", reply.status);
    reply.headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    let mut stream = &stream;
    // Whoever asked may have gone.
    let _ = stream.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| stream.write_all(&reply.body));
}

/// Bytes that no two places of are alike.
pub fn bytes(count: usize) -> Vec<u8> {
    let mut out = vec![0; count];
    blake3::Hasher::new().finalize_xof().fill(&mut out);
    out
}
