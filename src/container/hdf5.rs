//! images ↔ one HDF5 file in the published layout: a group `bioscan_dataset`, in it one 1-D uint8 dataset an image, named by its file.
//!
//! The layout has no chunks, so file names must be unique over all of them. Written by raw calls: the high-level crate takes two to
//! four times as long for a million small datasets. The old file format and no times, so that the same images give the same bytes.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::ffi::{CString, c_void};
use std::path::{Path, PathBuf};
use std::{io, ptr};

use hdf5::h5check;
use hdf5::sync::sync;
use hdf5_sys::h5a::{H5Acreate2, H5Awrite};
use hdf5_sys::h5d::{H5D_fill_time_t, H5Dcreate2, H5Dget_space, H5Dget_type, H5Dopen2, H5Dread, H5Dwrite};
use hdf5_sys::h5f::{H5F_ACC_TRUNC, H5F_libver_t, H5F_scope_t, H5Fclose, H5Fcreate, H5Fflush};
use hdf5_sys::h5g::H5Gcreate2;
use hdf5_sys::h5i::{H5Idec_ref, hid_t};
use hdf5_sys::h5p::{
    H5P_CLS_DATASET_CREATE, H5P_CLS_FILE_ACCESS, H5P_CLS_FILE_CREATE, H5P_CLS_GROUP_CREATE, H5P_DEFAULT, H5Pcreate,
    H5Pset_fill_time, H5Pset_libver_bounds, H5Pset_obj_track_times,
};
use hdf5_sys::h5s::{H5S_ALL, H5S_class_t, H5Screate, H5Screate_simple, H5Sget_simple_extent_npoints};
use hdf5_sys::h5t::{
    H5T_C_S1, H5T_STD_U8LE, H5T_VARIABLE, H5T_class_t, H5T_cset_t, H5Tcopy, H5Tget_class, H5Tget_size, H5Tis_variable_str,
    H5Tset_cset, H5Tset_size,
};

use crate::container::{ImageKey, Reader, Writer};
use crate::error::{Error, IoContext, Result};
use crate::store::atomic::Staged;

/// The published name of the group.
const GROUP: &str = "bioscan_dataset";

/// An identifier of the library, given back when dropped.
#[derive(Debug)]
struct Id(hid_t);

impl Drop for Id {
    fn drop(&mut self) {
        // SAFETY: the identifier is valid, because `Id` is only made of checked ones and owns its reference.
        sync(|| unsafe { H5Idec_ref(self.0) });
    }
}

/// Takes ownership of an identifier the library returned, or its error.
fn owned(id: hid_t, path: &Path) -> Result<Id> {
    h5check(id).map(Id).map_err(|error| failure(&error, path))
}

/// The library buries what the system said in the depths of its stack; a full disk must be called one.
fn failure(error: &hdf5::Error, path: &Path) -> Error {
    let frames: Vec<String> =
        error.stack().map(|stack| stack.iter().map(|frame| frame.desc().to_owned()).collect()).unwrap_or_default();
    let number = |text: &String| text.split_once("errno = ")?.1.split(',').next()?.trim().parse().ok();
    match frames.iter().find_map(number) {
        Some(code) => Error::Io { action: "write", path: path.to_owned(), source: io::Error::from_raw_os_error(code) },
        None => Error::library("HDF5", format!("{}: {error}", path.display())),
    }
}

/// Writes the published layout.
#[derive(Debug)]
pub struct Hdf5Writer {
    staged: Staged,
    destination: PathBuf,
    // Before the file, because fields drop in order.
    group: Id,
    dataset_plan: Id,
    file: Id,
    chunks: HashMap<String, u32>,
}

impl Hdf5Writer {
    /// Begins the file `destination`; `attributes` are put to the group as strings.
    pub fn create(destination: &Path, attributes: &[(&str, &str)]) -> Result<Self> {
        let staged = Staged::beside(destination)?;
        let name = c_string(&staged.path().to_string_lossy(), destination)?;
        let plan = |class: hid_t| {
            // SAFETY: the classes are the library's own constants; it is initialised by `sync`.
            sync(|| owned(unsafe { H5Pcreate(class) }, destination))
        };
        // The constants are read only after `sync` has initialised the library that fills them.
        sync(|| ());
        let (access, creation) = (plan(*H5P_CLS_FILE_ACCESS)?, plan(*H5P_CLS_FILE_CREATE)?);
        let (group_plan, dataset_plan) = (plan(*H5P_CLS_GROUP_CREATE)?, plan(*H5P_CLS_DATASET_CREATE)?);
        let check = |code| h5check(code).map(drop).map_err(|error| failure(&error, destination));
        sync(|| -> Result<()> {
            let (oldest, newest) = (H5F_libver_t::H5F_LIBVER_EARLIEST, H5F_libver_t::H5F_LIBVER_V18);
            // SAFETY: live property lists of the classes these settings belong to.
            unsafe {
                check(H5Pset_libver_bounds(access.0, oldest, newest))?;
                check(H5Pset_obj_track_times(creation.0, 0))?;
                check(H5Pset_obj_track_times(group_plan.0, 0))?;
                check(H5Pset_obj_track_times(dataset_plan.0, 0))?;
                check(H5Pset_fill_time(dataset_plan.0, H5D_fill_time_t::H5D_FILL_TIME_NEVER))
            }
        })?;
        let group_name = c_string(GROUP, destination)?;
        let (file, group) = sync(|| -> Result<_> {
            // SAFETY: the names are terminated strings, the property lists live.
            let file = owned(unsafe { H5Fcreate(name.as_ptr(), H5F_ACC_TRUNC, creation.0, access.0) }, destination)?;
            // SAFETY: as above; the file was just made.
            let group =
                owned(unsafe { H5Gcreate2(file.0, group_name.as_ptr(), H5P_DEFAULT, group_plan.0, H5P_DEFAULT) }, destination)?;
            Ok((file, group))
        })?;
        let writer = Self { staged, destination: destination.to_owned(), group, dataset_plan, file, chunks: HashMap::new() };
        for (name, value) in attributes {
            writer.set_attribute(name, value)?;
        }
        Ok(writer)
    }

    /// A scalar variable-length UTF-8 string: what h5py writes for a `str`.
    fn set_attribute(&self, name: &str, value: &str) -> Result<()> {
        let path = &self.destination;
        let (name, value) = (c_string(name, path)?, c_string(value, path)?);
        let check = |code| h5check(code).map(drop).map_err(|error| failure(&error, path));
        // SAFETY: every identifier is checked before its use; a variable-length string is written from a pointer to its pointer.
        sync(|| unsafe {
            let kind = owned(H5Tcopy(*H5T_C_S1), path)?;
            check(H5Tset_size(kind.0, H5T_VARIABLE))?;
            check(H5Tset_cset(kind.0, H5T_cset_t::H5T_CSET_UTF8))?;
            let space = owned(H5Screate(H5S_class_t::H5S_SCALAR), path)?;
            let attribute = H5Acreate2(self.group.0, name.as_ptr(), kind.0, space.0, H5P_DEFAULT, H5P_DEFAULT);
            let attribute = owned(attribute, path)?;
            let text = value.as_ptr();
            check(H5Awrite(attribute.0, kind.0, ptr::from_ref(&text).cast::<c_void>()))
        })
    }
}

impl Writer for Hdf5Writer {
    fn add(&mut self, key: &ImageKey, jpeg: &[u8]) -> Result<()> {
        let path = &self.destination;
        if let Some(other) = self.chunks.insert(key.file.clone(), key.chunk) {
            let message =
                format!("{} is in chunk {other} and in chunk {}, but the published HDF5 has no chunks", key.file, key.chunk);
            return Err(
                Error::input(path, message).with_help("leave `hdf5` out of `preprocess.formats`, or rename one of the two")
            );
        }
        let name = c_string(&key.file, path)?;
        let length = [jpeg.len() as u64];
        // SAFETY: the space has one dimension of the slice's length, and so the write reads no more than the slice; identifiers are
        // checked before their use.
        sync(|| unsafe {
            let space = owned(H5Screate_simple(1, length.as_ptr(), ptr::null()), path)?;
            let plan = self.dataset_plan.0;
            let dataset = H5Dcreate2(self.group.0, name.as_ptr(), *H5T_STD_U8LE, space.0, H5P_DEFAULT, plan, H5P_DEFAULT);
            let dataset = owned(dataset, path)?;
            let written = H5Dwrite(dataset.0, *H5T_STD_U8LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, jpeg.as_ptr().cast::<c_void>());
            h5check(written).map(drop).map_err(|error| failure(&error, path))
        })
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let Self { staged, destination, group, dataset_plan, file, .. } = *self;
        drop((group, dataset_plan));
        // Flushed and closed by hand: a drop could not say that the disk is full.
        // SAFETY: the file is open; `forget` keeps it from being given back twice.
        sync(|| unsafe {
            h5check(H5Fflush(file.0, H5F_scope_t::H5F_SCOPE_GLOBAL)).map_err(|error| failure(&error, &destination))?;
            let closed = h5check(H5Fclose(file.0)).map_err(|error| failure(&error, &destination));
            std::mem::forget(file);
            closed
        })?;
        staged.publish()
    }
}

/// An HDF5 file of images, in the published layout or with its datasets at the root, as 1-D uint8 or scalar fixed strings.
#[derive(Debug)]
pub struct Hdf5 {
    path: PathBuf,
    group: hdf5::Group,
    files: BTreeSet<String>,
}

impl Hdf5 {
    /// Opens the file and lists its images.
    pub fn open(path: &Path) -> Result<Self> {
        std::fs::metadata(path).at("open", path)?;
        let refused = |error: hdf5::Error| Error::input(path, format!("not a readable HDF5 file: {error}"));
        let file = hdf5::File::open(path).map_err(refused)?;
        let group = if file.link_exists(GROUP) { file.group(GROUP) } else { file.group("/") }.map_err(refused)?;
        let files = group.member_names().map_err(refused)?.into_iter().collect();
        Ok(Self { path: path.to_owned(), group, files })
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let path = &self.path;
        let refused = |what: &str| Error::input(path, format!("{name}: {what}"));
        let damaged = |error: hdf5::Error| refused(&error.to_string());
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
}

fn c_string(text: &str, path: &Path) -> Result<CString> {
    CString::new(text).map_err(|_| Error::input(path, format!("a name with a zero byte: {text:?}")))
}
