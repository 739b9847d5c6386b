//! Steps of whole batches → one recording, asked for again and again: on a GPU a CUDA graph, a launch in place of a thousand.
//!
//! A recording reads its batch from memory of its own, so each batch is copied there first. A CPU records nothing; it takes the step anew from
//! that memory, which shows that the rest is right.

use tch::{Device, TchError, Tensor};

use crate::comm::World;
use crate::comm::cuda_graph::CudaGraph;
use crate::config::Recipe;
use crate::error::{Error, Result};

/// Steps before the recording, in which libtorch chooses its kernels and makes what it makes once.
const WARM: usize = 3;

/// What the network made of a piece of a batch: losses `[n]`, logits `[n, C]`.
pub(super) struct Made {
    pub losses: Tensor,
    pub logits: Tensor,
}

impl Made {
    /// Without the graph, whose memory the next piece wants.
    pub fn detached(self) -> Self {
        Self { losses: self.losses.detach(), logits: self.logits.detach() }
    }
}

/// Takes the whole steps of a run by recording one.
pub(super) struct Recorder {
    device: Device,
    taken: usize,
    step: Option<Recorded>,
}

struct Recorded {
    /// Part of the recording; another one needs another recording.
    lr: f64,
    images: Tensor,
    labels: Tensor,
    made: Made,
    /// `None` on a CPU.
    graph: Option<CudaGraph>,
}

impl Recorder {
    /// `None` where the recipe wants none. Several ranks take their steps one launch at a time: a recording would have to hold their messages.
    ///
    /// # Errors
    /// Wrong usage where the plug-in is missing on a GPU.
    pub fn of(recipe: &Recipe, world: &World, device: Device) -> Result<Option<Self>> {
        if !recipe.cuda_graphs {
            return Ok(None);
        }
        if world.size() > 1 {
            tracing::warn!("`train.cuda_graphs` has no effect with several ranks");
            return Ok(None);
        }
        if device.is_cuda() {
            CudaGraph::is_to_be_had()?;
        }
        Ok(Some(Self { device, taken: 0, step: None }))
    }

    /// One step on `images` `[n, 3, side, side]` and `labels` `[n]` at learning rate `lr`; `take(images, labels)` is such a step.
    ///
    /// # Errors
    /// Those of `take`, and what CUDA cannot record.
    pub fn step(
        &mut self,
        (images, labels): (&Tensor, &Tensor),
        lr: f64,
        mut take: impl FnMut(&Tensor, &Tensor) -> Result<Made>,
    ) -> Result<Made> {
        self.taken += 1;
        if self.taken <= WARM {
            return take(images, labels);
        }
        let fits = |recorded: &Recorded| recorded.lr == lr && recorded.images.size() == images.size();
        let recorded = match self.step.take().filter(fits) {
            Some(mut recorded) => {
                recorded.read(images, labels)?;
                if recorded.graph.is_none() {
                    recorded.made = take(&recorded.images, &recorded.labels)?;
                }
                recorded
            }
            None => Recorded::new(self.device, (images, labels), lr, take)?,
        };
        if let Some(graph) = &recorded.graph {
            graph.replay()?;
        }
        let Made { losses, logits } = &recorded.made;
        let made = Made { losses: losses.shallow_clone(), logits: logits.shallow_clone() };
        self.step = Some(recorded);
        Ok(made)
    }
}

impl Recorded {
    /// Records `take` on a GPU, which does nothing yet, or takes the step on a CPU.
    fn new(
        device: Device,
        (images, labels): (&Tensor, &Tensor),
        lr: f64,
        mut take: impl FnMut(&Tensor, &Tensor) -> Result<Made>,
    ) -> Result<Self> {
        let (images, labels) = (own(images)?, own(labels)?);
        let (graph, made) = match device {
            Device::Cuda(index) => {
                let (graph, made) = CudaGraph::record(index, || take(&images, &labels))?;
                (Some(graph), made)
            }
            _ => (None, take(&images, &labels)?),
        };
        Ok(Self { lr, images, labels, made, graph })
    }

    fn read(&mut self, images: &Tensor, labels: &Tensor) -> Result<()> {
        self.images.f_copy_(images).and_then(|()| self.labels.f_copy_(labels)).map_err(libtorch)
    }
}

/// A copy in memory of its own.
fn own(tensor: &Tensor) -> Result<Tensor> {
    let copy = || {
        let mut own = Tensor::f_empty_like(tensor)?;
        own.f_copy_(tensor)?;
        Ok(own)
    };
    copy().map_err(libtorch)
}

fn libtorch(error: TchError) -> Error {
    Error::library("libtorch", error)
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;

    fn recorder() -> Recorder {
        let recipe = Recipe { cuda_graphs: true, ..Recipe::default() };
        Recorder::of(&recipe, &World::alone(), Device::Cpu).unwrap().unwrap()
    }

    /// A batch of `n` whose numbers are all `value`.
    fn batch(n: i64, value: f64) -> (Tensor, Tensor) {
        (Tensor::full([n, 3, 1, 1], value, (Kind::Float, Device::Cpu)), Tensor::zeros([n], (Kind::Int64, Device::Cpu)))
    }

    #[test]
    fn after_the_warm_steps_all_batches_of_a_size_are_read_from_the_same_memory() {
        let mut recorder = recorder();
        let mut places = Vec::new();
        for step in 0..WARM + 3 {
            let (images, labels) = batch(2, step as f64);
            let take = |images: &Tensor, _: &Tensor| {
                places.push(images.data_ptr() as usize);
                Ok(Made { losses: images.sum(Kind::Float), logits: images.shallow_clone() })
            };
            let made = recorder.step((&images, &labels), 0.1, take).unwrap();
            assert_eq!(made.losses.double_value(&[]), 6.0 * step as f64, "each step sees its own batch");
        }
        assert_eq!(places[WARM..], [places[WARM]; 3]);
    }

    #[test]
    fn another_learning_rate_or_size_is_recorded_anew() {
        let mut recorder = recorder();
        let mut step = |n, lr| {
            let (images, labels) = batch(n, 1.0);
            let take = |images: &Tensor, _: &Tensor| Ok(Made { losses: images.sum(Kind::Float), logits: images.shallow_clone() });
            recorder.step((&images, &labels), lr, take).unwrap();
            recorder.step.as_ref().map(|recorded| (recorded.images.size()[0], recorded.lr))
        };
        (0..WARM).for_each(|_| assert_eq!(step(2, 0.1), None));
        assert_eq!([step(2, 0.1), step(2, 0.01), step(3, 0.01)], [Some((2, 0.1)), Some((2, 0.01)), Some((3, 0.01))]);
    }

    #[test]
    fn nothing_is_recorded_unasked() {
        assert!(Recorder::of(&Recipe::default(), &World::alone(), Device::Cpu).unwrap().is_none());
    }
}
