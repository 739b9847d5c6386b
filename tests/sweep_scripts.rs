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
use bioscan_hpc::sweep::metafarm;
use bioscan_hpc::sweep::plan::{Plan, plan};
use bioscan_hpc::sweep::render::{Rendering, render, templates};

fn rendered(cluster: &str, job_file: &Path, folder: &Path, ranks: u32) -> BTreeMap<String, String> {
    rendered_of(&Job::as_written(job_file).unwrap(), cluster, job_file, folder, ranks)
}

fn rendered_of(job: &Job, cluster: &str, job_file: &Path, folder: &Path, ranks: u32) -> BTreeMap<String, String> {
    let plan = plan(job, &Cluster::load(cluster, None).unwrap()).unwrap();
    let rendering = Rendering { job, job_file, folder, account: None, ranks };
    render(&plan, &rendering, templates(None).unwrap()).unwrap()
}

fn write(folder: &Path, files: &BTreeMap<String, String>) {
    fs::create_dir_all(folder).unwrap();
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
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

/// All scripts in a folder and below it.
fn scripts_in(folder: &Path) -> Vec<PathBuf> {
    let (folders, files): (Vec<_>, Vec<_>) =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).partition(|path| path.is_dir());
    let scripts = files.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "sh"));
    scripts.chain(folders.iter().flat_map(|folder| scripts_in(folder))).collect()
}

#[test]
fn the_golden_scripts_of_every_cluster_are_what_render_writes() {
    for cluster in Cluster::names() {
        let folder = Path::new("slurm").join(&cluster);
        let files = rendered(&cluster, Path::new("jobs/bioscan-1m.toml"), &folder, 1);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            drop(fs::remove_dir_all(&folder));
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
    // Preprocessing, aggregation, and an array a size at least.
    assert!(scripts.len() >= 9 * 5, "{}", scripts.len());
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

    /// The job file and the scripts of `cluster` in `s`, and a folder for every run.
    fn render(&self, cluster: &str, name: &str, output: &str) -> Plan {
        self.render_into("s", cluster, name, output, "")
    }

    /// The same with `more` in the job file, and the scripts in `folder`.
    fn render_into(&self, folder: &str, cluster: &str, name: &str, output: &str, more: &str) -> Plan {
        runs::job_file(self.root.path(), name, &format!("$SCRATCH/{output}"), "[1, 2, 3]");
        let text = fs::read_to_string(self.at(name)).unwrap() + more;
        fs::write(self.at(name), text).unwrap();
        // Relative, as a user in that folder would type it.
        let job = Job::as_written(&self.at(name)).unwrap();
        let plan = plan(&job, &Cluster::load(cluster, None).unwrap()).unwrap();
        for experiment in &plan.experiments {
            fs::create_dir_all(self.at(output).join("runs").join(experiment.id.to_string())).unwrap();
        }
        let rendering = Rendering { job: &job, job_file: Path::new(name), folder: Path::new(folder), account: None, ranks: 1 };
        write(&self.at(folder), &render(&plan, &rendering, templates(None).unwrap()).unwrap());
        if cluster != "local" {
            write(&self.at(folder), &metafarm::render(&plan, &rendering, templates(None).unwrap()).unwrap());
        }
        plan
    }

    fn command(&self, script: &str, task: &str, act: &str) -> Command {
        let path = format!("{}:{}", self.at("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command.arg(self.at(script)).current_dir(self.root.path()).env("PATH", path).env("ACT", act);
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

/// The script of the task that holds the run `index`, the task, and its runs.
fn task_of(plan: &Plan, index: usize) -> (String, String, Vec<usize>) {
    let mut jobs = plan.jobs.iter().flat_map(|job| job.tasks.iter().map(move |task| (job, task)));
    let (job, task) = jobs.find(|(_, task)| task.experiments.contains(&index)).unwrap();
    (format!("s/{}", job.script), task.index.to_string(), task.experiments.clone())
}

/// For the program: as if it had saved a checkpoint in every run's folder.
const SAVE: &str = r#"for run in "$SCRATCH"/out/runs/*/; do touch "$run/checkpoint-$$"; done; "#;

#[test]
fn hostile_names_arrive_as_they_are_and_run_nothing() {
    let (name, output) = ("it's a \"job\" $(touch pwned) `touch pwned`;&\n#.toml", "o'ut \"put\" ;&\ndir");
    // `metadata` prints this name in its commands, and sbatch is told it.
    let folder = "s $(touch pwned)'\n\"x";
    for cluster in ["fir", "tamia", "trillium", "local"] {
        let lab = Lab::new();
        let plan = lab.render_into(folder, cluster, name, output, "");
        // SC2016 wonders whether a `$(` in single quotes was meant to be literal. It was.
        assert_clean(&scripts_in(&lab.at(folder)), &["--exclude=SC2016"]);
        let (script, task, _) = task_of(&plan, 3);
        let ran = lab.run(&script.replacen('s', folder, 1), &task, "");
        assert!(ran.status.success(), "{cluster}: {}", String::from_utf8_lossy(&ran.stderr));
        let call = lab.calls("3").join("\n");
        assert!(call.starts_with(&format!("train\n{name}\n--index\n3\n")), "{cluster}: {call}");
        let staged = matches!(cluster, "fir" | "tamia");
        assert_eq!(call.lines().any(|word| word == "--stage"), staged, "{cluster}: {call}");
        for script in ["preprocess.sh", "aggregate.sh"] {
            assert!(lab.run(&format!("{folder}/{script}"), "", "").status.success(), "{cluster}: {script}");
        }
        // What a refused requeue says is a line that a shell reads as it was meant.
        runs::script(&lab.at("bin/scontrol"), "exit 1");
        let saving = r#"for run in "$SCRATCH"/o*/runs/*/; do touch "$run/checkpoint-$$"; done; exit 85"#;
        assert_eq!(lab.run(&script.replacen('s', folder, 1), &task, saving).status.code(), Some(85), "{cluster}");
        assert!(!lab.at("pwned").exists(), "{cluster}");
    }
}

#[test]
fn a_hostile_name_of_the_job_or_of_a_backbone_ends_no_comment_and_no_directive() {
    let lab = Lab::new();
    let name = "evil\\n#SBATCH\\t--uid=0\\n$(touch\\tpwned)'\\\"";
    runs::job_file(lab.root.path(), "job.toml", "$SCRATCH/out", "[1]");
    let text = fs::read_to_string(lab.at("job.toml")).unwrap();
    fs::write(lab.at("job.toml"), text.replace("name = \"mini\"", &format!("name = \"{name}\""))).unwrap();
    let mut job = Job::as_written(&lab.at("job.toml")).unwrap();
    // A job file with such a backbone is refused; the scripts do not rely on it.
    job.grid.backbones[0] = "resnet$(touch pwned)\n;'".into();
    let files = rendered_of(&job, "fir", &lab.at("job.toml"), Path::new("s"), 1);
    for (script, text) in files.iter().filter(|(script, _)| script.ends_with(".sh")) {
        assert!(!text.lines().any(|line| line.starts_with("#SBATCH") && line.contains("--uid=")), "{script}:\n{text}");
        assert!(text.lines().all(|line| !line.starts_with("$(touch")), "{script}:\n{text}");
        assert!(script.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)), "{script}");
    }
    write(&lab.at("s"), &files);
    assert_clean(&scripts_in(&lab.at("s")), &["--exclude=SC2016"]);
}

#[test]
fn a_farm_runs_its_cases_by_name_and_notes_how_they_ended() {
    for (cluster, array, case) in [("fir", "train-large-resnet50", 1), ("tamia", "train-large", 4)] {
        let lab = Lab::new();
        lab.render_into("s", cluster, "it's a $(touch pwned) job.toml", "out", "");
        let farm = lab.at("farm");
        let source = lab.at("s/metafarm").join(array);
        fs::create_dir_all(farm.join("STATUSES")).unwrap();
        // As `submit.run` numbers it.
        let table = fs::read_to_string(source.join("table.dat")).unwrap();
        let numbered: String = table.lines().zip(1..).map(|(line, number)| format!("{number} {line}\n")).collect();
        fs::write(farm.join("table.dat"), numbered).unwrap();
        let run = |line: &str, act: &str| {
            let mut command = lab.command("unused", "2", act);
            let mut case = Command::new("bash");
            case.arg(source.join("single_case.sh")).args(["table.dat", line]).current_dir(&farm);
            for (name, value) in command.current_dir(&farm).get_envs() {
                match value {
                    Some(value) => case.env(name, value),
                    None => case.env_remove(name),
                };
            }
            case.output().unwrap()
        };
        let ran = run("2", "");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let first = table.lines().nth(1).unwrap().split(' ').next().unwrap();
        assert!(
            lab.calls(first).join(" ").starts_with("train it's a $(touch pwned) job.toml --experiment"),
            "{:?}",
            lab.calls(first)
        );
        let called = fs::read_dir(lab.root.path())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("calls."));
        assert_eq!(called.count(), case);
        run("1", "exit 3");
        run("3", "exit 85");
        assert_eq!(fs::read_to_string(farm.join("STATUSES/status.900_2")).unwrap(), "2 0\n1 0\n3 85\n", "{cluster}");
        assert!(!lab.at("pwned").exists() && !farm.join("pwned").exists());
    }
}

#[test]
fn where_whole_nodes_are_rented_each_run_of_a_task_has_a_gpu_and_its_share_of_the_cores() {
    let lab = Lab::new();
    let plan = lab.render("tamia", "job.toml", "out");
    let (script, task, held) = task_of(&plan, 28);
    assert_eq!(held, [28, 29, 36, 37]);
    assert!(lab.run(&script, &task, "echo hello").status.success());
    for (gpu, index) in held.into_iter().enumerate() {
        assert_eq!(lab.calls(&index.to_string()).last().unwrap(), &format!("gpu={gpu} cpus=12"));
        assert_eq!(fs::read_to_string(lab.at(&format!("logs/mini-900_{task}.run{index}.out"))).unwrap(), "hello\n");
    }
}

const SHORT: &str = "[sweep]\ngpu = \"whole\"\nhours = 0.4\n";

#[test]
fn short_runs_of_a_task_follow_each_other_and_a_signal_ends_the_row() {
    let lab = Lab::new();
    let plan = lab.render_into("s", "fir", "job.toml", "out", SHORT);
    let (script, task, held) = task_of(&plan, 4);
    assert_eq!((task.as_str(), held), ("1", vec![3, 4, 5]));
    let ran = lab.run(&script, &task, "mkdir \"$CALLS.alone\" && sleep 0.05 && rmdir \"$CALLS.alone\"");
    assert!(ran.status.success(), "two at a time: {}", String::from_utf8_lossy(&ran.stderr));
    assert!([3, 4, 5].iter().all(|index| lab.calls(&index.to_string()).len() > 3));

    // A failure is told at the end, and the others run all the same.
    assert_eq!(lab.run(&script, "2", "case $4 in 12) exit 6 ;; esac").status.code(), Some(6));
    assert!(!lab.calls("13").is_empty() && !lab.calls("14").is_empty());

    // Told to stop within the first run, it begins no other.
    let act = format!("trap '{SAVE} exit 85' USR1; touch \"$CALLS.ready\"; while true; do sleep 0.05; done");
    let mut child = lab.command(&script, "3", &act).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(|| lab.at("calls.ready").exists());
    tell(&child);
    assert_eq!(child.wait().unwrap().code(), Some(85));
    assert_eq!(lab.calls("scontrol"), ["requeue 900_3"]);
    assert!(!lab.calls("15").is_empty() && lab.calls("16").is_empty() && lab.calls("17").is_empty());
}

#[test]
fn short_runs_on_whole_nodes_go_in_rounds_of_one_a_gpu() {
    let lab = Lab::new();
    let plan = lab.render_into("s", "tamia", "job.toml", "out", SHORT);
    let (script, task, held) = task_of(&plan, 0);
    assert_eq!(held.len(), 12);
    assert!(lab.run(&script, &task, "").status.success());
    for (position, index) in held.into_iter().enumerate() {
        assert_eq!(lab.calls(&index.to_string()).last().unwrap(), &format!("gpu={} cpus=12", position % 4));
    }
}

#[test]
fn quarantined_inputs_and_missing_runs_do_not_break_the_chain_but_failures_do() {
    let lab = Lab::new();
    let plan = lab.render("fir", "job.toml", "out");
    let (train, ..) = task_of(&plan, 0);
    for (exit, expected) in [(0, 0), (3, 0), (4, 0), (2, 2), (6, 6)] {
        for script in [train.as_str(), "s/preprocess.sh"] {
            let ran = lab.run(script, "0", &format!("exit {exit}"));
            assert_eq!(ran.status.code(), Some(expected), "{script} with {exit}");
        }
    }
    let said = lab.run(&train, "0", "exit 3");
    assert!(String::from_utf8_lossy(&said.stdout).contains("some inputs were quarantined (exit 3)"));
    assert_eq!(lab.run("s/aggregate.sh", "0", "exit 4").status.code(), Some(0));
    assert_eq!(lab.run("s/aggregate.sh", "0", "exit 5").status.code(), Some(5));
}

#[test]
fn a_checkpointed_task_requeues_itself_alone_and_not_for_ever() {
    let lab = Lab::new();
    let (script, task, _) = task_of(&lab.render("fir", "job.toml", "out"), 5);
    let saving = format!("{SAVE} exit 85");
    assert_eq!(lab.run(&script, &task, &saving).status.code(), Some(85));
    assert_eq!(lab.calls("scontrol"), ["requeue 900_5"]);
    let last = lab.command(&script, &task, &saving).env("SLURM_RESTART_COUNT", "10").status().unwrap();
    assert_eq!((last.code(), lab.calls("scontrol").len()), (Some(85), 1));
    // A job without an array is requeued by its own id.
    lab.run("s/preprocess.sh", "", "exit 85");
    assert_eq!(lab.calls("scontrol")[1], "requeue 907");
}

#[test]
fn a_life_that_left_no_new_checkpoint_is_not_followed_by_another() {
    let lab = Lab::new();
    let (script, task, _) = task_of(&lab.render("fir", "job.toml", "out"), 5);
    assert_eq!(lab.run(&script, &task, "exit 85").status.code(), Some(85));
    let other = "touch \"$SCRATCH/out/runs/small_insect_order-resnet50-CE-s1/checkpoint-9\"; exit 85";
    assert_eq!(lab.run(&script, &task, other).status.code(), Some(85), "another run's checkpoint is no progress of this one");
    assert_eq!(lab.calls("scontrol"), Vec::<String>::new());
}

#[test]
fn a_refused_requeue_says_what_to_type() {
    let lab = Lab::new();
    let (script, task, _) = task_of(&lab.render("fir", "job.toml", "out"), 5);
    runs::script(&lab.at("bin/scontrol"), "exit 1");
    let ran = lab.run(&script, &task, &format!("{SAVE} exit 85"));
    assert_eq!(ran.status.code(), Some(85));
    assert!(String::from_utf8_lossy(&ran.stderr).contains(&format!("go on with sbatch --array=5 {script}")));
}

#[test]
fn usr1_reaches_the_program_through_the_script_and_its_exit_code_comes_back() {
    // Catches the signal, takes its time over the checkpoint, and ends as the real program does.
    let act = format!(
        r#"trap 'sleep 0.3; {SAVE} echo saved >"$CALLS.saved"; exit 85' USR1; touch "$CALLS.ready"; while true; do sleep 0.05; done"#
    );
    for cluster in ["fir", "tamia", "local"] {
        let lab = Lab::new();
        let (script, task, _) = task_of(&lab.render(cluster, "job.toml", "out"), 0);
        let mut child = lab.command(&script, &task, &act).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for(|| lab.at("calls.ready").exists());
        tell(&child);
        assert_eq!(child.wait().unwrap().code(), Some(85), "{cluster}");
        assert_eq!(lab.calls("saved"), ["saved"], "{cluster}");
        assert_eq!(lab.calls("scontrol").len(), usize::from(cluster != "local"), "{cluster}");
    }
}

/// USR1, as Slurm sends it before the time limit.
fn tell(child: &std::process::Child) {
    // The last of several programs may still be setting its trap.
    std::thread::sleep(Duration::from_millis(300));
    let sent = Command::new("bash").args(["-c", "kill -USR1 \"$1\"", "bash", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
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
    let ran = lab.run("s/train-small.sh", "0", "");
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
