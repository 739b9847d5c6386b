//! images → one HDF5 file, in the layout of the published files or of the original tool's command line.
//!
//! ```text
//! published   /bioscan_dataset/{file}   1-D uint8, one dataset an image
//! tool        /{file}                   scalar fixed-length string (H5T_STRING, NULLPAD), as h5py stores a NumPy bytes scalar
//! ```
//!
//! Neither has chunks, so file names must be unique over all of them. Written by raw calls: the high-level crate takes two to four
//! times as long for a million small datasets. The file format of HDF5 1.8, which every reader knows: in an older one the names of a
//! group are one piece, so that of a million names the library writes and reads 30 MB for every few that are added. No
//! times, so that the same images give the same bytes.

use std::collections::HashMap;
use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::ptr;

use hdf5::h5check;
use hdf5::sync::sync;
use hdf5_sys::h5a::{H5Acreate2, H5Awrite};
use hdf5_sys::h5d::{H5D_alloc_time_t, H5D_fill_time_t, H5Dcreate2, H5Dwrite};
use hdf5_sys::h5f::{H5F_ACC_TRUNC, H5F_libver_t, H5F_scope_t, H5Fclose, H5Fcreate, H5Fflush};
use hdf5_sys::h5g::{H5Gcreate2, H5Gopen2};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5p::{
    H5P_CLS_DATASET_CREATE, H5P_CLS_FILE_ACCESS, H5P_CLS_FILE_CREATE, H5P_CLS_GROUP_CREATE, H5P_DEFAULT, H5Pcreate,
    H5Pset_alloc_time, H5Pset_fill_time, H5Pset_libver_bounds, H5Pset_meta_block_size, H5Pset_obj_track_times,
    H5Pset_sieve_buf_size,
};
use hdf5_sys::h5s::{H5S_ALL, H5S_class_t, H5Screate, H5Screate_simple};
use hdf5_sys::h5t::{
    H5T_C_S1, H5T_STD_U8LE, H5T_VARIABLE, H5T_cset_t, H5T_str_t, H5Tcopy, H5Tset_cset, H5Tset_size, H5Tset_strpad,
};

use crate::config::Hdf5Layout;
use crate::container::hdf5::{GROUP, Id, c_string, failure, owned};
use crate::container::{ImageKey, Writer};
use crate::error::{Error, Result};
use crate::store::atomic::Staged;

/// Writes one file of images.
#[derive(Debug)]
pub struct Hdf5Writer {
    staged: Staged,
    destination: PathBuf,
    layout: Hdf5Layout,
    // Before the file, because fields drop in order.
    group: Id,
    dataset_plan: Id,
    file: Id,
    chunks: HashMap<String, u32>,
}

impl Hdf5Writer {
    /// Begins the file `destination` in the published layout; `attributes` are put to the group as strings.
    pub fn create(destination: &Path, attributes: &[(&str, &str)]) -> Result<Self> {
        let writer = Self::create_as(destination, Hdf5Layout::Published)?;
        attributes.iter().try_for_each(|(name, value)| writer.set_attribute(name, value))?;
        Ok(writer)
    }

    /// Begins the file `destination` in the given layout, without attributes: the tool's has none.
    pub fn create_as(destination: &Path, layout: Hdf5Layout) -> Result<Self> {
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
            let version = H5F_libver_t::H5F_LIBVER_V18;
            // SAFETY: live property lists of the classes these settings belong to.
            unsafe {
                check(H5Pset_libver_bounds(access.0, version, version))?;
                check(H5Pset_obj_track_times(creation.0, 0))?;
                check(H5Pset_obj_track_times(group_plan.0, 0))?;
                check(H5Pset_obj_track_times(dataset_plan.0, 0))?;
                check(H5Pset_fill_time(dataset_plan.0, H5D_fill_time_t::H5D_FILL_TIME_NEVER))?;
                // Each dataset is written once and whole: no buffer for its parts, its place at once, headers gathered to 64 KiB.
                // Together a sixth of the time.
                check(H5Pset_alloc_time(dataset_plan.0, H5D_alloc_time_t::H5D_ALLOC_TIME_EARLY))?;
                check(H5Pset_sieve_buf_size(access.0, 0))?;
                check(H5Pset_meta_block_size(access.0, 64 << 10))
            }
        })?;
        let (group_name, root) = (c_string(GROUP, destination)?, c_string("/", destination)?);
        let (file, group) = sync(|| -> Result<_> {
            // SAFETY: the names are terminated strings, the property lists live.
            let file = owned(unsafe { H5Fcreate(name.as_ptr(), H5F_ACC_TRUNC, creation.0, access.0) }, destination)?;
            // SAFETY: as above; the file was just made.
            let group = unsafe {
                match layout {
                    Hdf5Layout::Published => H5Gcreate2(file.0, group_name.as_ptr(), H5P_DEFAULT, group_plan.0, H5P_DEFAULT),
                    Hdf5Layout::Tool => H5Gopen2(file.0, root.as_ptr(), H5P_DEFAULT),
                }
            };
            Ok((file, owned(group, destination)?))
        })?;
        let (destination, chunks) = (destination.to_owned(), HashMap::new());
        Ok(Self { staged, destination, layout, group, dataset_plan, file, chunks })
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
        // SAFETY: identifiers are checked before their use, and type and space together have as many bytes as the slice.
        sync(|| unsafe {
            let text;
            let (kind, space) = match self.layout {
                Hdf5Layout::Published => {
                    let length = jpeg.len() as u64;
                    (*H5T_STD_U8LE, owned(H5Screate_simple(1, &raw const length, ptr::null()), path)?)
                }
                Hdf5Layout::Tool => {
                    text = fixed_text(jpeg.len(), path)?;
                    (text.0, owned(H5Screate(H5S_class_t::H5S_SCALAR), path)?)
                }
            };
            let dataset = H5Dcreate2(self.group.0, name.as_ptr(), kind, space.0, H5P_DEFAULT, self.dataset_plan.0, H5P_DEFAULT);
            let dataset = owned(dataset, path)?;
            let written = H5Dwrite(dataset.0, kind, H5S_ALL, H5S_ALL, H5P_DEFAULT, jpeg.as_ptr().cast::<c_void>());
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

/// The type of a NumPy bytes scalar: a string of exactly `length` bytes, which may hold zeros.
///
/// # Safety
/// To be called within `sync`.
unsafe fn fixed_text(length: usize, path: &Path) -> Result<Id> {
    let check = |code| h5check(code).map(drop).map_err(|error| failure(&error, path));
    // SAFETY: the library is initialised, and the copy is this function's own.
    unsafe {
        let text = owned(H5Tcopy(*H5T_C_S1), path)?;
        check(H5Tset_size(text.0, length))?;
        check(H5Tset_strpad(text.0, H5T_str_t::H5T_STR_NULLPAD))?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use hdf5_sys::h5g::{H5G_info_t, H5G_storage_type_t, H5Gget_info};

    use super::*;

    #[test]
    fn the_names_of_a_group_of_many_are_a_tree_and_no_single_piece() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Hdf5Writer::create(&folder.path().join("many.hdf5"), &[]).unwrap();
        for number in 0..20 {
            writer.add(&ImageKey::new(1, &*format!("{number}.jpg")), b"jpeg").unwrap();
        }
        let mut info = H5G_info_t::default();
        // SAFETY: the group is open, and the structure is the caller's own.
        let asked = sync(|| unsafe { H5Gget_info(writer.group.0, &raw mut info) });
        assert!(asked >= 0 && info.nlinks == 20);
        assert!(info.storage_type == H5G_storage_type_t::H5G_STORAGE_TYPE_DENSE);
    }
}
