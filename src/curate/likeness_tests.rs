//! How far the hashes of copies of real photographs lie apart, and how near those of different ones.

use std::fs;
use std::path::Path;

use rayon::prelude::*;

use super::duplicates::picture_hash;
use crate::image::{Filter, RgbImage, Size, decode, encode, resize};

/// What `--near 4` takes for the same picture.
const NEAR: u32 = 4;
const KINDS: [&str; 4] = ["quality 75", "quality 50", "half the size", "256 pixels high at quality 75"];

/// The hash of a photograph, and how far each kind of copy lies from it.
fn look(path: &Path) -> (u64, [u32; 4]) {
    let hash = |image: &RgbImage| picture_hash(image).unwrap();
    let whole = decode(&fs::read(path).unwrap()).unwrap();
    let coded = |image: &RgbImage, quality| decode(&encode(image, quality).unwrap()).unwrap();
    let smaller = |height: u32| {
        let size = Size { width: whole.width * height / whole.height, height };
        resize(&whole, size, Filter::Bilinear).unwrap()
    };
    let copies = [coded(&whole, 75), coded(&whole, 50), smaller(whole.height / 2), coded(&smaller(256), 75)];
    let own = hash(&whole);
    (own, copies.map(|copy| (hash(&copy) ^ own).count_ones()))
}

/// Of all 720 photographs, 99 % and more of the copies of each kind but quality 50 (97 %) lie within 4 bits, and 4 of the 71,253 pairs of
/// different specimens that show one whole; this looks at every fourth.
#[test]
fn copies_of_real_photographs_lie_nearer_than_different_ones() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/bioscan-originals/images");
    if !folder.is_dir() {
        eprintln!("SKIPPED: {} is not here", folder.display());
        return;
    }
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let paths: Vec<_> = paths.into_iter().step_by(4).collect();
    let (hashes, copies): (Vec<u64>, Vec<[u32; 4]>) = paths.par_iter().map(|path| look(path)).unzip();
    for (kind, name) in KINDS.into_iter().enumerate() {
        let near = copies.iter().filter(|copies| copies[kind] <= NEAR).count();
        assert!(near * 100 >= copies.len() * 95, "{name}: {near} of {} copies are found", copies.len());
    }
    let pairs =
        hashes.iter().enumerate().flat_map(|(at, one)| hashes[at + 1..].iter().map(move |other| (one ^ other).count_ones()));
    let (confused, all) = pairs.fold((0, 0), |(near, all), distance| (near + usize::from(distance <= NEAR), all + 1));
    assert!(confused * 2000 <= all, "{confused} of {all} pairs of different photographs are taken for copies");
}
