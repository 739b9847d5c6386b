//! The paper's 72 runs on clusters of every kind, and grids that are not the paper's.

use super::*;
use crate::config::{Partition, from_text};

fn paper() -> Job {
    from_text(include_str!("../../jobs/bioscan-1m.toml"), "jobs/bioscan-1m.toml").unwrap()
}

fn with(more: &str) -> Job {
    from_text(&format!("{}\n{more}", include_str!("../../jobs/bioscan-1m.toml")), "job.toml").unwrap()
}

fn train_jobs(job: &Job, cluster: &str) -> Vec<PlannedJob> {
    let plan = plan(job, &Cluster::load(cluster, None).unwrap()).unwrap();
    plan.jobs.into_iter().filter(|job| job.stage == Stage::Train).collect()
}

/// (script, array, GPUs) of each training job.
fn asked(job: &Job, cluster: &str) -> Vec<(String, String, String)> {
    let jobs = train_jobs(job, cluster).into_iter();
    jobs.map(|job| (job.name().to_owned(), job.array(), job.resources.gpus_per_node.unwrap_or_default())).collect()
}

fn line(name: &str, array: &str, gpus: &str) -> (String, String, String) {
    (name.into(), array.into(), gpus.into())
}

#[test]
fn runs_of_a_size_that_ask_for_the_same_share_an_array_of_their_documented_indices() {
    let expected = [
        line("train-small-resnet50", "0-5,12-17", "nvidia_h100_80gb_hbm3_1g.10gb:1"),
        line("train-small-vit_base_patch16_224", "6-11,18-23", "nvidia_h100_80gb_hbm3_3g.40gb:1"),
        line("train-medium-resnet50", "24-29,36-41", "h100:1"),
        line("train-medium-vit_base_patch16_224", "30-35,42-47", "h100:1"),
        line("train-large-resnet50", "48-53,60-65", "h100:1"),
        line("train-large-vit_base_patch16_224", "54-59,66-71", "h100:1"),
    ];
    assert_eq!(asked(&paper(), "fir"), expected);
    // Where a wish makes them alike, one array is enough.
    let equal = with("[sweep]\ngpu = \"whole\"\nhours = 2");
    let expected =
        [line("train-small", "0-23", "h100:1"), line("train-medium", "24-47", "h100:1"), line("train-large", "48-71", "h100:1")];
    assert_eq!(asked(&equal, "fir"), expected);
}

#[test]
fn every_run_is_in_exactly_one_task_on_every_cluster() {
    for name in Cluster::names() {
        let mut seen: Vec<usize> =
            train_jobs(&paper(), &name).iter().flat_map(|job| &job.tasks).flat_map(|task| task.experiments.clone()).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..72).collect::<Vec<_>>(), "{name}");
        let mut indices: Vec<usize> = train_jobs(&paper(), &name).iter().flat_map(PlannedJob::indices).collect();
        let count = indices.len();
        indices.sort_unstable();
        indices.dedup();
        assert_eq!(indices.len(), count, "{name}: an index names one task");
    }
}

#[test]
fn where_whole_nodes_are_rented_72_runs_become_18_jobs_of_four() {
    let jobs = train_jobs(&paper(), "tamia");
    assert_eq!(jobs.iter().map(|job| job.tasks.len()).sum::<usize>(), 18);
    assert_eq!(jobs.iter().map(PlannedJob::array).collect::<Vec<_>>(), ["0-2", "3-5", "6-8", "9-11", "12-17"]);
    assert_eq!(jobs[2].tasks[1], Task { index: 7, experiments: vec![28, 29, 36, 37] });
    assert_eq!((jobs[0].resources.gpus_per_node.as_deref(), jobs[0].side_by_side), (Some("h100:4"), 4));
    // Runs of both backbones share an array where they ask for the same, but never a node.
    assert_eq!(jobs[4].tasks[2], Task { index: 14, experiments: vec![62, 63, 64, 65] });
    assert_eq!(jobs[4].tasks[3], Task { index: 15, experiments: vec![54, 55, 56, 57] });
}

#[test]
fn runs_under_an_hour_share_a_task_over_their_seeds_one_after_the_other() {
    let quick = with("[sweep]\ngpu = \"whole\"\nhours = 0.4");
    let jobs = train_jobs(&quick, "fir");
    assert_eq!((jobs[0].array(), jobs[2].array()), ("0-7".to_owned(), "16-23".to_owned()));
    assert_eq!(jobs[0].tasks[1], Task { index: 1, experiments: vec![3, 4, 5] });
    assert_eq!((jobs[0].side_by_side, jobs[0].rounds(), jobs[0].resources.minutes), (1, 3, 180));
    // Whole nodes: four at a time, three rounds.
    let jobs = train_jobs(&quick, "tamia");
    assert_eq!((jobs[0].tasks.len(), jobs[0].tasks[0].experiments.len(), jobs[0].rounds()), (2, 12, 3));
    // On Trillium a quarter of an hour is welcome.
    assert!(!train_jobs(&quick, "trillium")[0].packed());
}

#[test]
fn some_sizes_may_be_packed_and_others_not() {
    let mixed = with("[sweep]\ngpu = \"whole\"\n[sweep.for.small]\nhours = 0.5\n[sweep.for.large]\nhours = 60");
    let jobs = train_jobs(&mixed, "fir");
    assert_eq!((jobs[0].array(), jobs[0].packed()), ("0-7".to_owned(), true));
    let large = jobs.last().unwrap();
    assert_eq!((large.array(), large.packed(), large.resources.minutes), ("48-71".to_owned(), false, 4320));
}

#[test]
fn a_grid_whose_sizes_interleave_gets_sparse_arrays_and_every_run_once() {
    let mut job = paper();
    job.grid.sizes = vec!["small".into()];
    job.grid.tasks = vec!["insect_order".into()];
    job.grid.partitions = vec![Partition { name: "mine".into(), label: "genus".into(), split: "mine".into() }];
    job.sweep.gpu = Some("whole".into());
    job.sweep.hours = Some(5.0);
    let jobs = train_jobs(&job, "fir");
    let arrays: Vec<_> = jobs.iter().map(|job| (job.class.as_str(), job.array())).collect();
    assert_eq!(arrays, [("small", "0-11".to_owned()), ("other", "12-23".to_owned())]);
}

#[test]
fn trillium_gets_no_memory_line_and_a_whole_cpu_node() {
    let plan = plan(&paper(), &Cluster::load("trillium", None).unwrap()).unwrap();
    assert!(plan.jobs.iter().all(|job| job.resources.memory.is_none()));
    let preprocess = &plan.jobs[0].resources;
    assert_eq!(preprocess.tasks_per_node * preprocess.cpus_per_task, 192);
}

#[test]
fn several_gpus_a_run_are_ranks_and_whole_nodes_beyond_one() {
    let resources = |gpus: u32, cluster: &str| {
        let job = with(&format!("[sweep]\ngpus = {gpus}"));
        train_jobs(&job, cluster).swap_remove(0).resources
    };
    let two = resources(2, "fir");
    assert_eq!((two.tasks_per_node, two.cpus_per_task, two.gpus_per_node.as_deref()), (2, 12, Some("h100:2")));
    let eight = resources(8, "trillium");
    assert_eq!((eight.nodes, eight.tasks_per_node, eight.gpus_per_node.as_deref()), (2, 4, Some("h100:4")));
    let refused = plan(&with("[sweep]\ngpus = 2"), &Cluster::load("trillium", None).unwrap()).unwrap_err().to_string();
    assert!(refused.contains("2 GPUs are asked for: exactly 1 is allowed, or a multiple of 4"), "{refused}");
    assert!(refused.contains("(gpus.0.counts: Alliance wiki, 2026-05-17: exactly 1, or a multiple of 4)"), "{refused}");
}

#[test]
fn a_sweep_past_the_limits_is_planned_with_a_note_on_slices_and_on_what_is_unknown() {
    let mut job = paper();
    job.grid.seeds = (1..=200).collect();
    let plan = plan(&job, &Cluster::load("trillium", None).unwrap()).unwrap();
    assert!(
        plan.notes.iter().any(|note| note.contains("more than the 500 jobs") && note.contains("in slices")),
        "{:?}",
        plan.notes
    );
    assert!(plan.notes.iter().any(|note| note.contains("indices above 1000")), "{:?}", plan.notes);
    assert_eq!(super::plan(&paper(), &Cluster::load("trillium", None).unwrap()).unwrap().notes, Vec::<String>::new());
}

#[test]
fn seventy_two_runs_are_planned_well_within_the_blink_of_an_eye() {
    let (job, cluster) = (paper(), Cluster::load("fir", None).unwrap());
    let start = std::time::Instant::now();
    plan(&job, &cluster).unwrap();
    assert!(start.elapsed().as_millis() < 50, "{:?}", start.elapsed());
}
