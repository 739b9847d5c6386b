//! `sweep` on the command line: the plan, the refusals, and the local executor with a stand-in for training.

#[path = "support/runs.rs"]
mod runs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin_cmd;
use bioscan_hpc::config::Job;
use serde_json::Value;

/// Leaves a trace of its start, does as `act/{index}` says where there is one, and else puts the prepared result in its place.
const TRAINING: &str = r#"
index=$4
echo "$index life=$SLURM_RESTART_COUNT" >>"$LAB/starts"
env | grep ^SLURM_ | sort >"$LAB/env.$index"
if [[ -f $LAB/act/$index ]]; then . "$LAB/act/$index"; fi
cp -r "$LAB/prepared/$index/." "$LAB/out/runs/"
echo trained"#;

struct Lab {
    root: tempfile::TempDir,
    job: PathBuf,
}

impl Lab {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let job = runs::paper_job(root.path());
        let loaded = Job::load(&job).unwrap();
        for index in 0..loaded.grid.experiments().len() {
            runs::finish(&root.path().join(format!("prepared/{index}")), &runs::record(&loaded, index, 8));
        }
        for folder in ["act", "out/runs"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        runs::ready(&loaded);
        runs::script(&root.path().join("training"), TRAINING);
        Self { root, job }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn act(&self, index: usize, what: &str) {
        fs::write(self.at(&format!("act/{index}")), what).unwrap();
    }

    fn submit(&self) -> (Option<i32>, String) {
        let mut command = cargo_bin_cmd!("bioscan-hpc");
        command.args(["-q", "sweep", "submit", "--cluster", "local", "--jobs", "4"]).arg(&self.job);
        command.env("LAB", self.root.path()).env("BIOSCAN_HPC", self.at("training")).env("SLURM_NODELIST", "outer");
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
    }

    fn starts(&self) -> Vec<String> {
        let mut lines: Vec<_> = fs::read_to_string(self.at("starts")).unwrap_or_default().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    fn forget_starts(&self) {
        fs::remove_file(self.at("starts")).unwrap();
    }
}

#[test]
fn seventy_two_runs_one_of_which_fails_and_the_second_call_does_that_one_alone() {
    let lab = Lab::new();
    lab.act(41, "echo 'no such weights' >&2; exit 6");
    let (code, text) = lab.submit();
    assert_eq!(code, Some(4), "{text}");
    assert_eq!(lab.starts().len(), 72);
    assert!(text.contains("71 of 72 runs are done"), "{text}");
    assert!(text.contains("medium_diptera_family-resnet50-Focal-s3: exit 6") && text.contains("| no such weights"), "{text}");

    lab.forget_starts();
    fs::remove_file(lab.at("act/41")).unwrap();
    assert_eq!(lab.submit().0, Some(0));
    assert_eq!(lab.starts(), ["41 life=0"]);

    lab.forget_starts();
    let (code, text) = lab.submit();
    assert_eq!((code, lab.starts().len()), (Some(0), 0), "{text}");
}

#[test]
fn a_task_gets_the_environment_of_an_array_task_and_none_of_a_surrounding_job() {
    let lab = Lab::new();
    assert_eq!(lab.submit().0, Some(0));
    let environment = fs::read_to_string(lab.at("env.5")).unwrap();
    let value = |name: &str| environment.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).map(str::to_owned);
    assert_eq!(value("SLURM_ARRAY_TASK_ID").as_deref(), Some("5"));
    assert_eq!(value("SLURM_RESTART_COUNT").as_deref(), Some("0"));
    assert_eq!(value("SLURM_CPUS_PER_TASK").as_deref(), Some("1"));
    let number = |name: &str| value(name).unwrap().parse::<u64>().unwrap();
    assert_eq!(number("SLURM_JOB_ID"), number("SLURM_ARRAY_JOB_ID") + 6);
    assert!(!Path::new(&value("SLURM_TMPDIR").unwrap()).exists(), "the private folder goes with its task");
    assert_eq!(value("SLURM_NODELIST"), None);
    assert_eq!(fs::read_to_string(lab.at("out/logs/small_insect_order-resnet50-Focal-s3.out")).unwrap(), "trained\n");
}

#[test]
fn a_run_that_stops_with_a_checkpoint_is_started_again_and_not_for_ever() {
    let lab = Lab::new();
    lab.act(2, "[[ $SLURM_RESTART_COUNT -ge 2 ]] || exit 85");
    lab.act(3, "exit 85");
    let (code, text) = lab.submit();
    assert_eq!(code, Some(4));
    let lives = |index: usize| lab.starts().iter().filter(|line| line.starts_with(&format!("{index} "))).count();
    assert_eq!((lives(2), lives(3)), (3, 11));
    assert!(text.contains("small_insect_order-resnet50-Focal-s1: stopped with a checkpoint once too often (exit 85)"), "{text}");
}

#[test]
fn a_result_that_disagrees_with_its_seal_is_made_again() {
    let lab = Lab::new();
    assert_eq!(lab.submit().0, Some(0));
    lab.forget_starts();
    fs::write(lab.at("out/runs/small_insect_order-resnet50-CE-s1/test.json"), b"{}").unwrap();
    assert_eq!(lab.submit().0, Some(0));
    assert_eq!(lab.starts(), ["0 life=0"]);
}

#[test]
fn term_is_passed_on_as_usr1_and_nothing_new_is_started() {
    let lab = Lab::new();
    for index in 0..72 {
        lab.act(index, "trap 'exit 85' USR1; while true; do sleep 0.05; done");
    }
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("bioscan-hpc"))
        .args(["-q", "sweep", "submit", "--cluster", "local", "--jobs", "2"])
        .arg(&lab.job)
        .env("LAB", lab.root.path())
        .env("BIOSCAN_HPC", lab.at("training"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while lab.starts().len() < 2 && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(300));
    assert!(Command::new("bash").args(["-c", "kill -TERM \"$1\"", "bash", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(85));
    assert_eq!(lab.starts().len(), 2);
}

#[test]
fn the_plan_lists_72_unique_ids_in_the_documented_order() {
    let output = cargo_bin_cmd!("bioscan-hpc").args(["sweep", "plan", "jobs/bioscan-1m.toml", "--json"]).output().unwrap();
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let listed = plan["experiments"].as_array().unwrap();
    let mut expected = Vec::new();
    for size in ["small", "medium", "large"] {
        for task in ["insect_order", "diptera_family"] {
            for backbone in ["resnet50", "vit_base_patch16_224"] {
                for loss in ["CE", "Focal"] {
                    expected.extend([1, 2, 3].map(|seed| format!("{size}_{task}-{backbone}-{loss}-s{seed}")));
                }
            }
        }
    }
    let ids: Vec<&str> = listed.iter().map(|experiment| experiment["id"].as_str().unwrap()).collect();
    assert_eq!(ids, expected);
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 72);
    assert!(listed.iter().enumerate().all(|(index, experiment)| experiment["index"] == index));
    assert_eq!((&plan["cluster"], &plan["jobs"]), (&Value::Null, &Value::Null));
}

#[test]
fn the_plan_for_a_cluster_is_as_it_was() {
    let mut command = cargo_bin_cmd!("bioscan-hpc");
    let output = command.args(["sweep", "plan", "jobs/bioscan-1m.toml", "--json", "--cluster", "tamia"]).output().unwrap();
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan["jobs"]).unwrap());
}

#[test]
fn the_plan_in_words_shows_every_job_its_cost_and_where_its_time_comes_from() {
    let mut command = cargo_bin_cmd!("bioscan-hpc");
    let output = command.args(["sweep", "plan", "jobs/bioscan-1m.toml", "--cluster", "fir"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    insta::assert_snapshot!(text.split_once("\n\n").unwrap().1);
}

#[test]
fn a_finished_run_replaces_the_assumed_times_of_its_backbone() {
    let lab = Lab::new();
    let plan = || {
        let output =
            cargo_bin_cmd!("bioscan-hpc").args(["sweep", "plan", "--json", "--cluster", "fir"]).arg(&lab.job).output().unwrap();
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        let of = |name: &str| {
            let job =
                plan["jobs"].as_array().unwrap().iter().find(|job| job["script"].as_str().unwrap().starts_with(name)).unwrap();
            job["estimate"].clone()
        };
        (of("train-large-resnet50"), of("train-large-vit"))
    };
    assert!(plan().0["source"]["assumed"].is_string());
    let loaded = Job::load(&lab.job).unwrap();
    runs::finish(&lab.at("out/runs"), &runs::record(&loaded, 0, 8));
    let run = lab.at("out/runs/small_insect_order-resnet50-CE-s1");
    fs::write(run.join("timing.csv"), "epoch,images,seconds,images_per_second\n0,35000,50.000,700.0\n").unwrap();
    let mut provenance = serde_json::to_value(bioscan_hpc::telemetry::Provenance::here(1, 4, "cuda:0")).unwrap();
    provenance["slurm_gpus"] = "h100:1".into();
    fs::write(run.join("provenance.json"), provenance.to_string()).unwrap();
    let (resnet, vit) = plan();
    assert_eq!(resnet["source"]["measured"]["run"], "small_insect_order-resnet50-CE-s1");
    // 100 epochs of 790,000 images at 700 a second, and a fifth to spare.
    assert!((resnet["hours"].as_f64().unwrap() - 100.0 * 790_000.0 / 700.0 * 1.2 / 3600.0).abs() < 1e-6, "{resnet}");
    assert!(vit["source"]["assumed"].is_string());
}

#[test]
fn what_a_cluster_would_refuse_is_refused_with_the_rule_and_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let job = folder.path().join("job.toml");
    fs::write(&job, fs::read_to_string("jobs/bioscan-1m.toml").unwrap() + "[sweep]\ngpus = 2\n").unwrap();
    insta::assert_snapshot!(refusal(&["sweep", "plan", job.to_str().unwrap(), "--cluster", "trillium"]));
}

#[test]
fn the_program_copied_elsewhere_has_its_profiles_and_templates_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("copied");
    fs::copy(assert_cmd::cargo::cargo_bin!("bioscan-hpc"), &program).unwrap();
    fs::copy("jobs/bioscan-1m.toml", folder.path().join("job.toml")).unwrap();
    let arguments = ["-q", "sweep", "render", "job.toml", "--cluster", "narval", "--out", "scripts", "--metafarm"];
    let output = Command::new(&program).args(arguments).current_dir(folder.path()).env_clear().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::read_to_string(folder.path().join("scripts/preprocess.sh")).unwrap().starts_with("#!/bin/bash"));
    assert!(folder.path().join("scripts/metafarm/train-small-resnet50/table.dat").is_file());
}

#[test]
fn the_doctor_says_what_is_wrong_and_ends_with_5() {
    let folder = tempfile::tempdir().unwrap();
    let job = runs::paper_job(folder.path());
    let doctor = |given: &str| {
        let mut command = cargo_bin_cmd!("bioscan-hpc");
        command.args(["doctor", "--json"]).arg(&job).env("SLURM_CPUS_PER_TASK", given).env_remove("OMP_NUM_THREADS");
        command.env_remove("SLURM_JOB_ID").env_remove("SLURM_JOB_GPUS").env_remove("SLURM_GPUS_ON_NODE");
        let output = command.output().unwrap();
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let (code, answer) = doctor("100000");
    assert_eq!(code, Some(5));
    let found: Vec<&str> =
        answer["findings"].as_array().unwrap().iter().map(|finding| finding["what"].as_str().unwrap()).collect();
    assert!(found.iter().any(|what| what.starts_with("Slurm gave 100000 cores a task")), "{found:?}");
    assert_eq!(answer["facts"]["output"]["path"], lab_output(folder.path()));
    let (_, answer) = doctor("1");
    assert!(!answer.to_string().contains("cores a task"), "{answer}");
}

fn lab_output(folder: &Path) -> String {
    folder.join("out").display().to_string()
}

/// What the program says on stderr, and that it ends with 2.
fn refusal(arguments: &[&str]) -> String {
    let output = cargo_bin_cmd!("bioscan-hpc").args(arguments).env("NO_COLOR", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn an_unknown_cluster_is_refused_with_the_list_and_the_nearest() {
    insta::assert_snapshot!(refusal(&["sweep", "plan", "jobs/bioscan-1m.toml", "--cluster", "narvall"]));
}

#[test]
fn a_misspelled_key_is_refused_with_its_line_and_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let job = folder.path().join("job.toml");
    let text = fs::read_to_string("jobs/bioscan-1m.toml").unwrap().replace("momentum =", "momentun =");
    fs::write(&job, text).unwrap();
    let said = refusal(&["sweep", "plan", job.to_str().unwrap()]);
    insta::assert_snapshot!(said.replace(folder.path().to_str().unwrap(), "FOLDER"));
}

#[test]
fn what_a_job_would_miss_is_said_before_anything_is_submitted() {
    let lab = Lab::new();
    fs::remove_dir_all(lab.at("out/images")).unwrap();
    fs::remove_file(lab.at("out/BIOSCAN_Insect_Dataset_metadata.tsv")).unwrap();
    let submit = || {
        let mut command = cargo_bin_cmd!("bioscan-hpc");
        command.args(["-q", "sweep", "submit", "--cluster", "fir", "--dry-run"]).arg(&lab.job).current_dir(lab.root.path());
        // A machine without Slurm.
        let output = command.env("PATH", "/nowhere").output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = submit();
    assert!(code == Some(2) && text.contains("there is no dataset in data"), "{text}");
    fs::create_dir_all(lab.at("data")).unwrap();
    let (code, text) = submit();
    assert!(code == Some(2) && text.contains("bioscan-hpc metadata split JOB.toml"), "{text}");
    fs::write(lab.at("out/BIOSCAN_Insect_Dataset_metadata.tsv"), "image_file\n").unwrap();
    let (code, text) = submit();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("sbatch --parsable --comment=bioscan-hpc:"), "{text}");
    assert!(lab.at("out/slurm/fir/aggregate.sh").is_file());
    assert!(!lab.at("out/slurm/fir/estimates.json").exists(), "what was only looked at binds nobody");
}

#[test]
fn a_template_of_ones_own_replaces_the_built_in_one_and_its_faults_are_located() {
    let folder = tempfile::tempdir().unwrap();
    let (templates, out) = (folder.path().join("templates"), folder.path().join("out"));
    fs::create_dir_all(&templates).unwrap();
    let render = |account: &str| {
        let mut command = cargo_bin_cmd!("bioscan-hpc");
        command.args(["-q", "sweep", "render", "jobs/bioscan-1m.toml", "--cluster", "fir", "--account", account]);
        command.arg("--templates").arg(&templates).arg("--out").arg(&out).output().unwrap()
    };
    fs::write(templates.join("aggregate.sh.j2"), "# charged to {{ account }}\n").unwrap();
    let output = render("def-smith");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(fs::read_to_string(out.join("aggregate.sh")).unwrap(), "# charged to def-smith\n");
    assert!(fs::read_to_string(out.join("train-small-resnet50.sh")).unwrap().contains("#SBATCH --account=def-smith "));
    let commands = String::from_utf8(output.stdout).unwrap();
    assert!(
        commands.starts_with("mkdir -p logs\nbioscan-hpc metadata split jobs/bioscan-1m.toml\npre=$(sbatch --parsable "),
        "{commands}"
    );

    fs::write(templates.join("aggregate.sh.j2"), "#!/bin/bash\n# {{ acount }}\n").unwrap();
    let said = String::from_utf8(render("def-smith").stderr).unwrap();
    assert!(said.contains("aggregate.sh.j2, line 2") && said.contains("undefined"), "{said}");
    let said = String::from_utf8(render("rrg-smith-ab_gpu").stderr).unwrap();
    assert!(said.contains("write --account rrg-smith-ab"), "{said}");
}

#[test]
fn the_status_is_read_off_the_runs_folders() {
    let lab = Lab::new();
    let loaded = Job::load(&lab.job).unwrap();
    runs::finish(&lab.at("out/runs"), &runs::record(&loaded, 0, 8));
    let half = lab.at("out/runs/small_insect_order-resnet50-CE-s2");
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("checkpoint-1"), b"x").unwrap();
    let output = cargo_bin_cmd!("bioscan-hpc").args(["sweep", "status", "--json"]).arg(&lab.job).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts =
        ["done", "running", "pending", "checkpointed", "failed", "cancelled", "missing"].map(|word| &status["counts"][word]);
    assert_eq!(counts, [1, 0, 0, 1, 0, 0, 70].map(Value::from).each_ref());
    assert_eq!(status["runs"][1]["state"], "checkpointed");
}

#[test]
fn a_reader_that_is_gone_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let job = runs::paper_job(folder.path());
    let out = folder.path().join("scripts");
    let cases: [(&[&str], &[&str]); 5] = [
        (&["sweep", "plan"], &["--cluster", "fir"]),
        (&["sweep", "plan"], &["--cluster", "fir", "--json"]),
        (&["sweep", "render"], &["--cluster", "fir", "--out", out.to_str().unwrap()]),
        (&["sweep", "status"], &[]),
        (&["aggregate"], &[]),
    ];
    for (command, options) in cases {
        // The reading end is closed before the program starts.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut program = Command::new(assert_cmd::cargo::cargo_bin!("bioscan-hpc"));
        program.arg("-q").args(command).arg(&job).args(options).stdout(writer).stderr(Stdio::piped());
        let output = program.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(matches!(output.status.code(), Some(0 | 4)) && said.is_empty(), "{command:?}: {said}");
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut program = Command::new(assert_cmd::cargo::cargo_bin!("bioscan-hpc"));
    assert_eq!(program.args(["completions", "bash"]).stdout(writer).status().unwrap().code(), Some(0));
}

#[test]
fn what_training_here_would_miss_is_said_before_it_starts_and_idle_options_are_refused() {
    let lab = Lab::new();
    let loaded = Job::load(&lab.job).unwrap();
    let images = loaded.paths.container(&loaded.preprocess.package(), loaded.train.images);
    fs::remove_dir_all(&images).unwrap();
    let (code, text) = lab.submit();
    assert!(code == Some(2) && text.contains("bioscan-hpc preprocess JOB.toml"), "{text}");
    fs::create_dir_all(&images).unwrap();
    fs::remove_file(lab.at("out/BIOSCAN_Insect_Dataset_metadata.tsv")).unwrap();
    let (code, text) = lab.submit();
    assert!(code == Some(2) && text.contains("bioscan-hpc metadata split JOB.toml"), "{text}");
    assert!(lab.starts().is_empty());
    let job = lab.job.to_str().unwrap();
    for option in ["--jobs", "--ranks"] {
        let said = refusal(&["sweep", "submit", job, "--cluster", "fir", option, "3"]);
        assert!(said.contains("--jobs and --ranks are for `--cluster local`"), "{said}");
    }
}

#[test]
fn a_job_file_that_is_not_there_is_wrong_usage() {
    for command in [&["aggregate", "nope.toml"][..], &["sweep", "plan", "nope.toml"], &["report", "nope.toml"]] {
        let said = refusal(command);
        assert!(said.contains("nope.toml: there is no such file") && said.contains("help: "), "{said}");
    }
}

#[test]
fn too_few_replicates_for_an_interval_are_refused() {
    for command in ["aggregate", "report"] {
        let said = refusal(&[command, "jobs/demo.toml", "--bootstrap", "20"]);
        assert!(said.contains("valid: 0, or at least 200"), "{said}");
    }
}
