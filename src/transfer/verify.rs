//! what a file was found to be and what is published of it → the difference.

use crate::store::digests::Digests;
use crate::transfer::manifest::Entry;

/// What about `found` is not as published; `None` where all that is published agrees.
pub(super) fn difference(entry: &Entry, found: &Digests) -> Option<String> {
    let hash = |name: &str, published: &Option<String>, found: &str| {
        let published = published.as_ref().filter(|published| !published.eq_ignore_ascii_case(found))?;
        Some(format!("its {name} is {found}, not {published}"))
    };
    let length = entry.bytes.filter(|bytes| *bytes != found.bytes);
    length
        .map(|bytes| format!("it has {} bytes, not {bytes}", found.bytes))
        .or_else(|| hash("MD5", &entry.md5, &found.md5))
        .or_else(|| hash("SHA-256", &entry.sha256, &found.sha256))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_is_published_of_it() {
        let md5 = "900150983cd24fb0d6963f7d28e17f72".to_owned();
        let found = Digests { bytes: 3, md5, sha256: format!("ba7816bf{}", "0".repeat(56)) };
        let entry = Entry {
            name: "abc".into(),
            path: "abc".into(),
            urls: vec![],
            bytes: None,
            about_bytes: Some(99),
            md5: Some("900150983CD24FB0D6963F7D28E17F72".into()),
            sha256: None,
            verified: false,
        };
        assert_eq!(difference(&entry, &found), None);
        assert_eq!(difference(&Entry { bytes: Some(4), ..entry.clone() }, &found).unwrap(), "it has 3 bytes, not 4");
        let other = Entry { sha256: Some("0".repeat(64)), ..entry };
        assert!(difference(&other, &found).unwrap().starts_with("its SHA-256 is ba7816bf"));
    }
}
