//! records → classes, splits and the samples of every experiment; and records and pictures out of nothing, for a trial.
//!
//! [`table`] reads and writes the metadata in its three formats, [`labels`] numbers classes, [`split`] makes the experiment columns,
//! [`load_partition`] hands training its samples.

pub mod bioscan5m;
pub mod boxes;
pub mod clean;
mod delimited;
pub mod import;
pub mod jsonld;
pub mod labels;
pub mod layout;
#[cfg(feature = "parquet")]
mod parquet;
mod partition;
pub mod picture;
pub mod place;
pub mod record;
mod role;
pub mod schema;
pub mod split;
pub mod statistics;
pub mod synth;
pub mod table;
pub mod taxonomy;
pub mod validate;

pub use partition::{PartitionData, Sample, load_partition};
pub use role::Role;
