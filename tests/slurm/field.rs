//! A Slurm, a job of a few runs, and a stand-in for the program that leaves a trace of every start.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bioscan_hpc::config::Job;
use serde_json::Value;

use crate::runs;
use crate::slurm::{PROFILE, Site, SlurmLab};

/// Does as `act/{index}` (or `act/preprocess`) says where there is one, and else puts the prepared result in its place.
const PROGRAM: &str = r#"
here=$(dirname "$0")
case $1 in
preprocess)
    [[ ${SLURM_PROCID:-0} -eq 0 ]] || exit 0
    echo preprocess >>"$here/starts"
    if [[ -f $here/act/preprocess ]]; then . "$here/act/preprocess"; fi
    mkdir -p "$here/out/images/original_256"
    cp "$here/prepared/summary.json" "$here/out/images/original_256/"
    ;;
train)
    index=$4
    run="$here/out/runs/$(ls "$here/prepared/$index")"
    echo "$index life=${SLURM_RESTART_COUNT:-0} node=$SLURMD_NODENAME" >>"$here/starts"
    if [[ -f $here/act/$index ]]; then . "$here/act/$index"; fi
    cp -r "$here/prepared/$index/." "$here/out/runs/"
    echo trained
    ;;
*) exec "$here/real" "$@" ;;
esac"#;

/// In `act/`: waits for a signal in its first life, saves a checkpoint and ends with 85, as training does.
pub const STOPPABLE: &str = r#"
if [[ ${SLURM_RESTART_COUNT:-0} -eq 0 ]]; then
    trap 'mkdir -p "$run"; touch "$run/checkpoint-00001-0000000.ckpt"; exit 85' USR1 TERM
    touch "$here/ready.$index"
    while true; do sleep 0.05; done
fi"#;

/// In `act/`: waits until the test allows it to end.
pub const PATIENT: &str = r#"touch "$here/ready.$index"; while [[ ! -f $here/go ]]; do sleep 0.05; done"#;

/// Everything a test needs.
pub struct Field {
    pub slurm: SlurmLab,
    pub root: tempfile::TempDir,
    pub runs: usize,
}

impl Field {
    /// `seeds` runs on `site`, whose profile is changed by `profile`; `None`, aloud, without Slurm.
    pub fn new(site: &Site, seeds: usize, profile: impl FnOnce(String) -> String) -> Option<Self> {
        Self::named(site, seeds, profile, "job.toml", "out")
    }

    /// The same with a job file and an output folder of these names.
    pub fn named(site: &Site, seeds: usize, profile: impl FnOnce(String) -> String, job: &str, out: &str) -> Option<Self> {
        let slurm = SlurmLab::start(site)?;
        let root = tempfile::tempdir().unwrap();
        let field = Self { slurm, root, runs: seeds };
        let seeds: Vec<String> = (1..=seeds).map(|seed| seed.to_string()).collect();
        let text = format!(
            "name = \"mini\"\npaths = {{ dataset = \"data\", output = {:?} }}\ntrain = {{ init = \"random\" }}\n[grid]\nsizes = [\"small\"]\ntasks = [\"insect_order\"]\n\
             backbones = [\"resnet50\"]\nlosses = [\"CE\"]\nseeds = [{}]\n",
            field.at(out).display().to_string(),
            seeds.join(", ")
        );
        fs::write(field.at(job), text).unwrap();
        fs::write(field.at("lab.toml"), profile(PROFILE.into())).unwrap();
        let loaded = Job::load(&field.at(job)).unwrap();
        for index in 0..field.runs {
            runs::finish(&field.at(&format!("prepared/{index}")), &runs::record(&loaded, index, 8));
        }
        for folder in ["act", "data", &format!("{out}/runs"), &format!("{out}/images")] {
            fs::create_dir_all(field.at(folder)).unwrap();
        }
        fs::rename(runs::preprocessed(&loaded), field.at("prepared/summary.json")).unwrap();
        fs::write(loaded.paths.split_metadata(), "image_file\n").unwrap();
        if out != "out" {
            std::os::unix::fs::symlink(field.at(out), field.at("out")).unwrap();
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_bioscan-hpc"), field.at("real")).unwrap();
        runs::script(&field.at("program"), PROGRAM);
        Some(field)
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub fn act(&self, index: impl std::fmt::Display, what: &str) {
        fs::write(self.at(&format!("act/{index}")), what).unwrap();
    }

    /// `bioscan-hpc sweep` in the job's folder, as its user would type it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.slurm.command(env!("CARGO_BIN_EXE_bioscan-hpc"));
        command.args(["-q", "sweep"]).args(arguments).current_dir(self.root.path());
        command.env("BIOSCAN_HPC", self.at("program")).env("BIOSCAN_SLURM_PACE", "0,0.5,15").env("NO_COLOR", "1");
        command
    }

    /// Its exit code and what it said on both streams.
    pub fn sweep(&self, arguments: &[&str]) -> (i32, String) {
        said(self.command(arguments).output().unwrap())
    }

    pub fn submit(&self) -> (i32, String) {
        self.sweep(&["submit", "job.toml", "--cluster", "lab.toml"])
    }

    pub fn rerun(&self, more: &[&str]) -> (i32, String) {
        self.sweep(&[&["rerun", "job.toml", "--cluster", "lab.toml"], more].concat())
    }

    /// `sweep status --json`.
    pub fn status(&self) -> Value {
        let output = self.command(&["status", "job.toml", "--json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// The starts of training and preprocessing: `3 life=0 node=n1`.
    pub fn starts(&self) -> Vec<String> {
        let text = fs::read_to_string(self.at("starts")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How often run `index` was started.
    pub fn lives(&self, index: usize) -> usize {
        self.starts().iter().filter(|line| line.starts_with(&format!("{index} "))).count()
    }

    /// Pretends that preprocessing is done.
    pub fn preprocessed(&self) {
        fs::create_dir_all(self.at("out/images/original_256")).unwrap();
        fs::copy(self.at("prepared/summary.json"), self.at("out/images/original_256/summary.json")).unwrap();
    }

    pub fn exists(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    /// The jobs in Slurm's memory whose name ends so.
    pub fn jobs(&self, name: &str) -> Vec<String> {
        let lines = self.slurm.squeue("%F %j");
        let mut jobs: Vec<String> = lines
            .iter()
            .filter_map(|line| line.split_once(' '))
            .filter(|job| job.1.ends_with(name))
            .map(|job| job.0.to_owned())
            .collect();
        jobs.sort();
        jobs.dedup();
        jobs
    }

    /// The one training array there is.
    pub fn array(&self) -> String {
        let jobs = self.jobs("train-small");
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        jobs[0].clone()
    }

    pub fn wait(&self, what: &str, condition: impl Fn() -> bool) {
        self.slurm.wait_for(what, 60, condition);
    }

    /// Waits until nothing waits and nothing runs.
    pub fn settle(&self) {
        self.slurm.wait_for("the queue to be empty", 90, || self.slurm.is_quiet());
    }

    /// Puts `body` before the real program of that name on the PATH of `command`; `$REAL` leads to the real one.
    pub fn wrap(&self, command: &mut Command, program: &str, body: &str) {
        let folder = self.at("wrapped");
        fs::create_dir_all(&folder).unwrap();
        runs::script(&folder.join(program), body);
        let path = std::env::var("PATH").unwrap();
        let real = path.split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.is_file()).unwrap();
        command.env("REAL", real).env("PATH", format!("{}:{path}", folder.display()));
    }
}

pub fn said(output: Output) -> (i32, String) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}
