//! What `torch.save` of PyTorch 1.6 or later writes → its tensors by name.
//!
//! A ZIP: a pickle that says what tensors there are, and the bytes of each storage as an entry of its own. Only storages of the state
//! dict are read.

use std::fs::File;
use std::io::{BufReader, Read};

use tch::Tensor;
use zip::ZipArchive;

use super::pickle::{self, Pickle};
use super::state_dict::state_dict;

/// Larger pickles than any checkpoint's are refused.
const LARGEST_PICKLE: u64 = 256 << 20;

/// The tensors of the state dict in `file`, in its order.
pub(super) fn tensors(file: File) -> Result<Vec<(String, Tensor)>, String> {
    let mut archive = Archive::open(BufReader::new(file))?;
    let mut tensors = Vec::new();
    for (name, described) in state_dict(&archive.pickle)? {
        let tensor = archive.storage(&described.storage).and_then(|bytes| described.tensor(&bytes));
        tensors.push((name.clone(), tensor.map_err(|message| format!("`{name}`: {message}"))?));
    }
    Ok(tensors)
}

struct Archive {
    zip: ZipArchive<BufReader<File>>,
    /// The folder of all entries: `archive/`, or the file's stem.
    folder: String,
    pickle: Pickle,
}

impl Archive {
    fn open(file: BufReader<File>) -> Result<Self, String> {
        let mut zip = ZipArchive::new(file).map_err(|error| error.to_string())?;
        let folder = zip.file_names().flatten().find_map(|name| name.strip_suffix("data.pkl").map(str::to_owned));
        let folder = folder.ok_or("it holds no data.pkl")?;
        let bytes = entry(&mut zip, &format!("{folder}data.pkl"), LARGEST_PICKLE)?;
        if zip.index_for_name(&format!("{folder}byteorder")).is_some()
            && entry(&mut zip, &format!("{folder}byteorder"), 16)? != b"little"
        {
            return Err("it was written on a big-endian machine".to_owned());
        }
        Ok(Self { zip, folder, pickle: pickle::read(&bytes)? })
    }

    fn storage(&mut self, key: &str) -> Result<Vec<u8>, String> {
        let path = format!("{}data/{key}", self.folder);
        let most = self.zip.by_name(&path).map_err(|error| format!("{path}: {error}"))?.size();
        entry(&mut self.zip, &path, most)
    }
}

/// An entry's bytes; more than `most` are refused, whatever the entry says of itself.
fn entry(zip: &mut ZipArchive<BufReader<File>>, name: &str, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let entry = zip.by_name(name).map_err(|error| format!("{name}: {error}"))?;
    entry.take(most + 1).read_to_end(&mut bytes).map_err(|error| format!("{name}: {error}"))?;
    if bytes.len() as u64 > most {
        return Err(format!("{name} is larger than {most} bytes"));
    }
    Ok(bytes)
}
