//! chunks of originals → packs of small images for training, and the published containers of them.
//!
//! ```text
//! dataset/bioscan_images_original_full_part{N}.zip
//!   └─ cut into units of about a second; rank 0 hands them out
//!        └─ a rank: read ahead → decode → (find, crop) → resize → encode → write, all at once
//!             └─ images/{package}/packs/part{N}.pack + part{N}.json      the manifest vouches for the pack
//!                  └─ images/{package}/{package}.zip, {package}.hdf5, folder/part{N}/    whichever are asked for
//! ```
//!
//! Killed at any moment and run again, on any number of ranks, the bytes are the same.

mod boxes;
mod budget;
mod crew;
mod cropper;
mod decoded;
pub mod detector;
mod ledger;
mod manifest;
mod need;
mod pass;
mod prepare;
mod publish;
mod quarantine;
mod queue;
mod run;
mod share;
mod source;
mod survey;
mod units;
mod verify;
mod work;

pub use cropper::Cropper;
#[cfg(feature = "torch")]
pub use detector::DetrDetector;
pub use manifest::Manifest;
pub use quarantine::Quarantined;
pub use queue::{Queue, Task};
pub use run::{Outcome, Summary, run};
pub use source::{Source, discover};
pub use units::Unit;
pub use verify::{Finding, verify};
