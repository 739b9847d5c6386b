//! What BIOSCAN-5M does otherwise: eight partitions, folders named by a hash, classes by the alphabet.

mod labels;
mod partition;

pub use labels::{ClassIndex, Record, read};
pub(in crate::dataset) use partition::not_a_partition;
pub use partition::{Partition, Selection, Set, chunk, without_n};
