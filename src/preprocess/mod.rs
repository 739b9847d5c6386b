//! chunks of originals → packs of small images for training, and the published containers of them.
//!
//! ```text
//! dataset/bioscan_images_original_full_part{N}.zip
//!   └─ a rank per chunk, threads per image: decode → (crop) → resize → encode
//!        └─ images/{package}/packs/part{N}.pack + part{N}.json      the manifest vouches for the pack
//!             └─ images/{package}/{package}.zip, {package}.hdf5, folder/part{N}/    whichever are asked for
//! ```
//!
//! Killed at any moment and run again, on any number of ranks, the bytes are the same.

mod manifest;
mod plan;
mod publish;
mod quarantine;
mod run;
mod verify;
mod work;

pub use manifest::Manifest;
pub use plan::{Source, assign, discover};
pub use quarantine::Quarantined;
pub use run::{Outcome, Summary, run};
pub use verify::{Finding, verify};
