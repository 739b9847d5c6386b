//! How far the hashes of copies of real photographs lie apart, and how near those of different ones.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use rayon::prelude::*;

use super::duplicates::picture_hash;
use crate::image::{Filter, RgbImage, Size, decode, encode, resize};

/// Of each photograph: its name, its hash, and the distance from it of each kind of copy.
struct Photograph {
    name: String,
    hash: u64,
    copies: [u32; 4],
}

const KINDS: [&str; 4] = ["quality 75", "quality 50", "half the size", "256 pixels high at quality 75"];

fn hash(image: &RgbImage) -> u64 {
    picture_hash(image).unwrap()
}

fn look(path: &Path) -> Photograph {
    let whole = decode(&fs::read(path).unwrap()).unwrap();
    let own = hash(&whole);
    let coded = |image: &RgbImage, quality| decode(&encode(image, quality).unwrap()).unwrap();
    let smaller = |height: u32| {
        let size = Size { width: whole.width * height / whole.height, height };
        resize(&whole, size, Filter::Bilinear).unwrap()
    };
    let copies = [coded(&whole, 75), coded(&whole, 50), smaller(whole.height / 2), coded(&smaller(256), 75)];
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    Photograph { name, hash: own, copies: copies.map(|copy| (hash(&copy) ^ own).count_ones()) }
}

/// How many of `distances` are 0, 1, .. 8, and more.
fn counts(distances: impl Iterator<Item = u32>) -> [usize; 10] {
    let mut counts = [0; 10];
    distances.for_each(|distance| counts[distance.min(9) as usize] += 1);
    counts
}

#[test]
fn copies_of_real_photographs_lie_nearer_than_different_ones() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let originals = data.join("bioscan-originals");
    if !originals.is_dir() {
        eprintln!("SKIPPED: {} is not here", originals.display());
        return;
    }
    let mut paths: Vec<_> = fs::read_dir(originals.join("images")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let photographs: Vec<Photograph> = paths.par_iter().map(|path| look(path)).collect();
    for (index, kind) in KINDS.iter().enumerate() {
        eprintln!("{kind}: {:?}", counts(photographs.iter().map(|photograph| photograph.copies[index])));
    }
    let labels = fs::read_to_string(originals.join("labels.csv")).unwrap();
    let labels: HashMap<&str, &str> = labels
        .lines()
        .filter_map(|line| line.split_once(','))
        .map(|(name, rest)| (name, rest.split(',').next().unwrap()))
        .collect();
    for quality in ["valid", "empty", "blurry", "fragmented"] {
        let some: Vec<&Photograph> =
            photographs.iter().filter(|photograph| labels.get(photograph.name.as_str()) == Some(&quality)).collect();
        let pairs = some.iter().enumerate().flat_map(|(index, a)| some[index + 1..].iter().map(move |b| (a, b)));
        eprintln!(
            "{} {quality}, two and two: {:?}",
            some.len(),
            counts(pairs.clone().map(|(a, b)| (a.hash ^ b.hash).count_ones()))
        );
        for (a, b) in pairs.filter(|(a, b)| (a.hash ^ b.hash).count_ones() <= 4).take(5) {
            eprintln!("  {} {} {}", a.name, b.name, (a.hash ^ b.hash).count_ones());
        }
    }
    let crops = data.join("crop-pairs");
    for name in ["BIOUG68001-C12.jpg", "BIOUG68020-A01.jpg", "BIOUG68021-F12.jpg"] {
        let read = |name: &str| decode(&fs::read(crops.join(name)).unwrap()).unwrap();
        eprintln!("crop of {name}: {}", (hash(&read(name)) ^ hash(&read(&format!("cropped_resized_{name}")))).count_ones());
    }
    let _ = KINDS;
}
