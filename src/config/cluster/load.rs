//! A name → a profile, checked.

use std::path::Path;

use super::profile::{Cluster, Scheduler};
use super::sources::sources;
use crate::config::{from_text, nearest};
use crate::error::{Error, IoContext, Result};

const EMBEDDED: [(&str, &str); 9] = [
    ("fir", include_str!("../../../jobs/clusters/fir.toml")),
    ("nibi", include_str!("../../../jobs/clusters/nibi.toml")),
    ("rorqual", include_str!("../../../jobs/clusters/rorqual.toml")),
    ("narval", include_str!("../../../jobs/clusters/narval.toml")),
    ("trillium", include_str!("../../../jobs/clusters/trillium.toml")),
    ("tamia", include_str!("../../../jobs/clusters/tamia.toml")),
    ("killarney", include_str!("../../../jobs/clusters/killarney.toml")),
    ("vulcan", include_str!("../../../jobs/clusters/vulcan.toml")),
    ("local", include_str!("../../../jobs/clusters/local.toml")),
];

impl Cluster {
    /// The profile called `name`: one of the embedded ones, or `{name}.toml` in `folder`, or the file itself where `name` ends in
    /// `.toml`. The error for an unknown name lists the known ones.
    pub fn load(name: &str, folder: Option<&Path>) -> Result<Self> {
        let read = |path: &Path| std::fs::read_to_string(path).at("read", path);
        let (text, file) = if name.ends_with(".toml") {
            (read(Path::new(name))?, name.to_owned())
        } else if let Some(folder) = folder {
            require(name, &names_in(folder)?)?;
            let path = folder.join(format!("{name}.toml"));
            (read(&path)?, path.display().to_string())
        } else {
            require(name, &Self::names())?;
            let text = EMBEDDED.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text);
            (text.to_owned(), format!("jobs/clusters/{name}.toml"))
        };
        let mut cluster: Self = from_text(&text, &file)?;
        cluster.sources = sources(&text);
        cluster.check()?;
        Ok(cluster)
    }

    /// The names of the embedded profiles.
    #[must_use]
    pub fn names() -> Vec<String> {
        EMBEDDED.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    fn check(&self) -> Result<()> {
        let ascending = self.walltime.bins.windows(2).all(|pair| pair[0] < pair[1]);
        let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        let faults = [
            // It stands in `#SBATCH` lines, which no shell reads, so that quoting would not help.
            (
                self.gpu_kinds().any(|kind| !plain(kind.name())),
                "`spec` of a GPU or a slice holds letters, digits, `.`, `_` and `-` alone",
            ),
            (self.name.is_empty(), "`name` is empty"),
            (!ascending, "`walltime.bins` must ascend"),
            (self.gpus.iter().any(|gpu| gpu.per_node == 0), "`gpus.per_node` must be at least 1"),
            (
                self.gpu_kinds().any(|kind| kind.speed().is_nan() || kind.speed() <= 0.0),
                "`speed` of a GPU or a slice must be a positive number",
            ),
            (self.gpu_kinds().any(|kind| kind.cores() == 0), "`cores` of a GPU or a slice must be at least 1"),
            (
                self.gpus.iter().any(|gpu| gpu.cores * gpu.per_node > gpu.node_cores),
                "`gpus.cores` of all GPUs are more than `gpus.node_cores`",
            ),
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
    use crate::config::GpuCounts;

    #[test]
    fn every_embedded_profile_is_valid_and_named_as_its_file() {
        for name in Cluster::names() {
            assert_eq!(Cluster::load(&name, None).unwrap().name, name);
        }
    }

    #[test]
    fn every_value_of_a_profile_says_where_it_comes_from() {
        let said = ["Alliance wiki, 2026-", "unverified", "assumed", "ours"];
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
        assert_eq!(killarney.source("walltime.max"), "unknown; not stated on its page");
    }

    #[test]
    fn a_slice_is_found_by_its_name_and_by_the_end_of_it() {
        let fir = Cluster::load("fir", None).unwrap();
        let slice = fir.gpu_kind("2g.20gb").unwrap();
        assert_eq!((slice.name(), slice.cores(), slice.memory_gib()), ("nvidia_h100_80gb_hbm3_2g.20gb", 3, Some(70)));
        assert_eq!(fir.gpu_kind("h100").unwrap().slice, None);
        assert_eq!(fir.gpu_kind("g.20gb"), None);
        assert!(Cluster::load("trillium", None).unwrap().gpus[0].slices.is_empty());
    }

    #[test]
    fn every_optional_value_that_is_absent_is_said_to_be_unknown() {
        let keys = ["limits.submitted", "limits.running", "limits.array_size", "walltime.max", "walltime.min", "walltime.bins"];
        for name in Cluster::names().into_iter().filter(|name| name != "local") {
            let cluster = Cluster::load(&name, None).unwrap();
            for key in keys.into_iter().chain(["charge.cores_per_rgu", "rules.gpu_model", "gpus.0.rgu", "sbatch_from_jobs"]) {
                assert!(!cluster.source(key).is_empty() && cluster.source(key) != "the profile does not say", "{name}: {key}");
            }
        }
    }
}
