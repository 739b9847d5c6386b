//! Named tensors → the bytes of a safetensors file, and back.
//!
//! The format: the header's length (8 bytes, little endian), a JSON header {name: dtype, shape, byte range}, the data. Names are in
//! sorted order, so equal tensors make equal bytes. Reading goes through tch, which checks the header.

use std::fs::File;
use std::path::Path;

use serde_json::{Map, Value, json};
use tch::{Device, Kind, TchError, Tensor};

use crate::error::{Error, IoContext, Result};

/// The file as bytes. Every tensor must be of a floating or integer kind; `names` need not be sorted.
pub(super) fn write(tensors: &[(String, Tensor)]) -> Result<Vec<u8>> {
    let mut tensors: Vec<&(String, Tensor)> = tensors.iter().collect();
    tensors.sort_by(|left, right| left.0.cmp(&right.0));
    // Python's readers look for this key to know whose tensors these are.
    let mut header = Map::from_iter([("__metadata__".to_owned(), json!({"format": "pt"}))]);
    let mut end = 0;
    for (name, tensor) in &tensors {
        let start = end;
        end += byte_len(tensor);
        let dtype = dtype(tensor.kind())
            .ok_or_else(|| Error::library("safetensors", format!("`{name}` is of kind {:?}", tensor.kind())))?;
        header.insert(name.clone(), json!({"dtype": dtype, "shape": tensor.size(), "data_offsets": [start, end]}));
    }
    let mut header = Value::Object(header).to_string();
    // The data begin at a multiple of 8 bytes, for readers that map the file.
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    let mut bytes = Vec::with_capacity(8 + header.len() + end);
    bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    for (_, tensor) in tensors {
        append(&mut bytes, tensor).map_err(|e| Error::library("libtorch", e))?;
    }
    Ok(bytes)
}

/// Whether a file that begins with `start`, 9 bytes or more, may be one: the length of a header, and the header's brace.
pub(super) fn begins_with_header(start: &[u8]) -> bool {
    // The format allows headers of up to 100 MB.
    let length = start.first_chunk::<8>().map(|length| u64::from_le_bytes(*length));
    length.is_some_and(|length| length <= 100 << 20) && start.get(8) == Some(&b'{')
}

/// The tensors of a file, on the CPU, in no particular order.
pub(super) fn read(path: &Path) -> Result<Vec<(String, Tensor)>> {
    File::open(path).at("read", path)?;
    Tensor::read_safetensors(path).map_err(|error| {
        Error::input(path, format!("not a readable safetensors file ({error})")).with_help(
            "weights must be in timm's safetensors form, as timm publishes them or `safetensors.torch.save_file` writes them",
        )
    })
}

fn append(bytes: &mut Vec<u8>, tensor: &Tensor) -> Result<(), TchError> {
    let start = bytes.len();
    bytes.resize(start + byte_len(tensor), 0);
    tensor.f_to_device(Device::Cpu)?.f_contiguous()?.f_copy_data_u8(&mut bytes[start..], tensor.numel())
}

fn byte_len(tensor: &Tensor) -> usize {
    tensor.numel() * tensor.kind().elt_size_in_bytes()
}

fn dtype(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Double => "F64",
        Kind::Float => "F32",
        Kind::Half => "F16",
        Kind::BFloat16 => "BF16",
        Kind::Int64 => "I64",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_byte_by_byte() {
        let bytes = write(&[("b".into(), Tensor::from_slice(&[1.0f32])), ("a".into(), Tensor::from_slice(&[2i64]))]).unwrap();
        let header = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#;
        let padded = header.len().next_multiple_of(8);
        assert_eq!(bytes[..8], (padded as u64).to_le_bytes());
        assert_eq!(&bytes[8..8 + header.len()], header.as_bytes());
        assert_eq!(bytes[8 + padded..], [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3f]);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let matrix = Tensor::from_slice(&[1.5f64, -2.0, 0.25, 4.0, 5.0, 6.0]).view([2, 3]);
        std::fs::write(&path, write(&[("m".into(), matrix.shallow_clone()), ("t".into(), matrix.tr())]).unwrap()).unwrap();
        let mut back = read(&path).unwrap();
        back.sort_by(|left, right| left.0.cmp(&right.0));
        assert_eq!((back[0].1.kind(), back[1].1.size()), (Kind::Double, vec![3, 2]));
        assert!(back[0].1.equal(&matrix) && back[1].1.equal(&matrix.tr()));
    }

    #[test]
    fn a_file_that_is_something_else_says_what_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.pth");
        assert!(read(&path).unwrap_err().to_string().starts_with("cannot read "));
        std::fs::write(&path, b"PK\x03\x04 a zip, as torch.save writes").unwrap();
        let error = read(&path).unwrap_err();
        assert!(error.to_string().contains("not a readable safetensors file"));
        assert!(error.help().unwrap().contains("timm"));
    }
}
