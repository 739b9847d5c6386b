//! `completions`: the command line's own description → shell completions, or man pages.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::{Cli, Context, put};
use crate::error::{Exit, IoContext, Result};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bioscan-hpc completions bash > ~/.local/share/bash-completion/completions/bioscan-hpc
  bioscan-hpc completions --man ~/.local/share/man/man1")]
pub struct Args {
    /// The shell to write completions for, on stdout
    #[arg(required_unless_present = "man")]
    shell: Option<Shell>,
    /// Write the man pages into this folder instead
    #[arg(long, value_name = "DIR", conflicts_with = "shell")]
    man: Option<PathBuf>,
}

/// Runs `completions`.
pub fn run(args: &Args, _: Context) -> Result<Exit> {
    let mut command = Cli::command();
    if let Some(shell) = args.shell {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command, "bioscan-hpc", &mut text);
        put(&String::from_utf8_lossy(&text))?;
    }
    if let Some(folder) = &args.man {
        std::fs::create_dir_all(folder).at("create the folder", folder)?;
        clap_mangen::generate_to(command, folder).at("write the man pages to", folder)?;
    }
    Ok(Exit::Done)
}
