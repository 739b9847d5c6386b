//! Ranks with a GPU each: NCCL joins the process group for tensors that live there, while MPI keeps those in main memory.
//!
//! **It has not run on several GPUs yet**: it compiles, and makes the calls that PyTorch's own `init_process_group("nccl")` makes.

use std::ffi::CString;
use std::ptr;

use super::plugin::plugin;
use super::process_group::{GroupOptions, ProcessGroup, finished};
use super::{Place, World, bridge};
use crate::config::Backend;
use crate::error::{Error, Result};

const WANTING: &str = "NCCL, by which several GPU ranks talk,";
const INSTEAD: &str = "set `train.ranks.backend = \"mpi\"`, or use one rank";

/// The GPU of this rank, 0-based among those it sees: the ranks of a node take them in turn.
///
/// # Errors
/// Wrong usage where `backend` is NCCL and its plug-in is missing, or the node has more ranks than GPUs, which NCCL cannot serve.
pub fn gpu_of_this_rank(world: &World, backend: Backend) -> Result<usize> {
    let visible = usize::try_from(tch::Cuda::device_count()).unwrap_or(0);
    let Place { local_rank, local_size, .. } = world.place();
    match backend {
        Backend::Nccl => plugin(WANTING, INSTEAD).and_then(|_| gpu_of(local_rank, local_size, visible)),
        Backend::Mpi => Ok(local_rank % visible.max(1)),
    }
}

fn gpu_of(rank: usize, ranks: usize, visible: usize) -> Result<usize> {
    // Slurm with a GPU a task shows each rank its own alone.
    if visible == 1 {
        return Ok(0);
    }
    if ranks > visible || rank >= visible {
        return Err(Error::usage(format!("{ranks} ranks on this node share {visible} GPUs, and NCCL wants one for each"))
            .with_help("start as many ranks a node as it has GPUs, or set `train.ranks.backend = \"mpi\"`"));
    }
    Ok(rank)
}

impl ProcessGroup<'_> {
    /// From now on tensors on GPUs travel through NCCL. Collective.
    ///
    /// # Errors
    /// Where the plug-in is missing or cannot be loaded, and where the ranks do not find each other.
    pub fn add_nccl(&self, world: &World, options: GroupOptions) -> Result<()> {
        let path = plugin(WANTING, INSTEAD)?;
        let timeout = u64::try_from(options.timeout.as_millis()).unwrap_or(u64::MAX);
        let rendezvous = Rendezvous::of(world, timeout)?;
        // SAFETY: the group, the path and the rendezvous outlive the call; the backend holds the store itself.
        finished(unsafe { bridge::bioscan_group_add_nccl(self.as_ptr(), path.as_ptr(), rendezvous.0, timeout) })
    }
}

/// A store on rank 0 that all ranks reach over TCP.
struct Rendezvous(*mut bridge::Rendezvous);

impl Rendezvous {
    /// Collective.
    fn of(world: &World, timeout_ms: u64) -> Result<Self> {
        let hostname = super::hostname();
        let mut opened = None;
        let mut address = Vec::new();
        if world.is_root() {
            let (rendezvous, port) = Self::at(&hostname, 0, timeout_ms)?;
            opened = Some(rendezvous);
            address = format!("{hostname} {port}").into_bytes();
        }
        world.broadcast(&mut address)?;
        if let Some(opened) = opened {
            return Ok(opened);
        }
        let address = String::from_utf8_lossy(&address);
        let (host, port) = address.split_once(' ').unwrap_or_default();
        Ok(Self::at(host, port.parse().unwrap_or_default(), timeout_ms)?.0)
    }

    fn at(host: &str, mut port: u16, timeout_ms: u64) -> Result<(Self, u16)> {
        let host = CString::new(host).map_err(|error| Error::Comm(error.to_string()))?;
        let mut handle = ptr::null_mut();
        // SAFETY: the host outlives the call; `port` and `handle` are written on success.
        finished(unsafe { bridge::bioscan_rendezvous_new(host.as_ptr(), &raw mut port, timeout_ms, &raw mut handle) })?;
        Ok((Self(handle), port))
    }
}

impl Drop for Rendezvous {
    fn drop(&mut self) {
        // SAFETY: the handle came from `bioscan_rendezvous_new`; who still needs the store holds it.
        unsafe { bridge::bioscan_rendezvous_free(self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranks_of_a_node_take_its_gpus_in_turn() {
        assert_eq!([0, 1, 3].map(|rank| gpu_of(rank, 4, 4).unwrap()), [0, 1, 3]);
        assert_eq!(gpu_of(3, 4, 1).unwrap(), 0, "Slurm shows each rank its own GPU alone");
        let refused = gpu_of(1, 3, 2).unwrap_err();
        assert!(refused.to_string().contains("3 ranks on this node share 2 GPUs"));
    }
}
