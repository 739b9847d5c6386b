//! One task of an array → its script run here, with the environment Slurm would give it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::comm::signals::StopFlag;
use crate::error::{Exit, IoContext, Result};

/// How often a child is looked at: short against the shortest run, long against the cost of looking.
const LOOK: Duration = Duration::from_millis(50);

/// One task to run.
#[derive(Clone, Debug)]
pub(super) struct LocalTask {
    /// `SLURM_ARRAY_TASK_ID`.
    pub index: usize,
    /// The script.
    pub script: PathBuf,
    /// Where its output goes, behind what is there.
    pub log: PathBuf,
    /// `SLURM_ARRAY_JOB_ID`.
    pub array: u32,
    /// `SLURM_CPUS_PER_TASK`.
    pub cpus: usize,
    /// The program the script calls.
    pub program: PathBuf,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With exit code 0, which for a script includes 3 and 4 of its program.
    Well,
    /// It stopped with a checkpoint, because this program was told to stop.
    Stopped,
    /// It failed.
    Failed(ExitStatus),
}

impl LocalTask {
    /// Runs the script; starts it again after exit 85, at most `restarts` times, as `scontrol requeue` would.
    pub(super) fn run(&self, restarts: u32, stop: &StopFlag) -> Result<Ended> {
        let mut life = 0;
        loop {
            let status = self.live(life, stop)?;
            let checkpointed = status.code() == Some(i32::from(Exit::Stopped.code()));
            match status {
                status if status.success() => return Ok(Ended::Well),
                _ if checkpointed && stop.raised() => return Ok(Ended::Stopped),
                _ if checkpointed && life < restarts => life += 1,
                status => return Ok(Ended::Failed(status)),
            }
        }
    }

    /// One life of the task: from its start to its end.
    fn live(&self, life: u32, stop: &StopFlag) -> Result<ExitStatus> {
        let private = PrivateFolder::make(self.array, self.index)?;
        let mut child = self.command(life, &private.0)?.spawn().at("start", &self.script)?;
        let mut told = false;
        loop {
            if let Some(status) = child.try_wait().at("wait for", &self.script)? {
                return Ok(status);
            }
            if stop.raised() && !told {
                tell_to_stop(&child)?;
                told = true;
            }
            std::thread::sleep(LOOK);
        }
    }

    fn command(&self, life: u32, private: &Path) -> Result<Command> {
        if let Some(folder) = self.log.parent() {
            fs::create_dir_all(folder).at("create the folder", folder)?;
        }
        let log = OpenOptions::new().append(true).create(true).open(&self.log).at("open", &self.log)?;
        let mut command = Command::new("bash");
        // What a surrounding Slurm job says about itself is not true of this task.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SLURM_")) {
            command.env_remove(name);
        }
        command
            .arg(&self.script)
            .env("BIOSCAN_HPC", &self.program)
            .env("SLURM_ARRAY_JOB_ID", self.array.to_string())
            .env("SLURM_ARRAY_TASK_ID", self.index.to_string())
            .env("SLURM_JOB_ID", (u64::from(self.array) + 1 + self.index as u64).to_string())
            .env("SLURM_CPUS_PER_TASK", self.cpus.to_string())
            .env("SLURM_RESTART_COUNT", life.to_string())
            .env("SLURM_TMPDIR", private)
            .stdin(Stdio::null())
            .stdout(clone_of(&log, &self.log)?)
            .stderr(log)
            // A group of its own: Ctrl-C in the terminal reaches this program alone, which then tells each task once.
            .process_group(0);
        Ok(command)
    }
}

impl Ended {
    /// Why a task failed, in words.
    pub(super) fn reason(status: ExitStatus) -> String {
        match (status.code(), status.signal()) {
            (Some(85), _) => "stopped with a checkpoint once too often (exit 85)".into(),
            (Some(code), _) => format!("exit {code}"),
            (None, Some(signal)) => format!("killed by signal {signal}"),
            (None, None) => "ended without a code".into(),
        }
    }
}

fn clone_of(log: &File, path: &Path) -> Result<File> {
    log.try_clone().at("open", path)
}

/// Sends USR1 to the script, as Slurm does before the time limit. By bash, which is here where the scripts run, while `kill` of
/// procps may not be.
fn tell_to_stop(child: &Child) -> Result<()> {
    let sent =
        Command::new("bash").args(["-c", "kill -USR1 \"$1\"", "bash", &child.id().to_string()]).stderr(Stdio::null()).status();
    sent.map(drop).at("signal", "bash")
}

/// The task's `$SLURM_TMPDIR`, removed with it.
struct PrivateFolder(PathBuf);

impl PrivateFolder {
    fn make(array: u32, index: usize) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("bioscan-{array}-{index}"));
        DirBuilder::new().recursive(true).mode(0o700).create(&path).at("create the folder", &path)?;
        Ok(Self(path))
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // A leftover in the temporary folder is the system's to clean.
        let _ = fs::remove_dir_all(&self.0);
    }
}
