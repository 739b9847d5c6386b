//! a batch of images → the probabilities of each, on one of this rank's threads.

use std::sync::{Mutex, PoisonError};

use tch::{Device, Kind, Tensor};

use crate::comm::tensor_ext::Arithmetic;
use crate::config::{Crop, Fit};
use crate::container::Refused;
use crate::error::{Error, Result};
use crate::image::{Fault, Filter, RgbImage, Target, View, crop_to_chw, resize, view_of};
use crate::model::{Classify, Model};
use crate::predict::inputs::refused_as;
use crate::predict::{Inputs, Refusal};

/// A trained network and what belongs to it.
pub struct Classifier {
    /// The network, on its device.
    pub model: Model,
    /// The names of its outputs, as many as there are.
    pub classes: Vec<String>,
    /// What it is shown of an image.
    pub crop: Crop,
    /// Where it is.
    pub device: Device,
}

/// Cuts the specimen out of the picture in a JPEG; its file name tells it from others.
pub type Cropper<'a> = dyn Fn(&str, &[u8]) -> Result<Result<RgbImage, Fault>> + Sync + 'a;

/// A twin of the network for each thread.
pub(super) struct Scorer<'a> {
    crop: &'a Crop,
    classes: usize,
    device: Device,
    cropper: Option<&'a Cropper<'a>>,
    inputs: &'a Inputs,
    twins: Vec<Mutex<Model>>,
}

/// What came of one image: its probabilities, or why there are none.
pub(super) type Scored = Result<Vec<f32>, Refusal>;

impl<'a> Scorer<'a> {
    /// For a pool of `threads` threads.
    pub fn new(classifier: &'a Classifier, cropper: Option<&'a Cropper<'a>>, inputs: &'a Inputs, threads: usize) -> Result<Self> {
        let Classifier { model, classes, crop, device } = classifier;
        Arithmetic::default().set();
        let twins = (0..threads).map(|_| model.twin().map(Mutex::new)).collect::<Result<_>>()?;
        Ok(Self { crop, classes: classes.len(), device: *device, cropper, inputs, twins })
    }

    /// Scores the images `first..end`, on the calling thread of the pool alone. The outer error ends the command.
    pub fn score(&self, first: usize, end: usize) -> Result<Vec<Scored>> {
        let numbers = 3 * self.side() * self.side();
        let mut pixels = vec![0f32; (end - first) * numbers];
        let mut seen = 0;
        let mut refusals = Vec::with_capacity(end - first);
        for index in first..end {
            let out = pixels.get_mut(seen * numbers..(seen + 1) * numbers).unwrap_or_default();
            let refusal = self.fill(index, out)?.err();
            seen += usize::from(refusal.is_none());
            refusals.push(refusal);
        }
        pixels.truncate(seen * numbers);
        let mut probabilities = self.forward(&pixels, seen)?.into_iter();
        let outcome = |refusal: Option<Refusal>| match refusal {
            Some(refusal) => Ok(Err(refusal)),
            None => probabilities.next().map(Ok).ok_or_else(|| Error::library("libtorch", "too few rows of probabilities")),
        };
        refusals.into_iter().map(outcome).collect()
    }

    fn side(&self) -> usize {
        self.crop.size as usize
    }

    /// One image into `out`, `[3, S, S]`: decoded, cropped to its specimen where that is asked for, the shorter side resized, the middle
    /// taken.
    fn fill(&self, index: usize, out: &mut [f32]) -> Result<Result<(), Refusal>> {
        let jpeg = match self.inputs.read(index)? {
            Ok(jpeg) => jpeg,
            Err(refused) => return Ok(Err(refused_as(self.inputs.name(index), refused))),
        };
        let filled = match self.cropper {
            None => {
                let target = Target { fit: Fit::Shorter, length: self.crop.resize };
                view_of(&jpeg, target, self.crop.size, |size| View::centre(size, self.crop.size), out)?
            }
            Some(cropper) => self.fill_cropped(cropper, index, &jpeg, out)?,
        };
        Ok(filled.map_err(|fault| {
            let refused = Refused { file: String::new(), reason: fault.reason.word(), detail: fault.detail };
            refused_as(self.inputs.name(index), refused)
        }))
    }

    fn fill_cropped(&self, cropper: &Cropper<'_>, index: usize, jpeg: &[u8], out: &mut [f32]) -> Result<Result<(), Fault>> {
        let specimen = match cropper(self.inputs.file(index), jpeg)? {
            Ok(specimen) => specimen,
            Err(fault) => return Ok(Err(fault)),
        };
        let target = Target { fit: Fit::Shorter, length: self.crop.resize };
        let size = match target.size_for(specimen.size()) {
            Ok(size) => size,
            Err(fault) => return Ok(Err(fault)),
        };
        let View { x, y, flip } = View::centre(size, self.crop.size);
        crop_to_chw(&resize(&specimen, size, Filter::Bilinear)?, x, y, self.crop.size, flip, out);
        Ok(Ok(()))
    }

    /// Probabilities of `count` images, a row each.
    fn forward(&self, pixels: &[f32], count: usize) -> Result<Vec<Vec<f32>>> {
        if count == 0 {
            return Ok(vec![]);
        }
        let (side, thread) = (self.side() as i64, rayon::current_thread_index().unwrap_or(0));
        let twin = self.twins.get(thread).ok_or_else(|| Error::usage(format!("there is no network for thread {thread}")))?;
        // A panic elsewhere cannot have harmed weights that nobody writes to.
        let twin = twin.lock().unwrap_or_else(PoisonError::into_inner);
        tch::no_grad(|| {
            let failed = |error: tch::TchError| Error::library("libtorch", error);
            let images = Tensor::from_slice(pixels).f_view([count as i64, 3, side, side]).map_err(failed)?;
            let images = images.f_to_device(self.device).map_err(failed)?;
            let probabilities = twin.scores(&images)?.f_softmax(-1, Kind::Float).map_err(failed)?;
            let flat = probabilities.f_to_device(Device::Cpu).and_then(|all| all.f_flatten(0, -1)).map_err(failed)?;
            let flat = Vec::<f32>::try_from(flat).map_err(failed)?;
            Ok(flat.chunks_exact(self.classes).map(<[f32]>::to_vec).collect())
        })
    }
}
