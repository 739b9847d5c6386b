//! what is left to do → the next task for whoever is free.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::Package;
use crate::preprocess::Unit;

/// Something one rank does at a stretch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// Prepare the images of a unit.
    Prepare {
        /// Which images.
        unit: Unit,
        /// What is made of each.
        packages: Vec<Package>,
    },
    /// Join the finished units of a chunk to its pack.
    Join {
        /// All units of the chunk, in order.
        units: Vec<Unit>,
        /// Which of its packs.
        packages: Vec<Package>,
    },
}

impl Task {
    /// The chunk it belongs to.
    #[must_use]
    pub fn chunk(&self) -> u32 {
        match self {
            Self::Prepare { unit, .. } => unit.chunk,
            Self::Join { units, .. } => units.first().map_or(0, |unit| unit.chunk),
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepare { unit: Unit { chunk, first, count, .. }, .. } => {
                write!(out, "prepared images {first}..{} of part{chunk}", first + count)
            }
            Self::Join { units, .. } => write!(out, "joined {} units of part{}", units.len(), self.chunk()),
        }
    }
}

/// What is left of one chunk: its units, those among them that are finished, and what is to be made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remainder {
    /// All units of the chunk, in order.
    pub units: Vec<Unit>,
    /// For each of `units`, what must still be made of it.
    pub wanted: Vec<Vec<Package>>,
    /// What is to be made of the chunk.
    pub packages: Vec<Package>,
}

/// Tasks in the order in which they are handed out: the largest first, because a large one at the end keeps one rank busy alone. Sizes
/// within a factor of two count as equal, so that the units of a chunk stay together and its archive is read from front to back.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Task>,
    /// Chunks in several units, with how many of them are not finished.
    open: BTreeMap<u32, (usize, Task)>,
}

impl Queue {
    /// The queue of what is left.
    #[must_use]
    pub fn new(remainders: Vec<Remainder>) -> Self {
        let mut queue = Self::default();
        let mut tasks = Vec::new();
        for Remainder { units, wanted, packages } in remainders {
            let left: Vec<Task> = (units.iter().zip(wanted))
                .filter(|(_, packages)| !packages.is_empty())
                .map(|(unit, packages)| Task::Prepare { unit: unit.clone(), packages })
                .collect();
            if units.len() > 1 {
                let (chunk, join) = (units[0].chunk, Task::Join { units, packages });
                match left.len() {
                    0 => queue.waiting.push_back(join),
                    left => drop(queue.open.insert(chunk, (left, join))),
                }
            }
            tasks.extend(left);
        }
        tasks.sort_by_key(|task| match task {
            Task::Prepare { unit, .. } => (Reverse(unit.cost.checked_ilog2()), unit.chunk, unit.first),
            Task::Join { .. } => (Reverse(None), 0, 0),
        });
        queue.waiting.extend(tasks);
        queue
    }

    /// The next task to hand out; `None` where none waits, although the end of one that is under way may bring another.
    pub fn hand_out(&mut self) -> Option<Task> {
        self.waiting.pop_front()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes note that `task` is finished. The last unit of a chunk lets its join come next.
    pub fn finished(&mut self, task: &Task) {
        let Task::Prepare { unit, .. } = task else { return };
        if let Some((left, _)) = self.open.get_mut(&unit.chunk) {
            *left -= 1;
            if *left == 0 {
                self.waiting.extend(self.open.remove(&unit.chunk).map(|(_, join)| join));
                self.waiting.rotate_right(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::units::cut;
    use crate::random::{Purpose, stream};
    use proptest::prelude::*;
    use rand::RngExt;

    const MADE: [Package; 1] = [Package::OriginalResized];

    fn remainder(chunk: u32, lengths: &[u64]) -> Remainder {
        let units = cut(chunk, lengths);
        Remainder { wanted: vec![MADE.to_vec(); units.len()], units, packages: MADE.to_vec() }
    }

    #[test]
    fn a_chunk_is_joined_as_soon_as_its_last_unit_is_finished() {
        let mut queue = Queue::new(vec![remainder(1, &[40 << 20, 40 << 20]), remainder(2, &[30 << 20, 40 << 20])]);
        let tasks: Vec<Task> = std::iter::from_fn(|| queue.hand_out()).collect();
        // All four lie between 32 and 64 MiB but the 30 of chunk 2.
        assert_eq!(tasks.iter().map(Task::chunk).collect::<Vec<_>>(), [1, 1, 2, 2]);
        queue.finished(&tasks[0]);
        assert!(queue.hand_out().is_none());
        queue.finished(&tasks[1]);
        assert!(matches!(queue.hand_out(), Some(Task::Join { units, .. }) if units.len() == 2 && units[0].chunk == 1));
    }

    #[test]
    fn finished_units_of_an_earlier_run_are_not_done_again_but_joined() {
        let mut half = remainder(1, &[40 << 20, 40 << 20]);
        half.wanted[0].clear();
        let mut whole = remainder(2, &[40 << 20, 40 << 20]);
        whole.wanted.iter_mut().for_each(Vec::clear);
        let mut queue = Queue::new(vec![half, whole]);
        assert!(matches!(queue.hand_out(), Some(Task::Join { units, .. }) if units[0].chunk == 2));
        let second = queue.hand_out().unwrap();
        assert!(matches!(&second, Task::Prepare { unit, .. } if unit.first == 1));
        queue.finished(&second);
        assert!(matches!(queue.hand_out(), Some(Task::Join { .. })));
    }

    /// The time until the last of `ranks` is done when each takes the next task as soon as it is free, over the ideal.
    fn makespan_over_ideal(remainders: Vec<Remainder>, ranks: usize, cost: impl Fn(&Task) -> f64) -> f64 {
        let mut queue = Queue::new(remainders);
        // (free at, what it then has finished), the earliest last.
        let mut busy: Vec<(f64, Option<Task>)> = vec![(0.0, None); ranks];
        let (mut total, mut end, mut idle) = (0.0, 0.0f64, Vec::new());
        while !busy.is_empty() {
            busy.sort_by(|a, b| b.0.total_cmp(&a.0));
            let (now, done) = busy.pop().expect("checked");
            end = end.max(if done.is_some() { now } else { 0.0 });
            if let Some(task) = done {
                queue.finished(&task);
            }
            idle.push(now);
            while let (Some(_), Some(task)) = (idle.last(), queue.hand_out()) {
                let since = idle.pop().expect("checked");
                total += cost(&task);
                busy.push((since.max(now) + cost(&task), Some(task)));
            }
        }
        end / (total / ranks as f64)
    }

    #[test]
    fn chunks_with_a_tenfold_spread_of_cost_end_within_a_tenth_of_the_ideal_on_1_to_256_ranks() {
        // 113 chunks of 10,000 photographs of about 640 kB; a byte of one chunk may cost ten times a byte of another.
        let mut random = stream(7, Purpose::Order, 0, 0);
        let spread: Vec<f64> = (0..114).map(|_| 10f64.powf(random.random_range(0.0..1.0))).collect();
        let chunks: Vec<Remainder> = (1..=113)
            .map(|chunk| remainder(chunk, &(0..10_000).map(|_| random.random_range(400_000..900_000)).collect::<Vec<u64>>()))
            .collect();
        let cost = |task: &Task| match task {
            Task::Prepare { unit, .. } => unit.cost as f64 * spread[unit.chunk as usize],
            // Copying the results of a chunk: 120 MB of 6.4 GB, without any decoding.
            Task::Join { units, .. } => units.iter().map(|unit| unit.cost).sum::<u64>() as f64 / 100.0,
        };
        for ranks in [1, 2, 3, 4, 7, 8, 16, 31, 32, 64, 100, 113, 114, 128, 200, 256] {
            let ratio = makespan_over_ideal(chunks.clone(), ranks, cost);
            assert!((1.0 - 1e-9..1.10).contains(&ratio), "{ranks} ranks: {ratio:.3} of the ideal");
        }
    }

    proptest! {
        #[test]
        fn every_unit_is_handed_out_once_and_every_chunk_in_several_joined_once(
            lengths in prop::collection::vec(prop::collection::vec(0u64..60 << 20, 0..20), 1..12),
        ) {
            let remainders: Vec<Remainder> = (1..).zip(&lengths).map(|(chunk, lengths)| remainder(chunk, lengths)).collect();
            let (units, joins) = remainders.iter().fold((0, 0), |(units, joins), left| {
                (units + left.units.len(), joins + usize::from(left.units.len() > 1))
            });
            let mut queue = Queue::new(remainders);
            let (mut prepared, mut joined) = (0, 0);
            while let Some(task) = queue.hand_out() {
                match &task {
                    Task::Prepare { .. } => prepared += 1,
                    Task::Join { .. } => joined += 1,
                }
                queue.finished(&task);
            }
            prop_assert_eq!((prepared, joined), (units, joins));
        }
    }
}
