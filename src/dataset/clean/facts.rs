//! What is known of the images of a table, by whoever looked at them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::dataset::place::Place;

/// One image as it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFacts {
    /// Pixels in a row; 0 where it cannot be decoded.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes of the file.
    pub bytes: u64,
    /// blake3 of these bytes.
    pub blake3: String,
    /// Pixels that the organism covers, 0 in an empty dish; `None` where nobody looked.
    pub organism_pixels: Option<u64>,
    /// Why it cannot be used; `None` for a good one.
    pub fault: Option<String>,
    /// The first image, in the order of their places and of those that records name, that has the same bytes or nearly the same
    /// picture.
    pub duplicate_of: Option<String>,
}

/// Facts by place: [`Place::path`], or [`Place::file`] where the container keeps no folders.
#[derive(Clone, Debug, Default)]
pub struct ImageTable(HashMap<String, ImageFacts>);

impl ImageTable {
    /// The facts of the image at `place`.
    #[must_use]
    pub fn get(&self, place: &Place) -> Option<&ImageFacts> {
        self.0.get(&place.path).or_else(|| self.0.get(&place.file))
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every place, in no order.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl FromIterator<(String, ImageFacts)> for ImageTable {
    fn from_iter<I: IntoIterator<Item = (String, ImageFacts)>>(facts: I) -> Self {
        Self(facts.into_iter().collect())
    }
}
