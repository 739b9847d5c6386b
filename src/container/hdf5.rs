//! one HDF5 file, in any of the layouts people have → images by name.
//!
//! The layouts have no chunks, so file names are unique over all of them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::{CString, c_void};
use std::io;
use std::path::{Path, PathBuf};

use hdf5::h5check;
use hdf5::sync::sync;
use hdf5_sys::h5d::{H5Dget_space, H5Dget_type, H5Dopen2, H5Dread};
use hdf5_sys::h5i::{H5Idec_ref, hid_t};
use hdf5_sys::h5p::H5P_DEFAULT;
use hdf5_sys::h5s::{H5S_ALL, H5Sget_simple_extent_npoints};
use hdf5_sys::h5t::{H5T_class_t, H5Tget_class, H5Tget_size, H5Tis_variable_str};

use crate::container::entry_names::Listing;
use crate::container::{ImageKey, Reader, Refused};
use crate::error::{Error, IoContext, Result};

/// The published name of the group.
pub(super) const GROUP: &str = "bioscan_dataset";

/// An identifier of the library, given back when dropped.
#[derive(Debug)]
pub(super) struct Id(pub(super) hid_t);

impl Drop for Id {
    fn drop(&mut self) {
        // SAFETY: the identifier is valid, because `Id` is only made of checked ones and owns its reference.
        sync(|| unsafe { H5Idec_ref(self.0) });
    }
}

/// Takes ownership of an identifier the library returned, or its error.
pub(super) fn owned(id: hid_t, path: &Path) -> Result<Id> {
    h5check(id).map(Id).map_err(|error| failure(&error, path))
}

/// What the library says when it cannot write; a full disk must be called one.
pub(super) fn failure(error: &hdf5::Error, path: &Path) -> Error {
    of_the_system(error, "write", path).unwrap_or_else(|| Error::library("HDF5", format!("{}: {error}", path.display())))
}

/// What it says when it cannot read: `what` is damaged, unless it is the disk that fails.
fn unreadable(error: &hdf5::Error, path: &Path, what: &str) -> Error {
    of_the_system(error, "read", path).unwrap_or_else(|| Error::input(path, format!("{what}: {error}")))
}

/// The library buries what the system said in the depths of its stack; `None` where the system said nothing.
fn of_the_system(error: &hdf5::Error, action: &'static str, path: &Path) -> Option<Error> {
    let frames: Vec<String> =
        error.stack().map(|stack| stack.iter().map(|frame| frame.desc().to_owned()).collect()).unwrap_or_default();
    let number = |text: &String| text.split_once("errno = ")?.1.split(',').next()?.trim().parse().ok();
    let code = frames.iter().find_map(number).filter(|code| *code != 0)?;
    Some(Error::Io { action, path: path.to_owned(), source: io::Error::from_raw_os_error(code) })
}

/// An HDF5 file of images, in the published layout or with its datasets at the root, as 1-D uint8 or scalar fixed strings.
#[derive(Debug)]
pub struct Hdf5 {
    path: PathBuf,
    group: hdf5::Group,
    files: BTreeSet<String>,
    refused: Vec<Refused>,
}

impl Hdf5 {
    /// Opens the file and lists its images.
    pub fn open(path: &Path) -> Result<Self> {
        std::fs::metadata(path).at("open", path)?;
        let refused = |error: hdf5::Error| unreadable(&error, path, "not a readable HDF5 file");
        let file = hdf5::File::open(path).map_err(refused)?;
        let group = if file.link_exists(GROUP) { file.group(GROUP) } else { file.group("/") }.map_err(refused)?;
        let mut listing = Listing::new(Some(0));
        group.member_names().map_err(refused)?.into_iter().for_each(|name| listing.add(name, 1, ()));
        let (images, refused) = listing.finish();
        Ok(Self { path: path.to_owned(), group, files: images.into_keys().map(|key| key.file).collect(), refused })
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let path = &self.path;
        let refused = |what: &str| Error::input(path, format!("{name}: {what}"));
        let damaged = |error: hdf5::Error| unreadable(&error, path, name);
        let c_name = c_string(name, path)?;
        // SAFETY: identifiers are checked before their use, and the buffer holds size · count bytes of the dataset's own fixed type.
        sync(|| unsafe {
            let open = |id| h5check(id).map(Id).map_err(damaged);
            let dataset = open(H5Dopen2(self.group.id(), c_name.as_ptr(), H5P_DEFAULT))?;
            let (kind, space) = (open(H5Dget_type(dataset.0))?, open(H5Dget_space(dataset.0))?);
            let (class, size) = (H5Tget_class(kind.0), H5Tget_size(kind.0));
            let bytes_each = match class {
                H5T_class_t::H5T_INTEGER if size == 1 => 1,
                H5T_class_t::H5T_STRING if H5Tis_variable_str(kind.0) == 0 => size,
                _ => return Err(refused("neither uint8 nor a fixed string")),
            };
            let count = usize::try_from(H5Sget_simple_extent_npoints(space.0)).map_err(|_| refused("no extent"))?;
            let length = bytes_each.checked_mul(count).filter(|length| *length <= 256 << 20);
            let mut bytes = vec![0u8; length.ok_or_else(|| refused("larger than any photograph"))?];
            let read = H5Dread(dataset.0, kind.0, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.as_mut_ptr().cast::<c_void>());
            h5check(read).map_err(damaged)?;
            Ok(bytes)
        })
    }
}

impl Reader for Hdf5 {
    fn keys(&self) -> Vec<ImageKey> {
        self.files.iter().map(|file| ImageKey::new(0, file)).collect()
    }

    /// The chunk of the key is not looked at: the layout has none.
    fn read(&self, key: &ImageKey) -> Result<Option<Cow<'_, [u8]>>> {
        if !self.files.contains(&key.file) {
            return Ok(None);
        }
        self.bytes(&key.file).map(|bytes| Some(Cow::Owned(bytes)))
    }

    fn refused(&self) -> &[Refused] {
        &self.refused
    }
}

pub(super) fn c_string(text: &str, path: &Path) -> Result<CString> {
    CString::new(text).map_err(|_| Error::input(path, format!("a name with a zero byte: {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{Hdf5Writer, Writer};

    #[test]
    fn names_that_no_file_can_have_are_refused_and_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.hdf5");
        let mut writer = Box::new(Hdf5Writer::create(&path, &[]).unwrap());
        let long = "x".repeat(300);
        for name in ["..", "a.jpg", &long] {
            writer.add(&ImageKey::new(1, name), b"jpeg").unwrap();
        }
        writer.finish().unwrap();
        let images = Hdf5::open(&path).unwrap();
        assert_eq!(images.keys(), [ImageKey::new(0, "a.jpg")]);
        let refused: Vec<_> = images.refused().iter().map(|refused| (refused.file.as_str(), refused.reason)).collect();
        assert_eq!(refused, [("..", "bad_name"), (long.as_str(), "bad_name")]);
        assert_eq!(images.read(&ImageKey::new(0, "..")).unwrap(), None);
    }

    #[test]
    fn a_damaged_file_is_its_own_fault_and_a_read_that_the_system_refuses_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.hdf5");
        std::fs::write(&path, b"no HDF5 file").unwrap();
        assert!(matches!(Hdf5::open(&path), Err(Error::Input { .. })));
        // A folder opens, and cannot be read.
        assert!(matches!(Hdf5::open(folder.path()), Err(Error::Io { action: "read", .. })));
    }
}
