//! A survey → a calm table for a terminal, and all that is known of one run in words.

use std::fmt::Write as _;

use crate::sweep::logs;
use crate::sweep::plan::ranges;
use crate::sweep::slurm::Phase;
use crate::sweep::status::{RunStatus, StageStatus, Survey};
use crate::sweep::verdict::{Standing, advice};

/// The counts, the stages, and the runs that a person wants to see: each that runs, failed or stopped; the waiting ones together by
/// their reason; the done ones as a number. With `all` every run has its line.
#[must_use]
pub fn table(survey: &Survey, all: bool) -> String {
    let counts = Standing::ALL.into_iter().filter(|standing| survey.count(*standing) > 0);
    let counts: Vec<String> = counts.map(|standing| format!("{} {}", survey.count(standing), standing.word())).collect();
    let place = if survey.clusters.is_empty() { String::new() } else { format!(" on {}", survey.clusters.join(", ")) };
    let mut text = format!("{}{place}: {} runs, {}\n", survey.job, survey.runs.len(), counts.join(", "));
    for stage in &survey.stages {
        let _ = writeln!(text, "{}", stage_line(stage));
    }
    let width = survey.runs.iter().map(|run| run.id.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    let mut together: Vec<(Standing, Option<&str>, Vec<usize>)> = Vec::new();
    for run in &survey.runs {
        match run.state {
            Standing::Done if !all => {}
            Standing::Pending | Standing::Missing | Standing::Cancelled if !all => {
                let key = (run.state, run.reason.as_deref());
                match together.iter_mut().find(|(state, reason, _)| (*state, *reason) == key) {
                    Some((_, _, indices)) => indices.push(run.index),
                    None => together.push((key.0, key.1, vec![run.index])),
                }
            }
            _ => lines.extend(run_lines(run, width)),
        }
    }
    if !lines.is_empty() {
        let _ = writeln!(text, "\n{}", lines.join("\n"));
    }
    if !together.is_empty() {
        text.push('\n');
    }
    for (state, reason, indices) in together {
        let why = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let _ = writeln!(text, "{} {}{why}  [{}]", indices.len(), state.word(), ranges(&indices));
    }
    let mut hints: Vec<&str> = survey.runs.iter().filter_map(|run| advice(run.state, run.reason.as_deref())).collect();
    hints.sort_unstable();
    hints.dedup();
    if !hints.is_empty() && !survey.is_moving() {
        let _ = writeln!(text, "\nnext: {}", hints.join("; "));
    }
    text
}

fn stage_line(stage: &StageStatus) -> String {
    let name = format!("{:?}", stage.stage).to_lowercase();
    let what = match stage.phase {
        Phase::Waiting => format!("pending ({})", stage.reason),
        Phase::Running => "running".into(),
        Phase::Completed => "done".into(),
        Phase::Cancelled => "cancelled".into(),
        Phase::OutOfMemory => "out of memory".into(),
        Phase::TimeLimit => "the time limit came".into(),
        Phase::NodeFailed => "its node failed".into(),
        Phase::Failed | Phase::Preempted | Phase::Ended => format!("failed ({})", stage.reason),
    };
    format!("{name}: {what}, job {}", stage.job)
}

fn run_lines(run: &RunStatus, width: usize) -> Vec<String> {
    let place = [run.task.map(|task| task.to_string()), run.nodes.clone()];
    let place = place.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let progress = run.progress.filter(|_| run.state != Standing::Pending).map(|progress| progress.words());
    let said = [run.reason.clone(), progress.filter(|_| run.state != Standing::Failed)];
    let said = said.into_iter().flatten().collect::<Vec<_>>().join("; ");
    let line = format!("{:>5}  {:<width$}  {:<12}  {place:<14}  {said}", run.index, run.id, run.state.word());
    let last = run.last_line.as_ref().map(|line| format!("       | {line}"));
    std::iter::once(line.trim_end().to_owned()).chain(last).collect()
}

/// All that is known of one run, and what to do next; `lines` of its log.
#[must_use]
pub fn why(run: &RunStatus, history: &[String], folder: &std::path::Path, lines: usize) -> String {
    let mut text = format!("{} (index {}): {}\n", run.id, run.index, run.state.word());
    let mut say = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name:<9} {value}");
        }
    };
    say("why", run.reason.clone());
    say("progress", run.progress.map(|progress| progress.words()));
    for (number, line) in history.iter().enumerate() {
        say(if number == 0 { "task" } else { "before" }, Some(line.clone()));
    }
    say("folder", Some(folder.display().to_string()));
    say("log", run.log.as_ref().map(|log| log.display().to_string()));
    for line in run.log.as_ref().and_then(|log| logs::tail(log, lines).ok()).unwrap_or_default() {
        let _ = writeln!(text, "            | {line}");
    }
    if let Some(next) = advice(run.state, run.reason.as_deref()) {
        let _ = writeln!(text, "  {:<9} {next}", "next");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::progress::Progress;

    fn run(index: usize, state: Standing, reason: Option<&str>) -> RunStatus {
        let id = format!("small_insect_order-resnet18-CE-s{index}");
        let reason = reason.map(str::to_owned);
        RunStatus { index, id, state, reason, task: None, nodes: None, progress: None, log: None, last_line: None }
    }

    fn survey() -> Survey {
        let progress = Progress { epoch: 12, epochs: 100, images_per_second: Some(610.4), seconds_left: Some(7800.0) };
        let running = RunStatus {
            task: "7_1".parse().ok(),
            nodes: Some("n2".into()),
            progress: Some(progress),
            ..run(1, Standing::Running, None)
        };
        let reason = Some("exit 6: the environment failed");
        let failed = RunStatus { last_line: Some("error: no room".into()), ..run(2, Standing::Failed, reason) };
        let waits = |index| run(index, Standing::Pending, Some("others come first (Priority)"));
        Survey {
            job: "mini".into(),
            clusters: vec!["fir".into()],
            counts: [].into(),
            stages: vec![],
            runs: vec![
                run(0, Standing::Done, None),
                running,
                failed,
                waits(3),
                waits(4),
                waits(6),
                run(5, Standing::Missing, None),
            ],
        }
    }

    #[test]
    fn what_needs_a_look_has_a_line_and_what_waits_is_counted() {
        insta::assert_snapshot!(table(&survey(), false));
    }

    #[test]
    fn everything_known_of_a_run_is_said_once() {
        let history = ["7_2 of train-small.sh".to_owned()];
        insta::assert_snapshot!(why(&survey().runs[2], &history, std::path::Path::new("runs/x"), 5));
    }
}
