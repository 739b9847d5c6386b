//! Facts → what is wrong, and the setting that mends it.

use serde::Serialize;

use crate::doctor::facts::{Facts, Output};

/// What BIOSCAN-1M needs in a job's output folder: packs of about 16 kB an image, and 72 runs. **Assumed.**
const NEEDED_BYTES: u64 = 40 << 30;
/// Files of 113 chunks and 72 runs, with some to spare. **Assumed.**
const NEEDED_FILES: u64 = 10_000;

/// Something wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub what: String,
    /// What to set or to type.
    pub setting: String,
}

pub(super) fn finding(what: impl Into<String>, setting: impl Into<String>) -> Finding {
    Finding { what: what.into(), setting: setting.into() }
}

/// What is wrong with `facts`, the gravest first; empty where nothing is known to be.
#[must_use]
pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut found: Vec<Finding> =
        [gpu(facts), ranks(facts), mpi(facts), cores(facts), omp(facts), private_folder(facts)].into_iter().flatten().collect();
    found.extend(facts.output.iter().flat_map(room));
    found
}

/// A GPU that is paid for and not used.
fn gpu(facts: &Facts) -> Option<Finding> {
    let given = ["SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "SLURM_GPUS_ON_NODE"].iter().find_map(|name| facts.slurm.get(*name))?;
    let Some(libtorch) = &facts.libtorch else {
        return Some(finding(
            format!("Slurm gave this job a GPU ({given}), and this binary was built without libtorch"),
            "cargo build --release --features torch, or submit without --gpus-per-node",
        ));
    };
    let why = libtorch.trouble.as_deref().map(|trouble| format!(": {trouble}")).unwrap_or_default();
    (libtorch.gpus == 0).then(|| {
        finding(
            format!("Slurm gave this job a GPU ({given}), and libtorch {} can use none{why}", libtorch.version),
            "load the cuda module, and build against the cluster's own torch wheel (slurm/install-alliance.sh)",
        )
    })
}

/// Several processes, each of which believes to be alone and would write the same files.
fn ranks(facts: &Facts) -> Option<Finding> {
    let tasks = facts.slurm.get("SLURM_STEP_NUM_TASKS")?.parse::<usize>().ok()?;
    let alone = facts.mpi.as_ref().is_none_or(|mpi| mpi.rank.is_none());
    if tasks < 2 || !alone {
        return None;
    }
    let what = format!("srun started {tasks} processes, and each believes to be alone");
    Some(match facts.mpi {
        Some(_) => finding(what, "srun --mpi=pmix (`srun --mpi=list` shows what there is), or mpirun"),
        None => finding(what + ": this binary was built without MPI", "cargo build --release --features mpi"),
    })
}

fn mpi(facts: &Facts) -> Option<Finding> {
    let trouble = facts.mpi.as_ref()?.trouble.as_ref()?;
    Some(finding(
        format!("MPI does not start: {trouble}"),
        "load the MPI module that this binary was built with, or build it again",
    ))
}

fn cores(facts: &Facts) -> Option<Finding> {
    let threads = facts.threads;
    let given = threads.slurm.filter(|given| *given > threads.visible)?;
    Some(finding(
        format!("Slurm gave {given} cores a task, and this process may run on {}", threads.visible),
        "srun --cpus-per-task=\"$SLURM_CPUS_PER_TASK\": srun no longer inherits it; under mpirun, --bind-to none",
    ))
}

fn omp(facts: &Facts) -> Option<Finding> {
    let threads = facts.threads;
    let wanted = threads.omp.filter(|wanted| *wanted > threads.visible)?;
    Some(finding(
        format!("OMP_NUM_THREADS={wanted}, and this process may run on {} cores", threads.visible),
        "unset OMP_NUM_THREADS: this program sets its threads from the job",
    ))
}

/// The scripts copy the packs there.
fn private_folder(facts: &Facts) -> Option<Finding> {
    let in_a_job = facts.slurm.contains_key("SLURM_JOB_ID");
    (in_a_job && !facts.slurm.contains_key("SLURM_TMPDIR")).then(|| {
        finding("this is a Slurm job without SLURM_TMPDIR, where the scripts copy the images", "export SLURM_TMPDIR=$(mktemp -d)")
    })
}

fn room(output: &Output) -> Vec<Finding> {
    let path = output.path.display();
    let mut found = Vec::new();
    if !output.writable {
        found.push(finding(
            format!("{path} cannot be written to"),
            "`paths.output` in the job file; on Trillium $HOME and $PROJECT are read-only in jobs, so use $SCRATCH",
        ));
    }
    if output.free_bytes < NEEDED_BYTES {
        let (free, needed) = (output.free_bytes >> 30, NEEDED_BYTES >> 30);
        found.push(finding(
            format!("{path} has {free} GiB left, and BIOSCAN-1M needs about {needed}"),
            "`paths.output`, or free some",
        ));
    }
    if let Some(files) = output.free_files.filter(|files| *files < NEEDED_FILES) {
        let setting = "`preprocess.formats` without \"folder\", and free some: `diskusage_report` says whose they are";
        found.push(finding(format!("{files} more files can be made in {path}, and about {NEEDED_FILES} are needed"), setting));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::facts::{Libtorch, Mpi, Threads};

    fn well() -> Facts {
        Facts {
            libtorch: Some(Libtorch { version: "2.11.0".into(), gpus: 1, trouble: None }),
            mpi: Some(Mpi { library: "Open MPI v4.1.5".into(), ..Mpi::default() }),
            slurm: [("SLURM_JOB_ID", "7"), ("SLURM_TMPDIR", "/tmp/7"), ("SLURM_JOB_GPUS", "2")]
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            output: Some(Output { path: "out".into(), writable: true, free_bytes: 1 << 40, free_files: None }),
            threads: Threads { slurm: Some(12), visible: 12, omp: None },
            ..Facts::default()
        }
    }

    /// What is wrong after `spoil`, which must be one thing.
    fn wrong(spoil: impl FnOnce(&mut Facts)) -> Finding {
        let mut facts = well();
        spoil(&mut facts);
        let found = findings(&facts);
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().unwrap()
    }

    #[test]
    fn a_sound_job_has_no_findings() {
        assert_eq!(findings(&well()), []);
        assert_eq!(findings(&Facts { threads: Threads { visible: 2, ..Threads::default() }, ..Facts::default() }), []);
    }

    #[test]
    fn a_gpu_that_is_paid_for_and_not_used_is_told() {
        let none = |facts: &mut Facts| {
            facts.libtorch = Some(Libtorch { version: "2.11.0".into(), gpus: 0, trouble: Some("no libcuda".into()) })
        };
        assert_eq!(wrong(none).what, "Slurm gave this job a GPU (2), and libtorch 2.11.0 can use none: no libcuda");
        assert!(wrong(|facts| facts.libtorch = None).what.contains("built without libtorch"));
    }

    #[test]
    fn ranks_that_do_not_know_of_each_other_are_told_to_ask_for_pmix() {
        let started = |facts: &mut Facts| {
            facts.slurm.insert("SLURM_STEP_NUM_TASKS".into(), "4".into());
        };
        assert!(wrong(started).setting.starts_with("srun --mpi=pmix"));
        let mut facts = well();
        started(&mut facts);
        facts.mpi = Some(Mpi { rank: Some((0, 4)), ..Mpi::default() });
        assert_eq!(findings(&facts), []);
    }

    #[test]
    fn cores_that_were_given_and_are_not_seen_are_told() {
        let said = wrong(|facts| facts.threads.visible = 1);
        assert_eq!(said.what, "Slurm gave 12 cores a task, and this process may run on 1");
        assert!(said.setting.starts_with("srun --cpus-per-task="));
        assert!(wrong(|facts| facts.threads.omp = Some(48)).setting.starts_with("unset OMP_NUM_THREADS"));
    }

    #[test]
    fn an_output_without_room_is_told() {
        let full = |change: fn(&mut Output)| wrong(|facts| change(facts.output.as_mut().unwrap())).what;
        assert_eq!(full(|output| output.writable = false), "out cannot be written to");
        assert_eq!(full(|output| output.free_bytes = 5 << 30), "out has 5 GiB left, and BIOSCAN-1M needs about 40");
        assert!(full(|output| output.free_files = Some(12)).starts_with("12 more files can be made in out"));
    }

    #[test]
    fn a_job_without_its_private_folder_is_told() {
        assert_eq!(wrong(|facts| drop(facts.slurm.remove("SLURM_TMPDIR"))).setting, "export SLURM_TMPDIR=$(mktemp -d)");
    }
}
