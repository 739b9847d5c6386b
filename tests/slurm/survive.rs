//! Signals, preemption, a dead node, a restarted controller: the sweep goes on, and only what was hit is started again.

use std::fs;

use crate::field::{Field, PATIENT, STOPPABLE};
use crate::slurm::Site;

#[test]
fn usr1_requeues_exactly_that_task_even_the_last_of_the_array() {
    let Some(field) = Field::new(&Site::default(), 5, |profile| profile) else { return };
    field.preprocessed();
    field.act(1, STOPPABLE);
    // The last task's job id is the array's: requeueing by that would start all five again.
    field.act(4, STOPPABLE);
    assert_eq!(field.submit().0, 0);
    field.wait("both to run", || field.exists("ready.1") && field.exists("ready.4"));
    for index in [1, 4] {
        let task = format!("{}_{index}", field.array());
        assert!(field.slurm.command("scancel").args(["--signal=USR1", "--batch", &task]).status().unwrap().success());
    }
    field.settle();
    let lives: Vec<usize> = (0..5).map(|index| field.lives(index)).collect();
    assert_eq!(lives, [1, 2, 1, 1, 2], "{:?}", field.starts());
    assert!(field.starts().iter().any(|line| line.starts_with("4 life=1")));
    assert_eq!(field.status()["counts"]["done"], 5);
}

#[test]
fn a_task_that_may_not_requeue_itself_is_checkpointed_and_rerun_goes_on() {
    let Some(field) = Field::new(&Site::default(), 2, |profile| profile) else { return };
    field.preprocessed();
    field.act(0, &STOPPABLE.replace("SLURM_RESTART_COUNT", "NO_SUCH_COUNT"));
    let mut command = field.command(&["submit", "job.toml", "--cluster", "lab.toml"]);
    assert!(command.env("BIOSCAN_MAX_RESTARTS", "0").status().unwrap().success());
    field.wait("it to run", || field.exists("ready.0"));
    let task = format!("{}_0", field.array());
    assert!(field.slurm.command("scancel").args(["--signal=USR1", "--batch", &task]).status().unwrap().success());
    field.settle();
    let status = field.status();
    assert_eq!(status["runs"][0]["state"], "checkpointed", "{status}");
    assert_eq!(status["runs"][0]["reason"], "it stopped with a checkpoint (exit 85) and was not requeued");
    fs::remove_file(field.at("act/0")).unwrap();
    assert_eq!(field.rerun(&[]).0, 0);
    field.settle();
    assert_eq!((field.lives(0), field.lives(1)), (2, 1));
    assert_eq!(field.status()["counts"]["done"], 2);
}

#[test]
fn a_task_whose_node_dies_finishes_elsewhere() {
    let site = Site { node_timeout: 6, ..Site::default() };
    let Some(field) = Field::new(&site, 4, |profile| profile) else { return };
    field.preprocessed();
    field.act(2, PATIENT);
    assert_eq!(field.submit().0, 0);
    field.wait("the task to run", || field.exists("ready.2"));
    let first = field.starts().into_iter().find(|line| line.starts_with("2 life=0")).unwrap();
    let node = first.rsplit('=').next().unwrap().to_owned();
    field.slurm.kill_node(&node);
    fs::write(field.at("go"), "").unwrap();
    field.slurm.wait_for("its second life", 120, || field.lives(2) == 2);
    field.settle();
    let second = field.starts().into_iter().find(|line| line.starts_with("2 life=1")).unwrap();
    assert!(!second.ends_with(&format!("={node}")), "{second} after {first}");
    assert_eq!(field.status()["counts"]["done"], 4);
    assert!([0, 1, 3].into_iter().all(|index| field.lives(index) <= 2));
}

#[test]
fn a_preempted_run_comes_back() {
    let Some(field) = Field::new(&Site::default(), 2, |profile| profile) else { return };
    field.preprocessed();
    field.act(0, STOPPABLE);
    field.act(1, STOPPABLE);
    assert_eq!(field.submit().0, 0);
    field.wait("both to run", || field.exists("ready.0") && field.exists("ready.1"));
    let mut urgent = field.slurm.command("sbatch");
    urgent.args(["-p", "urgent", "-N4", "--exclusive", "--output=/dev/null", "--wrap", "sleep 1"]).current_dir(field.root.path());
    assert!(urgent.status().unwrap().success());
    field.wait("both second lives", || field.lives(0) == 2 && field.lives(1) == 2);
    field.settle();
    assert_eq!((field.lives(0), field.lives(1)), (2, 2), "{:?}", field.starts());
    assert_eq!(field.status()["counts"]["done"], 2);
}

#[test]
fn a_restarted_controller_has_lost_nothing() {
    let Some(field) = Field::new(&Site::default(), 6, |profile| profile) else { return };
    field.preprocessed();
    (0..6).for_each(|index| field.act(index, PATIENT));
    assert_eq!(field.submit().0, 0);
    field.wait("all to run", || (0..6).all(|index| field.exists(&format!("ready.{index}"))));
    field.slurm.stop_controller();
    // One ends while nobody listens, and the state is told from the folders.
    field.act(0, "");
    let (code, text) = field.sweep(&["status", "job.toml"]);
    assert!(code == 4 && text.contains("told from the runs' folders alone"), "{text}");
    field.slurm.start_controller(false);
    field.wait("Slurm to answer", || !field.slurm.squeue("%i").is_empty());
    let (code, text) = field.submit();
    assert!(code == 0 && text.contains("nothing to submit"), "{text}");
    fs::write(field.at("go"), "").unwrap();
    field.settle();
    assert!((0..6).all(|index| field.lives(index) == 1), "{:?}", field.starts());
    assert_eq!(field.status()["counts"]["done"], 6);
    assert_eq!(field.jobs("aggregate").len(), 1);
}
