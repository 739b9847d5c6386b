//! one experiment, its prepared images and its ranks → a run's directory (contract 2).
//!
//! The parts, in the order data meets them: `staging` brings the images to the node, [`order`] says which sample goes where, `source`
//! makes pixels of one sample and [`loader`] batches of many, `data` opens an experiment's three splits of them, `losses`, `optimizer` and `schedule` are the recipe, `epoch` is the loop over
//! steps and `sums` what it adds up, `checkpoint` and `keeper` keep work from being lost, `metrics` and `events` tell of it, `examination`
//! is the test, `conclusion` the record of a run that is done, and `run` is the whole story; `rehearsal` only looks how fast it would be. `testing` measures any weights, `trained` opens
//! them, and `exchange` takes them in and gives them out.

mod augment;
mod checkpoint;
mod conclusion;
mod data;
mod directory;
mod epoch;
mod events;
mod examination;
mod exchange;
#[cfg(test)]
mod fixtures_tests;
mod keeper;
pub mod loader;
mod losses;
mod metrics;
mod optimizer;
pub mod order;
mod parallel;
mod recorded;
mod rehearsal;
mod run;
mod schedule;
mod source;
mod staging;
mod sums;
mod testing;
mod trained;

pub use directory::RunDirectory;
pub use exchange::{Inspection, export, import, inspect};
pub use rehearsal::rehearse;
pub use run::{Options, Outcome, train};
pub use testing::{Subject, Tested, test};
pub use trained::{LARGE_INSECT_ORDER, PUBLISHED_ORDERS, Trained, read_weights};
