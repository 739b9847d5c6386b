//! Small chunks of synthetic photographs, and the program run on them.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bioscan_hpc::image::{RgbImage, Size, encode};
use zip::write::SimpleFileOptions;

/// A photograph of `width`×`height`: a gradient with coarse noise, different for each `salt`.
pub fn photograph(width: u32, height: u32, salt: u32) -> Vec<u8> {
    let mut image = RgbImage::black(Size { width, height });
    for (index, pixel) in image.pixels.chunks_exact_mut(3).enumerate() {
        let (x, y) = (index as u32 % width, index as u32 / width);
        let mut noise = (x / 8).wrapping_mul(73_856_093) ^ (y / 8).wrapping_mul(19_349_663) ^ salt.wrapping_mul(83_492_791);
        noise = (noise ^ (noise >> 13)).wrapping_mul(1_274_126_177);
        let noise = (noise >> 26) as u8;
        pixel.copy_from_slice(&[(190 * x / width) as u8 + noise, (190 * y / height) as u8 + noise, 100 + noise]);
    }
    encode(&image, 75).unwrap()
}

/// A dataset folder, a job on it and the program, in a temporary folder.
pub struct Bench {
    pub root: tempfile::TempDir,
}

impl Bench {
    /// An empty dataset with a job that asks for every container.
    pub fn new() -> Self {
        let bench = Self { root: tempfile::tempdir().unwrap() };
        fs::create_dir(bench.dataset()).unwrap();
        bench.write_job("job", &bench.root.path().join("out"), "");
        bench
    }

    /// `chunks` chunks of `images` photographs of mixed shapes.
    pub fn with_chunks(chunks: u32, images: u32) -> Self {
        let bench = Self::new();
        for chunk in 1..=chunks {
            let files: Vec<(String, Vec<u8>)> = (0..images + chunk)
                .map(|index| {
                    let (width, height) = [(320, 240), (240, 320), (150, 90)][index as usize % 3];
                    (format!("c{chunk}-{index:03}.jpg"), photograph(width, height, 1000 * chunk + index))
                })
                .collect();
            bench.write_chunk(chunk, &files);
        }
        bench
    }

    pub fn dataset(&self) -> PathBuf {
        self.root.path().join("data")
    }

    pub fn chunk_path(&self, chunk: u32) -> PathBuf {
        self.dataset().join(format!("bioscan_images_original_full_part{chunk}.zip"))
    }

    /// Writes a chunk as published: stored entries below `bioscan/images/...`.
    pub fn write_chunk(&self, chunk: u32, files: &[(String, Vec<u8>)]) {
        let mut zip = zip::ZipWriter::new(File::create(self.chunk_path(chunk)).unwrap());
        let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (name, bytes) in files {
            zip.start_file(format!("bioscan/images/original_full/part{chunk}/{name}"), stored).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
    }

    /// Writes the job `name` that puts its results to `output`; `more` goes into `[preprocess]`.
    pub fn write_job(&self, name: &str, output: &Path, more: &str) -> PathBuf {
        let path = self.root.path().join(format!("{name}.toml"));
        let text = format!(
            "name = \"{name}\"\npaths = {{ dataset = {:?}, output = {output:?} }}\n\
             [preprocess]\nsize = 64\nformats = [\"folder\", \"zip\", \"hdf5\", \"tar\"]\nthreads = 2\n{more}\n\
             [grid]\nsizes = [\"small\"]\ntasks = [\"insect_order\"]\nbackbones = [\"resnet18\"]\nlosses = [\"CE\"]\nseeds = [1]\n",
            self.dataset()
        );
        fs::write(&path, text).unwrap();
        path
    }

    pub fn job(&self) -> PathBuf {
        self.root.path().join("job.toml")
    }

    /// A second job on the same dataset with an output folder of its own.
    pub fn job_to(&self, output: &str) -> PathBuf {
        self.write_job(output, &self.output(output), "")
    }

    pub fn output(&self, name: &str) -> PathBuf {
        self.root.path().join(format!("out-{name}"))
    }
}

/// The package's folder below an output folder.
pub fn package(output: &Path) -> PathBuf {
    output.join("images/original_64")
}

/// The program.
pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bioscan-hpc"))
}

/// The program on `ranks` ranks of a real launcher.
pub fn ranks(ranks: usize) -> Command {
    let mut command = Command::new("mpirun");
    command
        .args(["--oversubscribe", "--bind-to", "none", "-n", &ranks.to_string()])
        .arg(env!("CARGO_BIN_EXE_bioscan-hpc"))
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command
}

/// Whether there is a launcher; says so where not.
pub fn has_mpirun() -> bool {
    let there = cfg!(feature = "mpi") && Command::new("mpirun").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("SKIPPED: no mpirun, or built without the feature `mpi`");
    }
    there
}

/// Runs `command preprocess job` and checks its exit code.
pub fn preprocess(mut command: Command, job: &Path, exit: i32) -> Output {
    let output = command.arg("preprocess").arg(job).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{}\n{said}", String::from_utf8_lossy(&output.stdout));
    output
}

/// Every file below `folder` with its bytes; the lock of a run is none of them.
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != ".lock") {
                files.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Fails with the names of the files that differ.
pub fn assert_same_tree(a: &Path, b: &Path) {
    let (a, b) = (tree(a), tree(b));
    let names: Vec<_> = a.keys().chain(b.keys()).filter(|path| a.get(*path) != b.get(*path)).collect();
    assert!(names.is_empty(), "these differ: {names:?}");
    assert!(!a.is_empty());
}

/// Fails where a half-written file is left.
pub fn assert_nothing_unfinished(folder: &Path) {
    let left: Vec<_> = tree(folder).into_keys().filter(|path| path.to_string_lossy().contains(".part")).collect();
    assert!(left.is_empty(), "unfinished files are left: {left:?}");
}

/// The rows of the quarantine table as (chunk, file, reason).
pub fn quarantine(output: &Path) -> Vec<(u32, String, String)> {
    let mut reader = csv::Reader::from_path(package(output).join("quarantine.csv")).unwrap();
    reader.records().map(|row| row.unwrap()).map(|row| (row[0].parse().unwrap(), row[1].to_owned(), row[2].to_owned())).collect()
}
