//! What can go wrong, said to the person who can mend it, and the public exit code it ends in.
//!
//! An [`Error`] ends a command. What is wrong with a single image or record does not: that goes into the
//! quarantine, and the command ends with [`Exit::Quarantined`].

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

/// The public exit codes; the README documents them and scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done.
    Done = 0,
    /// A bug of this program (the panic hook ends here too).
    Bug = 1,
    /// Wrong usage or configuration; nothing was started.
    Usage = 2,
    /// Done, but some inputs were quarantined.
    Quarantined = 3,
    /// Incomplete: runs are missing.
    Incomplete = 4,
    /// A check found faults (`verify`, `metadata validate`).
    Faults = 5,
    /// The environment failed: disk, I/O, a lost rank, a non-finite loss.
    Environment = 6,
    /// Stopped on a signal with all work saved: run me again.
    Stopped = 85,
}

impl Exit {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Done, Self::Bug, Self::Usage, Self::Quarantined, Self::Incomplete, Self::Faults, Self::Environment, Self::Stopped];

    /// The number the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What it means, for a person.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Bug => "a bug of this program",
            Self::Usage => "wrong usage or configuration",
            Self::Quarantined => "done, but some inputs were quarantined",
            Self::Incomplete => "incomplete",
            Self::Faults => "a check found faults",
            Self::Environment => "the environment failed: disk, I/O, a lost rank, a non-finite loss",
            Self::Stopped => "stopped on a signal with all work saved",
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line asks for something that does not exist or contradicts itself.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do instead.
        help: Option<String>,
    },
    /// Wrong usage that one rank met and all ranks end with alike.
    #[error("{message}")]
    Agreed {
        /// What is wrong.
        message: String,
        /// What to do instead.
        help: Option<String>,
    },
    /// A TOML file is wrong; points at the line and lists what is valid.
    #[error(transparent)]
    Config(Box<ConfigError>),
    /// A data file is not what it should be as a whole (a missing column, a truncated table).
    #[error("{}: {message}", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// What an earlier command wrote is damaged or gone, and this one cannot do without it.
    #[error("{}: {message}", path.display())]
    Damaged {
        /// The file, or what it holds.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
        /// What to do about it.
        help: String,
    },
    /// A signal came where nothing had to be saved first.
    #[error("stopped on a signal: run the same command again")]
    Stopped,
    /// Another live run owns the directory.
    #[error("{} is owned by another run: {owner}", path.display())]
    Owned {
        /// The directory.
        path: PathBuf,
        /// Host, process and job of the owner.
        owner: String,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "write", "rename".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Ranks could not talk to each other.
    #[error("communication failed: {0}")]
    Comm(String),
    /// libtorch or HDF5 refused.
    #[error("{library}: {message}")]
    Library {
        /// Which library.
        library: &'static str,
        /// What it said.
        message: String,
    },
    /// The loss or the weights became NaN or infinite; training on would waste the allocation.
    #[error("{what} NaN or infinite at epoch {epoch}, step {step}, on {}", listed(images))]
    NonFinite {
        /// "the loss is" or "the weights are".
        what: &'static str,
        /// 0-based epoch.
        epoch: u64,
        /// 0-based step in the epoch.
        step: u64,
        /// The images of that step's global batch.
        images: Vec<String>,
        /// The newest checkpoint, from before that step.
        checkpoint: Option<PathBuf>,
    },
    /// A server refused, or could not be had, before anything was done.
    #[error("{server}: {message}")]
    Server {
        /// Its address, without what may be secret.
        server: String,
        /// What it said, or what happened on the way.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// This binary was built without the feature the command needs.
    #[error("this binary was built without the feature `{feature}`")]
    Feature {
        /// The Cargo feature.
        feature: &'static str,
    },
}

impl Error {
    /// Wrong usage, in words.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: None }
    }

    /// A file that is not what it should be.
    pub fn input(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::Input { path: path.as_ref().to_owned(), message: message.into(), help: None }
    }

    /// A failure of a C library, in its own words, less the C++ stack that libtorch appends to them.
    pub fn library(library: &'static str, message: impl Display) -> Self {
        let message = message.to_string();
        let words = message.split("\nException raised from").next().unwrap_or(&message);
        Self::Library { library, message: words.to_owned() }
    }

    /// Adds what the reader can do about it.
    #[must_use]
    pub fn with_help(mut self, advice: impl Into<String>) -> Self {
        if let Self::Usage { help, .. } | Self::Input { help, .. } | Self::Server { help, .. } = &mut self {
            *help = Some(advice.into());
        }
        self
    }

    /// The exit code this error ends in.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. }
            | Self::Agreed { .. }
            | Self::Config(_)
            | Self::Input { .. }
            | Self::Owned { .. }
            | Self::Feature { .. } => Exit::Usage,
            Self::Damaged { .. }
            | Self::Io { .. }
            | Self::Comm(_)
            | Self::Library { .. }
            | Self::NonFinite { .. }
            | Self::Server { .. } => Exit::Environment,
            Self::Stopped => Exit::Stopped,
        }
    }

    /// What the reader can do about it, where that is known.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Usage { help, .. } | Self::Agreed { help, .. } | Self::Input { help, .. } | Self::Server { help, .. } => {
                help.clone()
            }
            Self::Damaged { help, .. } => Some(help.clone()),
            // What runs on another host cannot be seen from here.
            Self::Owned { path, .. } => Some(format!(
                "wait for it, or stop it; a lock whose process is gone is taken over by itself, unless that was on another host: \
                 `ssh HOST ps -p PROCESS` tells, and where it is gone, remove {}",
                path.join(".lock").display()
            )),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free space or choose another folder, then run the same command again: finished work is kept".into())
            }
            Self::NonFinite { checkpoint, .. } => {
                let last = checkpoint.as_ref().map_or_else(
                    || "no checkpoint had been saved before".to_owned(),
                    |path| format!("the last good checkpoint is {}", path.display()),
                );
                Some(format!(
                    "lower `train.lr`, or look at these images; `train.on_nonfinite = \"skip\"` leaves such batches out; {last}"
                ))
            }
            Self::Feature { feature } => Some(format!("build with `cargo build --release --features {feature}`")),
            Self::Config(_) | Self::Io { .. } | Self::Comm(_) | Self::Library { .. } | Self::Stopped => None,
        }
    }
}

/// The first names of a list, and how many more there are.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 64;
    let more = names.len().saturating_sub(SHOWN);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{tail}", names[..names.len() - more].join(", "))
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(Box::new(error))
    }
}

/// A fault in a TOML file, with the place it stands at.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{message}")]
pub struct ConfigError {
    /// What is wrong.
    pub message: String,
    /// What is valid here, and the nearest name.
    #[help]
    pub help: Option<String>,
    /// The file as read.
    #[source_code]
    pub source_text: miette::NamedSource<String>,
    /// The bytes at fault.
    #[label("here")]
    pub span: Option<miette::SourceSpan>,
}

/// Puts the path and the verb to an [`io::Error`]: `read(path).at("read", path)?`.
pub trait IoContext<T> {
    /// Names what was tried and where.
    fn at(self, action: &'static str, path: impl AsRef<Path>) -> Result<T>;

    /// As [`IoContext::at`], for reading a file that a person named: where there is none, the name is wrong, and not the disk.
    fn at_named(self, path: impl AsRef<Path>) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, action: &'static str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|source| Error::Io { action, path: path.as_ref().to_owned(), source })
    }

    fn at_named(self, path: impl AsRef<Path>) -> Result<T> {
        match self {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::input(path, "there is no such file")
                .with_help("a path that does not begin with `/` starts at the current folder")),
            outcome => outcome.at("read", path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_the_environments_fault_and_says_that_work_is_kept() {
        let error = Err::<(), _>(io::Error::from(io::ErrorKind::StorageFull)).at("write", "/data/part1.pack").unwrap_err();
        assert_eq!(error.exit(), Exit::Environment);
        assert!(error.to_string().starts_with("cannot write /data/part1.pack: "));
        assert!(error.help().unwrap().contains("finished work is kept"));
    }

    #[test]
    fn a_lock_of_another_host_says_how_to_look_and_what_to_remove() {
        let error = Error::Owned { path: "out/slurm/fir".into(), owner: "process 7 on login2".into() };
        assert!(
            error.help().unwrap().ends_with("`ssh HOST ps -p PROCESS` tells, and where it is gone, remove out/slurm/fir/.lock")
        );
    }

    #[test]
    fn a_file_that_a_person_named_and_is_not_there_is_wrong_usage() {
        let missing = || Err::<(), _>(io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(missing().at_named("nope.toml").unwrap_err().exit(), Exit::Usage);
        assert_eq!(missing().at("read", "nope.toml").unwrap_err().exit(), Exit::Environment);
        let denied = Err::<(), _>(io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(denied.at_named("job.toml").unwrap_err().exit(), Exit::Environment);
    }

    #[test]
    fn a_librarys_words_are_kept_and_its_stack_is_not() {
        let error =
            Error::library("libtorch", "output_size must be 2\nException raised from pool at pool.cpp:106\nframe #0: ...");
        assert_eq!(error.to_string(), "libtorch: output_size must be 2");
    }

    #[test]
    fn a_loss_that_is_no_number_names_the_images_and_what_is_left() {
        let images = (0..66).map(|n| format!("part1/{n}.jpg")).collect();
        let error = Error::NonFinite {
            what: "the loss is",
            epoch: 3,
            step: 17,
            images,
            checkpoint: Some("run/checkpoint-3.ckpt".into()),
        };
        let message = error.to_string();
        assert!(
            message.starts_with("the loss is NaN or infinite at epoch 3, step 17, on part1/0.jpg, part1/1.jpg, "),
            "{message}"
        );
        assert!(message.ends_with("part1/63.jpg and 2 more"), "{message}");
        assert!(error.help().unwrap().ends_with("the last good checkpoint is run/checkpoint-3.ckpt"));
    }

    #[test]
    fn usage_and_input_errors_carry_their_advice() {
        let error = Error::input("meta.tsv", "no column `order`").with_help("the columns are listed in the README");
        assert_eq!(error.exit(), Exit::Usage);
        assert_eq!(error.help().as_deref(), Some("the columns are listed in the README"));
    }
}
