//! The real program on a real Slurm: the whole sweep in miniature, a run that is stopped and goes on, ranks over several nodes.

mod prep;
#[path = "support/runs.rs"]
#[expect(dead_code, reason = "shared with other tests")]
mod runs;
#[path = "support/slurm.rs"]
mod slurm;
mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use bioscan_hpc::config::Job;
use prep::{Bench, assert_same_tree};
use slurm::{PROFILE, Shape, Site, SlurmLab};
use support::{RUN, TinyJob, expect};

const PROGRAM: &str = env!("CARGO_BIN_EXE_bioscan-hpc");

/// Four nodes that take two runs each: this machine may have two cores, and every run is a real process.
fn site() -> Site {
    let shape = Shape { nodes: 4, cores: 16, memory_mib: 256_000, gpus: vec![("h100".into(), 2)] };
    Site { shapes: vec![shape], ..Site::default() }
}

/// The program in `folder`, as its user would call it there.
fn program(lab: &SlurmLab, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = lab.command(PROGRAM);
    command.arg("-q").args(arguments).current_dir(folder).env("BIOSCAN_SLURM_PACE", "0,0.5,30").env_remove("BIOSCAN_HPC");
    command
}

/// Submits one line of shell and waits for its end; the log.
fn batch(lab: &SlurmLab, folder: &Path, options: &[&str], line: &str) -> String {
    let mut command = lab.command("sbatch");
    command.args(["--parsable", "--output=batch-%j.log"]).args(options).args(["--wrap", line]).current_dir(folder);
    let job = String::from_utf8(expect(&mut command, 0).stdout).unwrap().trim().to_owned();
    lab.wait_for("the job to end", 300, || lab.is_quiet());
    let log = fs::read_to_string(folder.join(format!("batch-{job}.log"))).unwrap();
    assert_eq!(lab.states()[&job], "COMPLETED", "{log}");
    log
}

/// The demo, smaller still: one pass over a handful of images.
fn miniature(folder: &Path) {
    let text = fs::read_to_string("jobs/demo.toml").unwrap();
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with("epochs = ") && !line.starts_with("dataset = "))
        .map(|line| format!("{line}\n"))
        .collect();
    let text = text
        .replace("[paths]\n", &format!("[paths]\ndataset = {:?}\noutput = {:?}\n", folder.join("data"), folder.join("out")))
        .replace("[train]\n", "[train]\nepochs = 1\n")
        .replace("medium = 1400 ", "medium = 300 ")
        .replace("small = 700 ", "small = 200 ")
        .replace("formats = [\"zip\", \"hdf5\"]", "formats = []");
    fs::write(folder.join("mini.toml"), text).unwrap();
    fs::write(folder.join("lab.toml"), PROFILE.replace("per_node = 4", "per_node = 2")).unwrap();
}

#[test]
fn seventy_two_runs_go_from_chunks_to_the_table_without_a_hand() {
    let Some(lab) = SlurmLab::start(&site()) else { return };
    let root = tempfile::tempdir().unwrap();
    miniature(root.path());
    let go = |arguments: &[&str]| expect(&mut program(&lab, root.path(), arguments), 0);
    go(&["synth", "--out", "data", "--images-per-chunk", "5", "--width", "48", "--height", "40"]);
    go(&["metadata", "split", "mini.toml"]);
    let started = Instant::now();
    go(&["sweep", "submit", "mini.toml", "--cluster", "lab.toml"]);
    lab.wait_for("the sweep to end", 480, || lab.is_quiet());
    eprintln!("72 runs, preprocessing and aggregation took {:.0} s", started.elapsed().as_secs_f64());
    let said = program(&lab, root.path(), &["sweep", "status", "mini.toml"]).output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.starts_with("demo on lab: 72 runs, 72 done\n"), "{said}");
    assert!(said.contains("preprocess: done") && said.contains("aggregate: done"), "{said}");
    let output = expect(&mut program(&lab, root.path(), &["aggregate", "mini.toml", "--json"]), 0);
    let table: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(table["done"], 72, "{table}");
    let nodes: std::collections::BTreeSet<String> = lab.squeue("%N").into_iter().collect();
    assert_eq!(nodes.len(), 4, "{nodes:?}");
    assert!(lab.states().values().all(|state| state == "COMPLETED"));
}

#[test]
fn a_run_stopped_by_usr1_goes_on_in_its_own_task_to_the_same_result() {
    let Some(lab) = SlurmLab::start(&site()) else { return };
    let undisturbed = TinyJob::new("checkpoint_steps = 1").with_epochs(6);
    expect(&mut undisturbed.train(1), 0);
    let job = TinyJob::new("checkpoint_steps = 1").with_epochs(6);
    let folder = job.path("");
    fs::write(folder.join("lab.toml"), PROFILE).unwrap();
    runs::preprocessed(&Job::load(&folder.join("job.toml")).unwrap());
    expect(&mut program(&lab, &folder, &["sweep", "submit", "job.toml", "--cluster", "lab.toml"]), 0);
    lab.wait_for("a checkpoint", 60, || {
        fs::read_dir(job.run(""))
            .is_ok_and(|mut found| found.any(|file| file.is_ok_and(|file| file.file_name().to_string_lossy().ends_with(".ckpt"))))
    });
    let task = lab.squeue("%i %j").into_iter().find(|line| line.contains("train")).unwrap();
    let task = task.split(' ').next().unwrap().to_owned();
    expect(lab.command("scancel").args(["--signal=USR1", "--batch", &task]), 0);
    lab.wait_for("the run to be done", 300, || job.run("test.json").is_file() && lab.is_quiet());
    assert_eq!(lab.squeue("%j %K").iter().filter(|line| line.contains("train")).count(), 1);
    let log = fs::read_dir(folder.join("logs"))
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect::<String>();
    assert!(log.contains("stopped on a signal, checkpoint saved") && log.contains("resumed"), "{log}");
    assert_eq!(job.results(), undisturbed.results());
}

#[test]
fn two_tasks_never_write_one_runs_folder_and_a_finished_run_is_not_started_again() {
    let Some(lab) = SlurmLab::start(&site()) else { return };
    // Long enough to be running still when the second task arrives.
    let job = TinyJob::new("").with_epochs(12);
    let folder = job.path("");
    let line = format!("srun {PROGRAM} train job.toml --index 0; echo ended with $?");
    let submit = || {
        let mut command = lab.command("sbatch");
        command.args(["--parsable", "--output=%j.log", "--cpus-per-task=2", "--wrap", &line]).current_dir(&folder);
        String::from_utf8(expect(&mut command, 0).stdout).unwrap().trim().to_owned()
    };
    let first = submit();
    lab.wait_for("the owner", 60, || job.run(".lock").is_file());
    let second = submit();
    let log = |id: &str| fs::read_to_string(folder.join(format!("{id}.log"))).unwrap_or_default();
    lab.wait_for("the second to end", 60, || log(&second).contains("ended with"));
    assert!(log(&second).contains(&format!("job {first}")) && log(&second).contains("ended with 2"), "{}", log(&second));
    lab.wait_for("the first to end", 300, || log(&first).contains("ended with"));
    assert!(log(&first).contains("ended with 0"), "{}", log(&first));
    let before = job.results();
    let again = batch(&lab, &folder, &[], &line);
    assert!(again.contains("(done before)"), "{again}");
    assert_eq!(job.results(), before);
}

#[test]
fn two_ranks_on_two_nodes_train_as_two_ranks_on_one() {
    let Some(lab) = SlurmLab::start(&site()) else { return };
    let here = TinyJob::new("");
    expect(&mut here.train(2), 0);
    let job = TinyJob::new("");
    let line = format!(
        "srun --mpi=pmix bash -c 'echo rank $SLURM_PROCID on $SLURMD_NODENAME; exec {PROGRAM} train job.toml --device cpu --experiment {RUN}'"
    );
    let log = batch(&lab, &job.path(""), &["-N2", "--ntasks-per-node=1"], &line);
    let nodes: std::collections::BTreeSet<&str> =
        log.lines().filter_map(|line| line.strip_prefix("rank ")?.split_once(" on ")).map(|rank| rank.1).collect();
    assert_eq!(nodes.len(), 2, "{log}");
    assert_eq!(job.results(), here.results());
}

#[test]
fn eight_ranks_on_four_nodes_preprocess_to_the_bytes_of_one() {
    let Some(lab) = SlurmLab::start(&site()) else { return };
    let bench = Bench::with_chunks(5, 6);
    prep::preprocess(prep::program(), &bench.job(), 0);
    let other = bench.job_to("nodes");
    let line = format!("srun --mpi=pmix {PROGRAM} preprocess {}", other.display());
    batch(&lab, bench.root.path(), &["-N4", "--ntasks-per-node=2"], &line);
    assert_same_tree(&prep::package(&bench.root.path().join("out")), &prep::package(&bench.output("nodes")));
}
