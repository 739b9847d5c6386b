//! names in an archive → images by key, and the entries that cannot be trusted.

use std::collections::BTreeMap;

use crate::container::{ImageKey, Refused, chunk_number};

/// Takes an archive's entries one by one and sorts them into images and refused ones. `P` is where an entry lies.
#[derive(Debug)]
pub(super) struct Listing<P> {
    /// The chunk of every image, whatever the folders say.
    chunk: Option<u32>,
    places: BTreeMap<ImageKey, (P, Vec<String>)>,
    refused: Vec<Refused>,
}

impl<P> Listing<P> {
    /// `chunk` is the chunk of every entry; `None` takes the `part{N}` folder each lies in, and 0 where it lies in none.
    pub(super) fn new(chunk: Option<u32>) -> Self {
        Self { chunk, places: BTreeMap::new(), refused: Vec::new() }
    }

    /// Adds an entry whose name the directory has `times` times.
    pub(super) fn add(&mut self, name: String, times: usize, place: P) {
        if is_clutter(&name) {
            return;
        }
        match plain_name(&name) {
            Ok(plain) => {
                let key = ImageKey::new(self.chunk.or(plain.chunk).unwrap_or(0), plain.file);
                let (_, names) = self.places.entry(key).or_insert((place, Vec::new()));
                names.extend(std::iter::repeat_n(name, times));
            }
            Err(detail) => self.refuse(name, "bad_name", detail),
        }
    }

    /// Leaves out an entry for a reason of its own.
    pub(super) fn refuse(&mut self, file: String, reason: &'static str, detail: impl Into<String>) {
        self.refused.push(Refused { file, reason, detail: detail.into() });
    }

    /// The images by key, and what is refused, sorted: repeated names are, because which is meant cannot be known.
    pub(super) fn finish(mut self) -> (BTreeMap<ImageKey, P>, Vec<Refused>) {
        let mut images = BTreeMap::new();
        for (key, (place, names)) in std::mem::take(&mut self.places) {
            if names.len() == 1 {
                images.insert(key, place);
            } else {
                let detail =
                    format!("{} entries by this name ({}): which is meant cannot be known", names.len(), names.join(", "));
                self.refuse(key.file, "duplicate_name", detail);
            }
        }
        self.refused.sort();
        (images, self.refused)
    }
}

/// What Finder and Windows put beside images; nobody meant them as images.
pub(super) fn is_clutter(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    name.starts_with("__MACOSX/") || file.starts_with("._") || matches!(file, ".DS_Store" | "Thumbs.db" | "desktop.ini")
}

struct PlainName {
    chunk: Option<u32>,
    file: String,
}

/// Takes an entry name apart, or says why it cannot be trusted.
fn plain_name(name: &str) -> Result<PlainName, &'static str> {
    if name.starts_with('/') || name.as_bytes().get(1) == Some(&b':') {
        return Err("an absolute path");
    }
    if name.contains('\\') || name.chars().any(char::is_control) || name.contains(char::REPLACEMENT_CHARACTER) {
        return Err("characters that no file name of the dataset has");
    }
    let mut parts = name.rsplit('/');
    let file = parts.next().unwrap_or_default();
    if file.is_empty() || file == "." || parts.clone().chain([file]).any(|part| part == "..") {
        return Err("a path that leads outside");
    }
    if file.len() > 255 {
        return Err("longer than a file name can be");
    }
    Ok(PlainName { chunk: parts.next().and_then(chunk_number), file: file.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_outside_is_never_followed() {
        for name in ["/etc/passwd", "C:/x.jpg", "../x.jpg", "a/../../x.jpg", "a/..", "a\\b.jpg", "a/.", "a\nb.jpg"] {
            assert!(plain_name(name).is_err(), "{name}");
        }
        let name = plain_name("bioscan/images/original_256/part7/x.jpg").ok().unwrap();
        assert_eq!((name.chunk, name.file.as_str()), (Some(7), "x.jpg"));
        assert_eq!(plain_name("x.jpg").ok().unwrap().chunk, None);
    }

    #[test]
    fn what_finder_adds_is_no_image() {
        assert!(is_clutter("__MACOSX/part1/._x.jpg") && is_clutter("part1/.DS_Store"));
        assert!(!is_clutter("part1/x.jpg"));
    }

    #[test]
    fn one_file_name_in_two_folders_is_two_images_of_two_chunks_and_none_of_one() {
        let sorted = |chunk| {
            let mut listing = Listing::new(chunk);
            for (place, name) in ["part1/a.jpg", "part2/a.jpg", "../b.jpg"].into_iter().enumerate() {
                listing.add(name.to_owned(), 1, place);
            }
            let (images, refused) = listing.finish();
            (images.into_values().collect::<Vec<_>>(), refused.into_iter().map(|refused| refused.reason).collect::<Vec<_>>())
        };
        assert_eq!(sorted(None), (vec![0, 1], vec!["bad_name"]));
        assert_eq!(sorted(Some(3)), (vec![], vec!["bad_name", "duplicate_name"]));
    }
}
