//! A plan and what is known of its runs → the tasks to submit now, within what a cluster takes.

use crate::sweep::plan::{Plan, PlannedJob, Task};

/// What a run is to the one who submits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// To be started.
    Wanted,
    /// Done, or not asked for.
    Unwanted,
    /// Somebody has it: a task in the queue, or a live process in its folder. Its task must not be started a second time.
    Held,
}

/// The tasks of each training job that hold a wanted run and none that is held; jobs without such a task are left out.
#[must_use]
pub fn wanted(plan: &Plan, standings: &[Demand]) -> Vec<PlannedJob> {
    let standing = |index: &usize| standings.get(*index).copied().unwrap_or(Demand::Unwanted);
    let start = |experiments: &[usize]| {
        experiments.iter().any(|index| standing(index) == Demand::Wanted)
            && experiments.iter().all(|index| standing(index) != Demand::Held)
    };
    let with_tasks = |planned: &PlannedJob| {
        let tasks: Vec<_> = planned.tasks.iter().filter(|task| start(&task.experiments)).cloned().collect();
        (!tasks.is_empty()).then(|| PlannedJob { tasks, ..planned.clone() })
    };
    plan.jobs.iter().filter_map(with_tasks).collect()
}

/// The first `room` tasks of `jobs`, and how many are left over.
#[must_use]
pub fn fitting(jobs: Vec<PlannedJob>, room: Option<usize>) -> (Vec<PlannedJob>, usize) {
    let Some(mut room) = room else { return (jobs, 0) };
    let (mut fitting, mut left) = (Vec::new(), 0);
    for mut job in jobs {
        let taken = job.tasks.len().min(room);
        left += job.tasks.len() - taken;
        room -= taken;
        job.tasks.truncate(taken);
        if taken > 0 {
            fitting.push(job);
        }
    }
    (fitting, left)
}

/// A part of a job's tasks that one array can hold.
#[derive(Clone, Debug)]
pub struct Slice {
    /// What the script adds to `SLURM_ARRAY_TASK_ID`.
    pub offset: usize,
    /// The tasks, their indices counted from the offset: as Slurm calls them.
    pub job: PlannedJob,
}

impl Slice {
    /// All of `job`: one without an array, or with one that Slurm can hold.
    #[must_use]
    pub fn whole(job: &PlannedJob) -> Self {
        Self { offset: 0, job: job.clone() }
    }
}

/// `job` cut where its indices would reach `size`, Slurm's `MaxArraySize`; in one piece where that is not known.
#[must_use]
pub fn slices(job: &PlannedJob, size: Option<usize>) -> Vec<Slice> {
    let size = size.filter(|size| *size > 0).unwrap_or(usize::MAX);
    let alike = job.tasks.chunk_by(|one, next| one.index / size == next.index / size);
    let slice = |tasks: &[Task]| {
        let offset = tasks.first().map_or(0, |first| first.index / size * size);
        let tasks = tasks.iter().map(|task| Task { index: task.index - offset, ..task.clone() }).collect();
        Slice { offset, job: PlannedJob { tasks, ..job.clone() } }
    };
    alike.map(slice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Cluster, from_text};
    use crate::sweep::plan::{Stage, plan};
    use Demand::{Held, Unwanted, Wanted};

    fn planned(cluster: &str) -> Plan {
        let job = from_text(include_str!("../../jobs/bioscan-1m.toml"), "jobs/bioscan-1m.toml").unwrap();
        plan(&job, &Cluster::load(cluster, None).unwrap()).unwrap()
    }

    fn arrays(jobs: &[PlannedJob]) -> Vec<String> {
        jobs.iter().map(PlannedJob::array).collect()
    }

    /// The plan's training tasks, each as the runs it holds.
    fn tasks(plan: &Plan) -> Vec<Vec<usize>> {
        let train = plan.jobs.iter().filter(|job| job.stage == Stage::Train);
        train.flat_map(|job| job.tasks.iter().map(|task| task.experiments.clone())).collect()
    }

    #[test]
    fn only_what_is_wanted_is_submitted_and_every_wanted_run_once() {
        for cluster in Cluster::names() {
            let plan = planned(&cluster);
            let held = 3;
            let standings: Vec<_> = (0..72).map(|run| if run == held { Held } else { [Wanted, Unwanted][run % 2] }).collect();
            let mut started: Vec<usize> = wanted(&plan, &standings)
                .iter()
                .flat_map(|job| job.tasks.iter().flat_map(|task| task.experiments.clone()))
                .filter(|run| standings[*run] == Wanted)
                .collect();
            started.sort_unstable();
            let beside_the_held_one = tasks(&plan).into_iter().find(|runs| runs.contains(&held)).unwrap();
            let expected: Vec<_> =
                (0..72).filter(|run| standings[*run] == Wanted && !beside_the_held_one.contains(run)).collect();
            assert_eq!(started, expected, "{cluster}");
        }
        assert!(wanted(&planned("fir"), &[Unwanted; 72]).is_empty());
    }

    #[test]
    fn a_sweep_larger_than_the_room_is_cut_in_its_order() {
        let plan = planned("fir");
        let all = wanted(&plan, &[Wanted; 72]);
        let count = |jobs: &[PlannedJob]| jobs.iter().map(|job| job.tasks.len()).sum::<usize>();
        let whole = count(&all);
        let (first, left) = fitting(all.clone(), Some(5));
        assert_eq!((count(&first), left), (5, whole - 5));
        assert_eq!(first[0].tasks, all[0].tasks[..5]);
        assert_eq!(arrays(&fitting(all.clone(), None).0), arrays(&all));
        let (none, left) = fitting(all, Some(0));
        assert_eq!((none.len(), left), (0, whole));
    }

    #[test]
    fn indices_beyond_an_array_are_counted_from_an_offset() {
        let plan = planned("fir");
        let mut job = plan.jobs.iter().find(|job| job.stage == Stage::Train).unwrap().clone();
        job.tasks = [3, 999, 1001, 1002, 2500].map(|index| Task { index, experiments: vec![index] }).to_vec();
        let cut: Vec<_> = slices(&job, Some(1001)).into_iter().map(|slice| (slice.offset, slice.job.array())).collect();
        assert_eq!(cut, [(0, "3,999".into()), (1001, "0-1".into()), (2002, "498".into())]);
        let runs: Vec<_> = slices(&job, Some(1001)).iter().flat_map(|slice| slice.job.tasks.clone()).collect();
        assert_eq!(runs.iter().flat_map(|task| task.experiments.clone()).collect::<Vec<_>>(), [3, 999, 1001, 1002, 2500]);
        assert_eq!(slices(&job, None).len(), 1);
        assert_eq!(slices(&job, None)[0].job.tasks, job.tasks);
    }
}
