//! TOML files and flags → typed, complete, hashed settings.

mod cluster;
mod experiment;
mod job;
mod load;
mod run;

pub use cluster::{Cluster, CpuNodes, GpuCounts, GpuNodes, Internet, Launcher, Limits, Scheduler, Staging, Walltime};
pub use experiment::{Experiment, ExperimentId, Grid, Loss, Partition};
pub use job::{Crop, Detector, Fit, Format, Job, Paths, Precision, Preprocess, Recipe, RecipeChange, Split};
pub use load::{from_file, from_text, nearest};
pub use run::RunConfig;
