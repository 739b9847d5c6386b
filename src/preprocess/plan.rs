//! a dataset folder and a number of ranks → which rank does which chunks.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, IoContext, Result};

/// What a chunk is called before and after its number.
const CHUNK_NAME: (&str, &str) = ("bioscan_images_original_full_part", ".zip");

/// One chunk of originals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its number, from 1.
    pub chunk: u32,
    /// The archive.
    pub path: PathBuf,
    /// Length of the archive: the measure of its work.
    pub bytes: u64,
}

/// The chunks in the dataset folder, by number.
pub fn discover(dataset: &Path) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dataset).at("list", dataset)? {
        let path = entry.at("list", dataset)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(chunk) = chunk_of(&name) {
            let bytes = fs::metadata(&path).at("look at", &path)?.len();
            found.push(Source { chunk, path, bytes });
        }
    }
    if found.is_empty() {
        let (before, after) = CHUNK_NAME;
        return Err(Error::input(dataset, format!("the folder holds no chunk named {before}{{N}}{after}"))
            .with_help("look at `paths.dataset`; `bioscan-hpc synth` and `import` make such a folder"));
    }
    found.sort_by_key(|source| source.chunk);
    Ok(found)
}

fn chunk_of(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(CHUNK_NAME.0)?.strip_suffix(CHUNK_NAME.1)?;
    let number = digits.parse().ok()?;
    (u32::to_string(&number) == digits).then_some(number)
}

/// Shares `sources` over `ranks`: the largest first, each to the rank with the least so far (longest processing time first, at most
/// 4/3 of the best makespan: Graham 1969). Ties go to the lower chunk and the lower rank, so every rank computes the same.
#[must_use]
pub fn assign<'a>(sources: &[&'a Source], ranks: usize) -> Vec<Vec<&'a Source>> {
    let mut order = sources.to_vec();
    order.sort_by_key(|source| (Reverse(source.bytes), source.chunk));
    let mut shares = vec![(0u64, Vec::new()); ranks.max(1)];
    for source in order {
        let least = shares.iter_mut().min_by_key(|(load, _)| *load).expect("there is at least one rank");
        least.0 += source.bytes;
        least.1.push(source);
    }
    shares.into_iter().map(|(_, share)| share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(chunk: u32, bytes: u64) -> Source {
        Source { chunk, path: PathBuf::new(), bytes }
    }

    fn numbers(shares: &[Vec<&Source>]) -> Vec<Vec<u32>> {
        shares.iter().map(|share| share.iter().map(|source| source.chunk).collect()).collect()
    }

    #[test]
    fn the_largest_go_first_to_whoever_has_least() {
        let sources: Vec<Source> = [3, 7, 5, 4].into_iter().zip(1..).map(|(bytes, chunk)| source(chunk, bytes)).collect();
        let all: Vec<&Source> = sources.iter().collect();
        // 7 → rank 0; 5 → rank 1; 4 → rank 1 (9); 3 → rank 0 (10).
        assert_eq!(numbers(&assign(&all, 2)), [vec![2, 1], vec![3, 4]]);
        assert_eq!(numbers(&assign(&all, 6)), [vec![2], vec![3], vec![4], vec![1], vec![], vec![]]);
    }

    #[test]
    fn only_chunks_are_found_and_by_number() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["part10.zip", "part2.zip", "part02.zip", "part3.zip.tmp", "partx.zip"] {
            fs::write(folder.path().join(format!("bioscan_images_original_full_{name}")), b"x").unwrap();
        }
        let chunks: Vec<u32> = discover(folder.path()).unwrap().iter().map(|source| source.chunk).collect();
        assert_eq!(chunks, [2, 10]);
        let empty = tempfile::tempdir().unwrap();
        assert!(discover(empty.path()).unwrap_err().help().unwrap().contains("paths.dataset"));
    }

    proptest! {
        #[test]
        fn every_chunk_has_one_rank_and_no_rank_much_more_than_its_part(
            sizes in prop::collection::vec(1u64..1000, 1..120), ranks in 1usize..20,
        ) {
            let sources: Vec<Source> = sizes.iter().zip(1..).map(|(bytes, chunk)| source(chunk, *bytes)).collect();
            let shares = assign(&sources.iter().collect::<Vec<_>>(), ranks);
            let mut all: Vec<u32> = numbers(&shares).concat();
            all.sort_unstable();
            prop_assert_eq!(all, (1..=sizes.len() as u32).collect::<Vec<_>>());
            let load = |share: &Vec<&Source>| share.iter().map(|source| source.bytes).sum::<u64>();
            let makespan = shares.iter().map(load).max().unwrap();
            let (total, largest) = (sizes.iter().sum::<u64>(), *sizes.iter().max().unwrap());
            prop_assert!(makespan <= total.div_ceil(ranks as u64) + largest);
        }
    }
}
