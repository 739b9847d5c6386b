//! A record → where its image lies below the folder of an image package.

use crate::dataset::record::{CHUNK_NUMBER, Column, Columns, IMAGE_FILE, StringRecord};
use crate::dataset::schema::{CHUNK, SPLIT, Schema};

/// Where one image should lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `part{chunk_number}/{image_file}`, or BIOSCAN-5M's `{split}/[{chunk}/]{processid}.jpg`.
    pub path: String,
    /// The last part of it.
    pub file: String,
}

/// The columns that say where.
#[derive(Clone, Copy, Debug)]
pub enum Places {
    /// BIOSCAN-1M's.
    Numbered {
        /// The chunk, from 1.
        chunk: Column,
        /// The file in it.
        file: Column,
    },
    /// BIOSCAN-5M's.
    Hashed {
        /// The partition.
        split: Column,
        /// The folder below it; empty where there is none.
        chunk: Column,
        /// What the file is named by.
        id: Column,
    },
}

impl Places {
    /// The columns of a table; `None` where it does not say where its images lie. Where a table has both kinds, its images are
    /// BIOSCAN-1M's: no conversion makes a chunk's number, and none moves an image.
    #[must_use]
    pub fn find(columns: &Columns) -> Option<Self> {
        let hashed =
            || Some(Self::Hashed { split: columns.find(SPLIT)?, chunk: columns.find(CHUNK)?, id: columns.find("processid")? });
        match (columns.find(CHUNK_NUMBER), columns.find(IMAGE_FILE)) {
            (Some(chunk), Some(file)) => Some(Self::Numbered { chunk, file }),
            _ => hashed().filter(|_| Schema::of(columns) == Schema::Bioscan5M),
        }
    }

    /// The place of the image of `row`.
    #[must_use]
    pub fn of(&self, row: &StringRecord) -> Place {
        match self {
            Self::Numbered { chunk, file } => {
                let file = file.of(row).to_owned();
                Place { path: format!("part{}/{file}", chunk.of(row)), file }
            }
            Self::Hashed { split, chunk, id } => {
                let file = format!("{}.jpg", id.of(row));
                let folder = chunk.of(row);
                let slash = if folder.is_empty() { "" } else { "/" };
                Place { path: format!("{}/{folder}{slash}{file}", split.of(row)), file }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(names: &[&str], cells: &[&str]) -> Option<Place> {
        let columns = Columns::new(std::path::Path::new("m"), names.iter().map(|name| (*name).to_owned()).collect()).unwrap();
        Places::find(&columns).map(|places| places.of(&StringRecord::from(cells.to_vec())))
    }

    #[test]
    fn both_datasets_say_where_their_images_lie() {
        assert_eq!(place(&["image_file", "chunk_number"], &["a.jpg", "7"]).unwrap().path, "part7/a.jpg");
        assert_eq!(place(&["processid", "split", "chunk"], &["P1", "train", "0"]).unwrap().path, "train/0/P1.jpg");
        let place_of_val = place(&["processid", "split", "chunk"], &["P1", "val", ""]).unwrap();
        assert_eq!((place_of_val.path.as_str(), place_of_val.file.as_str()), ("val/P1.jpg", "P1.jpg"));
        assert_eq!(place(&["processid"], &["P1"]), None);
    }
}
