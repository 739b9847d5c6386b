//! Tokens: from the environment or a file that nobody else can read; for their own host alone, and in no message.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, IoContext, Result};

/// Where the token is for.
pub(super) const HUGGING_FACE: &str = "https://huggingface.co";

/// A secret that shows itself to nobody who prints it.
#[derive(Clone, PartialEq, Eq)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What a fetch may show to servers.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    hugging_face: Option<Secret>,
    /// Scheme, host and port of a hub other than the public one.
    elsewhere: Option<String>,
}

impl Credentials {
    /// `HF_TOKEN`, or the file that `HF_TOKEN_PATH` names, which must be its owner's alone to read.
    pub fn from_environment() -> Result<Self> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// The same from another environment.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        Self::from(variable("HF_TOKEN"), variable("HF_TOKEN_PATH").map(PathBuf::from))
    }

    fn from(token: Option<String>, path: Option<PathBuf>) -> Result<Self> {
        let token = match (token, path) {
            (Some(token), _) => Some(token),
            (None, Some(path)) => Some(owners_alone(&path, "token")?),
            (None, None) => None,
        };
        let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        if token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(Error::usage("the Hugging Face token holds characters that no token has"));
        }
        Ok(Self { hugging_face: token.map(Secret), elsewhere: None })
    }

    /// The same for the hub at `endpoint` alone: a mirror, or a test's. A token goes to it over TLS or on this machine, and nowhere else.
    pub fn for_hub(self, endpoint: &str) -> Result<Self> {
        let origin = origin(endpoint).filter(|_| endpoint.starts_with("https://") || is_loopback(endpoint)).ok_or_else(|| {
            Error::usage(format!("{} is no hub to show a token to", shown(endpoint)))
                .with_help("give an https:// address; http:// only on this machine")
        })?;
        Ok(Self { elsewhere: Some(origin.to_owned()), ..self })
    }

    /// Whether there is a token.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.hugging_face.is_some()
    }

    /// What a server says, fit to be shown: should it repeat the token, it is taken out.
    #[must_use]
    pub fn without_token(&self, text: &str) -> String {
        match &self.hugging_face {
            Some(Secret(token)) => text.replace(token.as_str(), "(secret)"),
            None => text.to_owned(),
        }
    }

    /// The header `Authorization` for `url`; `None` for every host that no token is for, and where the line could be overheard.
    #[must_use]
    pub fn authorization(&self, url: &str) -> Option<String> {
        let own = self.elsewhere.as_deref().unwrap_or(HUGGING_FACE);
        let Secret(token) = self.hugging_face.as_ref().filter(|_| origin(url) == Some(own))?;
        Some(format!("Bearer {token}"))
    }
}

/// The text of a file of secrets, which must be its owner's alone to read; `what` they are, for the message.
pub(super) fn owners_alone(path: &Path, what: &str) -> Result<String> {
    let mode = fs::metadata(path).at("read", path)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Error::input(path, format!("others can read this {what} (mode {:03o})", mode & 0o777))
            .with_help(format!("chmod 600, and make a new {what} if others may have read it")));
    }
    fs::read_to_string(path).at("read", path)
}

/// `https://example.org:8443` of any address there; `None` where it names no host of the web.
pub(super) fn origin(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let host = rest.split(['/', '?', '#', '\\']).next().filter(|host| !host.is_empty())?;
    url.get(..url.len() - rest.len() + host.len())
}

/// Whether an address is this machine's own, where nobody listens in.
pub(super) fn is_loopback(url: &str) -> bool {
    let host = origin(url).and_then(|origin| origin.split_once("://")).map_or("", |(_, host)| host);
    let name =
        host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())).map_or(host, |(name, _)| name);
    ["127.0.0.1", "localhost", "[::1]"].contains(&name)
}

/// An address as it may be shown: without its query and user, either of which can hold a signature or a password.
#[must_use]
pub fn shown(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    match plain.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
            format!("{scheme}://{}{path}", host.rsplit('@').next().unwrap_or(host))
        }
        None => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_its_own_host_over_tls_alone_and_into_no_message() {
        let credentials = Credentials::from(Some("hf_abc\n".into()), None).unwrap();
        assert_eq!(credentials.authorization("https://huggingface.co/a?b").as_deref(), Some("Bearer hf_abc"));
        for url in [
            "http://huggingface.co/a",
            "https://cdn-lfs.huggingface.co/a",
            "https://huggingface.co.example.org/",
            "https://huggingface.co@example.org/",
            "https://example.org/huggingface.co",
        ] {
            assert_eq!(credentials.authorization(url), None, "{url}");
        }
        assert!(!format!("{credentials:?}").contains("hf_abc"));
        assert!(!Credentials::from(Some("hf_abc def".into()), None).unwrap_err().to_string().contains("hf_abc"));
    }

    #[test]
    fn another_hub_gets_the_token_in_place_of_the_public_one() {
        let with = |endpoint| Credentials::from(Some("hf_abc".into()), None).unwrap().for_hub(endpoint);
        let mirror = with("https://hub.example.org:8443/").unwrap();
        assert!(mirror.authorization("https://hub.example.org:8443/api?x").is_some());
        for url in
            ["https://hub.example.org/api", "http://hub.example.org:8443/", "https://huggingface.co/", "https://s3.example.org/"]
        {
            assert_eq!(mirror.authorization(url), None, "{url}");
        }
        assert!(with("http://127.0.0.1:9000").unwrap().authorization("http://127.0.0.1:9000/api").is_some());
        for endpoint in ["http://hub.example.org", "http://127.0.0.1.example.org", "ftp://127.0.0.1", "https://"] {
            assert!(with(endpoint).is_err(), "{endpoint}");
        }
        assert_eq!(mirror.without_token("no hf_abc here"), "no (secret) here");
    }

    #[test]
    fn a_token_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "hf_abc").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Credentials::from(None, Some(path.clone())).unwrap_err();
        assert!(error.to_string().contains("mode 640") && !error.to_string().contains("hf_abc"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Credentials::from(None, Some(path)).unwrap().authorization("https://huggingface.co/").is_some());
    }

    #[test]
    fn signatures_and_passwords_are_not_shown() {
        assert_eq!(shown("https://user:pass@example.org/a/b?X-Signature=1#x"), "https://example.org/a/b");
        assert_eq!(shown("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
    }
}
