//! a metadata table → how much is known of each attribute, and how each experiment and partition is divided.

mod attribute;
mod experiments;
mod partitions;
mod pass;

pub use attribute::{Category, Rank, Tail};
pub use experiments::{ClassCount, Experiment};
pub use partitions::PartitionCount;
pub use pass::{Query, SITE, Statistics, statistics, statistics_with};
