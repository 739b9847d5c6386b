//! What the sweep wants of Slurm → its commands, and their answers as values.
//!
//! Fixed text formats, never JSON: that has changed with Slurm's versions. Nothing here decides anything.
//!
//! | file | step |
//! |---|---|
//! | [`call`] | a program → its output, within a time |
//! | [`client`] | the questions and orders, spaced as a cluster wishes |
//! | [`queue`] | the lines of `squeue` |
//! | [`records`] | how tasks ended: the lines of `scontrol show job` and `sacct` |

pub mod call;
pub mod client;
pub mod queue;
pub mod records;

pub use client::{Answer, Pace, Slurm};
pub use queue::{Phase, QueuedTask, TaskId};
pub use records::Ending;
