//! Keys of an S3 store: from the environment, or from a file that nobody else can read.

use std::path::PathBuf;

use rusty_s3::Credentials;

use crate::error::{Error, Result};
use crate::transfer::credentials::owners_alone;

/// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, with `AWS_SESSION_TOKEN` where there is one; else the profile `AWS_PROFILE` (or
/// `default`) of the file that `AWS_SHARED_CREDENTIALS_FILE` names, which must be its owner's alone to read.
pub(super) fn keys(variable: impl Fn(&str) -> Option<String>) -> Result<Credentials> {
    let given = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let (key, secret) = (given("AWS_ACCESS_KEY_ID"), given("AWS_SECRET_ACCESS_KEY"));
    if key.is_some() != secret.is_some() {
        return Err(Error::usage("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together: only one of them is set"));
    }
    if let (Some(key), Some(secret)) = (key, secret) {
        return made(key, secret, given("AWS_SESSION_TOKEN"));
    }
    let path = given("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from).ok_or_else(|| {
        Error::usage("there are no keys for the store").with_help(
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SHARED_CREDENTIALS_FILE to a file of mode 600; never on the command line",
        )
    })?;
    let (text, profile) = (owners_alone(&path, "key")?, given("AWS_PROFILE").unwrap_or_else(|| "default".into()));
    let of = |name: &str| value(&text, &profile, name);
    match (of("aws_access_key_id"), of("aws_secret_access_key")) {
        (Some(key), Some(secret)) => made(key, secret, of("aws_session_token")),
        _ => Err(Error::input(&path, format!("the profile [{profile}] has no aws_access_key_id and aws_secret_access_key"))
            .with_help("AWS_PROFILE names another profile")),
    }
}

fn made(key: String, secret: String, token: Option<String>) -> Result<Credentials> {
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if ![Some(&key), Some(&secret), token.as_ref()].into_iter().flatten().all(|text| plain(text)) {
        return Err(Error::usage("the keys of the store hold characters that no key has"));
    }
    Ok(match token {
        Some(token) => Credentials::new_with_token(key, secret, token),
        None => Credentials::new(key, secret),
    })
}

/// What `name` is in the section `[profile]` of an INI file.
fn value(text: &str, profile: &str, name: &str) -> Option<String> {
    let mut here = false;
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            here = section.trim() == profile;
        } else if here
            && let Some((key, value)) = line.split_once('=')
            && key.trim() == name
        {
            return Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Result<Credentials> {
        let map: HashMap<String, String> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        keys(|name| map.get(name).cloned())
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let keys =
            with(&[("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "s3cret\n"), ("AWS_SESSION_TOKEN", "tok")]).unwrap();
        assert_eq!((keys.key(), keys.secret(), keys.token()), ("AKID", "s3cret", Some("tok")));
        assert!(!format!("{keys:?}").contains("s3cret"));
        assert!(with(&[("AWS_ACCESS_KEY_ID", "AKID")]).unwrap_err().to_string().contains("go together"));
        assert!(with(&[]).unwrap_err().help().unwrap().contains("never on the command line"));
    }

    #[test]
    fn a_profile_is_read_from_a_file_of_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        let text = "# mine\n[default]\naws_access_key_id = A\naws_secret_access_key = a\n[lab]\naws_access_key_id=B\naws_secret_access_key=b=\n";
        fs::write(&path, text).unwrap();
        let file = ("AWS_SHARED_CREDENTIALS_FILE", path.to_str().unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = with(&[file]).unwrap_err().to_string();
        assert!(error.contains("mode 644") && !error.contains("aws_"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(with(&[file]).unwrap().key(), "A");
        let lab = with(&[file, ("AWS_PROFILE", "lab")]).unwrap();
        assert_eq!((lab.key(), lab.secret()), ("B", "b="));
        assert!(with(&[file, ("AWS_PROFILE", "none")]).unwrap_err().to_string().contains("[none]"));
    }
}
