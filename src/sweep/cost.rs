//! A planned job → GPU-hours and the units its account is charged.
//!
//! A job is charged for what it keeps from others: the largest of its GPUs, cores and memory, each measured in bundles
//! (Alliance wiki, 2026-04-10: "Allocations and compute scheduling"; the bundles are in the profile's `[charge]`). A year of an
//! allocation is 8760 hours.

use std::ops::AddAssign;

use serde::Serialize;

use crate::config::Cluster;
use crate::sweep::plan::{Memory, PlannedJob, Resources};

/// Hours of a year, the unit of allocations.
pub const YEAR: f64 = 8760.0;

/// What jobs cost, in hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Hours of GPUs, a slice counted as one.
    pub gpu_hours: f64,
    /// Reference GPU units × hours, of the jobs whose units are known.
    pub rgu_hours: f64,
    /// Core equivalents × hours, of the jobs without GPUs.
    pub core_hours: f64,
    /// Hours of GPUs whose units are not known.
    pub uncounted_gpu_hours: f64,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.gpu_hours += other.gpu_hours;
        self.rgu_hours += other.rgu_hours;
        self.core_hours += other.core_hours;
        self.uncounted_gpu_hours += other.uncounted_gpu_hours;
    }
}

/// What `job` is expected to cost: charged is the time it lasts, not the time it asks for.
#[must_use]
pub fn expected(job: &PlannedJob, cluster: &Cluster) -> Cost {
    let task_hours = job.estimate.hours * job.rounds() as f64;
    of(&job.resources, cluster, task_hours * job.tasks.len().max(1) as f64)
}

/// What `job` costs where every task lasts as long as it may; a run that needs several jobs is counted with all of them.
#[must_use]
pub fn at_most(job: &PlannedJob, cluster: &Cluster) -> Cost {
    let limit = job.resources.minutes as f64 / 60.0;
    let lives = (job.estimate.hours * job.rounds() as f64 / limit).ceil().max(1.0);
    of(&job.resources, cluster, lives * limit * job.tasks.len().max(1) as f64)
}

/// What a job costs that holds `resources` for so many hours.
fn of(resources: &Resources, cluster: &Cluster, hours: f64) -> Cost {
    let nodes = f64::from(resources.nodes);
    let cores = f64::from(resources.tasks_per_node * resources.cpus_per_task);
    let memory = match resources.memory() {
        Memory::Gib(gib) => gib as f64,
        Memory::WholeNode => node_memory_gib(resources, cluster),
        Memory::Unsaid => 0.0,
    };
    let bundles = |amount: f64, one: Option<f64>| one.map_or(0.0, |one| amount / one);
    let Some((name, count)) = resources.gpus() else {
        let cores = cores.max(bundles(memory, cluster.charge.memory_gib_per_core));
        return Cost { core_hours: hours * nodes * cores, ..Cost::default() };
    };
    let gpu_hours = hours * nodes * f64::from(count);
    match cluster.gpu_kind(name).and_then(|kind| kind.rgu()) {
        None => Cost { gpu_hours, uncounted_gpu_hours: gpu_hours, ..Cost::default() },
        Some(rgu) => {
            let own = rgu * f64::from(count);
            let others = bundles(cores, cluster.charge.cores_per_rgu).max(bundles(memory, cluster.charge.memory_gib_per_rgu));
            // The ratios of the wiki's table are rounded: what stands in the recommended bundle is charged as the GPU alone.
            let units = if others <= own * 1.02 { own } else { others };
            Cost { gpu_hours, rgu_hours: hours * nodes * units, ..Cost::default() }
        }
    }
}

fn node_memory_gib(resources: &Resources, cluster: &Cluster) -> f64 {
    let gpu_node = resources.gpus().and_then(|(name, _)| cluster.gpu_kind(name)).map(|kind| kind.nodes.node_memory_mib);
    gpu_node.or(cluster.cpu.as_ref().map(|cpu| cpu.memory_mib)).unwrap_or_default() as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(cpus: u32, gpus: Option<&str>, memory: Option<&str>) -> Resources {
        Resources {
            minutes: 60,
            nodes: 1,
            tasks_per_node: 1,
            cpus_per_task: cpus,
            gpus_per_node: gpus.map(str::to_owned),
            memory: memory.map(str::to_owned),
        }
    }

    fn cost(cluster: &str, cpus: u32, gpus: Option<&str>, memory: Option<&str>) -> Cost {
        of(&resources(cpus, gpus, memory), &Cluster::load(cluster, None).unwrap(), 10.0)
    }

    #[test]
    fn a_recommended_bundle_is_charged_its_gpu() {
        assert_eq!(cost("fir", 12, Some("h100:1"), Some("64G")).rgu_hours, 122.0);
        assert_eq!(cost("narval", 12, Some("a100:1"), Some("124G")).rgu_hours, 40.0);
        assert_eq!(cost("fir", 1, Some("nvidia_h100_80gb_hbm3_1g.10gb:1"), Some("35G")).rgu_hours, 17.4);
    }

    #[test]
    fn more_memory_or_cores_than_the_bundle_are_charged_as_the_bundles_they_take() {
        // 248 GiB on Narval are 248 / 31.1 bundles, twice those of its GPU.
        assert!((cost("narval", 12, Some("a100:1"), Some("248G")).rgu_hours - 10.0 * 248.0 / 31.1).abs() < 1e-9);
        assert!((cost("rorqual", 32, Some("h100:1"), Some("64G")).rgu_hours - 10.0 * 32.0 / 1.31).abs() < 1e-9);
        // 64 GiB without a GPU are 16 core equivalents of 4 GiB.
        assert_eq!(cost("fir", 8, None, Some("64G")), Cost { core_hours: 160.0, ..Cost::default() });
    }

    #[test]
    fn gpus_without_a_known_unit_are_counted_as_such() {
        let cost = cost("vulcan", 16, Some("l40s:1"), Some("64G"));
        assert_eq!((cost.gpu_hours, cost.rgu_hours, cost.uncounted_gpu_hours), (10.0, 0.0, 10.0));
    }
}
