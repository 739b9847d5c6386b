//! values ↔ compact bytes that only this program reads (contract 8): bincode behind a magic word and a version.
//!
//! The one place that knows bincode. Its project has ended, so a successor must be able to move in by changing this file alone.

use std::path::Path;

use bincode::config::{Configuration, Fixint, LittleEndian};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

fn format() -> Configuration<LittleEndian, Fixint> {
    bincode::config::standard().with_little_endian().with_fixed_int_encoding()
}

/// A kind of file of ours: eight bytes at its start, then the version as a little-endian u32, then the payload.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// The first eight bytes.
    pub magic: [u8; 8],
    /// Raised with every change of the payload's type.
    pub version: u32,
}

impl Format {
    /// Encodes `value` behind the header.
    pub fn encode<T: Serialize>(&self, value: &T) -> Result<Vec<u8>> {
        let mut bytes = Vec::from(self.magic);
        bytes.extend(self.version.to_le_bytes());
        let payload = bincode::serde::encode_to_vec(value, format()).map_err(|error| Error::library("bincode", error))?;
        bytes.extend(payload);
        Ok(bytes)
    }

    /// Decodes what [`Format::encode`] wrote; `path` is for the message alone.
    pub fn decode<T: DeserializeOwned>(&self, bytes: &[u8], path: &Path) -> Result<T> {
        let kind = String::from_utf8_lossy(&self.magic).into_owned();
        let payload = bytes
            .strip_prefix(&self.magic)
            .and_then(|rest| rest.split_first_chunk::<4>())
            .ok_or_else(|| Error::input(path, format!("not a {kind} file")))?;
        let (version, payload) = (u32::from_le_bytes(*payload.0), payload.1);
        if version != self.version {
            let message = format!("{kind} version {version}, but this program reads version {}", self.version);
            return Err(Error::input(path, message).with_help("use the program version that wrote it, or write it again"));
        }
        let (value, used) = bincode::serde::decode_from_slice(payload, format())
            .map_err(|error| Error::input(path, format!("damaged {kind} file: {error}")))?;
        if used != payload.len() {
            return Err(Error::input(path, format!("damaged {kind} file: {} bytes too many", payload.len() - used)));
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: Format = Format { magic: *b"BHPCTEST", version: 2 };

    #[test]
    fn what_is_written_is_read_and_anything_else_is_refused() {
        let value = (7u64, String::from("Diptera"));
        let bytes = FORMAT.encode(&value).unwrap();
        let read = |bytes: &[u8]| FORMAT.decode::<(u64, String)>(bytes, Path::new("x"));
        assert_eq!(read(&bytes).unwrap(), value);
        assert!(read(&bytes[..bytes.len() - 1]).unwrap_err().to_string().contains("damaged"));
        assert!(read(b"PK").unwrap_err().to_string().contains("not a BHPCTEST file"));
        let newer = Format { version: 3, ..FORMAT }.encode(&value).unwrap();
        assert!(read(&newer).unwrap_err().to_string().contains("version 3"));
    }
}
