//! What failed, what was cancelled, and only that again.

use std::fs;

use crate::field::{Field, PATIENT, STOPPABLE};
use crate::slurm::{Shape, Site};

const FAILED: &str = "small_insect_order-resnet50-CE-s3";

#[test]
fn a_failed_run_is_explained_and_rerun_starts_it_alone() {
    let Some(field) = Field::new(&Site::default(), 4, |profile| profile) else { return };
    field.preprocessed();
    field.act(2, "echo 'no such weights' >&2; exit 6");
    assert_eq!(field.submit().0, 0);
    field.settle();
    let (code, text) = field.sweep(&["status", "job.toml"]);
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("3 done, 1 failed"), "{text}");
    assert!(text.contains("exit 6: the environment failed"), "{text}");
    let status = field.status();
    let run = &status["runs"][2];
    assert_eq!((run["state"].as_str(), run["task"].as_str()), (Some("failed"), Some(format!("{}_2", field.array()).as_str())));

    let (code, text) = field.sweep(&["why", "job.toml", FAILED]);
    assert_eq!(code, 0);
    for expected in
        ["failed", "exit 6: the environment failed", "train-small.sh on n", "| no such weights", "sweep rerun --failed"]
    {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
    let (code, text) = field.sweep(&["logs", "job.toml", "2", "--lines", "5"]);
    assert!(code == 0 && text.contains("no such weights"), "{text}");

    // Submitting again is no way to start it for ever.
    let (code, text) = field.submit();
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("nothing to submit") && text.contains("sweep rerun JOB --cluster lab.toml"), "{text}");

    fs::remove_file(field.at("act/2")).unwrap();
    fs::remove_file(field.at("starts")).unwrap();
    let (code, text) = field.rerun(&["--failed", "--more-memory", "1.5", "--more-time", "2"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("submitted train-small.sh [2] as job"), "{text}");
    field.settle();
    assert_eq!(field.starts().len(), 1);
    assert!(field.starts()[0].starts_with("2 life=0"));
    assert_eq!(field.sweep(&["status", "job.toml"]).0, 0);
    let asked = field.slurm.squeue("%j %K %m %l");
    assert!(asked.iter().any(|line| line.ends_with("train-small 2 12G 12:00:00")), "{asked:?}");
}

#[test]
fn rerun_charges_the_account_that_submit_was_given() {
    let Some(field) = Field::new(&Site::default(), 2, |profile| profile) else { return };
    field.preprocessed();
    field.act(1, "exit 6");
    let (code, text) = field.sweep(&["submit", "job.toml", "--cluster", "lab.toml", "--account", "def-x"]);
    assert_eq!(code, 0, "{text}");
    field.settle();
    let script = || fs::read_to_string(field.at("out/slurm/lab/train-small.sh")).unwrap();
    let submitted = script();
    assert!(submitted.contains("#SBATCH --account=def-x "), "{submitted}");
    // Without the account it is the same sweep, and nothing of it is submitted twice.
    let (code, text) = field.submit();
    assert!(code == 4 && text.contains("nothing to submit") && text.contains("1 runs were submitted before"), "{text}");
    let (code, text) = field.rerun(&["--account", "def-y", "--dry-run"]);
    assert!(code == 0 && script() == submitted, "{text}");
    fs::remove_file(field.at("act/1")).unwrap();
    let (code, text) = field.rerun(&["--failed"]);
    assert_eq!(code, 0, "{text}");
    field.settle();
    assert_eq!(script(), submitted);
    let accounts = field.slurm.squeue("%a");
    assert!(accounts.len() == 5 && accounts.iter().all(|account| account == "def-x"), "{accounts:?}");
}

#[test]
fn a_cancelled_run_saves_its_checkpoint_stays_out_of_the_queue_and_comes_back_with_rerun() {
    let Some(field) = Field::new(&Site::default(), 3, |profile| profile) else { return };
    field.preprocessed();
    field.act(1, STOPPABLE);
    field.act(2, PATIENT);
    assert_eq!(field.submit().0, 0);
    field.wait("both to run", || field.exists("ready.1") && field.exists("ready.2"));
    let (code, text) = field.sweep(&["cancel", "job.toml", "1"]);
    assert!(code == 0 && text.contains("1 task cancelled"), "{text}");
    let task = format!("{}_1", field.array());
    field.wait("it to be cancelled", || field.slurm.states().get(&task).is_some_and(|state| state == "CANCELLED"));
    let status = field.status();
    assert_eq!((&status["runs"][1]["state"], &status["runs"][2]["state"]), (&"cancelled".into(), &"running".into()), "{status}");
    fs::write(field.at("go"), "").unwrap();
    field.settle();
    assert_eq!((field.lives(1), field.lives(2)), (1, 1));
    assert!(field.exists("out/runs/small_insect_order-resnet50-CE-s2/checkpoint-00001-0000000.ckpt"));

    fs::remove_file(field.at("act/1")).unwrap();
    assert_eq!(field.rerun(&[]).0, 0);
    field.settle();
    assert_eq!((field.lives(1), field.lives(0)), (2, 1));
    assert_eq!(field.status()["counts"]["done"], 3);
    let (_, text) = field.sweep(&["cancel", "job.toml"]);
    assert!(text.contains("nothing of it was in the queue"), "{text}");
}

#[test]
fn with_a_lost_journal_the_queue_itself_says_what_is_to_be_cancelled() {
    let Some(field) = Field::new(&Site::default(), 4, |profile| profile) else { return };
    field.preprocessed();
    (0..4).for_each(|index| field.act(index, PATIENT));
    assert_eq!(field.submit().0, 0);
    field.wait("all to run", || (0..4).all(|index| field.exists(&format!("ready.{index}"))));
    fs::remove_file(field.at("out/slurm/lab/submissions.jsonl")).unwrap();
    let output = field.command(&["status", "job.toml", "--cluster", "lab.toml", "--json"]).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["runs"][2]["task"], format!("{}_2", field.array()), "{status}");
    let (code, text) = field.sweep(&["why", "job.toml", "2", "--cluster", "lab.toml"]);
    assert!(code == 0 && text.contains("submitted at a time that the journal lost"), "{text}");
    // A profile of one's own is not found by the name of its folder.
    let (code, text) = field.sweep(&["cancel", "job.toml", "2"]);
    assert!(code == 2 && text.contains("nobody knows which runs these tasks of the sweep hold"), "{text}");
    let (code, text) = field.sweep(&["cancel", "job.toml", "2", "--cluster", "lab.toml"]);
    assert!(code == 0 && text.contains("1 task cancelled"), "{text}");
    let (code, text) = field.sweep(&["cancel", "job.toml"]);
    assert!(code == 0 && text.contains("tasks cancelled"), "{text}");
    field.settle();
    // Those that still ran, and the aggregation behind them.
    assert_eq!(field.slurm.states().len(), 5);
    assert!(field.slurm.states().values().all(|state| state == "CANCELLED"), "{:?}", field.slurm.states());
}

#[test]
fn what_is_queued_or_running_is_not_rerun() {
    let Some(field) = Field::new(&Site::default(), 3, |profile| profile) else { return };
    field.preprocessed();
    (0..3).for_each(|index| field.act(index, PATIENT));
    assert_eq!(field.submit().0, 0);
    field.wait("all to run", || (0..3).all(|index| field.exists(&format!("ready.{index}"))));
    let (code, text) = field.rerun(&[]);
    assert!(code == 0 && text.contains("nothing to submit") && text.contains("3 queued or running"), "{text}");
    let running = field.status();
    assert_eq!(running["counts"]["running"], 3, "{running}");
    assert_eq!(running["runs"][0]["progress"]["epochs"], 100, "{running}");
    fs::write(field.at("go"), "").unwrap();
    field.settle();
    assert!((0..3).all(|index| field.lives(index) == 1));
}

#[test]
fn where_runs_share_a_task_the_task_of_the_failed_one_is_submitted_again() {
    let shape = Shape { nodes: 2, cores: 16, memory_mib: 256_000, gpus: vec![("h100".into(), 4)] };
    let site = Site { shapes: vec![shape], ..Site::default() };
    let whole = |profile: String| profile.replace("counts = \"any\"", "counts = \"whole_nodes\"");
    let Some(field) = Field::new(&site, 8, whole) else { return };
    field.preprocessed();
    field.act(6, "echo broken >&2; exit 6");
    assert_eq!(field.submit().0, 0);
    field.settle();
    assert!((0..8).all(|index| field.lives(index) == 1), "{:?}", field.starts());
    let status = field.status();
    assert_eq!((&status["counts"]["done"], &status["counts"]["failed"]), (&7.into(), &1.into()), "{status}");
    assert_eq!(status["runs"][6]["last_line"], "broken", "{status}");
    fs::remove_file(field.at("act/6")).unwrap();
    let (code, text) = field.rerun(&["--only", "6"]);
    assert!(code == 0 && text.contains("[1] as job"), "{text}");
    field.settle();
    assert_eq!((field.lives(0), field.lives(6)), (1, 2));
    assert_eq!(field.status()["counts"]["done"], 8);
}
