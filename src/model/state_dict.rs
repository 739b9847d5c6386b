//! A file of weights → its named tensors, whichever of three forms it has: a trainer's checkpoint (`.ckpt`, `.tar`), a plain state
//! dict (`.pt`, `.pth`, `.bin`), both as `torch.save` writes them, or safetensors.
//!
//! `torch.save` writes a ZIP: a pickle that says what tensors there are, and the bytes of each storage as an entry of its own. Only
//! storages of the state dict are read; an optimiser's are not touched.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use tch::{Kind, Tensor};
use zip::ZipArchive;

use super::pickle::{self, Id, Pickle, Value};
use super::safetensors;
use crate::error::{Error, IoContext, Result};

const HELP: &str = "give what `torch.save` of PyTorch 1.6 or later writes, or a .safetensors; an older file becomes one by \
                    `torch.save(torch.load(old, map_location=\"cpu\"), new)`";

/// The tensors, on the CPU, in the file's order. Of a checkpoint those under `state_dict`; entries that are no tensors are left out.
pub(super) fn read(path: &Path) -> Result<Vec<(String, Tensor)>> {
    let mut start = [0; 4];
    let mut file = File::open(path).at("read", path)?;
    let zipped = file.read_exact(&mut start).is_ok() && start == *b"PK\x03\x04";
    if !zipped && path.extension().is_some_and(|ending| ending == "safetensors") {
        return safetensors::read(path);
    }
    if !zipped {
        return Err(Error::input(path, "this file of weights is not in a known form").with_help(HELP));
    }
    let file = File::open(path).at("read", path)?;
    Archive::open(BufReader::new(file))
        .and_then(|mut archive| archive.tensors())
        .map_err(|message| Error::input(path, format!("cannot be read as `torch.save` writes: {message}")).with_help(HELP))
}

/// What `torch.save` wrote.
struct Archive {
    zip: ZipArchive<BufReader<File>>,
    /// The folder of all entries: `archive/`, or the file's stem.
    folder: String,
    pickle: Pickle,
}

/// A tensor as the pickle describes it.
struct Described {
    storage: String,
    kind: Kind,
    offset: i64,
    size: Vec<i64>,
    stride: Vec<i64>,
}

/// Larger pickles than any checkpoint's are refused.
const LARGEST_PICKLE: u64 = 256 << 20;

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

    fn tensors(&mut self) -> Result<Vec<(String, Tensor)>, String> {
        let mut tensors = Vec::new();
        for (name, described) in state_dict(&self.pickle)? {
            let tensor = self.tensor(&described).map_err(|message| format!("`{name}`: {message}"))?;
            tensors.push((name, tensor));
        }
        Ok(tensors)
    }

    fn tensor(&mut self, described: &Described) -> Result<Tensor, String> {
        let Described { storage, kind, offset, size, stride } = described;
        let path = format!("{}data/{storage}", self.folder);
        let most = self.zip.by_name(&path).map_err(|error| format!("{path}: {error}"))?.size();
        let bytes = entry(&mut self.zip, &path, most)?;
        let length = (bytes.len() / kind.elt_size_in_bytes()) as i64;
        let whole = Tensor::f_from_data_size(&bytes, &[length], *kind);
        // libtorch refuses a view that leaves the storage.
        let view = whole.and_then(|whole| whole.f_as_strided(size, stride, *offset)?.f_contiguous());
        view.map_err(|error| Error::library("libtorch", error).to_string())
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

/// Every tensor of the state dict.
fn state_dict(pickle: &Pickle) -> Result<Vec<(String, Described)>, String> {
    let entries = |id| pickle.dict(id);
    let top = entries(pickle.root()).ok_or("it holds no dictionary of tensors")?;
    let nested = top.iter().find(|(key, _)| pickle.str(*key) == Some("state_dict")).and_then(|(_, value)| entries(*value));
    let mut found = Vec::new();
    for &(key, value) in nested.unwrap_or(top) {
        if let Some(name) = pickle.str(key)
            && let Some(described) = tensor_at(pickle, value)
        {
            found.push((name.to_owned(), described.map_err(|message| format!("`{name}`: {message}"))?));
        }
    }
    if found.is_empty() { Err("it holds no tensors by name".to_owned()) } else { Ok(found) }
}

/// The tensor or parameter there; `None` where something else is.
fn tensor_at(pickle: &Pickle, id: Id) -> Option<Result<Described, String>> {
    match pickle.call(id)? {
        ("torch._utils", "_rebuild_parameter", arguments) => tensor_at(pickle, *arguments.first()?),
        ("torch._utils", "_rebuild_tensor_v2", arguments) => Some(described(pickle, arguments)),
        _ => None,
    }
}

/// `(persistent ("storage", class, key, device, length), offset, size, stride, …)`.
fn described(pickle: &Pickle, arguments: &[Id]) -> Result<Described, String> {
    let read = || {
        let [storage, offset, size, stride, ..] = *arguments else { return None };
        let Value::Persistent(storage) = *pickle.get(storage) else { return None };
        let [_, class, key, ..] = *pickle.items(storage)? else { return None };
        let Value::Global(_, class) = pickle.get(class) else { return None };
        let numbers = |id| pickle.items(id)?.iter().map(|&id| pickle.int(id)).collect::<Option<Vec<i64>>>();
        let (size, stride) = (numbers(size)?, numbers(stride)?);
        Some((class, pickle.str(key)?.to_owned(), pickle.int(offset)?, size, stride))
    };
    let (class, storage, offset, size, stride) = read().ok_or("its description is not understood")?;
    let kind = match class.as_str() {
        "FloatStorage" => Kind::Float,
        "DoubleStorage" => Kind::Double,
        "HalfStorage" => Kind::Half,
        "BFloat16Storage" => Kind::BFloat16,
        "LongStorage" => Kind::Int64,
        other => return Err(format!("its numbers are of the kind {other}")),
    };
    Ok(Described { storage, kind, offset, size, stride })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Expected {
        shape: Vec<i64>,
        values: Vec<f64>,
    }

    #[test]
    fn of_a_lightning_checkpoint_the_models_tensors_are_read_and_nothing_else() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lightning.ckpt");
        let expected = include_str!("../../tests/fixtures/lightning.json");
        let expected: BTreeMap<String, Expected> = serde_json::from_str(expected).expect("the fixture is JSON");
        let found: BTreeMap<String, Tensor> = read(&path).unwrap().into_iter().collect();
        assert!(found.keys().eq(expected.keys()), "{:?}", found.keys());
        for (name, Expected { shape, values }) in expected {
            let tensor = &found[&name];
            assert_eq!(tensor.size(), shape, "{name}");
            assert_eq!(Vec::<f64>::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).unwrap(), values, "{name}");
        }
        assert_eq!((found["model.half"].kind(), found["model.brain"].kind()), (Kind::Half, Kind::BFloat16));
    }

    #[test]
    fn files_of_other_forms_are_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.pth");
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path).unwrap_err()
        };
        assert!(refused(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.").help().unwrap().contains("torch.load(old"));
        assert!(refused(b"PK\x03\x04 and no more").to_string().contains("cannot be read as `torch.save` writes"));
        assert!(refused(b"").to_string().contains("not in a known form"));
        assert!(read(&folder.path().join("none")).unwrap_err().to_string().starts_with("cannot read "));
    }
}
