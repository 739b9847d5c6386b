//! This process, its libraries, its job and its output folder → facts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::comm::{World, launched_as};
use crate::error::Result;
use crate::store::room;

/// Everything that is looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Facts {
    /// Version of this program.
    pub version: String,
    /// The commit it was built from; empty outside a repository.
    pub commit: String,
    /// Cargo features it was built with.
    pub features: Vec<&'static str>,
    /// libtorch; `None` without the feature.
    pub libtorch: Option<Libtorch>,
    /// MPI; `None` without the feature.
    pub mpi: Option<Mpi>,
    /// Version of the HDF5 library; `None` without the feature.
    pub hdf5: Option<String>,
    /// Modules loaded in this shell.
    pub modules: Vec<String>,
    /// What Slurm says of this job: every `SLURM_*` variable.
    pub slurm: BTreeMap<String, String>,
    /// The folder a job writes to; `None` where no job was named.
    pub output: Option<Output>,
    /// Cores.
    pub threads: Threads,
}

/// What libtorch is and sees.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Libtorch {
    /// The version it was built against.
    pub version: String,
    /// GPUs it can use.
    pub gpus: usize,
    /// Why it can use none, where it said so.
    pub trouble: Option<String>,
}

/// What MPI is and offers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Mpi {
    /// What the library calls itself.
    pub library: String,
    /// This process's rank and the world size; `None` for a plain start.
    pub rank: Option<(usize, usize)>,
    /// The level of thread support; known under a launcher alone, because asking initialises MPI.
    pub threads: Option<String>,
    /// Why it could not be initialised under the launcher.
    pub trouble: Option<String>,
}

/// A folder, and what its file system has left.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Output {
    /// The folder.
    pub path: PathBuf,
    /// Whether this user may write there, or make it.
    pub writable: bool,
    /// Bytes that can still be written. A quota may leave less.
    pub free_bytes: u64,
    /// Files that can still be made; `None` where the file system does not count them.
    pub free_files: Option<u64>,
}

/// Cores given, and cores seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Threads {
    /// Cores of one task, as Slurm says.
    pub slurm: Option<usize>,
    /// Cores that this process may run on.
    pub visible: usize,
    /// `OMP_NUM_THREADS`.
    pub omp: Option<usize>,
}

impl Facts {
    /// Looks at everything; `output` is the folder of a job, `world` what came of connecting the ranks.
    pub fn gather(output: Option<&Path>, world: &Result<World>) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let number = |name: &str| variable(name)?.parse().ok();
        let features = [
            ("image", cfg!(feature = "image")),
            ("hdf5", cfg!(feature = "hdf5")),
            ("mpi", cfg!(feature = "mpi")),
            ("torch", cfg!(feature = "torch")),
        ];
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").into(),
            commit: option_env!("BIOSCAN_GIT_COMMIT").unwrap_or_default().into(),
            features: features.into_iter().filter_map(|(name, there)| there.then_some(name)).collect(),
            libtorch: libtorch(),
            mpi: mpi(world),
            hdf5: hdf5(),
            modules: variable("LOADEDMODULES").map_or_else(Vec::new, |list| list.split(':').map(str::to_owned).collect()),
            slurm: std::env::vars().filter(|(name, _)| name.starts_with("SLURM_")).collect(),
            output: output.map(folder).transpose()?,
            threads: Threads {
                slurm: number("SLURM_CPUS_PER_TASK"),
                visible: std::thread::available_parallelism().map_or(1, usize::from),
                omp: number("OMP_NUM_THREADS"),
            },
        })
    }
}

#[cfg(feature = "torch")]
fn libtorch() -> Option<Libtorch> {
    let loaded = crate::comm::tensor_ext::load_cuda();
    let gpus = usize::try_from(tch::Cuda::device_count()).unwrap_or_default();
    let usable = loaded.is_ok() && tch::Cuda::is_available();
    Some(Libtorch {
        version: env!("BIOSCAN_TORCH_VERSION").into(),
        gpus: if usable { gpus } else { 0 },
        trouble: loaded.err().map(|error| error.to_string()),
    })
}

#[cfg(not(feature = "torch"))]
fn libtorch() -> Option<Libtorch> {
    None
}

fn mpi(world: &Result<World>) -> Option<Mpi> {
    let rank = launched_as();
    let library = mpi_library()?;
    let (threads, trouble) = match world {
        Err(error) => (None, Some(error.to_string())),
        // Connecting asks for the level that training needs, and fails below it.
        Ok(_) => (rank.map(|_| "MPI_THREAD_MULTIPLE".into()), None),
    };
    Some(Mpi { library, rank, threads, trouble })
}

#[cfg(feature = "mpi")]
fn mpi_library() -> Option<String> {
    let said = mpi::environment::library_version().unwrap_or_else(|_| "an MPI library whose name is not UTF-8".into());
    // Open MPI adds where and by whom it was built.
    Some(said.trim_end_matches('\0').split(',').next().unwrap_or_default().trim().to_owned())
}

#[cfg(not(feature = "mpi"))]
fn mpi_library() -> Option<String> {
    None
}

#[cfg(feature = "hdf5")]
fn hdf5() -> Option<String> {
    let (major, minor, patch) = hdf5::library_version();
    Some(format!("{major}.{minor}.{patch}"))
}

#[cfg(not(feature = "hdf5"))]
fn hdf5() -> Option<String> {
    None
}

fn folder(path: &Path) -> Result<Output> {
    let room = room::at(path)?;
    let existing = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let writable = rustix::fs::access(existing, rustix::fs::Access::WRITE_OK).is_ok();
    Ok(Output { path: path.to_owned(), writable, free_bytes: room.bytes, free_files: room.files })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_is_judged_by_the_one_it_will_lie_in() {
        let root = tempfile::tempdir().unwrap();
        let output = folder(&root.path().join("not/yet")).unwrap();
        assert!(output.writable && output.free_bytes > 0);
    }

    #[test]
    fn this_process_sees_a_core_at_least_and_says_what_it_was_built_with() {
        let facts = Facts::gather(None, &Ok(World::alone())).unwrap();
        assert!(facts.threads.visible >= 1);
        assert_eq!(facts.features.contains(&"torch"), facts.libtorch.is_some());
        assert_eq!(facts.features.contains(&"hdf5"), facts.hdf5.is_some());
    }
}
