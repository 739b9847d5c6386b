//! BIOSCAN-1M from 113 chunks of raw photographs to its results table.
//!
//! ```text
//! metadata ─ split ─┐
//! chunks ─ preprocess (MPI) ─ containers ─┴─ train (MPI ranks) ─ test ─ aggregate ─ tables
//!                    └──────── sweep: the experiments as Slurm arrays ────────┘
//! ```
//!
//! Four floors; a room imports only from the floors below its own, and `tests/house.rs` keeps it so.
//!
//! 1. [`error`], [`random`], [`config`], [`telemetry`], [`store`], [`comm`]: the ground every room stands on.
//! 2. [`dataset`], `image`, [`container`], `model`, [`evaluate`]: the nouns.
//! 3. [`curate`], `preprocess`, `train`, `predict`, [`sweep`], [`report`]: the stages; `transfer`, [`doctor`].
//! 4. [`cli`]: one file a subcommand.
//!
//! `image` and `preprocess` need the feature `image`; `model`, `train` and `predict` the feature `torch`; `transfer` the feature `net`.

pub mod cli;
pub mod comm;
pub mod config;
pub mod container;
pub mod curate;
pub mod dataset;
pub mod doctor;
pub mod error;
pub mod evaluate;
#[cfg(feature = "image")]
pub mod image;
#[cfg(feature = "torch")]
pub mod model;
#[cfg(feature = "torch")]
pub mod predict;
#[cfg(feature = "image")]
pub mod preprocess;
pub mod random;
pub mod report;
pub mod store;
pub mod sweep;
pub mod telemetry;
#[cfg(feature = "torch")]
pub mod train;
#[cfg(feature = "net")]
pub mod transfer;
