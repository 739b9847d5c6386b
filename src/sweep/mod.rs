//! A job and a cluster → the experiments, their Slurm scripts, their jobs in the queue, and the state of each run.
//!
//! The state lies in the runs' own folders: no server, no database. `local` starts the very scripts that Slurm would, on this machine.
//!
//! | file | step |
//! |---|---|
//! | [`plan`] | which jobs, which experiments each holds, and what they ask for |
//! | [`estimate`] | how long a run may take, rounded into what a cluster offers |
//! | [`measured`] | what finished runs say of that |
//! | [`policy`] | what a cluster would refuse, and by which rule |
//! | [`cost`] | GPU-hours and the units of an account |
//! | [`array`] | indices as Slurm writes them |
//! | [`quote`] | names and paths made safe for a shell |
//! | [`render`] | the plan as files of readable bash |
//! | [`metafarm`] | the same as farms of META-Farm |
//! | [`prepared`], [`manifest`] | all that is known before a submission, and its hash |
//! | [`feed`], [`arguments`] | which tasks to submit now; the arguments of `sbatch` |
//! | [`submit`], `desk`, [`submissions`] | the story of a submission, one call of `sbatch`, and the journal |
//! | [`slurm`] | Slurm's commands and their answers |
//! | [`state`], [`progress`], [`logs`] | what a run's folder and log say about it |
//! | [`status`], [`verdict`], [`table`] | what has become of every run, and why, in words |
//! | [`local`] | the scripts run here, a few at a time |

pub mod arguments;
pub mod array;
mod choice;
pub mod cost;
mod desk;
pub mod estimate;
pub mod feed;
#[cfg(test)]
mod fixtures_tests;
pub mod local;
pub mod logs;
pub mod manifest;
pub mod measured;
pub mod metafarm;
pub mod plan;
pub mod policy;
pub mod prepared;
pub mod progress;
pub mod quote;
pub mod render;
pub mod slurm;
pub mod state;
pub mod status;
pub mod submissions;
pub mod submit;
pub mod table;
mod task;
pub mod verdict;

pub use plan::{Plan, PlannedJob};
pub use state::State;
