//! A program and its arguments → what it said, within a time.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How often a program that is still running is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// It ended with 0.
    Well {
        /// Its standard output.
        stdout: String,
    },
    /// It ended otherwise.
    Failed {
        /// What it said on standard error, or else on standard output.
        said: String,
    },
    /// It did not end in time, and was killed.
    TimedOut,
    /// There is no such program.
    NotThere,
}

/// Calls `command` and waits for it, at most `patience`.
pub fn call(command: &mut Command, patience: Duration) -> Called {
    // Slurm's words are read by this program, so they must not be translated.
    let spawned = command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Called::NotThere,
        Err(error) => return Called::Failed { said: error.to_string() },
    };
    let (stdout, stderr) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let deadline = Instant::now() + patience;
    let Some(well) = ended(&mut child, deadline) else {
        let _ = child.kill();
        let _ = child.wait();
        return Called::TimedOut;
    };
    // A grandchild may hold the pipes open beyond the end of the program.
    let text =
        |pipe: mpsc::Receiver<String>| pipe.recv_timeout(deadline.saturating_duration_since(Instant::now())).unwrap_or_default();
    let (stdout, stderr) = (text(stdout), text(stderr));
    match well {
        true => Called::Well { stdout },
        false => Called::Failed { said: if stderr.trim().is_empty() { stdout } else { stderr }.trim().to_owned() },
    }
}

/// Whether the program ended well; `None` where it has not ended by `deadline`.
fn ended(child: &mut Child, deadline: Instant) -> Option<bool> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK),
            _ => return None,
        }
    }
}

/// Reads a pipe to its end in a thread of its own, so that a long answer does not block the program that gives it.
fn reader(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = send.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receive
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bash(script: &str, milliseconds: u64) -> Called {
        call(Command::new("bash").args(["-c", script]), Duration::from_millis(milliseconds))
    }

    #[test]
    fn an_answer_longer_than_a_pipe_arrives_whole() {
        let Called::Well { stdout } = bash("head -c 300000 /dev/zero | tr '\\0' x", 20_000) else { panic!("it failed") };
        assert_eq!(stdout.len(), 300_000);
    }

    #[test]
    fn what_fails_hangs_or_is_not_there_is_told_apart() {
        assert_eq!(bash("echo no >&2; exit 3", 20_000), Called::Failed { said: "no".into() });
        assert_eq!(bash("sleep 20", 100), Called::TimedOut);
        assert_eq!(call(&mut Command::new("no-such-program-here"), Duration::from_secs(1)), Called::NotThere);
    }
}
