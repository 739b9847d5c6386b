//! `sweep` on a real Slurm that each test starts for itself, with a stand-in for training.
//!
//! ```text
//! field.rs     a Slurm, a job, a stand-in for the program
//! chain.rs     everything once: stages in their order, submit twice, slices, lost answers, hostile names
//! mend.rs      what failed, what was cancelled, and only that again
//! survive.rs   signals, preemption, a dead node, a restarted controller
//! ```

#[path = "../support/runs.rs"]
#[expect(dead_code, reason = "shared with other tests")]
mod runs;
#[path = "../support/slurm.rs"]
mod slurm;

mod chain;
mod field;
mod mend;
mod survive;
