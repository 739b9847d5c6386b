//! The rendered scripts: as they were, clean, and right when they run.

#[path = "support/runs.rs"]
#[expect(dead_code, reason = "shared with other tests")]
mod runs;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use bioscan_hpc::config::{Cluster, Job};
use bioscan_hpc::sweep::plan::plan;
use bioscan_hpc::sweep::render::{Rendering, render, templates};

fn rendered(cluster: &str, job_file: &Path, folder: &Path, ranks: u32) -> BTreeMap<String, String> {
    let job = Job::as_written(job_file).unwrap();
    let plan = plan(&job, &Cluster::load(cluster, None).unwrap()).unwrap();
    let rendering = Rendering { job: &job, job_file, folder, account: None, ranks };
    render(&plan, &rendering, templates(None).unwrap()).unwrap()
}

fn write(folder: &Path, files: &BTreeMap<String, String>) {
    fs::create_dir_all(folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
}

/// `bash -n` and shellcheck; without shellcheck, bash alone, and says so.
fn assert_clean(scripts: &[PathBuf], options: &[&str]) {
    for path in scripts {
        let syntax = Command::new("bash").arg("-n").arg(path).output().unwrap();
        assert!(syntax.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&syntax.stderr));
    }
    match Command::new("shellcheck").args(options).args(scripts).output() {
        Ok(found) => assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stdout)),
        Err(_) => eprintln!("SKIPPED: shellcheck is not installed, so {} scripts were not checked by it", scripts.len()),
    }
}

fn scripts_in(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "sh")).collect()
}

#[test]
fn the_golden_scripts_of_every_cluster_are_what_render_writes() {
    for cluster in Cluster::names() {
        let folder = Path::new("slurm").join(&cluster);
        let files = rendered(&cluster, Path::new("jobs/bioscan-1m.toml"), &folder, 1);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            write(&folder, &files);
        }
        let golden = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap());
        let golden: BTreeMap<String, String> =
            golden.map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())).collect();
        assert!(golden.keys().eq(files.keys()), "{cluster}: {:?} is not {:?}", golden.keys(), files.keys());
        for (name, text) in &files {
            assert!(golden[name] == *text, "slurm/{cluster}/{name} has changed; UPDATE_GOLDEN=1 rewrites it. Now:\n{text}");
        }
    }
}

#[test]
fn the_golden_scripts_of_every_cluster_are_clean() {
    let scripts: Vec<_> = Cluster::names().iter().flat_map(|cluster| scripts_in(&Path::new("slurm").join(cluster))).collect();
    assert_eq!(scripts.len(), 9 * 5);
    assert_clean(&scripts, &[]);
}

/// A folder with stand-ins for what a script calls: `bin/` on PATH, `calls` with what the program was told.
struct Lab {
    root: tempfile::TempDir,
}

/// Writes its arguments and what it knows of its GPU, one a line, then does as `$ACT` says.
const PROGRAM: &str = r#"
{ printf '%s\n' "$@"; echo "gpu=${CUDA_VISIBLE_DEVICES-} cpus=$SLURM_CPUS_PER_TASK"; } >>"$CALLS.${4-}"
eval "${ACT-}""#;

impl Lab {
    fn new() -> Self {
        let lab = Self { root: tempfile::tempdir().unwrap() };
        fs::create_dir_all(lab.at("bin")).unwrap();
        fs::create_dir_all(lab.at("logs")).unwrap();
        fs::create_dir_all(lab.at("tmp")).unwrap();
        runs::script(&lab.at("bin/bioscan-hpc"), PROGRAM);
        runs::script(&lab.at("bin/srun"), "shift; exec \"$@\"");
        runs::script(&lab.at("bin/module"), "true");
        runs::script(&lab.at("bin/scontrol"), "echo \"$@\" >>\"$CALLS.scontrol\"");
        lab
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// The job file and the scripts of `cluster`, with the prepared packs where the job says.
    fn render(&self, cluster: &str, name: &str, output: &str) {
        runs::job_file(self.root.path(), name, &format!("$SCRATCH/{output}"), "[1, 2, 3]");
        let packs = self.root.path().join(output).join("images/original_256/packs");
        fs::create_dir_all(&packs).unwrap();
        fs::write(packs.join("part1.pack"), b"x").unwrap();
        // Relative, as a user in that folder would type it.
        let job = Job::as_written(&self.at(name)).unwrap();
        let plan = plan(&job, &Cluster::load(cluster, None).unwrap()).unwrap();
        let rendering = Rendering { job: &job, job_file: Path::new(name), folder: Path::new("s"), account: None, ranks: 1 };
        write(&self.at("s"), &render(&plan, &rendering, templates(None).unwrap()).unwrap());
    }

    fn command(&self, script: &str, task: &str, act: &str) -> Command {
        let path = format!("{}:{}", self.at("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command.arg(self.at("s").join(script)).current_dir(self.root.path()).env("PATH", path).env("ACT", act);
        command.env("SCRATCH", self.root.path()).env("CALLS", self.at("calls")).env("SLURM_TMPDIR", self.at("tmp"));
        command.env("SLURM_ARRAY_JOB_ID", "900").env("SLURM_ARRAY_TASK_ID", task).env("SLURM_JOB_ID", "907");
        command.env("SLURM_JOB_NAME", "mini").env("SLURM_CPUS_PER_TASK", "48").env_remove("SLURM_RESTART_COUNT");
        command.env_remove("BIOSCAN_HPC").env_remove("BIOSCAN_MAX_RESTARTS");
        command
    }

    fn run(&self, script: &str, task: &str, act: &str) -> Output {
        self.command(script, task, act).output().unwrap()
    }

    fn calls(&self, index: &str) -> Vec<String> {
        let text = fs::read_to_string(self.at(&format!("calls.{index}"))).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

#[test]
fn hostile_names_arrive_as_they_are_and_run_nothing() {
    let (name, output) = ("it's a \"job\" $(touch pwned) `touch pwned`;&\n#.toml", "o'ut \"put\" ;& dir");
    for cluster in ["fir", "tamia", "trillium", "local"] {
        let lab = Lab::new();
        lab.render(cluster, name, output);
        // SC2016 wonders whether a `$(` in single quotes was meant to be literal. It was.
        assert_clean(&scripts_in(&lab.at("s")), &["--exclude=SC2016"]);
        let ran = lab.run("train-small.sh", "3", "");
        assert!(ran.status.success(), "{cluster}: {}", String::from_utf8_lossy(&ran.stderr));
        let index = if cluster == "tamia" { "12" } else { "3" };
        let call = lab.calls(index).join("\n");
        assert!(call.starts_with(&format!("train\n{name}\n--index\n{index}\n")), "{cluster}: {call}");
        let staged = matches!(cluster, "fir" | "tamia");
        assert_eq!(call.contains(&format!("--packs\n{}", lab.at("tmp/packs").display())), staged, "{cluster}: {call}");
        assert_eq!(lab.at("tmp/packs/part1.pack").exists(), staged);
        assert!(!lab.at("pwned").exists(), "{cluster}");
    }
}

#[test]
fn where_whole_nodes_are_rented_each_run_of_a_task_has_a_gpu_and_its_share_of_the_cores() {
    let lab = Lab::new();
    lab.render("tamia", "job.toml", "out");
    assert!(lab.run("train-medium.sh", "7", "echo hello").status.success());
    for (gpu, index) in [28, 29, 30, 31].into_iter().enumerate() {
        assert_eq!(lab.calls(&index.to_string()).last().unwrap(), &format!("gpu={gpu} cpus=12"));
        assert_eq!(fs::read_to_string(lab.at(&format!("logs/mini-900_7.run{index}.out"))).unwrap(), "hello\n");
    }
}

#[test]
fn quarantined_inputs_and_missing_runs_do_not_break_the_chain_but_failures_do() {
    let lab = Lab::new();
    lab.render("fir", "job.toml", "out");
    for (exit, expected) in [(0, 0), (3, 0), (4, 0), (2, 2), (6, 6)] {
        for script in ["train-small.sh", "preprocess.sh"] {
            let ran = lab.run(script, "0", &format!("exit {exit}"));
            assert_eq!(ran.status.code(), Some(expected), "{script} with {exit}");
        }
    }
    let said = lab.run("train-small.sh", "0", "exit 3");
    assert!(String::from_utf8_lossy(&said.stdout).contains("some inputs were quarantined (exit 3)"));
    assert_eq!(lab.run("aggregate.sh", "0", "exit 4").status.code(), Some(0));
    assert_eq!(lab.run("aggregate.sh", "0", "exit 5").status.code(), Some(5));
}

#[test]
fn a_checkpointed_task_requeues_itself_alone_and_not_for_ever() {
    let lab = Lab::new();
    lab.render("fir", "job.toml", "out");
    assert_eq!(lab.run("train-small.sh", "5", "exit 85").status.code(), Some(85));
    assert_eq!(lab.calls("scontrol"), ["requeue 900_5"]);
    let last = lab.command("train-small.sh", "5", "exit 85").env("SLURM_RESTART_COUNT", "10").status().unwrap();
    assert_eq!((last.code(), lab.calls("scontrol").len()), (Some(85), 1));
    // A job without an array is requeued by its own id.
    lab.run("preprocess.sh", "", "exit 85");
    assert_eq!(lab.calls("scontrol")[1], "requeue 907");
}

#[test]
fn a_refused_requeue_says_what_to_type() {
    let lab = Lab::new();
    lab.render("fir", "job.toml", "out");
    runs::script(&lab.at("bin/scontrol"), "exit 1");
    let ran = lab.run("train-small.sh", "5", "exit 85");
    assert_eq!(ran.status.code(), Some(85));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("go on with sbatch --array=5 s/train-small.sh"));
}

#[test]
fn usr1_reaches_the_program_through_the_script_and_its_exit_code_comes_back() {
    // Catches the signal, takes its time over the checkpoint, and ends as the real program does.
    let act =
        r#"trap 'sleep 0.3; echo saved >"$CALLS.saved"; exit 85' USR1; touch "$CALLS.ready"; while true; do sleep 0.05; done"#;
    for cluster in ["fir", "tamia", "local"] {
        let lab = Lab::new();
        lab.render(cluster, "job.toml", "out");
        let mut child = lab.command("train-small.sh", "0", act).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for(|| lab.at("calls.ready").exists());
        // The last of several programs may still be setting its trap.
        std::thread::sleep(Duration::from_millis(300));
        let sent = Command::new("bash").args(["-c", "kill -USR1 \"$1\"", "bash", &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(child.wait().unwrap().code(), Some(85), "{cluster}");
        assert_eq!(lab.calls("saved"), ["saved"], "{cluster}");
        assert_eq!(lab.calls("scontrol").len(), usize::from(cluster != "local"), "{cluster}");
    }
}

fn wait_for(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited 20 s in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn without_the_job_file_a_script_says_where_it_should_have_been_started() {
    let lab = Lab::new();
    lab.render("local", "job.toml", "out");
    fs::remove_file(lab.at("job.toml")).unwrap();
    let ran = lab.run("train-small.sh", "0", "");
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("start this from the folder it was rendered in"));
}

#[test]
fn several_ranks_of_a_local_run_go_through_mpirun() {
    let folder = tempfile::tempdir().unwrap();
    let job = runs::paper_job(folder.path());
    let files = rendered("local", &job, folder.path(), 2);
    assert!(files["train-small.sh"].contains("mpirun -n 2 --oversubscribe --bind-to none \"$bioscan\" train"));
    write(&folder.path().join("s"), &files);
    assert_clean(&scripts_in(&folder.path().join("s")), &[]);
}
