//! a table of labels → the true class of an image.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use crate::config::nearest;
use crate::error::{Error, IoContext, Result};

/// The true labels of images, by name.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    labels: HashMap<String, String>,
}

impl Truth {
    /// Reads a CSV with the columns `file` and `label`; others are passed over.
    ///
    /// # Errors
    /// An input error where a column is missing, a line is broken, or a file has two labels.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::File::open(path).at_named(path)?;
        let mut reader = csv::Reader::from_reader(text);
        let broken = |error: csv::Error| Error::input(path, error.to_string());
        let header = reader.headers().map_err(broken)?.clone();
        let column = |name: &str| {
            header.iter().position(|column| column == name).ok_or_else(|| {
                let near = nearest(name, header.iter()).map(|near| format!(" (is it `{near}`?)")).unwrap_or_default();
                Error::input(path, format!("no column `{name}`{near}"))
                    .with_help("the truth is a CSV with the columns file,label")
            })
        };
        let (file, label) = (column("file")?, column("label")?);
        let mut labels = HashMap::new();
        for row in reader.records() {
            let row = row.map_err(broken)?;
            let cell = |index: usize| row.get(index).unwrap_or_default().to_owned();
            if let Some(before) = labels.insert(cell(file), cell(label)).filter(|before| *before != cell(label)) {
                return Err(Error::input(path, format!("{} is {before} and {}", cell(file), cell(label))));
            }
        }
        Ok(Self { labels })
    }

    /// The label of the image called `name`, or of its file name where that is what the table has.
    #[must_use]
    pub fn of(&self, name: &str, file: &str) -> Option<&str> {
        self.labels.get(name).or_else(|| self.labels.get(file)).map(String::as_str)
    }

    /// The labels that none of `classes` is called, in the order of the alphabet, each with the nearest class where one is near.
    #[must_use]
    pub fn strangers<'a>(&self, classes: &'a [String]) -> Vec<(&str, Option<&'a str>)> {
        let labels: BTreeSet<&str> = self.labels.values().map(String::as_str).collect();
        let strange = labels.into_iter().filter(|label| !label.is_empty() && !classes.iter().any(|class| class == label));
        strange.map(|label| (label, nearest(label, classes.iter().map(String::as_str)))).collect()
    }

    /// Images with a label.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether no image has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_found_by_the_whole_name_before_the_file_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("truth.csv");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Truth::read(&path)
        };
        let truth = read("label,file,note\nDiptera,a.jpg,x\nHemiptera,part2/a.jpg,y\n").unwrap();
        assert_eq!((truth.of("part2/a.jpg", "a.jpg"), truth.of("part3/a.jpg", "a.jpg")), (Some("Hemiptera"), Some("Diptera")));
        assert_eq!((truth.of("b.jpg", "b.jpg"), truth.len()), (None, 2));
        let classes = ["Diptera".to_owned(), "Hemipteran".to_owned()];
        assert_eq!(truth.strangers(&classes), [("Hemiptera", Some("Hemipteran"))]);
        assert!(read("file,labels\n").unwrap_err().to_string().contains("no column `label` (is it `labels`?)"));
        assert!(read("file,label\na,x\na,y\n").unwrap_err().to_string().contains("a is x and y"));
    }
}
