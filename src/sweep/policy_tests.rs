//! One test a rule: what is refused, the key that holds the rule, and what is just allowed.

use super::*;

fn cluster(name: &str) -> Cluster {
    Cluster::load(name, None).unwrap()
}

/// One task of 12 cores with one H100 for 12 hours and 64 GiB.
fn one_gpu() -> Resources {
    Resources {
        minutes: 720,
        nodes: 1,
        tasks_per_node: 1,
        cpus_per_task: 12,
        gpus_per_node: Some("h100:1".into()),
        memory: Some("64G".into()),
    }
}

fn gpus(asked: &str) -> Resources {
    Resources { gpus_per_node: Some(asked.into()), ..one_gpu() }
}

fn cores(tasks: u32, threads: u32) -> Resources {
    Resources { gpus_per_node: None, memory: None, tasks_per_node: tasks, cpus_per_task: threads, ..one_gpu() }
}

/// The keys of the rules that a request breaks.
fn broken(name: &str, resources: &Resources) -> Vec<String> {
    refusals(&cluster(name), resources).into_iter().map(|refusal| refusal.rule).collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn what_is_ordinary_is_allowed_everywhere_it_exists() {
    for name in ["fir", "nibi", "rorqual", "trillium", "killarney"] {
        let kind = cluster(name).gpu_kind("h100").unwrap().nodes.clone();
        let resources = Resources { cpus_per_task: kind.cores, ..one_gpu() };
        assert_eq!(broken(name, &resources), NOTHING, "{name}");
    }
}

#[test]
fn a_refusal_names_the_rule_and_its_source() {
    let refused = refusals(&cluster("trillium"), &Resources { minutes: 1500, ..one_gpu() });
    assert_eq!(
        refused.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["--time=1-01:00:00 is longer than the 24 h that a job may last (walltime.max: Alliance wiki, 2026-05-17)"]
    );
    let error = refuse(&cluster("trillium"), "train-small.sh", &refused).unwrap_err();
    assert!(error.to_string().starts_with("Trillium, University of Toronto would refuse train-small.sh:\n  - --time=1-01:00:00"));
}

#[test]
fn walltime_has_a_longest_and_a_shortest() {
    let lasting = |hours: f64| Resources { minutes: (hours * 60.0) as u64, ..one_gpu() };
    assert_eq!(broken("fir", &lasting(168.0)), NOTHING);
    assert_eq!(broken("fir", &lasting(169.0)), ["walltime.max"]);
    assert_eq!(broken("fir", &lasting(0.5)), ["walltime.min"]);
    assert_eq!(broken("trillium", &lasting(0.25)), NOTHING);
    // Killarney's limits are unknown, so nothing is refused in their name.
    assert_eq!(broken("killarney", &Resources { cpus_per_task: 6, ..lasting(2000.0) }), NOTHING);
}

#[test]
fn the_model_of_a_gpu_must_be_named_and_exist() {
    assert_eq!(broken("fir", &gpus("1")), ["rules.gpu_model"]);
    assert_eq!(broken("trillium", &gpus("1")), NOTHING);
    assert_eq!(broken("fir", &gpus("a100:1")), ["gpus.0.spec"]);
    // The short names of Nibi's slices are not valid on Fir, and the plan writes long ones everywhere.
    assert_eq!(broken("fir", &gpus("h100_1g.10gb:1")), ["gpus.0.spec"]);
}

#[test]
fn a_job_holds_one_slice_at_most() {
    assert_eq!(broken("fir", &gpus("nvidia_h100_80gb_hbm3_3g.40gb:1")), NOTHING);
    assert_eq!(broken("fir", &gpus("nvidia_h100_80gb_hbm3_3g.40gb:2")), ["rules.one_slice"]);
    assert_eq!(broken("narval", &Resources { nodes: 2, ..gpus("a100_3g.20gb:1") }), ["rules.one_slice"]);
}

#[test]
fn no_more_is_asked_of_a_node_than_it_has() {
    assert_eq!(broken("fir", &gpus("h100:5")), ["gpus.0.per_node"]);
    assert_eq!(broken("nibi", &gpus("h100:8")), NOTHING);
    assert_eq!(broken("fir", &Resources { cpus_per_task: 49, ..one_gpu() }), ["gpus.0.node_cores"]);
    assert_eq!(broken("fir", &Resources { memory: Some("1126G".into()), ..one_gpu() }), ["gpus.0.node_memory_mib"]);
    assert_eq!(broken("fir", &cores(16, 13)), ["cpu.cores"]);
    assert_eq!(broken("fir", &Resources { memory: Some("751G".into()), ..cores(16, 2) }), ["cpu.memory_mib"]);
    assert_eq!(broken("fir", &Resources { memory: Some("750G".into()), ..cores(16, 2) }), NOTHING);
    assert_eq!(broken("narval", &Resources { nodes: 160, ..gpus("a100:4") }), ["gpus.0.nodes"]);
}

#[test]
fn trillium_gives_one_gpu_or_whole_nodes_of_them() {
    for (asked, nodes, allowed) in
        [("h100:1", 1, true), ("h100:4", 1, true), ("h100:4", 2, true), ("h100:2", 1, false), ("h100:1", 2, false)]
    {
        let rules = broken("trillium", &Resources { nodes, memory: None, ..gpus(asked) });
        assert_eq!(rules.is_empty(), allowed, "{asked} on {nodes}: {rules:?}");
        assert!(allowed || rules == ["gpus.0.counts"]);
    }
}

#[test]
fn trillium_gives_whole_cpu_nodes_and_tamia_whole_gpu_nodes() {
    assert_eq!(broken("trillium", &cores(16, 12)), NOTHING);
    assert_eq!(broken("trillium", &cores(1, 1)), ["cpu.whole"]);
    assert_eq!(broken("tamia", &gpus("h100:4")), NOTHING);
    assert_eq!(broken("tamia", &gpus("h100:1")), ["gpus.0.counts"]);
    assert_eq!(broken("tamia", &gpus("h200:4")), ["gpus.1.counts"]);
}

#[test]
fn an_array_has_no_more_tasks_than_one_person_may_have_jobs() {
    let indices = |n: usize| (0..n).collect::<Vec<_>>();
    assert_eq!(array(&cluster("trillium"), &indices(500), 0), None);
    let refused = array(&cluster("trillium"), &indices(72), 430).unwrap();
    assert!(refused.message.starts_with("an array of 72 tasks beside the 430 in the queue"), "{refused}");
    assert_eq!(refused.rule, "limits.submitted");
    assert_eq!(array(&cluster("killarney"), &indices(100_000), 0), None);
    let mut known = cluster("fir");
    known.limits.array_size = Some(1001);
    assert_eq!(array(&known, &[0, 1000], 0), None);
    assert_eq!(array(&known, &[1001], 0).unwrap().rule, "limits.array_size");
}

#[test]
fn trilliums_jobs_submit_no_jobs() {
    let (trillium, fir) = (cluster("trillium"), cluster("fir"));
    assert_eq!(from_inside_a_job(&trillium).unwrap().rule, "sbatch_from_jobs");
    assert_eq!((from_inside_a_job(&fir), from_inside_a_job(&cluster("tamia"))), (None, None));
    for calls in
        ["sbatch next.sh", "x=1 && sbatch next.sh", "next=$(sbatch --parsable a.sh)", "if sbatch a.sh; then", "A=b sbatch x"]
    {
        assert_eq!(script(&trillium, calls).len(), 1, "{calls}");
        assert_eq!(script(&fir, calls), [], "{calls}");
    }
    for quiet in
        ["# sbatch next.sh", "echo \"go on with sbatch --array=1 x\" >&2", "echo sbatch", "#SBATCH --time=1", "mysbatch x"]
    {
        assert_eq!(script(&trillium, quiet), [], "{quiet}");
    }
}

#[test]
fn a_script_names_no_partition_where_the_scheduler_chooses_it() {
    for line in ["#SBATCH --partition=gpu", "#SBATCH -p gpu"] {
        assert_eq!(script(&cluster("fir"), line)[0].rule, "rules.no_partition");
    }
    assert_eq!(script(&cluster("fir"), "# No --partition: the scheduler chooses it."), []);
}

#[test]
fn an_account_is_written_without_the_ending_that_slurm_adds() {
    assert_eq!(account("rrg-smith-ab").unwrap(), "rrg-smith-ab");
    assert_eq!(account("rrg-smith-ab_gpu").unwrap_err().help().unwrap(), "write --account rrg-smith-ab");
    assert_eq!(account("def-smith_cpu").unwrap_err().help().unwrap(), "write --account def-smith");
    for hostile in ["", "a b", "def-x\nrm", "$(reboot)"] {
        assert!(account(hostile).is_err(), "{hostile:?}");
    }
}
