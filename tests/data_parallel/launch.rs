//! The ranks of a test: this same binary, started again under `mpirun`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

use bioscan_hpc::comm::abort;

pub const PART: &str = "BIOSCAN_TEST_PART";
const FOLDER: &str = "BIOSCAN_TEST_FOLDER";

/// Runs `part` on so many ranks, prints what they noted, and fails where they did.
pub fn passes(ranks: usize, part: &str) {
    expect_success(&mpirun(ranks, part));
}

/// Prints what the ranks noted, and fails where they did.
pub fn expect_success(output: &Output) {
    assert!(output.status.success(), "{}", text(output));
    for line in String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| line.strip_prefix("note: ")) {
        println!("{line}");
    }
}

/// Only one job at a time: the ranks of two would take each other's cores, and the time-outs are real.
pub static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub fn mpirun(ranks: usize, part: &str) -> Output {
    mpirun_in(tempfile::tempdir().unwrap().path(), ranks, part)
}

pub fn mpirun_in(folder: &Path, ranks: usize, part: &str) -> Output {
    // A failed test poisons the lock; the others may run all the same.
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut command = under_time_out();
    command.args(["mpirun", "--oversubscribe", "--bind-to", "none", "-n", &ranks.to_string()]);
    rank_of(&mut command, part, folder).output().expect("timeout and mpirun are installed")
}

/// A command that is ended after two minutes.
pub fn under_time_out() -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", "120"]);
    command
}

/// Adds to a launcher's command what it is to launch.
pub fn rank_of<'a>(command: &'a mut Command, part: &str, folder: &Path) -> &'a mut Command {
    command
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "rank", "--ignored", "--nocapture"])
        .env(PART, part)
        .env(FOLDER, folder)
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("OMP_NUM_THREADS", "1")
}

pub fn text(output: &Output) -> String {
    format!("{}\n{}\n{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A rank's side: the file that a rank writes what it saw to, because what it prints just before it aborts the job may be lost.
pub fn story() -> PathBuf {
    story_in(Path::new(&std::env::var(FOLDER).unwrap()))
}

/// The test's side of it.
pub fn told(folder: &Path, output: &Output) -> String {
    fs::read_to_string(story_in(folder)).unwrap_or_else(|_| panic!("{}", text(output)))
}

fn story_in(folder: &Path) -> PathBuf {
    folder.join("story")
}

/// Without it, the other ranks would wait for one that failed an assertion.
pub fn end_all_ranks_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        abort(1);
    }));
}
