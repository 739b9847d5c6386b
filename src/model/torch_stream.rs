//! What `torch.save` wrote before PyTorch 1.6 → its tensors by name.
//!
//! | part | what |
//! |---|---|
//! | pickle | a magic number |
//! | pickle | the version, 1001 |
//! | pickle | facts about the machine: `little_endian` |
//! | pickle | what was saved; a storage is named by its key |
//! | pickle | the keys, in the order of the storages |
//! | the rest | a storage after the other: its number of elements (8 bytes, little endian), then their bytes |

use std::collections::BTreeMap;

use tch::Tensor;

use super::pickle::{Pickle, read_first};
use super::state_dict::{element_sizes, state_dict};

/// What every such file begins with: the pickle of 0x1950a86a20f9469cfc6c.
pub(super) const START: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// The tensors of the state dict, in its order.
pub(super) fn tensors(bytes: &[u8]) -> Result<Vec<(String, Tensor)>, String> {
    let mut rest = bytes;
    let mut next = || -> Result<Pickle, String> {
        let (pickle, length) = read_first(rest)?;
        rest = rest.get(length..).unwrap_or_default();
        Ok(pickle)
    };
    let (_magic, _version, machine, saved, keys) = (next()?, next()?, next()?, next()?, next()?);
    if is_big_endian(&machine) {
        return Err("it was written on a big-endian machine".to_owned());
    }
    let storages = storages(&saved, &keys, rest)?;
    let mut tensors = Vec::new();
    for (name, described) in state_dict(&saved)? {
        let storage = storages.get(&described.storage).ok_or_else(|| format!("`{name}`: its numbers are not in the file"))?;
        tensors.push((name.clone(), described.tensor(storage).map_err(|message| format!("`{name}`: {message}"))?));
    }
    Ok(tensors)
}

fn is_big_endian(machine: &Pickle) -> bool {
    let facts = machine.dict(machine.root()).unwrap_or_default();
    facts.iter().any(|&(key, value)| machine.str(key) == Some("little_endian") && machine.int(value) == Some(0))
}

/// The bytes of each storage, by its key.
fn storages<'a>(saved: &Pickle, keys: &Pickle, mut rest: &'a [u8]) -> Result<BTreeMap<String, &'a [u8]>, String> {
    let sizes = element_sizes(saved);
    let mut storages = BTreeMap::new();
    for &key in keys.items(keys.root()).ok_or("it does not say which storages it has")? {
        let key = keys.str(key).ok_or("a storage has no key")?;
        let size = sizes.get(key).ok_or_else(|| format!("nothing says what the storage {key} holds"))?;
        let cut = || -> Option<(&[u8], &[u8])> {
            let (count, behind) = rest.split_first_chunk::<8>()?;
            behind.split_at_checked(usize::try_from(u64::from_le_bytes(*count)).ok()?.checked_mul(*size)?)
        };
        let (storage, behind) = cut().ok_or_else(|| format!("it ends within the storage {key}"))?;
        storages.insert(key.to_owned(), storage);
        rest = behind;
    }
    Ok(storages)
}
