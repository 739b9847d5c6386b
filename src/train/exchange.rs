//! Weights from elsewhere and for elsewhere: what a file holds, into the job's folder, out to timm.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::model::{Form, WeightFile, config_json};
use crate::store::{atomic, hash};
use crate::train::trained::{HUGGING_FACE, Trained};

/// What a file of weights holds.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The file.
    pub path: PathBuf,
    /// What kind of file.
    pub form: Form,
    /// blake3 of its bytes.
    pub blake3: String,
    /// How many tensors.
    pub tensors: usize,
    /// How many numbers, by their kind.
    pub numbers: BTreeMap<String, usize>,
    /// The backbone; `None` where `fault` says why.
    pub backbone: Option<&'static str>,
    /// Outputs of the classifier, where there is one.
    pub classes: Option<usize>,
    /// The side of the images, pixels.
    pub image_size: Option<usize>,
    /// The names of the classes, where something beside the file says so.
    pub class_names: Option<Vec<String>>,
    /// Why it is no backbone's: names and shapes.
    pub fault: Option<String>,
}

/// Looks at the weights at `path` (see [`Trained::open`]) and compares them with `backbone`, or with every one known here.
///
/// # Errors
/// Those of [`Trained::open`]; that the weights are no backbone's is in the answer.
pub fn inspect(path: &Path, backbone: Option<&str>) -> Result<Inspection> {
    let trained = Trained::open(path)?;
    let WeightFile { path, form, tensors } = &trained.weights;
    let mut numbers = BTreeMap::new();
    for (_, tensor) in tensors {
        *numbers.entry(format!("{:?}", tensor.kind()).to_lowercase()).or_default() += tensor.numel();
    }
    let (found, fault) = match trained.recognise(backbone) {
        Ok(found) => (Some(found), None),
        Err(Error::Input { message, .. }) => (None, Some(message)),
        Err(error) => return Err(error),
    };
    Ok(Inspection {
        path: path.clone(),
        form: *form,
        blake3: hash::of_file(path)?,
        tensors: tensors.len(),
        numbers,
        backbone: found.map(|found| found.spec.name),
        classes: found.and_then(|found| found.classes),
        image_size: found.map(|found| found.image_size),
        class_names: trained.classes,
        fault,
    })
}

/// Writes the weights at `path` as `{backbone}.safetensors` into `folder`, where a job's `paths.weights` finds them; returns the file.
///
/// # Errors
/// Those of [`Trained::open`]; an input error that lists names and shapes where they are no backbone's; one where another file of the name
/// is there.
pub fn import(path: &Path, folder: &Path, backbone: Option<&str>) -> Result<PathBuf> {
    let trained = Trained::open(path)?;
    let found = trained.recognise(backbone)?;
    let target = folder.join(format!("{}.safetensors", found.spec.name));
    put(&target, &trained.weights.to_safetensors()?)?;
    Ok(target)
}

/// Writes the weights at `path` as `model.safetensors` and `config.json` into `folder`, from which timm builds the network; `classes` names
/// its outputs where nothing beside the weights does.
///
/// # Errors
/// As [`import`]; wrong usage where the number of names is not the number of outputs.
pub fn export(path: &Path, folder: &Path, backbone: Option<&str>, classes: Option<Vec<String>>) -> Result<PathBuf> {
    let trained = Trained::open(path)?;
    let found = trained.recognise(backbone)?;
    let name = format!("{}.weight", found.spec.head);
    let head = trained.weights.tensors.iter().find(|(tensor, _)| *tensor == name);
    let features = head.and_then(|(_, tensor)| tensor.size().last().copied()).unwrap_or_default() as usize;
    let classes = classes.or_else(|| trained.classes.clone());
    let card = config_json(&found, features, classes.as_deref(), &trained.crop(found.image_size))?;
    let mut card = serde_json::to_vec_pretty(&card).map_err(|error| Error::library("serde_json", error))?;
    card.push(b'\n');
    put(&folder.join(HUGGING_FACE.0), &trained.weights.to_safetensors()?)?;
    // Last: a folder with a card is whole.
    put(&folder.join(HUGGING_FACE.1), &card)?;
    Ok(folder.to_owned())
}

/// Writes a file, or finds the same bytes there; others are never overwritten.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    if path.exists() && hash::of_file(path)? != hash::of_bytes(bytes) {
        return Err(Error::input(path, "another file of this name is there").with_help("name another folder, or remove the file"));
    }
    atomic::write(path, bytes)
}
