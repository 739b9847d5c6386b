//! settings → a synthetic dataset in the published layout: as many records and photographs as asked for.
//!
//! Everything is a function of the settings and a specimen's number: chunks can be made in any order, by any number of threads, and
//! a run that was killed ends with the same bytes as one that was not.

mod census;
mod chunks;
mod specimen;

pub use census::{CENSUS, Kind, allocate, kinds};
pub use chunks::{Encode, Settings, Written, write};
pub use specimen::{Specimen, Specimens};
