//! one experiment, its prepared images and its ranks → a run's directory (contract 2).
//!
//! The parts, in the order data meets them: [`order`] says which sample goes where, `loader` turns samples into batches, `losses`,
//! `optimizer` and `schedule` are the recipe, `epoch` is the loop over steps, `checkpoint` keeps work from being lost, `metrics` and
//! `events` tell of it, `examination` is the test, and `run` is the whole story.

mod augment;
mod checkpoint;
mod directory;
mod epoch;
mod events;
mod examination;
mod loader;
mod losses;
mod metrics;
mod optimizer;
pub mod order;
mod parallel;
mod run;
mod schedule;

pub use directory::RunDirectory;
pub use run::{Options, Outcome, test, train};
