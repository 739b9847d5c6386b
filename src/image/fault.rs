//! What can be wrong with one image, in words that stay the same between versions.

use std::fmt;

/// Why an image cannot be used: the `reason` column of `quarantine.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No bytes at all.
    Empty,
    /// The bytes are something else: a PNG, a text.
    NotJpeg,
    /// The data end before the picture does.
    Truncated,
    /// The data contradict themselves.
    Corrupt,
    /// More pixels than any photograph has: decoding it could exhaust the memory.
    TooLarge,
    /// CMYK, or another colour space that is not RGB, YCbCr or grey.
    UnsupportedColour,
    /// A JPEG process that cameras do not write: 12 or 16 bits, lossless, hierarchical.
    Unsupported,
    /// The specimen's box is empty, or outside the picture.
    BadBox,
}

impl Reason {
    /// The stable word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotJpeg => "not_jpeg",
            Self::Truncated => "truncated",
            Self::Corrupt => "corrupt",
            Self::TooLarge => "too_large",
            Self::UnsupportedColour => "unsupported_colour",
            Self::Unsupported => "unsupported",
            Self::BadBox => "bad_box",
        }
    }
}

/// What is wrong with one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The stable word a program can count by.
    pub reason: Reason,
    /// More, for the person who reads it.
    pub detail: String,
}

impl Fault {
    /// Names the reason and the detail.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.reason.word(), self.detail)
    }
}

impl std::error::Error for Fault {}
