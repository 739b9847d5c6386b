//! A job file and a cluster → its plan, rendered, with the hash of both: everything that is known before anything is submitted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;

use crate::config::{Cluster, Job};
use crate::error::{Error, IoContext, Result};
use crate::sweep::estimate::Measurement;
use crate::sweep::local::write_files;
use crate::sweep::manifest::{manifest, sweep_of};
use crate::sweep::measured;
use crate::sweep::plan::{Plan, PlannedJob, plan_with};
use crate::sweep::render::{Rendering, render, templates};

/// Beside the scripts: the account of the last submission.
const ACCOUNT: &str = "account";

/// What a person says of a sweep.
#[derive(Clone, Copy, Debug)]
pub struct Wishes<'a> {
    /// The account to charge; `None` for that of the last submission.
    pub account: Option<&'a str>,
    /// Templates of one's own.
    pub templates: Option<&'a Path>,
    /// Ranks of a run without Slurm.
    pub ranks: u32,
}

/// A sweep, ready to be submitted.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The job, its paths resolved.
    pub job: Job,
    /// Its jobs on the cluster.
    pub plan: Plan,
    /// The finished runs that its times rest on.
    pub finished: Vec<Measurement>,
    /// Holds the scripts and the journal: `{output}/slurm/{cluster}`.
    pub folder: PathBuf,
    /// The account to charge: the one that was named, or else that of the last submission.
    account: Option<String>,
    /// The rendering: name → text.
    pub files: BTreeMap<String, String>,
    /// The hash of all of it but the account: who pays is no other sweep.
    pub manifest: String,
    /// What tells this sweep from the same person's others.
    pub sweep: String,
}

impl Prepared {
    /// Plans and renders; nothing is written yet.
    pub fn new(job_file: &Path, cluster: &Cluster, wishes: Wishes) -> Result<Self> {
        let (job, written) = (Job::load(job_file)?, Job::as_written(job_file)?);
        let folder = folder_of(&job, &cluster.name);
        let finished = measured::known(&job, &folder)?;
        let plan = plan_with(&written, cluster, &finished)?;
        let (account, templates) = (account_of(&folder, wishes.account)?, templates(wishes.templates)?);
        let plain = Rendering { job: &written, job_file, folder: &folder, account: None, ranks: wishes.ranks };
        let manifest = manifest(&job, &render(&plan, &plain, templates.clone())?)?;
        let files = render(&plan, &Rendering { account: account.as_deref(), ..plain }, templates)?;
        let sweep = sweep_of(&job.paths.output)?;
        Ok(Self { job, plan, finished, folder, account, files, manifest, sweep })
    }

    /// Writes the scripts and the tables beside them.
    pub fn write(&self) -> Result<()> {
        write_files(&self.folder, &self.files)
    }

    /// Keeps what later calls go by: the account, and the figures of the plan. To be called once Slurm has accepted something.
    pub fn keep(&self) -> Result<()> {
        if let Some(account) = &self.account {
            write_files(&self.folder, &[(ACCOUNT.to_owned(), format!("{account}\n"))].into())?;
        }
        measured::keep(&self.folder, &self.finished)
    }

    /// The text of a job's script.
    #[must_use]
    pub fn text_of(&self, planned: &PlannedJob) -> &str {
        self.files.get(&planned.script).map_or("", String::as_str)
    }

    /// Whether preprocessing has finished under these very settings: every package's summary, which is written last, says so.
    ///
    /// # Errors
    /// The file of boxes or weights that the settings name cannot be read.
    pub fn is_preprocessed(&self) -> Result<bool> {
        let settings = &self.job.preprocess;
        for package in settings.packages() {
            let summary = self.job.paths.images(&package.name(settings.size)).join("summary.json");
            if shaping_of(&summary)? != Some(settings.shaping(package)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What a job would miss as soon as it starts.
    pub fn check(&self) -> Result<()> {
        let paths = &self.job.paths;
        if !self.is_preprocessed()? && !paths.dataset.is_dir() {
            return Err(Error::usage(format!("there is no dataset in {}", paths.dataset.display()))
                .with_help("`paths.dataset` of the job file names the folder with the metadata and the chunks"));
        }
        if !paths.split_metadata().is_file() {
            return Err(Error::usage("the records are not divided into train, validation and test yet")
                .with_help("`bioscan-hpc metadata split JOB.toml` does it, in a minute on a login node"));
        }
        self.job.check_weights()
    }

    /// What training here would miss: the images, which no job before it prepares.
    pub fn check_images(&self) -> Result<()> {
        let Job { paths, preprocess, train, .. } = &self.job;
        let images = paths.container(&preprocess.package(), train.images);
        if images.exists() {
            return Ok(());
        }
        Err(Error::input(&images, "the images are not prepared yet")
            .with_help("`bioscan-hpc preprocess JOB.toml` does it, alone or under mpirun; then the same command trains"))
    }
}

/// The account to charge: the `named` one, or the one that was kept in `folder`.
fn account_of(folder: &Path, named: Option<&str>) -> Result<Option<String>> {
    if let Some(named) = named {
        return Ok(Some(named.to_owned()));
    }
    let path = folder.join(ACCOUNT);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|account| !account.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at("read", &path),
    }
}

/// What shaped the images that a summary speaks of; `None` where there is none, or none of this version.
fn shaping_of(summary: &Path) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Summary {
        settings: String,
    }
    match fs::read(summary) {
        Ok(bytes) => Ok(serde_json::from_slice::<Summary>(&bytes).ok().map(|summary| summary.settings)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at("read", summary),
    }
}

/// Where the scripts of `job` for a cluster lie, and the journal of what was submitted of them.
#[must_use]
pub fn folder_of(job: &Job, cluster: &str) -> PathBuf {
    job.paths.output.join("slurm").join(cluster)
}
