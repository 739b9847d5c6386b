//! `--to` → a bucket or a repository.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// Where a folder is pushed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// `s3://bucket/prefix`: a store that speaks S3.
    Bucket {
        /// Its name.
        bucket: String,
        /// What stands before every name; empty, or without `/` at either end.
        prefix: String,
    },
    /// `hf://datasets/owner/name@revision`: a repository on the Hugging Face Hub.
    Hub {
        /// What it holds.
        kind: Kind,
        /// `owner/name`.
        repository: String,
        /// The branch; `main` where none is given.
        revision: String,
    },
}

/// What a repository holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `hf://datasets/owner/name`.
    Dataset,
    /// `hf://owner/name`.
    Model,
}

/// Help for an address that is none.
const FORMS: &str = "s3://BUCKET/PREFIX, hf://datasets/OWNER/NAME or hf://OWNER/NAME, the last two with @BRANCH if you like";

impl FromStr for Destination {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::usage(format!("`{text}` is no place to push to: {why}")).with_help(FORMS);
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() || !bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) {
                return Err(wrong("a bucket's name is of letters, digits, dots and hyphens"));
            }
            let prefix = prefix.trim_matches('/');
            // An address would resolve these as a path does, and the object would lie elsewhere.
            if !prefix.is_empty() && prefix.split('/').any(|part| ["", ".", ".."].contains(&part)) {
                return Err(wrong("the prefix has an empty part, or one of dots"));
            }
            return Ok(Self::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() });
        }
        let rest = text.strip_prefix("hf://").ok_or_else(|| wrong("it begins with neither s3:// nor hf://"))?;
        let (rest, revision) = rest.split_once('@').unwrap_or((rest, "main"));
        let (kind, repository) = match rest.strip_prefix("datasets/") {
            Some(repository) => (Kind::Dataset, repository),
            None => (Kind::Model, rest),
        };
        let part = |part: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            ![".", "..", ""].contains(&part) && part.bytes().all(plain)
        };
        if repository.split('/').count() != 2 || !repository.split('/').all(part) {
            return Err(wrong("a repository is OWNER/NAME"));
        }
        if revision.is_empty() || !revision.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("the branch is empty or has characters that no branch has"));
        }
        Ok(Self::Hub { kind, repository: repository.to_owned(), revision: revision.to_owned() })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Hub { kind: Kind::Dataset, repository, revision } => write!(f, "hf://datasets/{repository}@{revision}"),
            Self::Hub { kind: Kind::Model, repository, revision } => write!(f, "hf://{repository}@{revision}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_and_repositories_are_told_apart() {
        let of = |text: &str| text.parse::<Destination>().map(|to| to.to_string());
        assert_eq!(of("s3://insects").unwrap(), "s3://insects");
        assert_eq!(of("s3://insects/bioscan 1m/v2/").unwrap(), "s3://insects/bioscan 1m/v2");
        assert_eq!(of("hf://datasets/me/insects").unwrap(), "hf://datasets/me/insects@main");
        assert_eq!(of("hf://me/net@try/1").unwrap(), "hf://me/net@try/1");
        for wrong in ["insects", "https://example.org", "s3://", "s3:///x", "s3://b/../c", "s3://b/x//y", "hf://me", "hf://a/b/c"]
        {
            let error = of(wrong).unwrap_err();
            assert!(error.help().unwrap().contains("s3://BUCKET/PREFIX"), "{wrong}: {error}");
        }
    }
}
