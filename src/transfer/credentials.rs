//! Tokens: from the environment or a file that nobody else can read; for their own host alone, and in no message.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::error::{Error, IoContext, Result};

/// The host that the token is for.
const HUGGING_FACE: &str = "huggingface.co";

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
}

impl Credentials {
    /// `HF_TOKEN`, or the file that `HF_TOKEN_PATH` names, which must be its owner's alone to read.
    pub fn from_environment() -> Result<Self> {
        let token = std::env::var("HF_TOKEN").ok();
        let path = std::env::var_os("HF_TOKEN_PATH").map(PathBuf::from);
        Self::from(token, path)
    }

    fn from(token: Option<String>, path: Option<PathBuf>) -> Result<Self> {
        let token = match (token, path) {
            (Some(token), _) => Some(token),
            (None, Some(path)) => {
                let mode = fs::metadata(&path).at("read", &path)?.permissions().mode();
                if mode & 0o077 != 0 {
                    return Err(Error::input(&path, format!("others can read this token (mode {:03o})", mode & 0o777))
                        .with_help("chmod 600, and make a new token if others may have read it"));
                }
                Some(fs::read_to_string(&path).at("read", &path)?)
            }
            (None, None) => None,
        };
        let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        if token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(Error::usage("the Hugging Face token holds characters that no token has"));
        }
        Ok(Self { hugging_face: token.map(Secret) })
    }

    /// The header `Authorization` for `url`; `None` for every host that no token is for, and where the line could be overheard.
    #[must_use]
    pub fn authorization(&self, url: &str) -> Option<String> {
        let host = url.strip_prefix("https://")?.split(['/', '?', '#']).next()?;
        let Secret(token) = self.hugging_face.as_ref().filter(|_| host == HUGGING_FACE)?;
        Some(format!("Bearer {token}"))
    }
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
