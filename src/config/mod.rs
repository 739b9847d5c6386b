//! TOML files and flags → typed, complete, hashed settings.

mod check;
mod cluster;
mod exclusion;
mod experiment;
mod init;
mod job;
mod load;
mod preprocess;
mod recipe;
mod run;
mod shaping;
mod shares;
mod sweep;

pub use cluster::{
    Charge, Cluster, CpuNodes, GpuCounts, GpuKind, GpuNodes, Internet, Launcher, Limits, Rules, Scheduler, Slice, Staging,
    Walltime,
};
pub use exclusion::Exclusion;
pub use experiment::{BACKBONES, EXPERIMENTS, Experiment, ExperimentId, Grid, Loss, Partition};
pub use init::Init;
pub use job::{Job, Paths, Split};
pub use load::{from_file, from_text, nearest};
pub use preprocess::{CropTool, Detector, Extend, Fill, Fit, Format, Hdf5Layout, Orientation, Package, Preprocess};
pub use recipe::{Backend, BatchNorm, Crop, OnNonFinite, Precision, Ranks, Recipe, RecipeChange};
pub use run::{Fingerprints, RunConfig};
pub use shares::Shares;
pub use sweep::{Sweep, Wish};
