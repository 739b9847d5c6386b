//! What was submitted before: the arguments that find it, for the subcommands that ask about it.

use std::path::{Path, PathBuf};

use crate::config::{Cluster, Experiment, Job};
use crate::error::Result;
use crate::sweep::slurm::{Pace, Slurm};
use crate::sweep::status::{Knowledge, Place};

/// Where a sweep was submitted to.
#[derive(Debug, clap::Args)]
pub(super) struct Past {
    /// The cluster it was submitted to: a name, or the path of a profile [default: all that it was submitted to]
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Take cluster profiles from this folder instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
}

impl Past {
    /// The job, and everything that is known of its submissions.
    pub(super) fn gather(&self, job_file: &Path) -> Result<(Job, Knowledge)> {
        let job = Job::load(job_file)?;
        let cluster = self.cluster.as_ref().map(|name| Cluster::load(name, self.profiles.as_deref())).transpose()?;
        let slurm = Slurm::new(self.pace()?);
        let slurm = slurm.is_here().then_some(&slurm);
        let place = Place { cluster: cluster.as_ref(), profiles: self.profiles.as_deref() };
        let known = Knowledge::gather(&job, place, slurm)?;
        Ok((job, known))
    }

    /// How often Slurm may be asked.
    pub(super) fn pace(&self) -> Result<Pace> {
        Pace::from_environment()
    }
}

/// A run by its id or its index.
pub(super) fn find(job: &Job, run: &str) -> Result<Experiment> {
    run.parse().map_or_else(|_| job.grid.find(run), |index| job.grid.at(index))
}
