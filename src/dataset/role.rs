//! A cell of an experiment column ↔ the part a record plays in that experiment.

use std::fmt;

/// The part a record plays in one experiment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// Weights are fitted to it.
    Train,
    /// The best epoch is chosen by it.
    Validation,
    /// The result is measured on it.
    Test,
    /// It takes no part.
    #[default]
    NoSplit,
}

impl Role {
    /// The three roles of a record that takes part, in the order of every table.
    pub const SPLIT: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// As written in the experiment columns.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
            Self::NoSplit => "no_split",
        }
    }

    /// Reads a cell; an empty one takes no part, and `None` is none of the four words.
    #[must_use]
    pub fn parse(cell: &str) -> Option<Self> {
        match cell {
            "train" => Some(Self::Train),
            "validation" => Some(Self::Validation),
            "test" => Some(Self::Test),
            "no_split" | "" => Some(Self::NoSplit),
            _ => None,
        }
    }

    /// Position in [`Role::SPLIT`]; `None` where the record takes no part.
    #[must_use]
    pub fn position(self) -> Option<usize> {
        Self::SPLIT.iter().position(|role| *role == self)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
