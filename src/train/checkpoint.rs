//! Everything a run needs to go on exactly ↔ one self-checking file.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | length of the header, little endian |
//! | … | the header: `BHPCCKPT`, version, [`Position`] and the table of tensors (see [`crate::store::codec`]) |
//! | … | the tensors' bytes, back to back, in the order of the table |
//! | 32 | blake3 of all before it |

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{Error, IoContext, Result};
use crate::evaluate::DEFAULT_KS;
use crate::store::atomic;
use crate::store::codec::Format;
use crate::train::metrics::EpochMetrics;

const FORMAT: Format = Format { magic: *b"BHPCCKPT", version: 3 };
const CHECKSUM: usize = 32;
/// The last one and, should it turn out damaged, the one before.
const KEPT: usize = 2;

/// Where a run stands, apart from its tensors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Hash of the configuration that the run began with.
    pub config_hash: String,
    /// The epoch being trained, 0-based.
    pub epoch: u64,
    /// Steps of it that are done.
    pub step: u64,
    /// Each rank's sums over the samples it has seen in this epoch. Kept apart, because adding them up in another order would change
    /// the last bits.
    pub sums: Vec<Row>,
    /// The finished epochs.
    pub history: Vec<EpochMetrics>,
    /// The best epoch so far.
    pub best: Option<Best>,
    /// The steps that moved no weight because their loss was no number.
    pub skipped: Vec<Skipped>,
}

/// Sums over samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Of the losses.
    pub loss: f64,
    /// How many samples.
    pub seen: f64,
    /// Samples whose class was among the k likeliest, one a k of [`DEFAULT_KS`].
    pub hits: [f64; DEFAULT_KS.len()],
}

/// A step that moved no weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// 0-based.
    pub epoch: u64,
    /// 0-based, in the epoch.
    pub step: u64,
}

/// The best epoch so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// 0-based.
    pub epoch: u64,
    /// Its validation top-1.
    pub top1: f64,
    /// blake3 of its weights' file. Known to rank 0, which writes it.
    pub weights: String,
}

impl Position {
    /// The sums of all ranks.
    #[must_use]
    pub fn totals(&self) -> Row {
        self.sums.iter().fold(Row::default(), |mut all, one| {
            all.loss += one.loss;
            all.seen += one.seen;
            all.hits.iter_mut().zip(one.hits).for_each(|(all, one)| *all += one);
            all
        })
    }
}

/// A position with the tensors that belong to it: the model's, its buffers', the optimiser's.
pub struct Checkpoint {
    /// Where the run stands.
    pub position: Position,
    /// `model/{name}` and `velocity/{name}`, in the order they were saved.
    pub tensors: Vec<(String, Tensor)>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    position: Position,
    tensors: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    kind: StoredKind,
    shape: Vec<i64>,
}

/// The kinds a checkpoint can hold.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
enum StoredKind {
    Float32,
    Float64,
    Int64,
}

impl StoredKind {
    fn of(tensor: &Tensor) -> Result<Self> {
        match tensor.kind() {
            Kind::Float => Ok(Self::Float32),
            Kind::Double => Ok(Self::Float64),
            Kind::Int64 => Ok(Self::Int64),
            other => Err(Error::library("checkpoint", format!("cannot hold a tensor of kind {other:?}"))),
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Float32 => Kind::Float,
            Self::Float64 => Kind::Double,
            Self::Int64 => Kind::Int64,
        }
    }
}

impl Checkpoint {
    /// Writes the checkpoint into `folder` under its position's name, then removes all but the last two.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let entry = |(name, tensor): &(String, Tensor)| {
            Ok(Entry { name: name.clone(), kind: StoredKind::of(tensor)?, shape: tensor.size() })
        };
        let tensors = self.tensors.iter().map(entry).collect::<Result<_>>()?;
        let header = FORMAT.encode(&Header { position: self.position.clone(), tensors })?;
        let path = folder.join(format!("checkpoint-{:05}-{:07}.ckpt", self.position.epoch, self.position.step));
        atomic::write_with(&path, |out| {
            let mut hasher = blake3::Hasher::new();
            let mut put = |bytes: &[u8]| {
                hasher.update(bytes);
                out.write_all(bytes).at("write", &path)
            };
            put(&(header.len() as u64).to_le_bytes())?;
            put(&header)?;
            for (_, tensor) in &self.tensors {
                put(&bytes_of(tensor)?)?;
            }
            out.write_all(hasher.finalize().as_bytes()).at("write", &path)
        })?;
        for (_, old) in all_in(folder)?.into_iter().skip(KEPT) {
            fs::remove_file(&old).at("remove", &old)?;
        }
        Ok(())
    }

    /// Where the newest checkpoint in `folder` lies, intact or not.
    pub fn newest_in(folder: &Path) -> Result<Option<PathBuf>> {
        Ok(all_in(folder)?.into_iter().next().map(|(_, path)| path))
    }

    /// The newest intact checkpoint in `folder`, and its path. A damaged one is set aside, aloud, so that it counts no more among those
    /// that are kept; only the owner of the folder may call this.
    ///
    /// # Errors
    /// What keeps an intact one from being read: the disk, or another version's format. Training anew then would throw work away.
    pub fn take_newest(folder: &Path) -> Result<Option<(PathBuf, Self)>> {
        for (_, path) in all_in(folder)? {
            match Self::load(&path) {
                Err(error @ Error::Damaged { .. }) => {
                    tracing::warn!("{error}; falling back to the checkpoint before");
                    let mut aside = path.clone().into_os_string();
                    aside.push(".damaged");
                    fs::rename(&path, &aside).at("rename", &path)?;
                }
                loaded => return loaded.map(|checkpoint| Some((path, checkpoint))),
            }
        }
        Ok(None)
    }

    /// Whether a file that begins with `start`, 16 bytes, is one.
    pub fn begins_with(start: &[u8]) -> bool {
        start.get(8..16) == Some(&FORMAT.magic)
    }

    /// Reads the one at `path`.
    ///
    /// # Errors
    /// [`Error::Damaged`] where its checksum says so; an input error for one of another version.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).at("read", path)?;
        let help = "it is left out where a run goes on; the one before it is beside it";
        let damaged = || Error::Damaged { path: path.into(), message: "a damaged checkpoint".into(), help: help.into() };
        let (content, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or_else(damaged)?;
        if blake3::hash(content).as_bytes() != checksum {
            return Err(damaged());
        }
        let (length, rest) = content.split_first_chunk::<8>().ok_or_else(damaged)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| damaged())?;
        let (header, mut rest) = rest.split_at_checked(length).ok_or_else(damaged)?;
        let Header { position, tensors: table } = FORMAT.decode(header, path)?;
        let mut tensors = Vec::with_capacity(table.len());
        for Entry { name, kind, shape } in table {
            let count = shape.iter().product::<i64>() as usize;
            let (bytes, behind) = rest.split_at_checked(count * kind.kind().elt_size_in_bytes()).ok_or_else(damaged)?;
            let tensor =
                Tensor::f_from_data_size(bytes, &shape, kind.kind()).map_err(|error| Error::library("libtorch", error))?;
            tensors.push((name, tensor));
            rest = behind;
        }
        Ok(Self { position, tensors })
    }

    /// The tensors saved under `prefix`, by the rest of their names.
    pub fn under(&self, prefix: &str) -> Vec<(String, Tensor)> {
        let named = self.tensors.iter();
        named.filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor.shallow_clone()))).collect()
    }
}

/// The checkpoints in `folder`, newest first by their numbers (names sorted as text would put epoch 10 before epoch 9).
fn all_in(folder: &Path) -> Result<Vec<((u64, u64), PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).at("list", folder)? {
        let path = entry.at("list", folder)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let numbers = name.strip_prefix("checkpoint-").and_then(|rest| rest.strip_suffix(".ckpt")?.split_once('-'));
        if let Some((Ok(epoch), Ok(step))) = numbers.map(|(epoch, step)| (epoch.parse(), step.parse())) {
            found.push(((epoch, step), path));
        }
    }
    found.sort();
    found.reverse();
    Ok(found)
}

fn bytes_of(tensor: &Tensor) -> Result<Vec<u8>> {
    let count = tensor.numel();
    let mut bytes = vec![0u8; count * tensor.kind().elt_size_in_bytes()];
    let on_host = tensor.to_device(tch::Device::Cpu).contiguous();
    on_host.f_copy_data_u8(&mut bytes, count).map_err(|error| Error::library("libtorch", error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(epoch: u64, step: u64) -> Checkpoint {
        let tensors = vec![
            ("model/w".to_owned(), Tensor::from_slice(&[1.5f32, -2.0, epoch as f32]).view([3, 1])),
            ("velocity/w".to_owned(), Tensor::from_slice(&[0.25f64])),
        ];
        Checkpoint { position: Position { epoch, step, config_hash: "ab".into(), ..Position::default() }, tensors }
    }

    #[test]
    fn the_newest_by_number_is_loaded_and_two_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        for (epoch, step) in [(9, 0), (10, 0), (10, 5)] {
            checkpoint(epoch, step).save(folder.path()).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        let (_, newest) = Checkpoint::take_newest(folder.path()).unwrap().unwrap();
        assert_eq!((newest.position.epoch, newest.position.step), (10, 5));
        let model = newest.under("model/");
        assert_eq!((model[0].0.as_str(), model[0].1.size()), ("w", vec![3, 1]));
        assert_eq!(Vec::<f32>::try_from(model[0].1.view([3])).unwrap(), [1.5, -2.0, 10.0]);
    }

    #[test]
    fn any_flipped_byte_or_lost_end_falls_back_to_the_checkpoint_before() {
        let folder = tempfile::tempdir().unwrap();
        checkpoint(0, 1).save(folder.path()).unwrap();
        checkpoint(0, 2).save(folder.path()).unwrap();
        let newest = folder.path().join("checkpoint-00000-0000002.ckpt");
        let intact = fs::read(&newest).unwrap();
        let damaged = (0..intact.len()).map(|at| {
            let mut bytes = intact.clone();
            bytes[at] ^= 1;
            bytes
        });
        for bytes in damaged.chain([Vec::new(), intact[..intact.len() / 2].to_vec()]) {
            fs::write(&newest, bytes).unwrap();
            assert_eq!(Checkpoint::take_newest(folder.path()).unwrap().unwrap().1.position.step, 1);
        }
    }

    #[test]
    fn damaged_ones_do_not_count_among_those_that_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let newest = |folder: &Path| Checkpoint::take_newest(folder).unwrap().map(|(_, newest)| newest.position.step);
        for step in [1_000, 2_000] {
            checkpoint(3, step).save(folder.path()).unwrap();
            let path = folder.path().join(format!("checkpoint-00003-{step:07}.ckpt"));
            fs::write(path, b"not what was written").unwrap();
        }
        assert_eq!(newest(folder.path()), None);
        // The run begins anew, at lower numbers, and these are kept all the same.
        checkpoint(0, 5).save(folder.path()).unwrap();
        assert_eq!(newest(folder.path()), Some(5));
    }

    #[test]
    fn one_of_another_version_ends_the_run_instead_of_beginning_it_anew() {
        let folder = tempfile::tempdir().unwrap();
        checkpoint(0, 1).save(folder.path()).unwrap();
        let path = folder.path().join("checkpoint-00000-0000001.ckpt");
        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - CHECKSUM);
        // Behind the length and the magic word.
        bytes[16] += 1;
        let checksum = blake3::hash(&bytes);
        bytes.extend(checksum.as_bytes());
        fs::write(&path, &bytes).unwrap();
        let error = Checkpoint::take_newest(folder.path()).err().unwrap();
        assert!(error.to_string().contains("but this program reads version"), "{error}");
        assert!(path.exists());
    }

    #[test]
    fn an_empty_folder_has_no_checkpoint() {
        assert!(Checkpoint::take_newest(tempfile::tempdir().unwrap().path()).unwrap().is_none());
    }
}
