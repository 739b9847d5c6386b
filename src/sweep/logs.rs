//! A run's tasks → its newest log, and the end of it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::config::{Experiment, Job};
use crate::error::{IoContext, Result};
use crate::sweep::slurm::TaskId;
use crate::sweep::submissions::Submission;

/// How much of a log's end is read: more than anybody wants to see, and little enough for a log of any size.
const END: u64 = 1 << 20;

/// The newest log there is of a run: of its `tasks`, the newest first, or else of the local executor.
#[must_use]
pub fn newest(job: &Job, experiment: &Experiment, tasks: &[(&Submission, TaskId)]) -> Option<PathBuf> {
    let of_tasks = tasks.iter().find_map(|(submission, task)| of_task(&submission.log_of(*task), experiment.index));
    of_tasks.or_else(|| Some(local(job, experiment)).filter(|path| path.is_file()))
}

/// The log of the local executor.
#[must_use]
pub fn local(job: &Job, experiment: &Experiment) -> PathBuf {
    job.paths.output.join("logs").join(format!("{}.out", experiment.id))
}

/// The log of a task; where several runs share it, the run's own, which lies beside: `NAME.run41.out`.
fn of_task(log: &Path, index: usize) -> Option<PathBuf> {
    let own = log.with_extension(format!("run{index}.out"));
    [own, log.to_owned()].into_iter().find(|path| path.is_file())
}

/// The last `count` lines of a file; none where there is no such file.
pub fn tail(path: &Path, count: usize) -> Result<Vec<String>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file.at("open", path)?,
    };
    let length = fs::metadata(path).at("look at", path)?.len();
    let mut bytes = Vec::new();
    let start = length.saturating_sub(END);
    file.seek(SeekFrom::Start(start)).and_then(|_| file.take(END).read_to_end(&mut bytes)).at("read", path)?;
    let text = String::from_utf8_lossy(&bytes);
    // A progress bar writes over its line again and again: what stands there in the end is what counts.
    let lines: Vec<&str> = text.lines().map(|line| line.rsplit('\r').next().unwrap_or_default()).collect();
    Ok(lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect())
}

/// The last line of a log that says something, without colours.
#[must_use]
pub fn last_word(path: &Path) -> Option<String> {
    let lines = tail(path, 40).unwrap_or_default();
    lines.iter().rev().map(|line| without_colours(line).trim().to_owned()).find(|line| !line.is_empty())
}

/// Removes the escape sequences of a terminal: `ESC [ ... letter`.
fn without_colours(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').get(1..).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_its_last_lines_as_a_terminal_shows_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        assert!(tail(&path, 3).unwrap().is_empty());
        fs::write(&path, "one\ntwo\n 5 %\r90 %\r100 %\n\u{1b}[31merror\u{1b}[0m: no room\n\n").unwrap();
        assert_eq!(tail(&path, 3).unwrap(), ["100 %", "\u{1b}[31merror\u{1b}[0m: no room", ""]);
        assert_eq!(last_word(&path).as_deref(), Some("error: no room"));
    }

    #[test]
    fn a_run_that_shares_its_task_has_a_log_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("demo-7_3.out");
        assert_eq!(of_task(&log, 41), None);
        fs::write(&log, "task").unwrap();
        assert_eq!(of_task(&log, 41).as_ref(), Some(&log));
        fs::write(folder.path().join("demo-7_3.run41.out"), "run").unwrap();
        assert_eq!(of_task(&log, 41), Some(folder.path().join("demo-7_3.run41.out")));
        assert_eq!(of_task(&log, 40), Some(log));
    }
}
