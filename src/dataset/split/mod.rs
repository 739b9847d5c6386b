//! orders and families of all rows → the six experiment columns, by the original algorithm (Gharaee et al. 2023), but seeded.
//!
//! The order of runs matters: the large Diptera set first, then the large order set, which keeps the roles the first one gave, so
//! that no photograph is in train for one task and in test for the other; medium and small sets are cut from their large parent.
//! The original shuffles without a seed, so that the published columns cannot be made again: they are kept where a table has them.

mod capped;
mod columns;
mod experiments;
mod grouped;
mod regular;

pub use crate::config::EXPERIMENTS;
pub use capped::{Subset, subset, target};
pub(in crate::dataset) use columns::not_a_role;
pub use columns::{ColumnSummary, Outcome, Request, split_metadata};
pub use experiments::{Labelled, divide, is_paper, large_diptera_family, large_insect_order, paper, reduce};
pub use grouped::divide_grouped;
pub use regular::sizes;
