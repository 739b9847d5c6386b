//! MPI → ranks and collectives over bytes and numbers.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::environment::Universe;
use mpi::raw::AsRaw;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Destination, MatchedReceiveVec, Root, Source};

use crate::error::{Error, Result};

/// MPI counts are 32-bit; larger messages go in pieces of this size.
const PIECE: usize = 1 << 28;

/// How long a rank sleeps between two looks at what it is sending.
const SENDING: Duration = Duration::from_micros(50);

/// The ranks of an initialised MPI; dropping it finalises MPI.
pub(super) struct MpiRanks {
    world: SimpleCommunicator,
    /// What arrived while this rank was sending.
    inbox: RefCell<VecDeque<(usize, Vec<u8>)>>,
    // After `world`, because fields drop in order and MPI must outlive its communicators.
    _universe: Universe,
}

impl MpiRanks {
    /// Initialises MPI with full thread support: libtorch's process group makes its calls from a thread of its own.
    pub(super) fn connect() -> Result<Self> {
        let (universe, threading) = mpi::initialize_with_threading(Threading::Multiple)
            .ok_or_else(|| Error::Comm("MPI was initialised already".into()))?;
        if threading != Threading::Multiple {
            return Err(Error::Comm(format!(
                "this MPI offers {threading:?} threads only, and training needs MPI_THREAD_MULTIPLE: use another MPI module"
            )));
        }
        Ok(Self { world: universe.world(), inbox: RefCell::default(), _universe: universe })
    }

    pub(super) fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    pub(super) fn size(&self) -> usize {
        self.world.size() as usize
    }

    pub(super) fn barrier(&self) {
        self.world.barrier();
    }

    pub(super) fn broadcast(&self, bytes: &mut Vec<u8>) -> Result<()> {
        let root = self.world.process_at_rank(0);
        let mut length = bytes.len() as u64;
        root.broadcast_into(&mut length);
        let length = usize::try_from(length).map_err(|_| Error::Comm("a message larger than memory".into()))?;
        bytes.resize(length, 0);
        for piece in bytes.chunks_mut(PIECE) {
            root.broadcast_into(piece);
        }
        Ok(())
    }

    pub(super) fn gather(&self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>> {
        use mpi::datatype::PartitionMut;
        let root = self.world.process_at_rank(0);
        // All ranks must see alike that it is too much, or some would wait for the others for ever.
        let mut total = 0u64;
        self.world.all_reduce_into(&(bytes.len() as u64), &mut total, SystemOperation::sum());
        let too_much = || Error::Comm("messages of more than 2 GiB together".into());
        i32::try_from(total).map_err(|_| too_much())?;
        let length = i32::try_from(bytes.len()).map_err(|_| too_much())?;
        if self.rank() != 0 {
            root.gather_into(&length);
            root.gather_varcount_into(bytes);
            return Ok(None);
        }
        let mut lengths = vec![0i32; self.size()];
        root.gather_into_root(&length, &mut lengths);
        let starts: Vec<i32> = lengths.iter().scan(0, |at, length| Some(std::mem::replace(at, *at + length))).collect();
        let mut all = vec![0u8; lengths.iter().map(|&length| length as usize).sum()];
        root.gather_varcount_into_root(bytes, &mut PartitionMut::new(&mut all[..], &lengths[..], &starts[..]));
        let mut rest = all.as_slice();
        let pieces = lengths.iter().map(|&length| {
            let (piece, behind) = rest.split_at(length as usize);
            rest = behind;
            piece.to_vec()
        });
        Ok(Some(pieces.collect()))
    }

    /// Sends to another rank; returns once `bytes` may be used again.
    ///
    /// Meanwhile it takes what arrives: a message beyond a few kilobytes leaves only when its receiver takes it, and two ranks
    /// that sent to each other and did nothing else would wait for ever.
    pub(super) fn send(&self, to: usize, bytes: &[u8]) -> Result<()> {
        let fits = |number: usize| i32::try_from(number).map_err(|_| Error::Comm("a message of more than 2 GiB".into()));
        fits(bytes.len())?;
        let to = self.world.process_at_rank(fits(to)?);
        mpi::request::scope(|scope| {
            let mut sending = to.immediate_send(scope, bytes);
            while let Err(unfinished) = sending.test() {
                sending = unfinished;
                match self.arrival() {
                    Some(message) => self.inbox.borrow_mut().push_back(message),
                    None => std::thread::sleep(SENDING),
                }
            }
        });
        Ok(())
    }

    /// A message that has arrived, with its sender; `None` where there is none, at once.
    ///
    /// Polled, because Open MPI's blocking receive keeps a core busy that the images need.
    pub(super) fn try_receive(&self) -> Option<(usize, Vec<u8>)> {
        let kept = self.inbox.borrow_mut().pop_front();
        kept.or_else(|| self.arrival())
    }

    fn arrival(&self) -> Option<(usize, Vec<u8>)> {
        let message = self.world.any_process().immediate_matched_probe()?;
        let (bytes, status) = message.matched_receive_vec();
        Some((status.source_rank() as usize, bytes))
    }

    pub(super) fn all_max(&self, value: u64) -> u64 {
        let mut largest = 0u64;
        self.world.all_reduce_into(&value, &mut largest, SystemOperation::max());
        largest
    }

    /// Gathers and adds in the order of the ranks: `MPI_SUM` leaves the order, and so the last bits, to the library.
    pub(super) fn all_sum(&self, values: &mut [f64]) {
        let mut all = vec![0f64; values.len() * self.size()];
        self.world.all_gather_into(&*values, &mut all[..]);
        for (index, value) in values.iter_mut().enumerate() {
            *value = all.iter().skip(index).step_by(all.len() / self.size()).sum();
        }
    }

    pub(super) fn fortran_handle(&self) -> i32 {
        // SAFETY: the communicator is live for as long as `self`; the call only translates the handle.
        unsafe { mpi::ffi::MPI_Comm_c2f(self.world.as_raw()) }
    }
}

/// Whether MPI is initialised and not yet finalised.
pub(super) fn is_up() -> bool {
    let (mut initialised, mut finalised) = (0, 0);
    // SAFETY: both queries are allowed at any time and from any thread.
    unsafe {
        mpi::ffi::MPI_Initialized(&raw mut initialised);
        mpi::ffi::MPI_Finalized(&raw mut finalised);
    }
    initialised != 0 && finalised == 0
}

/// Takes all ranks down with `code` if MPI is up; returns where it is not.
pub(super) fn abort_if_running(code: u8) {
    if is_up() {
        // SAFETY: MPI is up, and stays so: only the thread that made the world ends it, and that one is here or waits for this one.
        unsafe { mpi::ffi::MPI_Abort(mpi::ffi::RSMPI_COMM_WORLD, i32::from(code)) };
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    const AS_RANK: &str = "BIOSCAN_TEST_AS_RANK";

    /// Far beyond what any MPI sends before its receiver asks.
    const LARGE: usize = 4 << 20;

    #[test]
    fn two_ranks_that_send_to_each_other_at_once_both_go_on() {
        if Command::new("mpirun").arg("--version").stdout(Stdio::null()).status().is_err() {
            eprintln!("SKIPPED: no mpirun");
            return;
        }
        let output = Command::new("timeout")
            .args(["-k", "5", "60", "mpirun", "--oversubscribe", "--bind-to", "none", "-n", "2"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "comm::mpi_ranks::tests::rank", "--ignored", "--nocapture"])
            .env(AS_RANK, "1")
            .envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }

    #[test]
    #[ignore = "one rank of the other test, which starts it under mpirun"]
    fn rank() {
        if std::env::var_os(AS_RANK).is_none() {
            return;
        }
        let ranks = MpiRanks::connect().unwrap();
        let other = 1 - ranks.rank();
        for number in 0..3 {
            ranks.send(other, &vec![number; LARGE]).unwrap();
        }
        for number in 0..3 {
            let (from, bytes) = std::iter::repeat_with(|| ranks.try_receive()).flatten().next().unwrap();
            assert!(from == other && bytes == vec![number; LARGE], "message {number} from {from}");
        }
    }
}
