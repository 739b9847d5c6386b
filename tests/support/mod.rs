//! A job small enough to train in a second: coloured squares in two chunks, three classes, its own partition.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bioscan_hpc::config::Hdf5Layout;
use bioscan_hpc::container::{FolderWriter, Hdf5Writer, ImageKey, PackWriter, Packs, Reader, TarWriter, Writer, ZipWriter};
use bioscan_hpc::image::{RgbImage, encode};
use bioscan_hpc::random::{Purpose, stream};
use rand::RngExt;
use tempfile::TempDir;

/// The one run of the job.
pub const RUN: &str = "tiny-resnet18-CE-s1";

/// A folder with a job file, metadata and packs.
pub struct TinyJob {
    folder: TempDir,
}

impl TinyJob {
    /// Writes everything; `recipe` is added to `[train]`.
    pub fn new(recipe: &str) -> Self {
        let job = Self { folder: tempfile::tempdir().unwrap() };
        let output = job.path("out");
        fs::create_dir_all(output.join("images/original_36/packs")).unwrap();
        let mut table = String::from("image_file\tchunk_number\torder\ttiny\n");
        for chunk in 1..=2 {
            let mut pack = PackWriter::create(&output.join(format!("images/original_36/packs/part{chunk}.pack")), chunk).unwrap();
            for index in 0..45 {
                let class = index % 3;
                let file = format!("c{chunk}-{index:02}.jpg");
                let role = ["train", "train", "train", "validation", "test"][index / 3 % 5];
                writeln!(table, "{file}\t{chunk}\t{}\t{role}", ["Red", "Green", "Blue"][class]).unwrap();
                pack.add(&ImageKey::new(chunk, file), &square(class, u64::from(chunk) * 100 + index as u64)).unwrap();
            }
            Box::new(pack).finish().unwrap();
        }
        fs::write(output.join("BIOSCAN_Insect_Dataset_metadata.tsv"), table).unwrap();
        let text = format!(
            r#"name = "tiny"
paths = {{ dataset = "{0}", output = "{0}/out" }}
[preprocess]
size = 36
[train]
init = "random"
epochs = 2
global_batch = 8
lr = 0.01
threads = 1
crop = {{ resize = 36, size = 32 }}
{recipe}
[grid]
partitions = [{{ name = "tiny", label = "order", split = "tiny" }}]
backbones = ["resnet18"]
losses = ["CE"]
seeds = [1]
"#,
            job.folder.path().display()
        );
        fs::write(job.file(), text).unwrap();
        job
    }

    /// The same for another number of epochs.
    pub fn with_epochs(self, epochs: u64) -> Self {
        edit(&self.file(), |text| text.replace("epochs = 2", &format!("epochs = {epochs}")));
        self
    }

    /// The job file.
    pub fn file(&self) -> PathBuf {
        self.path("job.toml")
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of the run.
    pub fn run(&self, name: &str) -> PathBuf {
        self.path("out/runs").join(RUN).join(name)
    }

    /// `bioscan-hpc train` on `ranks` ranks.
    pub fn train(&self, ranks: usize) -> Command {
        self.train_on("cpu", ranks)
    }

    /// The same on a device of that name.
    pub fn train_on(&self, device: &str, ranks: usize) -> Command {
        let mut command = on_ranks(ranks);
        command.arg("train").arg(self.file()).args(["--device", device, "--experiment", RUN]);
        command
    }

    /// Everything a finished run must hold, to the byte; wall times and the place it ran in are left out.
    pub fn results(&self) -> Vec<(&'static str, Vec<u8>)> {
        let names = ["test.json", "test.json.blake3", "metrics.csv", "predictions.csv", "best.safetensors", "config.toml"];
        names.map(|name| (name, fs::read(self.run(name)).unwrap_or_else(|error| panic!("{name}: {error}")))).into()
    }
}

impl TinyJob {
    /// Writes the images of the packs in another form beside them; `name` is what preprocessing calls it.
    pub fn write_container(&self, name: &str) {
        let folder = self.path("out/images/original_36");
        let path = folder.join(name);
        let packs = Packs::open(&folder.join("packs")).unwrap();
        let add = |mut writer: Box<dyn Writer>, chunks: &[u32]| {
            for key in packs.keys().iter().filter(|key| chunks.contains(&key.chunk)) {
                writer.add(key, &packs.read(key).unwrap().unwrap()).unwrap();
            }
            writer.finish().unwrap();
        };
        match name.rsplit('.').next() {
            Some("zip") => add(Box::new(ZipWriter::create(&path, "original_36").unwrap()), &[1, 2]),
            Some("hdf5") => add(Box::new(Hdf5Writer::create_as(&path, Hdf5Layout::Published).unwrap()), &[1, 2]),
            Some("webdataset") => {
                [1, 2].into_iter().for_each(|c| add(Box::new(TarWriter::create(&path, "original_36", c).unwrap()), &[c]));
            }
            _ => add(Box::new(FolderWriter::create(&path).unwrap()), &[1, 2]),
        }
    }

    /// As [`results`](Self::results), without the file that says which container was read.
    pub fn results_but_config(&self) -> Vec<(&'static str, Vec<u8>)> {
        let placed = ["config.toml", "test.json", "test.json.blake3"];
        let mut results = self.results();
        results.retain(|(name, _)| !placed.contains(name));
        let record: serde_json::Value = serde_json::from_slice(&fs::read(self.run("test.json")).unwrap()).unwrap();
        results.push(("config_hash", record["config_hash"].to_string().into_bytes()));
        results.push(("evaluation", record["evaluation"].to_string().into_bytes()));
        results
    }
}

/// The program on `ranks` ranks: alone, or under `mpirun`.
pub fn on_ranks(ranks: usize) -> Command {
    let program = env!("CARGO_BIN_EXE_bioscan-hpc");
    let mut command = if ranks == 1 {
        Command::new(program)
    } else {
        let mut command = Command::new("mpirun");
        command.args(["-n", &ranks.to_string(), "--oversubscribe", "--bind-to", "none", program]);
        command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
        command
    };
    command.stdin(Stdio::null());
    command
}

/// Runs to the end and checks the exit code.
pub fn expect(command: &mut Command, code: i32) -> Output {
    let output = command.output().expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{stderr}");
    output
}

/// Changes a file in place.
pub fn edit(path: &Path, change: impl FnOnce(String) -> String) {
    fs::write(path, change(fs::read_to_string(path).unwrap())).unwrap();
}

/// A noisy square of 40×36 pixels whose colour tells its class.
fn square(class: usize, number: u64) -> Vec<u8> {
    let mut rng = stream(1, Purpose::SynthPicture, 0, number);
    let mut pixels = vec![0u8; 3 * 40 * 36];
    for pixel in pixels.chunks_exact_mut(3) {
        for (channel, value) in pixel.iter_mut().enumerate() {
            *value = rng.random_range(60..140) + if channel == class { 80 } else { 0 };
        }
    }
    encode(&RgbImage { width: 40, height: 36, pixels }, 90).unwrap()
}
