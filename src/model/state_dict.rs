//! The pickle of a `torch.save` → the tensors of the state dict in it: their names, and where in which storage each lies.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::pickle::{Id, Pickle, Value};
use crate::error::Error;

/// Under one of these keys a trainer's checkpoint keeps the weights: Lightning's, the BIOSCAN-1M program's, and a common third.
const NESTED: [&str; 3] = ["state_dict", "model", "model_state_dict"];

/// A tensor as the pickle describes it.
pub(super) struct Described {
    /// The key of the storage that holds its numbers, among others' perhaps.
    pub storage: String,
    kind: Kind,
    offset: i64,
    size: Vec<i64>,
    stride: Vec<i64>,
}

impl Described {
    /// The tensor, from the bytes of its storage.
    pub fn tensor(&self, storage: &[u8]) -> Result<Tensor, String> {
        let length = (storage.len() / self.kind.elt_size_in_bytes()) as i64;
        let whole = Tensor::f_from_data_size(storage, &[length], self.kind);
        // libtorch refuses a view that leaves the storage.
        let view = whole.and_then(|whole| whole.f_as_strided(&self.size, &self.stride, self.offset)?.f_contiguous());
        view.map_err(|error| Error::library("libtorch", error).to_string())
    }
}

/// Every tensor of the state dict, in its order. Entries that are no tensors are left out, an optimiser's are not looked at.
pub(super) fn state_dict(pickle: &Pickle) -> Result<Vec<(String, Described)>, String> {
    let top = pickle.dict(pickle.root()).ok_or("it holds no dictionary of tensors")?;
    let at = |key: &str| top.iter().find(|(name, _)| pickle.str(*name) == Some(key)).and_then(|(_, value)| pickle.dict(*value));
    let mut found = Vec::new();
    for &(key, value) in NESTED.into_iter().find_map(at).unwrap_or(top) {
        if let Some(name) = pickle.str(key)
            && let Some(described) = tensor_at(pickle, value)
        {
            found.push((name.to_owned(), described.map_err(|message| format!("`{name}`: {message}"))?));
        }
    }
    if found.is_empty() { Err("it holds no tensors by name".to_owned()) } else { Ok(found) }
}

/// Bytes an element of every storage that the pickle names, by key; a storage of a kind unknown here is left out.
pub(super) fn element_sizes(pickle: &Pickle) -> BTreeMap<String, usize> {
    let size = |id| {
        let (class, key) = storage_at(pickle, id)?;
        Some((key, element_size(&class)?))
    };
    pickle.persistent().filter_map(size).collect()
}

/// The tensor or parameter there; `None` where something else is.
fn tensor_at(pickle: &Pickle, id: Id) -> Option<Result<Described, String>> {
    match pickle.call(id)? {
        ("torch._utils", "_rebuild_parameter", arguments) => tensor_at(pickle, *arguments.first()?),
        ("torch._utils", "_rebuild_tensor_v2", arguments) => Some(described(pickle, arguments)),
        _ => None,
    }
}

/// `(persistent storage, offset, size, stride, …)`.
fn described(pickle: &Pickle, arguments: &[Id]) -> Result<Described, String> {
    let read = || {
        let [storage, offset, size, stride, ..] = *arguments else { return None };
        let Value::Persistent(storage) = *pickle.get(storage) else { return None };
        let (class, key) = storage_at(pickle, storage)?;
        let numbers = |id| pickle.items(id)?.iter().map(|&id| pickle.int(id)).collect::<Option<Vec<i64>>>();
        Some((class, key, pickle.int(offset)?, numbers(size)?, numbers(stride)?))
    };
    let (class, storage, offset, size, stride) = read().ok_or("its description is not understood")?;
    let kind = kind_of(&class).ok_or_else(|| format!("its numbers are of the kind {class}"))?;
    Ok(Described { storage, kind, offset, size, stride })
}

/// Class and key of the storage named by `("storage", class, key, device, length, …)`.
fn storage_at(pickle: &Pickle, id: Id) -> Option<(String, String)> {
    let [_, class, key, ..] = *pickle.items(id)? else { return None };
    let Value::Global(_, class) = pickle.get(class) else { return None };
    Some((class.clone(), pickle.str(key)?.to_owned()))
}

/// The kinds that weights have.
fn kind_of(class: &str) -> Option<Kind> {
    Some(match class {
        "FloatStorage" => Kind::Float,
        "DoubleStorage" => Kind::Double,
        "HalfStorage" => Kind::Half,
        "BFloat16Storage" => Kind::BFloat16,
        "LongStorage" => Kind::Int64,
        _ => return None,
    })
}

/// Of any kind a checkpoint may hold beside its weights.
fn element_size(class: &str) -> Option<usize> {
    match class {
        "IntStorage" => Some(4),
        "ShortStorage" => Some(2),
        "ByteStorage" | "CharStorage" | "BoolStorage" => Some(1),
        "ComplexFloatStorage" => Some(8),
        "ComplexDoubleStorage" => Some(16),
        _ => kind_of(class).map(|kind| kind.elt_size_in_bytes()),
    }
}
