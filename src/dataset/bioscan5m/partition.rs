//! BIOSCAN-5M's eight partitions, the words for several of them, and the folder of an image.

use std::fmt;
use std::path::Path;

use md5::{Digest, Md5};

use crate::dataset::schema::SPLIT;
use crate::error::{Error, Result};

/// Which set of species a partition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// No species, or a placeholder for one.
    Unknown,
    /// Species with a name, trained on.
    Seen,
    /// Species with a placeholder name within seen genera.
    Unseen,
    /// Species with a name that are in none of the others.
    HeldOut,
}

/// One value of the column `split`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Partition {
    /// For learning without labels.
    Pretrain,
    /// Weights are fitted to it.
    Train,
    /// Selection, closed world.
    Val,
    /// Results, closed world.
    Test,
    /// What unseen species are looked up in.
    KeyUnseen,
    /// Selection, open world.
    ValUnseen,
    /// Results, open world.
    TestUnseen,
    /// Further named species.
    OtherHeldout,
}

impl Partition {
    /// All eight, in the order of the published table.
    pub const ALL: [Self; 8] = [
        Self::Pretrain,
        Self::Train,
        Self::Val,
        Self::Test,
        Self::KeyUnseen,
        Self::ValUnseen,
        Self::TestUnseen,
        Self::OtherHeldout,
    ];

    /// As written in the column `split`, and as the folder of its images is called.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pretrain => "pretrain",
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
            Self::KeyUnseen => "key_unseen",
            Self::ValUnseen => "val_unseen",
            Self::TestUnseen => "test_unseen",
            Self::OtherHeldout => "other_heldout",
        }
    }

    /// Reads a cell of the column `split`.
    #[must_use]
    pub fn parse(cell: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|partition| partition.as_str() == cell)
    }

    /// The set of species it is about.
    #[must_use]
    pub fn set(self) -> Set {
        match self {
            Self::Pretrain => Set::Unknown,
            Self::Train | Self::Val | Self::Test => Set::Seen,
            Self::KeyUnseen | Self::ValUnseen | Self::TestUnseen => Set::Unseen,
            Self::OtherHeldout => Set::HeldOut,
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The error for a cell of the column `split` that is none of the eight words.
pub(in crate::dataset) fn not_a_partition(path: &Path, place: &str, cell: &str) -> Error {
    Error::input(path, format!("{place}: `{cell}` in column `{SPLIT}`"))
        .with_help(format!("valid are {}", Partition::ALL.map(Partition::as_str).join(", ")))
}

/// Several partitions, as one word or a sum of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection(u8);

impl Selection {
    /// Reads `train`, `seen` (train, val and test), `unseen` (key, val and test of the unseen), `all`, `validation` for `val`, and sums of
    /// them: `train+val`. The words are those of the Python package `bioscan-dataset`.
    pub fn parse(words: &str) -> Result<Self> {
        let mut bits = 0;
        for word in words.split('+') {
            let takes: Box<dyn Fn(Partition) -> bool> = match word {
                "all" => Box::new(|_| true),
                "seen" => Box::new(|partition| partition.set() == Set::Seen),
                "unseen" => Box::new(|partition| partition.set() == Set::Unseen),
                "validation" => Box::new(|partition| partition == Partition::Val),
                _ => {
                    let named = Partition::parse(word).ok_or_else(|| {
                        Error::usage(format!("`{word}` is no partition of BIOSCAN-5M")).with_help(format!(
                            "valid are {}, seen, unseen, all, and sums like train+val",
                            Partition::ALL.map(Partition::as_str).join(", ")
                        ))
                    })?;
                    Box::new(move |partition| partition == named)
                }
            };
            bits |= Partition::ALL
                .into_iter()
                .filter(|partition| takes(*partition))
                .map(|partition| 1 << partition as u8)
                .sum::<u8>();
        }
        Ok(Self(bits))
    }

    /// Whether it holds `partition`.
    #[must_use]
    pub fn holds(self, partition: Partition) -> bool {
        self.0 & (1 << partition as u8) != 0
    }
}

/// The folder of an image below that of its partition: the first digits of the MD5 of its process id, two in pretraining, one in `train`
/// and `other_heldout`, none in the small partitions.
#[must_use]
pub fn chunk(processid: &str, partition: Partition) -> String {
    let digits = match partition {
        Partition::Pretrain => 2,
        Partition::Train | Partition::OtherHeldout => 1,
        _ => 0,
    };
    let hash = Md5::digest(processid.as_bytes());
    let mut folder = hash.first().map(|byte| format!("{byte:02x}")).unwrap_or_default();
    folder.truncate(digits);
    folder
}

/// A barcode as the partitions compare it: without the N before and behind it.
#[must_use]
pub fn without_n(barcode: &str) -> &str {
    barcode.trim_matches('N')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_several_partitions_are_those_of_the_python_package() {
        let named = |words: &str| {
            let selection = Selection::parse(words).unwrap();
            Partition::ALL.into_iter().filter(|partition| selection.holds(*partition)).map(Partition::as_str).collect::<Vec<_>>()
        };
        assert_eq!(named("seen"), ["train", "val", "test"]);
        assert_eq!(named("unseen+validation"), ["val", "key_unseen", "val_unseen", "test_unseen"]);
        assert_eq!(named("all").len(), 8);
        assert_eq!(named("pretrain+train"), ["pretrain", "train"]);
        assert!(Selection::parse("trian").unwrap_err().help().unwrap().contains("other_heldout"));
    }

    #[test]
    fn the_folder_is_the_beginning_of_the_md5_of_the_process_id() {
        // md5("CRCBB46471-23") begins with 2e; the record is real.
        assert_eq!(chunk("CRCBB46471-23", Partition::Pretrain), "2e");
        assert_eq!(chunk("CRCBB46471-23", Partition::Train), "2");
        assert_eq!(chunk("CRCBB46471-23", Partition::OtherHeldout), "2");
        assert_eq!(chunk("CRCBB46471-23", Partition::TestUnseen), "");
    }
}
