//! Pictures → boxes, by the crop tool's DETR: pictures are made ready as `DetrFeatureExtractor` of transformers 4.26 does it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tch::{Device, Tensor};

use crate::error::{Error, Result};
use crate::image::{BoundingBox, RgbImage, Size, box_from_fractions, resize_as_pil};
use crate::model::Detr;
use crate::preprocess::detector::{Detector, Found, Scene, Sighting};

/// The detector as the threads of a rank share it: one forward pass at a time, which has libtorch's own threads, while the others
/// decode, crop and encode.
pub struct Shared {
    detector: Mutex<DetrDetector>,
    batch: usize,
}

impl Shared {
    /// Reads the weights, to the GPU where there is one. There `batch` pictures go through together; a CPU uses `threads`
    /// threads.
    pub fn load(weights: &Path, batch: usize, threads: usize) -> Result<Self> {
        tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
        let device = Device::cuda_if_available();
        let detector = Mutex::new(DetrDetector::new(weights, device)?);
        // A CPU takes pictures one by one, so there is no use in holding several decoded.
        let batch = if device == Device::Cpu { 1 } else { batch };
        Ok(Self { detector, batch })
    }
}

impl Detector for Shared {
    fn locate(&self, scenes: &[Scene<'_>]) -> Result<Vec<Found>> {
        let pictures: Vec<&RgbImage> = scenes.iter().map(|scene| scene.picture).collect();
        let found = self.detector.lock().unwrap_or_else(PoisonError::into_inner).locate(&pictures)?;
        let sighting = |(bounding_box, score): (_, f32)| Ok(Some(Sighting { bounding_box, score: Some(score.into()) }));
        Ok(found.into_iter().map(sighting).collect())
    }

    fn batch(&self) -> usize {
        self.batch
    }
}

/// The detector of the published crop tool.
pub struct DetrDetector {
    network: Detr,
}

impl DetrDetector {
    /// With the weights of a Lightning `.ckpt`, a state dict or a `.safetensors`.
    ///
    /// # Errors
    /// As [`Detr::load`].
    pub fn new(weights: &Path, device: Device) -> Result<Self> {
        Ok(Self { network: Detr::load(weights, device)? })
    }

    /// The most probable box of each picture, in pixels, and its probability. There always is one.
    ///
    /// On a GPU pictures that become one size go through the network together. On a CPU they go one by one, 0.6 GB in all for originals
    /// of 2880×2160: more at once is slower there, and so a box depends on its picture alone, to the last bit.
    ///
    /// # Errors
    /// What libtorch refuses, as too little memory.
    pub fn locate(&self, pictures: &[&RgbImage]) -> Result<Vec<(BoundingBox, f32)>> {
        let mut found = vec![None; pictures.len()];
        for (size, members) in self.batches(pictures) {
            let batch: Vec<&RgbImage> = members.iter().map(|&index| pictures[index]).collect();
            for (index, (fractions, score)) in members.into_iter().zip(self.network.locate(&tensor(&batch, size)?)?) {
                found[index] = Some((box_from_fractions(fractions, pictures[index].size()), score));
            }
        }
        let all: Option<Vec<_>> = found.into_iter().collect();
        all.ok_or_else(|| Error::library("libtorch", "the detector answered for fewer pictures than it was given"))
    }

    /// What goes through the network together: its size there, and which pictures.
    fn batches(&self, pictures: &[&RgbImage]) -> Vec<(Size, Vec<usize>)> {
        let together = self.network.device() != Device::Cpu;
        let mut batches: Vec<(Size, Vec<usize>)> = Vec::new();
        for (index, picture) in pictures.iter().enumerate() {
            let size = size_for(picture.size());
            match batches.iter_mut().find(|(of, _)| together && *of == size) {
                Some((_, members)) => members.push(index),
                None => batches.push((size, vec![index])),
            }
        }
        batches
    }
}

const SHORTEST: f64 = 800.0;
const LONGEST: f64 = 1333.0;

/// The size a picture is made for the network: its shorter side 800 pixels, less where the longer one would pass 1333. What the longer
/// one becomes is cut to whole pixels.
fn size_for(from: Size) -> Size {
    let (shorter, longer) = (from.width.min(from.height).max(1), from.width.max(from.height).max(1));
    let (short, long) = (f64::from(shorter), f64::from(longer));
    let fits = long / short * SHORTEST <= LONGEST;
    let side = if fits { SHORTEST } else { (LONGEST * short / long).round_ties_even().max(1.0) } as u32;
    if side == shorter {
        return from;
    }
    let other = (u64::from(side) * u64::from(longer) / u64::from(shorter)) as u32;
    if from.width < from.height { Size { width: side, height: other } } else { Size { width: other, height: side } }
}

/// `[N, 3, height, width]` float32, less ImageNet's mean over its deviation.
fn tensor(pictures: &[&RgbImage], size: Size) -> Result<Tensor> {
    let levels = levels();
    let mut values = Vec::with_capacity(3 * size.area() * pictures.len());
    for picture in pictures {
        let resized = resize_as_pil(picture, size);
        for (channel, levels) in levels.iter().enumerate() {
            values.extend(resized.pixels.iter().skip(channel).step_by(3).map(|&level| levels[usize::from(level)]));
        }
    }
    let shape = [pictures.len() as i64, 3, i64::from(size.height), i64::from(size.width)];
    Tensor::f_from_slice(&values).and_then(|flat| flat.f_reshape(shape)).map_err(|error| Error::library("libtorch", error))
}

/// What each level of red, green and blue becomes, rounded where the extractor rounds.
fn levels() -> [[f32; 256]; 3] {
    [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)].map(|(mean, deviation): (f32, f32)| {
        std::array::from_fn(|level| {
            let value = (level as f64 * (1.0 / 255.0)) as f32;
            (value - mean) / deviation
        })
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Fixture {
        resized: Vec<Resized>,
    }

    #[derive(Deserialize)]
    struct Resized {
        size: [u32; 2],
        shape: Vec<i64>,
        every: usize,
        values: Vec<f32>,
    }

    fn picture([width, height]: [u32; 2]) -> RgbImage {
        let places = (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| (x, y, c))));
        RgbImage { width, height, pixels: places.map(|(x, y, c)| (37 * x + 91 * y + 53 * c + x * y) as u8).collect() }
    }

    #[test]
    fn sizes_are_cut_and_the_longer_side_has_its_limit() {
        let becomes = |width, height| {
            let size = size_for(Size { width, height });
            (size.width, size.height)
        };
        assert_eq!(becomes(2880, 2160), (1066, 800));
        assert_eq!(becomes(2160, 2880), (800, 1066));
        // 1333 · 1000 / 2000 = 666.5 is rounded to even; 666 · 2 = 1332.
        assert_eq!(becomes(2000, 1000), (1332, 666));
        // 1333 · 77 / 1000 = 102.6; 103 · 1000 / 77 = 1337.7: the original passes its limit too.
        assert_eq!(becomes(1000, 77), (1337, 103));
        assert_eq!(becomes(900, 800), (900, 800));
        assert_eq!(becomes(1, 60_000), (1, 60_000));
    }

    #[test]
    fn pictures_are_the_extractors_bit_for_bit() {
        let fixture: Fixture =
            serde_json::from_str(include_str!("../../../tests/fixtures/detr.json")).expect("the fixture is JSON");
        for case in fixture.resized {
            let image = picture(case.size);
            let ours = tensor(&[&image], size_for(image.size())).unwrap();
            assert_eq!(ours.size(), case.shape, "{:?}", case.size);
            let ours = Vec::<f32>::try_from(ours.flatten(0, -1)).unwrap();
            let ours: Vec<f32> = ours.into_iter().step_by(case.every).collect();
            assert_eq!(ours, case.values, "{:?}", case.size);
        }
    }
}
