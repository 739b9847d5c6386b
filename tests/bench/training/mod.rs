//! Training beside PyTorch: the loader, the step on a CPU and on a GPU, ranks, and whole runs. Each group is a file; this one makes what they share.

pub mod gpu;
pub mod loader;
pub mod ranks;
pub mod run;
pub mod step;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use bioscan_hpc::config::{Fit, Job};
use bioscan_hpc::container::{ImageKey, PackWriter, Writer, pack};
use bioscan_hpc::image::{Filter, Target, decode_for, encode, resize};

use crate::Result;
use crate::photographs::Photographs;

const ORDERS: [&str; 4] = ["Diptera", "Hymenoptera", "Coleoptera", "Hemiptera"];

/// Real photographs as preprocessing leaves them, 256 pixels high, as packs for ours and as a folder for the peers, with metadata.
pub struct Prepared {
    folder: PathBuf,
    /// The JPEG files, in the order of the metadata.
    pub files: Vec<PathBuf>,
    /// What they are, for the table.
    pub origin: String,
}

impl Prepared {
    /// Writes `images` of them below `folder`: the photographs over and over.
    pub fn write(folder: &Path, images: usize) -> Result<Self> {
        let photographs = Photographs::small(folder)?;
        let (output, chunk) = (folder.join("out"), folder.join("folder/part1"));
        fs::create_dir_all(output.join("images/original_256/packs"))?;
        fs::create_dir_all(&chunk)?;
        let mut table = String::from("image_file\tchunk_number\torder\tbench\n");
        let mut packed = PackWriter::create(&output.join("images/original_256/packs").join(pack::file_name(1)), 1)?;
        let small = photographs.read()?.iter().map(|jpeg| smaller(jpeg)).collect::<Result<Vec<_>>>()?;
        let mut files = Vec::new();
        for index in 0..images {
            let name = format!("{index:05}.jpg");
            let role = if index < images - ORDERS.len() { "train" } else { "test" };
            writeln!(table, "{name}\t1\t{}\t{role}", ORDERS[index % ORDERS.len()])?;
            let jpeg = &small[index % small.len()];
            packed.add(&ImageKey::new(1, &*name), jpeg)?;
            fs::write(chunk.join(&name), jpeg)?;
            files.push(chunk.join(name));
        }
        Box::new(packed).finish()?;
        fs::write(output.join("BIOSCAN_Insect_Dataset_metadata.tsv"), table)?;
        let bytes: usize = small.iter().map(Vec::len).sum();
        let origin =
            format!("{}, prepared to 256 pixels, {:.1} kB each", photographs.origin, bytes as f64 / 1e3 / small.len() as f64);
        Ok(Self { folder: folder.to_owned(), files, origin })
    }

    /// The packs.
    pub fn packs(&self) -> PathBuf {
        self.folder.join("out/images/original_256/packs")
    }

    /// The metadata, and the folder of `part1`, for the peers.
    pub fn for_peers(&self) -> (PathBuf, PathBuf) {
        (self.folder.join("out/BIOSCAN_Insect_Dataset_metadata.tsv"), self.folder.join("folder"))
    }

    /// A job file on them, nothing trained yet; `recipe` is what stands under `[train]`.
    pub fn job(&self, backbone: &str, recipe: &str) -> Result<PathBuf> {
        let output = self.folder.join("out");
        let runs = output.join("runs");
        if runs.exists() {
            fs::remove_dir_all(runs)?;
        }
        let path = self.folder.join("job.toml");
        let text = format!(
            "name = \"bench\"\npaths = {{ dataset = {:?}, output = {output:?} }}\n[train]\ninit = \"random\"\n{recipe}\n\
             [grid]\npartitions = [{{ name = \"bench\", label = \"order\", split = \"bench\" }}]\n\
             backbones = [{backbone:?}]\nlosses = [\"CE\"]\nseeds = [1]\n",
            self.folder
        );
        fs::write(&path, text)?;
        Ok(path)
    }

    /// The folder of the only run of such a job.
    pub fn run_folder(&self, job: &Path) -> Result<PathBuf> {
        let job = Job::load(job)?;
        let only = job.grid.experiments().swap_remove(0);
        Ok(job.paths.runs().join(only.id.to_string()))
    }
}

fn smaller(jpeg: &[u8]) -> Result<Vec<u8>> {
    let (image, becomes) = decode_for(jpeg, Target { fit: Fit::Shorter, length: 256 })?;
    Ok(encode(&resize(&image, becomes, Filter::Lanczos3)?, 75)?)
}

/// The last row's value of a column of `timing.csv`.
pub fn last_of(table: &str, name: &str) -> Result<f64> {
    let mut lines = table.lines();
    let at = lines.next().and_then(|header| header.split(',').position(|column| column == name));
    let value = lines.last().zip(at).and_then(|(row, at)| row.split(',').nth(at));
    Ok(value.ok_or_else(|| format!("no column `{name}`"))?.parse()?)
}
