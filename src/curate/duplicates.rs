//! Images that are there twice: the same bytes, or nearly the same picture.

use std::collections::HashMap;

use crate::curate::survey::Looked;
use crate::image::{Filter, RgbImage, Size, resize};

/// What counts as a duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// The same bytes.
    Exact,
    /// A difference hash of 64 bits that differs in no more than so many; 0 to 8.
    Near(u32),
}

/// The difference hash of a picture: whether each of 8×8 cells is brighter than its right neighbour, row by row from the highest bit.
///
/// It survives another size, another quality and another brightness, and no crop or turn. `None` where the picture has no detail at all.
pub(super) fn picture_hash(image: &RgbImage) -> Option<u64> {
    let small = resize(image, Size { width: 9, height: 8 }, Filter::Bilinear).ok()?;
    let luma: Vec<u32> = small
        .pixels
        .as_chunks::<3>()
        .0
        .iter()
        .map(|[red, green, blue]| 299 * u32::from(*red) + 587 * u32::from(*green) + 114 * u32::from(*blue))
        .collect();
    let pairs = luma.chunks_exact(9).flat_map(|row| row.windows(2));
    let bits = pairs.fold(0, |bits, pair| bits << 1 | u64::from(matches!(pair, [left, right] if left > right)));
    (luma.iter().max() != luma.iter().min()).then_some(bits)
}

/// Names, for every image that an earlier one equals, the first of those. The `named` ones, which records name, come before the
/// others: a stray copy must not make a record's image the duplicate.
pub(super) fn mark_duplicates(looked: &mut [Looked], named: &[bool], likeness: Likeness) {
    let mut first_of_bytes: HashMap<String, usize> = HashMap::new();
    let mut bands = Bands::new(likeness);
    let mut originals: Vec<Option<usize>> = vec![None; looked.len()];
    let all = || looked.iter().enumerate().zip(named).filter(|((_, image), _)| image.facts.fault.is_none());
    let first = all().filter(|(_, named)| **named);
    for ((index, image), _) in first.chain(all().filter(|(_, named)| !**named)) {
        let same_bytes = first_of_bytes.get(&image.facts.blake3).copied();
        let alike = same_bytes.or_else(|| bands.nearest(image.picture?));
        if let Some(slot) = originals.get_mut(index) {
            *slot = alike;
        }
        if alike.is_none() {
            first_of_bytes.insert(image.facts.blake3.clone(), index);
            image.picture.into_iter().for_each(|picture| bands.insert(picture, index));
        }
    }
    let names: Vec<Option<String>> =
        originals.into_iter().map(|original| looked.get(original?).map(|image| image.place.clone())).collect();
    for (image, name) in looked.iter_mut().zip(names) {
        image.facts.duplicate_of = name;
    }
}

/// Finds hashes within a distance. Cut into one band more than bits may differ, two such hashes agree in a band at least.
struct Bands {
    distance: u32,
    /// For each band: its bits → (hash, index) of those that have them.
    tables: Vec<HashMap<u64, Vec<(u64, usize)>>>,
}

impl Bands {
    fn new(likeness: Likeness) -> Self {
        let (distance, count) = match likeness {
            Likeness::Exact => (0, 0),
            Likeness::Near(distance) => (distance, distance as usize + 1),
        };
        Self { distance, tables: vec![HashMap::new(); count] }
    }

    fn band(&self, hash: u64, band: usize) -> u64 {
        let width = 64 / self.tables.len().max(1);
        let rest = hash >> (band * width);
        if band + 1 == self.tables.len() { rest } else { rest & ((1 << width) - 1) }
    }

    /// The earliest image within the distance.
    fn nearest(&self, hash: u64) -> Option<usize> {
        let candidates = self.tables.iter().enumerate().filter_map(|(band, table)| table.get(&self.band(hash, band))).flatten();
        candidates.filter(|(other, _)| (other ^ hash).count_ones() <= self.distance).map(|(_, index)| *index).min()
    }

    fn insert(&mut self, hash: u64, index: usize) {
        for band in 0..self.tables.len() {
            let bits = self.band(hash, band);
            self.tables.get_mut(band).into_iter().for_each(|table| table.entry(bits).or_default().push((hash, index)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dataset::clean::ImageFacts;
    use crate::image::{decode, encode};

    fn image(place: &str, bytes: &str, picture: u64) -> Looked {
        let facts = ImageFacts { blake3: bytes.into(), ..ImageFacts::default() };
        Looked { place: place.into(), facts, picture: Some(picture) }
    }

    fn originals(looked: &[Looked]) -> Vec<Option<&str>> {
        looked.iter().map(|image| image.facts.duplicate_of.as_deref()).collect()
    }

    #[test]
    fn the_first_of_equals_is_the_original() {
        let mut looked = [image("a", "1", 0b0000), image("b", "2", 0b0111), image("c", "1", 0), image("d", "3", 0b0001)];
        mark_duplicates(&mut looked, &[true; 4], Likeness::Exact);
        assert_eq!(originals(&looked), [None, None, Some("a"), None]);
        mark_duplicates(&mut looked, &[true; 4], Likeness::Near(2));
        assert_eq!(originals(&looked), [None, None, Some("a"), Some("a")]);
        // One that no record names is nobody's original.
        mark_duplicates(&mut looked, &[false, true, true, true], Likeness::Near(2));
        assert_eq!(originals(&looked), [Some("c"), None, None, Some("b")]);
    }

    #[test]
    fn a_picture_keeps_its_hash_through_size_and_quality() {
        let (width, height) = (160, 120);
        let pixel = |x: usize, y: usize| {
            let inside = (x as i64 - 60).pow(2) + 2 * (y as i64 - 50).pow(2) < 900;
            let shade = 200 - x / 4 - if inside { 120 } else { 0 };
            [shade as u8, shade as u8, (shade / 2) as u8]
        };
        let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect();
        let whole = RgbImage { width: width as u32, height: height as u32, pixels };
        let half = resize(&whole, Size { width: 80, height: 60 }, Filter::Lanczos3).unwrap();
        let coarse = decode(&encode(&half, 60).unwrap()).unwrap();
        let (a, b) = (picture_hash(&whole).unwrap(), picture_hash(&coarse).unwrap());
        assert!((a ^ b).count_ones() <= 3, "{a:x} {b:x}");
        assert_eq!(picture_hash(&RgbImage::black(Size { width: 30, height: 30 })), None);
    }

    proptest! {
        #[test]
        fn bands_miss_no_neighbour(hashes in prop::collection::vec(any::<u64>(), 1..40), flips in prop::collection::vec(0u32..64, 0..9), distance in 0u32..9) {
            let mut bands = Bands::new(Likeness::Near(distance));
            hashes.iter().enumerate().for_each(|(index, hash)| bands.insert(*hash, index));
            let asked = flips.iter().fold(hashes[0], |hash, bit| hash ^ 1 << bit);
            let slow = hashes.iter().position(|hash| (hash ^ asked).count_ones() <= distance);
            prop_assert_eq!(bands.nearest(asked), slow);
        }
    }
}
