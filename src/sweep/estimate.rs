//! A run's size and a cluster's rules → the time to ask for.

use crate::config::{Cluster, Experiment, Grid, Recipe};

/// Hours of one run of 100 epochs on one H100 with ViT-B/16, by the size of its training set. **Assumed**, not measured: 600 images a
/// second in float32 over 35,000, 140,000 and 790,000 training images (and validation), with a fifth to spare.
const ASSUMED_HOURS: [(&str, f64); 3] = [("small", 2.5), ("medium", 9.0), ("large", 50.0)];

/// A cluster whose limit is not known is asked for no more than this many hours: a run goes on from its checkpoint anyway.
const CAUTIOUS_MAX: f64 = 24.0;

/// Preprocessing the 1.1 million images on 32 cores, in hours. **Assumed**: 15 ms an image and core make 9 minutes; the rest is for
/// reading the originals from a shared file system.
pub const PREPROCESS_HOURS: f64 = 3.0;

/// The kinds of runs that ask for the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SizeClass(pub &'static str);

impl SizeClass {
    /// The class of an experiment: the size its partition begins with, or `other` for a partition of the job's own.
    #[must_use]
    pub fn of(grid: &Grid, experiment: &Experiment) -> Self {
        let own = grid.partitions.iter().any(|partition| partition.name == experiment.id.partition);
        let size = experiment.id.partition.split('_').next().unwrap_or_default();
        let known = ASSUMED_HOURS.iter().find(|(name, _)| !own && *name == size);
        Self(known.map_or("other", |(name, _)| name))
    }

    /// Assumed hours of a run on a GPU of `speed` H100s. A partition of the job's own counts as large.
    #[must_use]
    pub fn hours(self, recipe: &Recipe, speed: f64) -> f64 {
        let hours = ASSUMED_HOURS.iter().find(|(name, _)| *name == self.0).map_or(ASSUMED_HOURS[2].1, |(_, hours)| *hours);
        hours * recipe.epochs as f64 / 100.0 / speed
    }
}

/// The minutes to ask for where `hours` are needed: rounded up into the cluster's bins, within its limits. Longer runs are asked for
/// in pieces, because they go on from their checkpoints.
#[must_use]
pub fn minutes_to_ask(hours: f64, cluster: &Cluster) -> u64 {
    let limits = &cluster.walltime;
    let max = limits.max.unwrap_or(CAUTIOUS_MAX);
    let wanted = hours.max(limits.min.unwrap_or(1.0)).min(max);
    let rounded = limits.bins.iter().copied().find(|bin| *bin >= wanted).unwrap_or(wanted.ceil());
    (rounded.min(max) * 60.0).round() as u64
}

/// Minutes as Slurm reads them: `days-hours:minutes:seconds`.
#[must_use]
pub fn slurm_time(minutes: u64) -> String {
    format!("{}-{:02}:{:02}:00", minutes / 1440, minutes / 60 % 24, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(hours: f64, cluster: &str) -> String {
        slurm_time(minutes_to_ask(hours, &Cluster::load(cluster, None).unwrap()))
    }

    #[test]
    fn time_is_rounded_up_into_the_bins_of_the_cluster() {
        assert_eq!(ask(2.5, "fir"), "0-03:00:00");
        assert_eq!(ask(9.0, "fir"), "0-12:00:00");
        assert_eq!(ask(50.0, "fir"), "3-00:00:00");
        assert_eq!(ask(0.1, "narval"), "0-03:00:00");
    }

    #[test]
    fn what_is_longer_than_the_limit_is_asked_for_in_pieces() {
        assert_eq!(ask(50.0, "trillium"), "1-00:00:00");
        assert_eq!(ask(500.0, "fir"), "7-00:00:00");
    }

    #[test]
    fn without_known_bins_or_limits_whole_hours_up_to_a_day_are_asked_for() {
        assert_eq!(ask(4.2, "killarney"), "0-05:00:00");
        assert_eq!(ask(50.0, "killarney"), "1-00:00:00");
        assert_eq!(ask(50.0, "vulcan"), "2-02:00:00");
    }

    #[test]
    fn fewer_epochs_and_a_slower_gpu_change_the_estimate_in_proportion() {
        let recipe = Recipe { epochs: 50, ..Recipe::default() };
        assert_eq!(SizeClass("medium").hours(&recipe, 0.5), 9.0);
    }
}
