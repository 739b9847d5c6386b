//! photographs → a dataset of chunks and a job on it, for the figures that time the whole program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::photographs::Photographs;

/// A dataset and where its results go.
pub struct Dataset {
    folder: PathBuf,
}

impl Dataset {
    /// Writes `chunks` chunks of `images` photographs each below `folder`.
    pub fn write(folder: &Path, photographs: &Photographs, chunks: u32, images: usize) -> Result<Self> {
        eprintln!("writing {chunks} chunks of {images} photographs");
        let dataset = Self { folder: folder.to_owned() };
        fs::create_dir_all(dataset.folder.join("data"))?;
        for chunk in 1..=chunks {
            photographs.write_chunk(&dataset.folder.join("data"), chunk, images)?;
        }
        Ok(dataset)
    }

    /// A job on `threads` threads a rank, with nothing done yet.
    pub fn fresh_job(&self, threads: usize) -> Result<PathBuf> {
        let (data, output, path) = (self.folder.join("data"), self.folder.join("out"), self.folder.join("job.toml"));
        if output.exists() {
            fs::remove_dir_all(&output)?;
        }
        let text = format!(
            "name = \"bench\"\npaths = {{ dataset = {data:?}, output = {output:?} }}\n\
             [preprocess]\nformats = [\"pack\"]\nthreads = {threads}\n\
             [grid]\nsizes = [\"small\"]\ntasks = [\"insect_order\"]\nbackbones = [\"resnet18\"]\nlosses = [\"CE\"]\nseeds = [1]\n"
        );
        fs::write(&path, text)?;
        Ok(path)
    }
}

/// The program, `preprocess` on `job`.
pub fn program(job: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bioscan-hpc"));
    command.args(["preprocess", "-q"]).arg(job);
    command
}

/// The same on `ranks` ranks of a launcher.
pub fn on_ranks(ranks: usize, job: &Path) -> Command {
    let mut command = mpirun(ranks, env!("CARGO_BIN_EXE_bioscan-hpc"));
    command.args(["preprocess", "-q"]).arg(job);
    command
}

/// `program` on `ranks` ranks; its arguments come after.
pub fn mpirun(ranks: usize, program: &str) -> Command {
    let mut command = Command::new("mpirun");
    command
        .args(["--oversubscribe", "--bind-to", "none", "-n", &ranks.to_string(), program])
        // Open MPI refuses to start as root unless told twice; containers run as root.
        .envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
    command
}
