//! A file of weights, whichever of its forms it has → its named tensors.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tch::Tensor;

use super::{safetensors, torch_stream, torch_zip};
use crate::error::{Error, IoContext, Result};

const HELP: &str = "valid are a .safetensors, what PyTorch's `torch.save` writes (a state dict, or a checkpoint with one under \
                    `state_dict`, `model` or `model_state_dict`), and this program's .ckpt";

/// Prefixes that wrappers put before every name: torch.compile's, DataParallel's, Lightning's.
const WRAPPERS: [&str; 3] = ["_orig_mod.", "module.", "model."];

/// What kind of file weights came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// timm's and Hugging Face's.
    Safetensors,
    /// `torch.save` of PyTorch 1.6 or later: a ZIP.
    TorchZip,
    /// `torch.save` before that: pickles in a row.
    TorchStream,
    /// A checkpoint of this program's training.
    Checkpoint,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::TorchZip => "torch.save",
            Self::TorchStream => "torch.save of PyTorch before 1.6",
            Self::Checkpoint => "checkpoint of a run",
        })
    }
}

/// Named tensors and the file they came in.
pub struct WeightFile {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is.
    pub form: Form,
    /// On the CPU, without the prefix of a wrapper.
    pub tensors: Vec<(String, Tensor)>,
}

impl WeightFile {
    /// Reads the file at `path`. Of a checkpoint the state dict is taken; entries that are no tensors are left out.
    ///
    /// # Errors
    /// An input error that says what is wrong with the file and which forms are valid.
    pub fn read(path: &Path) -> Result<Self> {
        let (form, tensors) = read(path)?;
        Ok(Self::of(path, form, tensors))
    }

    /// Tensors that were read from `path`.
    #[must_use]
    pub fn of(path: &Path, form: Form, tensors: Vec<(String, Tensor)>) -> Self {
        Self { path: path.to_owned(), form, tensors: unwrapped(tensors) }
    }

    /// The tensors as a safetensors file, less what PyTorch counts but nothing reads; equal tensors make equal bytes.
    ///
    /// # Errors
    /// libtorch's own, or a tensor of a kind that weights do not have.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        let kept = self.tensors.iter().filter(|(name, _)| !is_counter(name));
        safetensors::write(&kept.map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect::<Vec<_>>())
    }
}

/// Whether a tensor is only BatchNorm's count of batches.
pub(super) fn is_counter(name: &str) -> bool {
    name.ends_with(".num_batches_tracked")
}

/// Form and tensors of the file at `path`, under the names it gives them.
pub(super) fn read(path: &Path) -> Result<(Form, Vec<(String, Tensor)>)> {
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(torch_stream::START.len() as u64).read_to_end(&mut start)).at("read", path)?;
    let understood = |tensors: Result<_, String>| {
        tensors.map_err(|message| Error::input(path, format!("cannot be read as `torch.save` writes: {message}")).with_help(HELP))
    };
    if start.starts_with(b"PK\x03\x04") {
        let file = File::open(path).at("read", path)?;
        return Ok((Form::TorchZip, understood(torch_zip::tensors(file))?));
    }
    if start == torch_stream::START {
        let bytes = std::fs::read(path).at("read", path)?;
        return Ok((Form::TorchStream, understood(torch_stream::tensors(&bytes))?));
    }
    if safetensors::begins_with_header(&start) {
        return Ok((Form::Safetensors, safetensors::read(path)?));
    }
    Err(Error::input(path, "this file of weights is not in a known form").with_help(HELP))
}

/// The tensors without the prefixes that every one of their names has.
fn unwrapped(mut tensors: Vec<(String, Tensor)>) -> Vec<(String, Tensor)> {
    let common = |tensors: &[(String, Tensor)]| {
        WRAPPERS.into_iter().find(|wrapper| !tensors.is_empty() && tensors.iter().all(|(name, _)| name.starts_with(wrapper)))
    };
    while let Some(wrapper) = common(&tensors) {
        tensors.iter_mut().for_each(|(name, _)| *name = name.split_off(wrapper.len()));
    }
    tensors
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use tch::Kind;

    use super::*;

    #[derive(Deserialize)]
    struct Expected {
        shape: Vec<i64>,
        values: Vec<f64>,
    }

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
    }

    /// What the file holds is what the JSON beside it says, whose kinds but for the values are double.
    fn assert_holds(file: &str, json: &str) -> BTreeMap<String, Tensor> {
        let expected = std::fs::read_to_string(fixture(json)).unwrap();
        let expected: BTreeMap<String, Expected> = serde_json::from_str(&expected).expect("the fixture is JSON");
        let found: BTreeMap<String, Tensor> = read(&fixture(file)).unwrap().1.into_iter().collect();
        assert!(found.keys().eq(expected.keys()), "{file}: {:?}", found.keys());
        for (name, Expected { shape, values }) in expected {
            let tensor = &found[&name];
            assert_eq!(tensor.size(), shape, "{file}: {name}");
            assert_eq!(Vec::<f64>::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).unwrap(), values, "{file}: {name}");
        }
        found
    }

    #[test]
    fn of_a_lightning_checkpoint_the_models_tensors_are_read_and_nothing_else() {
        let found = assert_holds("lightning.ckpt", "lightning.json");
        assert_eq!((found["model.half"].kind(), found["model.brain"].kind()), (Kind::Half, Kind::BFloat16));
    }

    #[test]
    fn the_original_programs_checkpoints_are_read_in_both_forms_of_torch_save() {
        assert_holds("original.tar", "original.json");
        assert_holds("original-before-1.6.tar", "original.json");
        assert_eq!(WeightFile::read(&fixture("original.tar")).unwrap().form, Form::TorchZip);
        assert_eq!(WeightFile::read(&fixture("original-before-1.6.tar")).unwrap().form, Form::TorchStream);
    }

    #[test]
    fn any_cut_of_an_older_file_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let (path, whole) = (folder.path().join("cut.tar"), std::fs::read(fixture("original-before-1.6.tar")).unwrap());
        for length in (torch_stream::START.len()..whole.len()).step_by(37) {
            std::fs::write(&path, &whole[..length]).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("cannot be read as `torch.save` writes"), "{error}");
        }
    }

    #[test]
    fn prefixes_that_every_name_has_are_a_wrappers_and_others_are_not() {
        let names = |names: &[&str]| {
            let tensors = names.iter().map(|name| ((*name).to_owned(), Tensor::from(0.0))).collect();
            unwrapped(tensors).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(names(&["module.model.fc.bias", "module.model.fc.weight"]), ["fc.bias", "fc.weight"]);
        assert_eq!(names(&["model.fc.bias", "head.bias"]), ["model.fc.bias", "head.bias"]);
        assert!(names(&[]).is_empty());
    }

    #[test]
    fn files_of_other_forms_are_refused_with_what_would_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.pth");
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path).unwrap_err()
        };
        assert!(refused(b"what is this").help().unwrap().contains(".safetensors"));
        assert!(refused(b"PK\x03\x04 and no more").to_string().contains("cannot be read as `torch.save` writes"));
        assert!(refused(b"").to_string().contains("not in a known form"));
        assert!(read(&folder.path().join("none")).unwrap_err().to_string().starts_with("cannot read "));
    }
}
