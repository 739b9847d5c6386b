//! A job and a cluster → the experiments, their Slurm scripts, and the state of each run.
//!
//! The state lies in the runs' own folders: no server, no database. `local` starts the very scripts that Slurm would, on this machine.
//!
//! | file | step |
//! |---|---|
//! | [`plan`] | which jobs, which experiments each holds, and what they ask for |
//! | [`estimate`] | how long a run may take, rounded into what a cluster offers |
//! | [`quote`] | names and paths made safe for a shell |
//! | [`render`] | the plan as files of readable bash |
//! | [`state`] | what a run's folder says about it |
//! | [`local`] | the scripts run here, a few at a time |

pub mod estimate;
pub mod local;
pub mod plan;
pub mod quote;
pub mod render;
pub mod state;
mod task;

pub use plan::{Plan, PlannedJob};
pub use state::State;
