//! TOML files and flags → typed, complete, hashed settings.

mod cluster;
mod experiment;
mod job;
mod load;
mod preprocess;
mod run;

pub use cluster::{Cluster, CpuNodes, GpuCounts, GpuNodes, Internet, Launcher, Limits, Scheduler, Staging, Walltime};
pub use experiment::{Experiment, ExperimentId, Grid, Loss, Partition};
pub use job::{Crop, Job, Paths, Precision, Recipe, RecipeChange, Split};
pub use load::{from_file, from_text, nearest};
pub use preprocess::{CropTool, Detector, Extend, Fill, Fit, Format, Hdf5Layout, Orientation, Package, Preprocess};
pub use run::{Fingerprints, RunConfig};
