//! a launcher's environment → who am I among how many, and the few collectives the stages need.
//!
//! Under `mpirun` or `srun` the ranks come from MPI; a plain start is a world of one that never touches MPI. The gradients travel
//! another way, through libtorch's own process group over the same MPI.

#[cfg(feature = "torch")]
pub mod batch_norm;
#[cfg(feature = "torch")]
mod bridge;
#[cfg(feature = "torch")]
pub mod cuda_graph;
#[cfg(feature = "torch")]
pub mod gpu;
#[cfg(feature = "torch")]
pub mod host_tensor;
#[cfg(feature = "mpi")]
mod mpi_ranks;
#[cfg(all(feature = "mpi", feature = "torch"))]
pub mod nccl;
mod place;
#[cfg(feature = "torch")]
mod plugin;
#[cfg(all(feature = "mpi", feature = "torch"))]
pub mod process_group;
#[cfg(all(feature = "mpi", feature = "torch"))]
pub mod reducer;
#[cfg(feature = "torch")]
pub mod shares;
pub mod signals;
#[cfg(feature = "torch")]
pub mod tensor_ext;

use std::mem::ManuallyDrop;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use place::Place;

use crate::error::{Error, Exit, Result};

/// What each launcher tells its children: (rank, world size), as names of environment variables.
///
/// `SLURM_PROCID` is no sign of ranks, because a batch script without `srun` has it too.
const LAUNCHERS: [(&str, &str); 3] =
    [("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE"), ("PMIX_RANK", "SLURM_STEP_NUM_TASKS")];

/// The rank and world size a launcher gave this process; `None` for a plain start.
#[must_use]
pub fn launched_as() -> Option<(usize, usize)> {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    LAUNCHERS.iter().find_map(|(rank, size)| Some((number(rank)?, number(size)?)))
}

/// Whether this process speaks for all: it is rank 0, or alone.
#[must_use]
pub fn speaks_for_all() -> bool {
    launched_as().is_none_or(|(rank, _)| rank == 0)
}

/// All ranks of this run.
///
/// Not `Send`: MPI collectives belong to one thread, so that every rank makes them in the same order.
pub struct World {
    ranks: Ranks,
    place: Place,
}

enum Ranks {
    One,
    #[cfg(feature = "mpi")]
    Mpi(mpi_ranks::MpiRanks),
}

impl World {
    /// A world of one, whatever launched this process.
    #[must_use]
    pub fn alone() -> Self {
        Self { ranks: Ranks::One, place: Place::ALONE }
    }

    /// The world the launcher made. Initialises MPI only where a launcher says that there are ranks.
    pub fn connect() -> Result<Self> {
        match launched_as() {
            None => Ok(Self::alone()),
            #[cfg(feature = "mpi")]
            Some(_) => {
                let mut world = Self { ranks: Ranks::Mpi(mpi_ranks::MpiRanks::connect()?), place: Place::ALONE };
                world.place = Place::among(&world.all_gather(&place::Seat::here())?, world.rank());
                Ok(world)
            }
            #[cfg(not(feature = "mpi"))]
            Some((_, 1)) => Ok(Self::alone()),
            // Going on would let every rank believe that it is alone and write the same files.
            #[cfg(not(feature = "mpi"))]
            Some(_) => Err(Error::Feature { feature: "mpi" }),
        }
    }

    /// 0-based number of this process among the ranks.
    #[must_use]
    pub fn rank(&self) -> usize {
        match &self.ranks {
            Ranks::One => 0,
            #[cfg(feature = "mpi")]
            Ranks::Mpi(ranks) => ranks.rank(),
        }
    }

    /// How many ranks there are.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.ranks {
            Ranks::One => 1,
            #[cfg(feature = "mpi")]
            Ranks::Mpi(ranks) => ranks.size(),
        }
    }

    /// Whether this is rank 0.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.rank() == 0
    }

    /// This rank among those of its host.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// Threads this rank may keep busy: `setting`, or where that is 0 what Slurm gave each task, or else the cores it is bound to, shared
    /// by the ranks that may use them too.
    #[must_use]
    pub fn threads(&self, setting: usize) -> usize {
        let number = |name: &str| std::env::var(name).ok()?.parse().ok().filter(|&count: &usize| count > 0);
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let given = (setting > 0).then_some(setting).or_else(|| number("SLURM_CPUS_PER_TASK"));
        given.unwrap_or_else(|| (cores() / self.place.sharing).max(1))
    }

    /// Waits until every rank is here.
    pub fn barrier(&self) {
        match &self.ranks {
            Ranks::One => {}
            #[cfg(feature = "mpi")]
            Ranks::Mpi(ranks) => ranks.barrier(),
        }
    }

    /// Gives every rank what rank 0 has in `bytes`.
    pub fn broadcast(&self, bytes: &mut Vec<u8>) -> Result<()> {
        match &self.ranks {
            Ranks::One => {
                let _ = bytes;
                Ok(())
            }
            #[cfg(feature = "mpi")]
            Ranks::Mpi(ranks) => ranks.broadcast(bytes),
        }
    }

    /// Collects every rank's `bytes` on rank 0, in the order of the ranks; `None` on the others.
    pub fn gather(&self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>> {
        match &self.ranks {
            Ranks::One => Ok(Some(vec![bytes.to_vec()])),
            #[cfg(feature = "mpi")]
            Ranks::Mpi(ranks) => ranks.gather(bytes),
        }
    }

    /// The largest value any rank has.
    #[must_use]
    pub fn all_max(&self, value: u64) -> u64 {
        match &self.ranks {
            Ranks::One => value,
            #[cfg(feature = "mpi")]
            Ranks::Mpi(ranks) => ranks.all_max(value),
        }
    }

    /// Adds up the ranks' values element by element, on all ranks; the same bits everywhere.
    pub fn all_sum(&self, values: &mut [f64]) {
        match &self.ranks {
            Ranks::One => {
                let _ = values;
            }
            #[cfg(feature = "mpi")]
            Ranks::Mpi(ranks) => ranks.all_sum(values),
        }
    }

    /// Rank 0 does `work`; the others wait for it and fail with it.
    ///
    /// For what only one may do (take a lock, write a table): without it the others would run on after rank 0's error.
    pub fn on_root<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        self.agree(self.is_root().then(work).transpose())
    }

    /// Every rank goes on, or none does: wrong usage that one rank met becomes every rank's, with its message.
    ///
    /// An error of the environment is handed back at once, without waiting for the others: the command line ends them all with it.
    pub fn agree<T>(&self, outcome: Result<T>) -> Result<T> {
        if matches!(&outcome, Err(error) if error.exit() != Exit::Usage) || self.size() == 1 {
            return outcome;
        }
        if self.all_max(u64::from(outcome.is_err())) == 0 {
            return outcome;
        }
        let said = outcome.as_ref().err().map(|error| (error.to_string(), error.help())).unwrap_or_default();
        let encode = |said: &(String, Option<String>)| serde_json::to_vec(said).map_err(|e| Error::library("serde_json", e));
        let all = self.gather(&encode(&said)?)?.unwrap_or_default();
        let decode = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or_default();
        let first = all.iter().map(|bytes| decode(bytes)).find(|(message, _): &(String, _)| !message.is_empty());
        let mut bytes = encode(&first.unwrap_or_default())?;
        self.broadcast(&mut bytes)?;
        let (message, help) = decode(&bytes);
        Err(Error::Agreed { message, help })
    }

    /// Sends `message` to another rank.
    pub fn send<T: Serialize>(&self, to: usize, message: &T) -> Result<()> {
        let bytes = serde_json::to_vec(message).map_err(|error| Error::library("serde_json", error))?;
        match &self.ranks {
            Ranks::One => Err(Error::Comm(format!("there is no rank {to} to send {} bytes to", bytes.len()))),
            #[cfg(feature = "mpi")]
            Ranks::Mpi(ranks) => ranks.send(to, &bytes),
        }
    }

    /// A message that another rank has sent, with its rank; `None`, at once, where none is there.
    pub fn try_receive<T: DeserializeOwned>(&self) -> Result<Option<(usize, T)>> {
        let arrived: Option<(usize, Vec<u8>)> = match &self.ranks {
            Ranks::One => None,
            #[cfg(feature = "mpi")]
            Ranks::Mpi(ranks) => ranks.try_receive(),
        };
        let decode = |(from, bytes): (usize, Vec<u8>)| Ok((from, serde_json::from_slice(&bytes)?));
        arrived.map(decode).transpose().map_err(|error: serde_json::Error| Error::library("serde_json", error))
    }

    /// Collects every rank's `value` on all ranks, in the order of the ranks.
    pub fn all_gather<T: Serialize + DeserializeOwned>(&self, value: &T) -> Result<Vec<T>> {
        let refused = |error| Error::library("serde_json", error);
        let pieces = self.gather(&serde_json::to_vec(value).map_err(refused)?)?.unwrap_or_default();
        let values =
            pieces.iter().map(|piece| serde_json::from_slice::<T>(piece)).collect::<Result<Vec<_>, _>>().map_err(refused)?;
        let mut bytes = serde_json::to_vec(&values).map_err(refused)?;
        self.broadcast(&mut bytes)?;
        serde_json::from_slice(&bytes).map_err(refused)
    }

    /// Ends this process's part. After an error that the ranks did not [agree](Self::agree) on MPI stays up, because a rank that finalises
    /// alone waits for the others for ever: the command line then ends them all.
    pub fn leave<T>(self, outcome: Result<T>) -> Result<T> {
        let alone_with_it = matches!(&outcome, Err(error) if !matches!(error, Error::Agreed { .. }));
        if alone_with_it && self.size() > 1 {
            let _left_open = ManuallyDrop::new(self);
        }
        outcome
    }

    /// The world communicator as a Fortran integer, the form that crosses language borders; `None` for a world of one.
    #[must_use]
    pub fn fortran_handle(&self) -> Option<i32> {
        match &self.ranks {
            Ranks::One => None,
            #[cfg(feature = "mpi")]
            Ranks::Mpi(ranks) => Some(ranks.fortran_handle()),
        }
    }
}

/// Who this process is and what it was at, for a message that must be told from the other ranks'.
#[must_use]
pub fn whereabouts(at: &str) -> String {
    let rank = launched_as().map_or_else(String::new, |(rank, size)| format!("rank {rank} of {size} on "));
    let at = if at.is_empty() { String::new() } else { format!(", at {at}") };
    format!("{rank}{}{at}", hostname())
}

/// What the kernel calls this host.
fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// Whether MPI is up in this process: between [`World::connect`] and the end of its world.
#[must_use]
pub fn is_up() -> bool {
    #[cfg(feature = "mpi")]
    return mpi_ranks::is_up();
    #[cfg(not(feature = "mpi"))]
    false
}

/// Ends this process, and under MPI all ranks, with `code`.
///
/// For a panic or an error that the other ranks do not share: without it they would wait for this one until the time limit.
pub fn abort(code: u8) -> ! {
    #[cfg(feature = "mpi")]
    mpi_ranks::abort_if_running(code);
    std::process::exit(i32::from(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_of_one_answers_itself() {
        let world = World::alone();
        assert_eq!((world.rank(), world.size(), world.is_root()), (0, 1, true));
        assert_eq!(world.gather(b"x").unwrap(), Some(vec![b"x".to_vec()]));
        assert_eq!(world.all_max(7), 7);
        assert_eq!(world.on_root(|| Ok(3)).unwrap(), Some(3));
        assert_eq!(world.all_gather(&"x".to_owned()).unwrap(), ["x"]);
        assert_eq!(world.fortran_handle(), None);
    }
}
