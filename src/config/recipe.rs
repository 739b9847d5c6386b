//! How a run is trained: every key of `[train]`, with the paper's values as defaults.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{Format, Init};

/// How a run is trained. The defaults are the paper's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// What the weights are before the first step.
    #[serde(skip_serializing_if = "Init::is_default")]
    pub init: Init,
    /// Passes over the training set.
    pub epochs: u64,
    /// Images a step, over all ranks together.
    pub global_batch: usize,
    /// Images computed at a time, over all ranks together: a global batch too large for memory is cut into such pieces, whose
    /// gradients add up to one step. BatchNorm's statistics are then those of a piece. 0 cuts nothing.
    pub micro_batch: usize,
    /// Learning rate of the first epochs; never scaled by itself.
    pub lr: f64,
    /// The global batch that `lr` is meant for: another one scales it in proportion (Goyal et al. 2017). 0 scales nothing.
    pub lr_batch: usize,
    /// SGD momentum.
    pub momentum: f64,
    /// Nesterov's form of it.
    pub nesterov: bool,
    /// L2 penalty on every parameter.
    pub weight_decay: f64,
    /// 0-based epochs at whose start the learning rate is multiplied by `lr_decay`.
    pub milestones: Vec<u64>,
    /// See `milestones`.
    pub lr_decay: f64,
    /// γ of the focal loss.
    pub focal_gamma: f64,
    /// The square the network sees.
    pub crop: Crop,
    /// Precision of the arithmetic in training; validation and test are always in 32 bits.
    pub precision: Precision,
    /// On a GPU only kernels are taken whose sums come in the same order each time, where libtorch has such, and its log names those without;
    /// some of them are slower. A CPU adds in the same order anyway. cuBLAS wants `CUBLAS_WORKSPACE_CONFIG=:4096:8` in the environment.
    #[serde(skip_serializing_if = "is_default")]
    pub deterministic: bool,
    /// Images and the weights of convolutions lie in memory with the channels of a pixel side by side. Pays on a GPU in 16 bits;
    /// recorded, because a sum's last bits depend on it.
    pub channels_last: bool,
    /// Whose statistics BatchNorm normalises by, where there are several ranks.
    pub batch_norm: BatchNorm,
    /// Threads a rank; 0 takes what Slurm or the machine gives. Recorded, because a sum's last bits depend on it.
    pub threads: usize,
    /// Which of the containers that preprocessing wrote is read. All hold the same bytes, so it changes no result.
    pub images: Format,
    /// A checkpoint is saved every so many steps besides the end of each epoch; 0 saves at the ends alone.
    pub checkpoint_steps: u64,
    /// And whenever so many minutes have passed since the last one; 0 never does.
    pub checkpoint_minutes: f64,
    /// What a batch whose loss is no number comes to.
    pub on_nonfinite: OnNonFinite,
    /// Batches for a GPU are decoded into pinned memory, and copied on a stream of their own while it computes. A CPU needs neither.
    #[serde(skip_serializing_if = "is_true")]
    pub pin_memory: bool,
    /// On one GPU, a step is recorded and then asked for with a single launch instead of a thousand (a CUDA graph): pays where batches are so
    /// small that the GPU waits for launches, and holds the memory of a step for good. Recorded like the precision. No effect on a CPU.
    #[serde(skip_serializing_if = "is_default")]
    pub cuda_graphs: bool,
    /// How ranks talk to each other, and how long they wait.
    pub ranks: Ranks,
    /// What differs on one value of an axis: `[train.for.vit_tiny_patch16_224]`, `[train.for.large]`.
    #[serde(rename = "for", skip_serializing_if = "BTreeMap::is_empty")]
    pub changes: BTreeMap<String, RecipeChange>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            init: Init::Pretrained,
            epochs: 100,
            global_batch: 32,
            micro_batch: 0,
            lr: 1e-3,
            lr_batch: 0,
            momentum: 0.9,
            nesterov: true,
            weight_decay: 1e-4,
            milestones: vec![20, 25],
            lr_decay: 0.1,
            focal_gamma: 2.0,
            crop: Crop::default(),
            precision: Precision::Float32,
            deterministic: false,
            channels_last: false,
            batch_norm: BatchNorm::Sync,
            threads: 0,
            images: Format::Pack,
            checkpoint_steps: 0,
            checkpoint_minutes: 10.0,
            on_nonfinite: OnNonFinite::Stop,
            pin_memory: true,
            cuda_graphs: false,
            ranks: Ranks::default(),
            changes: BTreeMap::new(),
        }
    }
}

/// The square the network sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Crop {
    /// The shorter side is resized to this before the crop, in pixels.
    pub resize: u32,
    /// Side of the square in pixels.
    pub size: u32,
    /// Random position and flip in training; the middle otherwise.
    pub augment: bool,
}

impl Default for Crop {
    fn default() -> Self {
        Self { resize: 256, size: 224, augment: true }
    }
}

impl Recipe {
    /// The recipe on those values of the axes, given from the widest to the narrowest: the narrowest has the last word.
    #[must_use]
    pub fn on<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut recipe = Self { changes: BTreeMap::new(), ..self.clone() };
        for change in values.into_iter().filter_map(|value| self.changes.get(value)) {
            recipe.init = change.init.unwrap_or(recipe.init);
            recipe.epochs = change.epochs.unwrap_or(recipe.epochs);
            recipe.global_batch = change.global_batch.unwrap_or(recipe.global_batch);
            recipe.micro_batch = change.micro_batch.unwrap_or(recipe.micro_batch);
            recipe.lr = change.lr.unwrap_or(recipe.lr);
        }
        recipe
    }

    /// The learning rate of the first epochs: `lr`, scaled where `lr_batch` asks for it.
    #[must_use]
    pub fn first_lr(&self) -> f64 {
        if self.lr_batch == 0 { self.lr } else { self.lr * self.global_batch as f64 / self.lr_batch as f64 }
    }

    /// Images computed at a time, over all ranks together.
    #[must_use]
    pub fn piece(&self) -> usize {
        if self.micro_batch == 0 { self.global_batch } else { self.micro_batch }
    }

    /// The settings that change a run's result, the others as if left out: threads, memory, the container that is read, checkpoints and
    /// patience only place the work.
    #[must_use]
    pub fn of_the_result(&self) -> Self {
        // The first weights are told by their hash.
        let Self { init, threads, images, checkpoint_steps, checkpoint_minutes, pin_memory, ranks, .. } = Self::default();
        Self { init, threads, images, checkpoint_steps, checkpoint_minutes, pin_memory, ranks, ..self.clone() }
    }
}

/// Precision of the arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats throughout: the reference. On a GPU also where libtorch itself would take TF32.
    Float32,
    /// 32-bit floats whose products a GPU forms from 10 bits of mantissa (TF32), in convolutions and matrices. The same as `float32` on a CPU.
    Tf32,
    /// Convolutions and matrix products in 16 bits with the exponent of 32; weights, gradients and all else in 32. Made for GPUs; a CPU
    /// without 16-bit instructions takes about twelve times as long.
    BFloat16,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_true(value: &bool) -> bool {
    *value
}

/// Whose statistics BatchNorm normalises by, where there are several ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchNorm {
    /// Those of the whole global batch: the number of ranks changes no result beyond rounding.
    Sync,
    /// Those of each rank's share, rank 0's running ones for all: one message less a layer, but another result on another number of
    /// ranks.
    Local,
}

/// By what the tensors of GPUs travel from rank to rank; those of a CPU always go over MPI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// From GPU to GPU; a whole GPU a rank.
    #[default]
    Nccl,
    /// Through main memory: slower, but also on slices of a GPU (MIG), which NCCL does not serve.
    Mpi,
}

/// How ranks talk to each other, and how long they wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ranks {
    /// By what the tensors of GPUs travel.
    #[serde(skip_serializing_if = "is_default")]
    pub backend: Backend,
    /// A rank that the others have waited for so long, in seconds, is given up, and the job with it.
    pub timeout_s: u64,
    /// How often a waiting rank looks for the others, in microseconds; it sleeps in between. 0 never sleeps: quicker where cores are
    /// spare, at the price of one.
    pub poll_us: u64,
}

impl Default for Ranks {
    /// NCCL, and half an hour, as in PyTorch, looking every 100 µs.
    fn default() -> Self {
        Self { backend: Backend::Nccl, timeout_s: 30 * 60, poll_us: 100 }
    }
}

/// What a batch whose loss is NaN or infinite comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnNonFinite {
    /// The run ends with an error that names the batch; the checkpoint before it is intact.
    #[default]
    Stop,
    /// The batch moves no weight, and is counted and recorded. To know it before the weights move costs a look at the loss, and under
    /// several ranks a message, in every step.
    Skip,
}

/// What differs from the recipe on one value of an axis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecipeChange {
    /// See [`Recipe::init`].
    pub init: Option<Init>,
    /// See [`Recipe::epochs`].
    pub epochs: Option<u64>,
    /// See [`Recipe::global_batch`].
    pub global_batch: Option<usize>,
    /// See [`Recipe::micro_batch`].
    pub micro_batch: Option<usize>,
    /// See [`Recipe::lr`].
    pub lr: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_is_scaled_where_that_is_asked_for_and_nowhere_else() {
        let large = Recipe { global_batch: 256, ..Recipe::default() };
        assert_eq!(large.first_lr(), 1e-3);
        let scaled = Recipe { lr_batch: 32, ..large };
        assert_eq!(scaled.first_lr(), 8e-3);
        assert_eq!(Recipe { global_batch: 8, ..scaled }.first_lr(), 2.5e-4);
    }

    #[test]
    fn what_only_places_the_work_is_no_part_of_the_result() {
        let ranks = Ranks { backend: Backend::Mpi, timeout_s: 1, poll_us: 0 };
        let (images, checkpoint_minutes) = (Format::Zip, 0.5);
        let placed = Recipe {
            threads: 4,
            images,
            checkpoint_steps: 10,
            checkpoint_minutes,
            pin_memory: false,
            ranks,
            ..Recipe::default()
        };
        assert_eq!(placed.of_the_result(), Recipe::default());
        let local = Recipe { batch_norm: BatchNorm::Local, ..Recipe::default() };
        assert_eq!(local.of_the_result(), local);
    }

    #[test]
    fn a_batch_that_is_not_cut_is_one_piece() {
        assert_eq!(Recipe::default().piece(), 32);
        assert_eq!(Recipe { micro_batch: 5, ..Recipe::default() }.piece(), 5);
    }
}
