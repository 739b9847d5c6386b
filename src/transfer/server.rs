//! One question to a server and its answer, redirects followed by our own rules.

use std::io::Read;
use std::time::Duration;

use ureq::http::{HeaderMap, Request, Response};
use ureq::{Agent, AsSendBody, Body, SendBody};

use crate::transfer::credentials::{Credentials, shown};

/// Redirects followed from one address; Hugging Face and Zenodo need two.
const MOST_REDIRECTS: usize = 10;

/// A question may last so long; then the file goes on by range with the next. A server that stalls is left so.
const LONGEST_ANSWER: Duration = Duration::from_secs(600);

/// A body may be so long in going out, and longer by a second for each of so many bytes: the slowest line that is waited for.
const LONGEST_SENDING: Duration = Duration::from_secs(300);
const SLOWEST: u64 = 50_000;

/// Longest answer that is read as text.
const LONGEST_TEXT: u64 = 64 << 20;

/// What goes to a server with a question.
pub(super) enum Load<'a> {
    Nothing,
    Bytes(&'a [u8]),
    /// So many bytes of a reader.
    Stream(&'a mut dyn Read, u64),
}

/// A question other than the plain one of a fetch.
pub(super) struct Question<'a, 'b> {
    /// `PUT`, as HTTP writes it.
    pub method: &'static str,
    pub url: &'a str,
    pub headers: &'a [(String, String)],
    pub load: Load<'b>,
}

/// What a server says.
pub(super) struct Answer {
    pub status: u16,
    headers: HeaderMap,
    pub body: Box<dyn Read + Send>,
}

impl Answer {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// First byte and total length of a part, from `Content-Range: bytes 7-99/100`.
    pub fn range(&self) -> Option<(u64, Option<u64>)> {
        let (range, total) = self.header("content-range")?.strip_prefix("bytes ")?.split_once('/')?;
        Some((range.split('-').next()?.parse().ok()?, total.parse().ok()))
    }

    /// What names this state of the file, fit for `If-Range`: a strong `ETag`, else the time of its last change.
    pub fn validator(&self) -> Option<String> {
        let tag = self.header("etag").filter(|tag| !tag.starts_with("W/"));
        tag.or_else(|| self.header("last-modified")).map(str::to_owned)
    }

    /// The body as text; an `Err` where the connection breaks off.
    pub fn text(&mut self) -> Result<String, String> {
        let mut bytes = Vec::new();
        let read = self.body.by_ref().take(LONGEST_TEXT).read_to_end(&mut bytes);
        read.map_err(|error| format!("the connection broke off ({error})"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether it is a page for people.
    pub fn is_page(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.starts_with("text/html"))
    }
}

/// Asks servers.
pub(super) struct Client {
    agent: Agent,
    credentials: Credentials,
}

impl Client {
    pub fn new(credentials: Credentials) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            // By hand: a token must not follow to another host, nor a redirect lead from TLS into the open.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(Duration::from_secs(30)))
            .timeout_recv_response(Some(Duration::from_secs(120)))
            .timeout_recv_body(Some(LONGEST_ANSWER))
            .user_agent(concat!("bioscan-hpc/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Self { agent, credentials }
    }

    /// Asks as `question` says, and shows nothing that it does not name: no token is added, and no redirect followed. An `Err` is a failure on
    /// the way, as in [`Self::get`].
    pub fn ask(&self, question: Question) -> Result<Answer, String> {
        let mut request = Request::builder().method(question.method).uri(question.url);
        for (name, value) in question.headers {
            request = request.header(name, value);
        }
        let response = match question.load {
            Load::Nothing => self.run(request.body(()), 0),
            Load::Bytes(bytes) => self.run(request.body(bytes), bytes.len() as u64),
            Load::Stream(reader, bytes) => {
                // Without it the bytes would go in chunks, and stores want to know how many come.
                self.run(request.header("content-length", bytes).body(SendBody::from_reader(reader)), bytes)
            }
        };
        let (parts, body) = response?.into_parts();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: Box::new(body.into_reader()) })
    }

    fn run(&self, request: ureq::http::Result<Request<impl AsSendBody>>, bytes: u64) -> Result<Response<Body>, String> {
        let request = request.map_err(|_| "the address or a header is malformed".to_owned())?;
        let patience = LONGEST_SENDING + Duration::from_secs(bytes / SLOWEST);
        let request = self.agent.configure_request(request).timeout_send_body(Some(patience)).build();
        self.agent.run(request).map_err(|error| without_addresses(&error))
    }

    /// Asks for `url` from the byte `from` on; `validator` names the state of the file whose first bytes are here already. An `Err` is a
    /// failure on the way, which another try may not meet; it shows no query and no token.
    pub fn get(&self, url: &str, from: u64, validator: Option<&str>) -> Result<Answer, String> {
        let mut url = url.to_owned();
        for _ in 0..=MOST_REDIRECTS {
            // A compressed answer would have other ranges.
            let mut request = self.agent.get(&url).header("accept-encoding", "identity");
            if from > 0 {
                request = request.header("range", format!("bytes={from}-"));
                request = validator.into_iter().fold(request, |request, validator| request.header("if-range", validator));
            }
            if let Some(authorization) = self.credentials.authorization(&url) {
                request = request.header("authorization", authorization);
            }
            let response = request.call().map_err(|error| without_addresses(&error))?;
            let (parts, body) = response.into_parts();
            let answer = Answer { status: parts.status.as_u16(), headers: parts.headers, body: Box::new(body.into_reader()) };
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let location = answer.header("location").ok_or("a redirect that leads nowhere")?;
            let next = joined(&url, location).ok_or_else(|| format!("a redirect to {}", shown(location)))?;
            if url.starts_with("https://") && !next.starts_with("https://") {
                return Err(format!("a redirect from TLS into the open, to {}", shown(&next)));
            }
            url = next;
        }
        Err(format!("more than {MOST_REDIRECTS} redirects"))
    }
}

/// What went wrong, without the address that some errors repeat whole.
fn without_addresses(error: &ureq::Error) -> String {
    match error {
        ureq::Error::BadUri(_) => "the address is no address".to_owned(),
        ureq::Error::Http(_) => "the address or a header is malformed".to_owned(),
        other => other.to_string(),
    }
}

/// Where `location` leads, seen from `base`; `None` where that is not on the web.
fn joined(base: &str, location: &str) -> Option<String> {
    let (scheme, rest) = base.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    if location.starts_with("http://") || location.starts_with("https://") {
        return Some(location.to_owned());
    }
    if let Some(elsewhere) = location.strip_prefix("//") {
        return Some(format!("{scheme}://{elsewhere}"));
    }
    if location.starts_with('/') {
        return Some(format!("{scheme}://{host}{location}"));
    }
    let first = location.split(['/', '?', '#']).next().unwrap_or_default();
    if first.contains(':') {
        return None;
    }
    let path = rest.get(host.len()..)?.split(['?', '#']).next()?;
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(format!("{scheme}://{host}{folder}/{location}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_seen_from_where_it_was_given() {
        let at = |location| joined("https://example.org/a/b?c=d", location);
        assert_eq!(at("https://other.org/x").as_deref(), Some("https://other.org/x"));
        assert_eq!(at("//other.org/x").as_deref(), Some("https://other.org/x"));
        assert_eq!(at("/x?y").as_deref(), Some("https://example.org/x?y"));
        assert_eq!(at("x").as_deref(), Some("https://example.org/a/x"));
        assert_eq!(joined("https://example.org", "x").as_deref(), Some("https://example.org/x"));
        assert_eq!(at("file:///etc/passwd"), None);
        assert_eq!(at("ftp://example.org/"), None);
    }
}
