//! A cluster's name → what it has and what it allows.
//!
//! The profiles in `jobs/clusters/` are part of the binary; a folder of other profiles or a path to one replaces them. A key that
//! is absent from a profile is not known: nothing is guessed in its place.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::{from_file, from_text, nearest};
use crate::error::{Error, IoContext, Result};

const EMBEDDED: [(&str, &str); 9] = [
    ("fir", include_str!("../../jobs/clusters/fir.toml")),
    ("nibi", include_str!("../../jobs/clusters/nibi.toml")),
    ("rorqual", include_str!("../../jobs/clusters/rorqual.toml")),
    ("narval", include_str!("../../jobs/clusters/narval.toml")),
    ("trillium", include_str!("../../jobs/clusters/trillium.toml")),
    ("tamia", include_str!("../../jobs/clusters/tamia.toml")),
    ("killarney", include_str!("../../jobs/clusters/killarney.toml")),
    ("vulcan", include_str!("../../jobs/clusters/vulcan.toml")),
    ("local", include_str!("../../jobs/clusters/local.toml")),
];

/// A cluster's profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// What `--cluster` calls it.
    pub name: String,
    /// What people call it, and where it stands.
    pub title: String,
    /// What takes its jobs.
    pub scheduler: Scheduler,
    /// What an account is called there, as an example; absent where nobody is charged.
    pub account_example: Option<String>,
    /// What starts the ranks of an MPI program.
    pub launcher: Launcher,
    /// Modules to load, in order.
    pub modules: Vec<String>,
    /// Where a job's private folder lies.
    pub staging: Staging,
    /// Whether compute nodes reach the internet.
    pub internet: Option<Internet>,
    /// Whether jobs may be submitted from inside jobs.
    pub sbatch_from_jobs: Option<bool>,
    /// Whether jobs must be submitted from `$SCRATCH`, because the other file systems are read-only in jobs.
    pub submit_from_scratch: bool,
    /// Whether `--mem` means anything.
    pub memory_line: bool,
    /// How long jobs may last.
    #[serde(default)]
    pub walltime: Walltime,
    /// How many jobs one person may have.
    #[serde(default)]
    pub limits: Limits,
    /// Nodes without GPUs.
    pub cpu: Option<CpuNodes>,
    /// Nodes with GPUs; training takes the first kind.
    #[serde(default)]
    pub gpus: Vec<GpuNodes>,
}

/// What takes jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheduler {
    /// Slurm.
    Slurm,
    /// Nobody: this program starts the scripts itself.
    None,
}

/// What starts the ranks of an MPI program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Launcher {
    /// Slurm's own.
    Srun,
    /// Open MPI's.
    Mpirun,
}

/// What `$SLURM_TMPDIR` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Staging {
    /// A disk of the node: images are copied there first.
    Disk,
    /// Memory of the job: images are read where they lie.
    Memory,
    /// Not used: images are read where they lie.
    None,
}

/// Whether compute nodes reach the internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Internet {
    /// Anywhere.
    Yes,
    /// Nowhere.
    No,
    /// A list of permitted sites through a proxy.
    Proxy,
}

/// How long jobs may last, in hours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Walltime {
    /// The longest.
    pub max: Option<f64>,
    /// The shortest that is welcome.
    pub min: Option<f64>,
    /// The limits of the scheduler's classes, ascending; fewer nodes serve the longer ones.
    #[serde(default)]
    pub bins: Vec<f64>,
}

/// How many jobs one person may have; every task of an array counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// At the same time in the queue, waiting ones included.
    pub submitted: Option<u32>,
    /// Running at the same time.
    pub running: Option<u32>,
}

/// Nodes without GPUs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuNodes {
    /// How many there are.
    pub nodes: u32,
    /// Cores of one.
    pub cores: u32,
    /// Memory of one that jobs may use, in MiB.
    pub memory_mib: u64,
    /// Whether a job takes whole nodes.
    pub whole: bool,
}

/// Nodes with GPUs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuNodes {
    /// Slurm's name of the GPU, as in `--gpus-per-node=NAME:1`.
    pub spec: String,
    /// How many such nodes there are.
    pub nodes: u32,
    /// GPUs of one.
    pub per_node: u32,
    /// Cores of one node.
    pub node_cores: u32,
    /// Memory of one node, in MiB.
    pub node_memory_mib: u64,
    /// Cores that go with one GPU.
    pub cores: u32,
    /// Memory that goes with one GPU, in GiB.
    pub memory_gib: Option<u64>,
    /// How many GPUs a job may ask for.
    pub counts: GpuCounts,
    /// Training speed in multiples of an H100's.
    pub speed: f64,
}

/// How many GPUs a job may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GpuCounts {
    /// Any number.
    Any,
    /// Exactly one, or whole nodes.
    OneOrWholeNodes,
    /// Whole nodes alone: several runs share a job, one a GPU.
    WholeNodes,
}

impl Cluster {
    /// The profile called `name`: one of the embedded ones, or `{name}.toml` in `folder`, or the file itself where `name` ends in
    /// `.toml`. The error for an unknown name lists the known ones.
    pub fn load(name: &str, folder: Option<&Path>) -> Result<Self> {
        let cluster: Self = if name.ends_with(".toml") {
            from_file(Path::new(name))?
        } else if let Some(folder) = folder {
            let known = names_in(folder)?;
            require(name, &known)?;
            from_file(&folder.join(format!("{name}.toml")))?
        } else {
            require(name, &Self::names())?;
            let text = EMBEDDED.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text);
            from_text(text, &format!("jobs/clusters/{name}.toml"))?
        };
        cluster.check()?;
        Ok(cluster)
    }

    /// The names of the embedded profiles.
    #[must_use]
    pub fn names() -> Vec<String> {
        EMBEDDED.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    /// The GPUs that training takes; `None` where it runs on CPUs.
    #[must_use]
    pub fn training_gpu(&self) -> Option<&GpuNodes> {
        self.gpus.first()
    }

    fn check(&self) -> Result<()> {
        let ascending = self.walltime.bins.windows(2).all(|pair| pair[0] < pair[1]);
        let faults = [
            (self.name.is_empty(), "`name` is empty"),
            (!ascending, "`walltime.bins` must ascend"),
            (
                self.gpus.iter().any(|gpu| gpu.per_node == 0 || gpu.cores == 0),
                "`gpus.per_node` and `gpus.cores` must be at least 1",
            ),
            (self.gpus.iter().any(|gpu| gpu.speed.is_nan() || gpu.speed <= 0.0), "`gpus.speed` must be a positive number"),
            (self.cpu.as_ref().is_some_and(|cpu| cpu.cores == 0), "`cpu.cores` must be at least 1"),
            (
                self.scheduler == Scheduler::Slurm && self.cpu.is_none() && self.gpus.is_empty(),
                "a Slurm cluster needs `[cpu]` or `[[gpus]]`",
            ),
        ];
        match faults.into_iter().find(|(wrong, _)| *wrong) {
            Some((_, message)) => Err(Error::usage(format!("the profile of cluster `{}`: {message}", self.name))),
            None => Ok(()),
        }
    }
}

fn require(name: &str, known: &[String]) -> Result<()> {
    if known.iter().any(|each| each == name) {
        return Ok(());
    }
    let near = nearest(name, known.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    Err(Error::usage(format!("no cluster is called `{name}`"))
        .with_help(format!("{near}known: {}; or give the path of a profile that ends in .toml", known.join(", "))))
}

fn names_in(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).at("list", folder)? {
        let path = entry.at("list", folder)?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_profile_is_valid_and_named_as_its_file() {
        for name in Cluster::names() {
            assert_eq!(Cluster::load(&name, None).unwrap().name, name);
        }
    }

    #[test]
    fn every_value_of_a_profile_says_where_it_comes_from() {
        let said = ["Alliance wiki, 2026-05-17", "unverified", "assumed", "ours"];
        for (name, text) in EMBEDDED {
            for line in text.lines().filter(|line| line.contains('=') && !line.starts_with('#')) {
                let comment = line.rsplit_once(" # ").map(|(_, comment)| comment).unwrap_or_default();
                assert!(said.iter().any(|source| comment.contains(source)), "{name}: {line}");
            }
        }
    }

    #[test]
    fn an_unknown_cluster_is_answered_with_all_and_the_nearest() {
        let help = Cluster::load("narvall", None).unwrap_err().help().unwrap();
        assert!(
            help.starts_with(
                "did you mean `narval`? known: fir, nibi, rorqual, narval, trillium, tamia, killarney, vulcan, local"
            )
        );
    }

    #[test]
    fn a_folder_of_profiles_replaces_the_embedded_ones_and_a_path_needs_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, EMBEDDED[0].1.replace("name = \"fir\"", "name = \"mine\"")).unwrap();
        assert_eq!(Cluster::load("mine", Some(folder.path())).unwrap().name, "mine");
        assert_eq!(Cluster::load(&path.display().to_string(), None).unwrap().name, "mine");
        assert_eq!(
            Cluster::load("fir", Some(folder.path())).unwrap_err().help().unwrap().split("; ").next(),
            Some("known: mine")
        );
    }

    #[test]
    fn whole_node_rules_and_unknowns_are_as_the_documents_say() {
        let gpu = |name: &str| Cluster::load(name, None).unwrap().gpus[0].clone();
        assert_eq!(gpu("trillium").counts, GpuCounts::OneOrWholeNodes);
        assert_eq!((gpu("tamia").counts, gpu("tamia").per_node), (GpuCounts::WholeNodes, 4));
        let killarney = Cluster::load("killarney", None).unwrap();
        assert_eq!((killarney.walltime.max, killarney.limits.submitted), (None, None));
    }
}
