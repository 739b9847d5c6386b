//! What is wrong with one entry of a container, in words that stay the same between versions.

/// An entry that cannot be used, for the quarantine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// File name, or the whole entry name where that is at fault; empty where it is about the container as a whole.
    pub file: String,
    /// A stable word.
    pub reason: &'static str,
    /// More, for the person who reads it.
    pub detail: String,
}
