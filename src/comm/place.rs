//! every rank's host and cores → who this one's neighbours are, and with how many of them it shares its cores.
//!
//! Launchers bind ranks to cores of their own, to a node's all together, or not at all, and name the ranks of a node each in their own
//! way; what the kernel says is the same under all of them.

#[cfg(feature = "mpi")]
use std::collections::BTreeSet;

#[cfg(feature = "mpi")]
use rustix::thread::{CpuSet, sched_getaffinity};
#[cfg(feature = "mpi")]
use serde::{Deserialize, Serialize};

/// Where one rank runs.
#[cfg(feature = "mpi")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seat {
    pub host: String,
    /// The cores it may use.
    pub cores: BTreeSet<usize>,
}

#[cfg(feature = "mpi")]
impl Seat {
    /// This process's.
    pub fn here() -> Self {
        let host = super::hostname();
        // Where the kernel does not say, a rank shares its cores with all others of its host.
        let mask = sched_getaffinity(None).ok();
        let cores = (0..CpuSet::MAX_CPU).filter(|&core| mask.as_ref().is_none_or(|mask| mask.is_set(core))).collect();
        Self { host, cores }
    }
}

/// A rank among those of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// 0-based, in the order of the ranks.
    pub local_rank: usize,
    /// Ranks on this host.
    pub local_size: usize,
    /// Ranks on this host, this one among them, that may use one of its cores.
    pub sharing: usize,
}

impl Place {
    /// A process without others.
    pub(super) const ALONE: Self = Self { local_rank: 0, local_size: 1, sharing: 1 };

    /// That of `rank`, where the ranks have these seats.
    #[cfg(feature = "mpi")]
    pub(super) fn among(seats: &[Seat], rank: usize) -> Self {
        let Some(own) = seats.get(rank) else { return Self::ALONE };
        let neighbours = || seats.iter().enumerate().filter(|(_, seat)| seat.host == own.host);
        Self {
            local_rank: neighbours().take_while(|(other, _)| *other < rank).count(),
            local_size: neighbours().count(),
            sharing: neighbours().filter(|(_, seat)| !seat.cores.is_disjoint(&own.cores)).count().max(1),
        }
    }
}

#[cfg(all(test, feature = "mpi"))]
mod tests {
    use super::*;

    fn seat(host: &str, cores: std::ops::Range<usize>) -> Seat {
        Seat { host: host.into(), cores: cores.collect() }
    }

    #[test]
    fn bound_ranks_share_with_nobody_and_others_with_their_host() {
        // Two bound ranks on one node, two that may use all of another's cores.
        let seats = [seat("a", 0..8), seat("b", 0..16), seat("a", 8..16), seat("b", 0..16)];
        let places = [0, 1, 2, 3].map(|rank| Place::among(&seats, rank));
        assert_eq!(places.map(|place| (place.local_rank, place.local_size)), [(0, 2), (0, 2), (1, 2), (1, 2)]);
        assert_eq!(places.map(|place| place.sharing), [1, 2, 1, 2]);
    }

    #[test]
    fn a_process_sees_its_own_cores() {
        let seat = Seat::here();
        assert!(!seat.host.is_empty() && !seat.cores.is_empty());
        assert_eq!(Place::among(&[seat], 0), Place::ALONE);
    }
}
