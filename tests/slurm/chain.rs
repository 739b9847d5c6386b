//! Everything once: stages in their order, nothing twice, slices, lost answers, hostile names.

use std::fs;
use std::time::{Duration, Instant};

use crate::field::{Field, PATIENT, STOPPABLE, said};
use crate::slurm::Site;

#[test]
fn a_sweep_goes_through_the_queue_once_and_ends_in_its_table() {
    let Some(field) = Field::new(&Site::default(), 12, |profile| profile) else { return };
    (0..12).for_each(|index| field.act(index, PATIENT));
    let (code, text) = field.submit();
    assert_eq!(code, 0, "{text}");
    let (code, text) = field.submit();
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("nothing to submit") && text.contains("12 queued or running"), "{text}");
    fs::write(field.at("go"), "").unwrap();
    field.settle();
    assert_eq!((field.jobs("preprocess").len(), field.jobs("train-small").len(), field.jobs("aggregate").len()), (1, 1, 1));
    assert_eq!(field.starts()[0], "preprocess");
    assert!((0..12).all(|index| field.lives(index) == 1), "{:?}", field.starts());
    assert!(
        fs::read_to_string(field.at("out/tables/table.md")).is_ok() || fs::read_dir(field.at("out/tables")).unwrap().count() > 0
    );
    let (code, text) = field.sweep(&["status", "job.toml"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("mini on lab: 12 runs, 12 done\n"), "{text}");
    assert!(text.contains("preprocess: done") && text.contains("aggregate: done"), "{text}");
    for answer in [field.submit(), field.rerun(&[])] {
        assert_eq!(answer.0, 0);
        assert!(answer.1.contains("nothing to submit") && answer.1.contains("12 of 12 runs were done"), "{}", answer.1);
    }
}

#[test]
fn a_dry_run_submits_nothing_and_slurm_says_what_it_would_take() {
    let Some(field) = Field::new(&Site::default(), 2, |profile| profile) else { return };
    let dry = ["submit", "job.toml", "--cluster", "lab.toml", "--dry-run", "--test"];
    let (code, text) = field.sweep(&dry);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("--dependency=afterok:JOB_OF_preprocess.sh --kill-on-invalid-dep=yes"), "{text}");
    assert!(text.contains("--dependency=afterany:JOB_OF_train-small.sh"), "{text}");
    assert!(text.contains("train-small.sh: Slurm would take it"), "{text}");
    assert!(field.slurm.squeue("%i").is_empty());
    fs::write(
        field.at("lab.toml"),
        fs::read_to_string(field.at("lab.toml")).unwrap().replace("spec = \"h100\"", "spec = \"a100\""),
    )
    .unwrap();
    let (code, text) = field.sweep(&dry);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("train-small.sh: refused: ") && text.contains("Slurm would refuse 3 of 3 scripts"), "{text}");
}

#[test]
fn where_preprocessing_fails_training_does_not_start_and_rerun_begins_with_it() {
    let Some(field) = Field::new(&Site::default(), 2, |profile| profile) else { return };
    field.act("preprocess", "echo 'no such chunk' >&2; exit 6");
    assert_eq!(field.submit().0, 0);
    field.settle();
    assert_eq!(field.starts(), ["preprocess"]);
    let status = field.status();
    assert_eq!(status["counts"]["cancelled"], 2, "{status}");
    assert_eq!(status["runs"][0]["reason"], "the preprocessing it waited for did not finish");
    let (code, text) = field.submit();
    assert_eq!(code, 4, "{text}");
    fs::remove_file(field.at("act/preprocess")).unwrap();
    assert_eq!(field.rerun(&[]).0, 0);
    field.settle();
    assert_eq!(field.status()["counts"]["done"], 2);
}

#[test]
fn a_sweep_beyond_the_limit_is_fed_in_slices() {
    // Six places: five for training, one for the aggregation.
    let small = |profile: String| profile.replace("submitted = 1000", "submitted = 6");
    let Some(field) = Field::new(&Site::default(), 12, small) else { return };
    field.preprocessed();
    let (code, text) = field.submit();
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("[0-4]") && text.contains("7 tasks found no room in the queue"), "{text}");
    assert!(field.jobs("aggregate").is_empty(), "the table comes after the last slice");
    let (code, text) = field.sweep(&["submit", "job.toml", "--cluster", "lab.toml", "--feed"]);
    assert_eq!(code, 0, "{text}");
    field.settle();
    assert_eq!(field.status()["counts"]["done"], 12);
    assert!((0..12).all(|index| field.lives(index) == 1), "{:?}", field.starts());
    assert_eq!(field.jobs("aggregate").len(), 1);
}

#[test]
fn a_grid_longer_than_an_array_may_be_goes_as_several_and_every_run_is_itself() {
    let site = Site { settings: "MaxArraySize=5".into(), ..Site::default() };
    let Some(field) = Field::new(&site, 12, |profile| profile) else { return };
    field.preprocessed();
    // Run 6 is the second of the second array. A life that was requeued must still know that.
    field.act(6, STOPPABLE);
    field.act(11, "exit 6");
    let (code, text) = field.submit();
    assert_eq!(code, 0, "{text}");
    assert_eq!((field.jobs("train-small").len(), field.jobs("aggregate").len()), (3, 1), "{text}");
    assert!(text.contains("[0-4]") && text.contains("[0-1]"), "{text}");
    field.wait("run 6", || field.exists("ready.6"));
    let task = field.status()["runs"][6]["task"].as_str().unwrap().to_owned();
    assert!(task.ends_with("_1"), "{task}");
    assert!(field.slurm.command("scancel").args(["--signal=USR1", "--batch", &task]).status().unwrap().success());
    field.settle();
    assert_eq!((field.lives(6), field.lives(11)), (2, 1), "{:?}", field.starts());
    assert_eq!((field.status()["counts"]["done"].as_u64(), field.status()["counts"]["failed"].as_u64()), (Some(11), Some(1)));
    assert!((0..11).filter(|index| *index != 6).all(|index| field.lives(index) == 1), "{:?}", field.starts());
    fs::remove_file(field.at("act/11")).unwrap();
    let (code, text) = field.rerun(&[]);
    assert_eq!(code, 0, "{text}");
    field.settle();
    assert_eq!((field.lives(11), field.status()["counts"]["done"].as_u64()), (2, Some(12)));
}

#[test]
fn images_of_other_settings_are_prepared_again() {
    let Some(field) = Field::new(&Site::default(), 1, |profile| profile) else { return };
    field.preprocessed();
    let job = fs::read_to_string(field.at("job.toml")).unwrap();
    fs::write(field.at("job.toml"), job.replace("[grid]", "[preprocess]\nquality = 90\n[grid]")).unwrap();
    let (code, text) = field.submit();
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("submitted preprocess.sh"), "{text}");
    field.settle();
    assert_eq!(field.starts()[0], "preprocess");
}

/// sbatch that has submitted the job, and whose answer is lost.
const LOST: [&str; 2] = [
    "\"$REAL\" \"$@\" >/dev/null; echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1",
    "\"$REAL\" \"$@\" >/dev/null; sleep 60",
];

#[test]
fn a_lost_answer_means_no_second_array() {
    let Some(field) = Field::new(&Site::default(), 3, |profile| profile) else { return };
    field.preprocessed();
    (0..3).for_each(|index| field.act(index, PATIENT));
    for (attempt, lost) in LOST.into_iter().enumerate() {
        let mut command = field.command(&["submit", "job.toml", "--cluster", "lab.toml"]);
        field.wrap(&mut command, "sbatch", lost);
        command.env("BIOSCAN_SLURM_PACE", "0,0.2,4");
        let (code, text) = said(command.output().unwrap());
        assert_eq!(code, 0, "{text}");
        assert_eq!((field.jobs("train-small").len(), field.jobs("aggregate").len()), (attempt + 1, attempt + 1), "{text}");
        let cancelled = field.sweep(&["cancel", "job.toml"]);
        assert_eq!(cancelled.0, 0, "{}", cancelled.1);
        field.settle();
        // Another manifest, so that the second round has something to submit.
        let job = fs::read_to_string(field.at("job.toml")).unwrap();
        fs::write(field.at("job.toml"), job.replace("init = \"random\"", "init = \"random\", epochs = 50")).unwrap();
    }
}

#[test]
fn a_submission_that_was_never_accepted_is_said_and_the_next_call_submits_it() {
    let Some(field) = Field::new(&Site::default(), 3, |profile| profile) else { return };
    field.preprocessed();
    let mut command = field.command(&["submit", "job.toml", "--cluster", "lab.toml"]);
    field.wrap(&mut command, "sbatch", "echo 'sbatch: error: Unable to contact slurm controller' >&2; exit 1");
    let (code, text) = said(command.env("BIOSCAN_SLURM_PACE", "0,0.2,1").output().unwrap());
    assert_eq!(code, 6, "{text}");
    assert!(text.contains("no such job was seen since"), "{text}");
    assert_eq!(field.submit().0, 0);
    field.settle();
    assert_eq!(field.jobs("train-small").len(), 1);
    assert_eq!(field.status()["counts"]["done"], 3);
}

#[test]
fn a_crash_between_sbatch_and_its_note_or_a_lost_journal_means_no_second_array() {
    let Some(field) = Field::new(&Site::default(), 3, |profile| profile) else { return };
    field.preprocessed();
    (0..3).for_each(|index| field.act(index, PATIENT));
    assert_eq!(field.submit().0, 0);
    let journal = field.at("out/slurm/lab/submissions.jsonl");
    let whole = fs::read_to_string(&journal).unwrap();
    let first: String = whole.lines().take(1).map(|line| format!("{line}\n")).collect();
    for damaged in [first.as_str(), ""] {
        fs::write(&journal, damaged).unwrap();
        let (code, text) = field.submit();
        assert_eq!(code, 0, "{text}");
        assert_eq!(field.jobs("train-small").len(), 1, "{text}");
    }
    fs::write(field.at("go"), "").unwrap();
    field.settle();
    assert!((0..3).all(|index| field.lives(index) == 1));
}

#[test]
fn orders_keep_their_distance() {
    let Some(field) = Field::new(&Site::default(), 2, |profile| profile) else { return };
    let start = Instant::now();
    let (code, text) = said(
        field.command(&["submit", "job.toml", "--cluster", "lab.toml"]).env("BIOSCAN_SLURM_PACE", "1,1,15").output().unwrap(),
    );
    assert_eq!(code, 0, "{text}");
    assert!(start.elapsed() >= Duration::from_secs(2), "three sbatch calls, a second apart");
}

#[test]
fn hostile_names_and_paths_survive_the_whole_way() {
    let (job, out) = ("it's a \"job\" $(touch pwned) `touch pwned`;&\n#.toml", "o'ut \"put\" $(touch pwned);& \ndir");
    // `$(` in a path of a job file is refused as no variable, so that one stays in the name of the file.
    let out = out.replace("$(touch pwned)", "(touch pwned)");
    let Some(field) = Field::named(&Site::default(), 2, |profile| profile, job, &out) else { return };
    let (code, text) = field.sweep(&["submit", job, "--cluster", "lab.toml"]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = field.sweep(&["submit", job, "--cluster", "lab.toml"]);
    assert!(code == 0 && text.contains("nothing to submit"), "{text}");
    field.settle();
    let (code, text) = field.sweep(&["status", job]);
    assert_eq!(code, 0, "{text}");
    assert_eq!((field.lives(0), field.lives(1)), (1, 1));
    assert!(!field.exists("pwned") && !field.exists("out/pwned"));
}
