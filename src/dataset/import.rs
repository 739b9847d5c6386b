//! a folder of photographs and a table of labels → a dataset in the published layout: people's own insects.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::Paths;
use crate::dataset::layout;
use crate::dataset::record::{CHUNK_NUMBER, COLUMNS, Columns, IMAGE_FILE, NOT_CLASSIFIED, StringRecord};
use crate::dataset::split::is_paper;
use crate::dataset::table;
use crate::dataset::taxonomy::RANKS;
use crate::error::{Error, IoContext, Result};
use crate::store::atomic;
use crate::store::lock::Lock;
use crate::telemetry::Progress;

/// What to import.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The folder of photographs.
    pub images: &'a Path,
    /// The table: a column `file`, the label column, and any others, which are kept.
    pub labels: &'a Path,
    /// The column that must be there for the import to make sense.
    pub label: &'a str,
    /// Where the dataset goes. Its folder is owned while it is made.
    pub out: &'a Path,
    /// Photographs in each chunk but the last.
    pub images_per_chunk: usize,
    /// Leave out listed photographs that are not there instead of refusing.
    pub skip_missing: bool,
}

/// What was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Photographs in the dataset.
    pub images: usize,
    /// Chunks it has.
    pub chunks: usize,
    /// Chunks that were there already.
    pub kept: usize,
    /// Photographs without a label; they are in the dataset and in no split.
    pub blank: usize,
    /// Listed photographs that were left out, with the reason; also in `quarantine.csv`.
    pub skipped: Vec<(String, String)>,
    /// Files in the folder that the table does not list.
    pub unlisted: usize,
}

/// Seals what a dataset was made of.
#[derive(PartialEq, Serialize, Deserialize)]
struct Note {
    version: u32,
    images_per_chunk: usize,
    /// blake3 over the metadata and the size of every photograph.
    inputs: String,
}

const FILE: &str = "file";

/// Imports; every fault of the table is found before anything is written.
pub fn import(request: Request) -> Result<Imported> {
    let listed = Listed::read(&request)?;
    let checked = listed.check(&request)?;
    if checked.files.is_empty() {
        return Err(Error::input(request.labels, format!("lists no JPEG image that is in {}", request.images.display())));
    }
    let _owned = Lock::acquire(request.out)?;
    atomic::remove_unfinished(request.out)?;
    let (columns, rows) = metadata(&listed.columns, &checked.files, request.images_per_chunk);
    let mut hasher = blake3::Hasher::new();
    for (row, photograph) in std::iter::zip(&rows, &checked.files) {
        row.iter().chain([photograph.bytes.to_string().as_str()]).for_each(|cell| {
            hasher.update(cell.as_bytes()).update(b"\0");
        });
    }
    let inputs = hasher.finalize().to_hex().to_string();
    layout::claim(request.out, "import.json", &Note { version: 1, images_per_chunk: request.images_per_chunk, inputs })?;
    let path = request.out.join(Paths::METADATA);
    if !path.is_file() {
        table::write(&path, &columns, |out| rows.iter().try_for_each(|row| out.write(row)))?;
    }
    write_quarantine(request.out, &checked.skipped)?;
    let chunks: Vec<&[Photograph]> = checked.files.chunks(request.images_per_chunk.max(1)).collect();
    let progress = Progress::start(chunks.len() as u64, "chunks");
    let mut kept = 0;
    for (number, photographs) in (1..).zip(&chunks) {
        if layout::chunk_path(request.out, number).is_file() {
            kept += 1;
        } else {
            write_chunk(&request, number, photographs)?;
        }
        progress.advance(1);
    }
    Ok(Imported {
        images: checked.files.len(),
        chunks: chunks.len(),
        kept,
        blank: checked.blank,
        skipped: checked.skipped,
        unlisted: checked.unlisted,
    })
}

/// The table as read.
struct Listed {
    columns: Columns,
    rows: Vec<StringRecord>,
}

/// One photograph that will be in the dataset.
struct Photograph<'a> {
    file: &'a str,
    bytes: u64,
    row: &'a StringRecord,
}

/// The rows whose photographs are there and JPEG, and what became of the others.
struct Checked<'a> {
    files: Vec<Photograph<'a>>,
    skipped: Vec<(String, String)>,
    blank: usize,
    unlisted: usize,
}

impl Listed {
    fn read(request: &Request) -> Result<Self> {
        let mut table = table::open(request.labels)?;
        let columns = table.columns().clone();
        let file = columns.require(FILE)?;
        columns.require(request.label)?;
        if let Some(made) = [IMAGE_FILE, CHUNK_NUMBER].into_iter().find(|name| columns.find(name).is_some()) {
            return Err(Error::input(request.labels, format!("has a column `{made}`, which the import makes itself"))
                .with_help("rename or remove it"));
        }
        let (mut rows, mut seen) = (Vec::new(), HashSet::new());
        table::for_each(table.as_mut(), |_, row, place| {
            let name = file.of(row);
            let fault = |what: &str| Err(Error::input(request.labels, format!("{}: {what}", place())));
            if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\', '\t', '\n', '\r']) {
                return fault(&format!("`{name}` is no file name")).map_err(|error| {
                    error.with_help("names are relative to the folder of images and hold neither `/` nor `..`")
                });
            }
            if !seen.insert(name.to_owned()) {
                return fault(&format!("`{name}` is listed twice"));
            }
            rows.push(row.clone());
            Ok(())
        })?;
        Ok(Self { columns, rows })
    }

    fn check(&self, request: &Request) -> Result<Checked<'_>> {
        let (file, label) = (self.columns.require(FILE)?, self.columns.require(request.label)?);
        let (mut files, mut skipped, mut missing, mut blank) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for row in &self.rows {
            let name = file.of(row);
            let path = request.images.join(name);
            match fs::metadata(&path) {
                Ok(there) if there.is_file() && is_jpeg(&path)? => {
                    blank += usize::from(crate::dataset::record::is_blank(label.of(row)));
                    files.push(Photograph { file: name, bytes: there.len(), row });
                }
                Ok(_) => skipped.push((name.to_owned(), "not a JPEG image".to_owned())),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => missing.push(name),
                Err(error) => return Err(error).at("read", &path),
            }
        }
        if let (Some(_), false) = (missing.first(), request.skip_missing) {
            let (count, first) = (missing.len(), missing.iter().take(5).copied().collect::<Vec<_>>().join(", "));
            let folder = request.images.display();
            return Err(Error::input(request.labels, format!("{count} listed images are not in {folder}: {first}"))
                .with_help("correct the table or the folder, or leave them out with --skip-missing"));
        }
        skipped.extend(missing.into_iter().map(|name| (name.to_owned(), "missing".to_owned())));
        for (name, reason) in &skipped {
            tracing::warn!(file = name, reason, "left out");
        }
        let listed: HashSet<&str> = self.rows.iter().map(|row| file.of(row)).collect();
        let mut unlisted = 0;
        for entry in fs::read_dir(request.images).at("list", request.images)? {
            let name = entry.at("list", request.images)?.file_name();
            unlisted += usize::from(name.to_str().is_none_or(|name| !listed.contains(name)));
        }
        if unlisted > 0 {
            tracing::warn!(files = unlisted, "in the folder but not in the table: left out");
        }
        Ok(Checked { files, skipped, blank, unlisted })
    }
}

/// Whether the file begins as every JPEG does: start of image, then another marker.
fn is_jpeg(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    File::open(path).at("open", path)?.take(3).read_to_end(&mut start).at("read", path)?;
    Ok(start == [0xFF, 0xD8, 0xFF])
}

/// The published columns, filled as far as the table has columns of the same names, and all others behind them.
///
/// The six experiment columns are left to `metadata split`, unless the table brings them.
fn metadata(given: &Columns, photographs: &[Photograph], images_per_chunk: usize) -> (Vec<String>, Vec<StringRecord>) {
    let published = COLUMNS.into_iter().filter(|name| !is_paper(name) || given.find(name).is_some());
    let extra = given.names().iter().map(String::as_str).filter(|name| *name != FILE && !COLUMNS.contains(name));
    let columns: Vec<&str> = published.chain(extra).collect();
    let rows = photographs.iter().enumerate().map(|(index, photograph)| {
        let chunk = (index / images_per_chunk.max(1) + 1).to_string();
        let stem = photograph.file.rsplit_once('.').map_or(photograph.file, |(stem, _)| stem);
        let cell = |name: &&str| match (*name, given.find(name)) {
            (IMAGE_FILE, _) => photograph.file,
            (CHUNK_NUMBER, _) => &chunk,
            (_, Some(column)) => column.of(photograph.row),
            ("sampleid" | "processid", None) => stem,
            (name, None) if name == "name" || RANKS.contains(&name) => NOT_CLASSIFIED,
            (_, None) => "",
        };
        columns.iter().map(cell).collect()
    });
    let rows = rows.collect();
    (columns.into_iter().map(str::to_owned).collect(), rows)
}

fn write_quarantine(out: &Path, skipped: &[(String, String)]) -> Result<()> {
    table::write(&out.join("quarantine.csv"), &[FILE.to_owned(), "reason".to_owned()], |table| {
        skipped.iter().try_for_each(|(file, reason)| table.write(&StringRecord::from(vec![file, reason])))
    })
}

fn write_chunk(request: &Request, number: u32, photographs: &[Photograph]) -> Result<()> {
    layout::write_chunk(request.out, number, |chunk| {
        for photograph in photographs {
            let path = request.images.join(photograph.file);
            chunk.add(photograph.file, &fs::read(&path).at("read", &path)?)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG: &[u8] = &[0xFF, 0xD8, 0xFF, 0xE0, 1, 2, 3];

    struct Case {
        folder: tempfile::TempDir,
    }

    impl Case {
        fn new(files: &[(&str, &[u8])], table: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("images")).unwrap();
            files.iter().for_each(|(name, bytes)| fs::write(folder.path().join("images").join(name), bytes).unwrap());
            fs::write(folder.path().join("labels.csv"), table).unwrap();
            Self { folder }
        }

        fn import(&self, skip_missing: bool) -> Result<Imported> {
            let at = |name: &str| self.folder.path().join(name);
            let (images, labels, out) = (at("images"), at("labels.csv"), at("out"));
            import(Request { images: &images, labels: &labels, label: "label", out: &out, images_per_chunk: 2, skip_missing })
        }

        fn metadata(&self) -> String {
            fs::read_to_string(self.folder.path().join("out").join(Paths::METADATA)).unwrap()
        }
    }

    #[test]
    fn columns_of_published_names_are_filled_and_others_kept() {
        let files = [("a.jpg", JPEG), ("b.jpeg", JPEG), ("c.jpg", JPEG), ("spare.jpg", JPEG)];
        let case = Case::new(&files, "file,label,order,weight\na.jpg,x,Diptera,1\nb.jpeg,,,2\nc.jpg,y,Odonata,3\n");
        let done = case.import(false).unwrap();
        assert_eq!((done.images, done.chunks, done.blank, done.unlisted), (3, 2, 1, 1));
        let metadata = case.metadata();
        let lines: Vec<&str> = metadata.lines().collect();
        assert!(lines[0].starts_with("sampleid\tprocessid\t") && lines[0].ends_with("\tauthor\tlabel\tweight"), "{}", lines[0]);
        assert!(!lines[0].contains("large_insect_order"));
        assert!(lines[1].starts_with("a\ta\t\tnot_classified\tnot_classified\tnot_classified\tDiptera\tnot_classified\t"));
        assert!(lines[3].contains("\tc.jpg\t2\t"), "{}", lines[3]);
        let again = case.import(false).unwrap();
        assert_eq!(again.kept, 2);
    }

    #[test]
    fn what_is_no_jpeg_is_left_out_aloud() {
        let case = Case::new(&[("a.jpg", JPEG), ("b.jpg", b"\x89PNG")], "file,label\na.jpg,x\nb.jpg,y\n");
        let done = case.import(false).unwrap();
        assert_eq!((done.images, done.skipped), (1, vec![("b.jpg".into(), "not a JPEG image".into())]));
        let quarantine = fs::read_to_string(case.folder.path().join("out/quarantine.csv")).unwrap();
        assert_eq!(quarantine, "file,reason\nb.jpg,not a JPEG image\n");
    }

    #[test]
    fn a_missing_image_stops_the_import_unless_it_may_be_skipped() {
        let case = Case::new(&[("a.jpg", JPEG)], "file,label\na.jpg,x\nb.jpg,y\n");
        let error = case.import(false).unwrap_err();
        assert!(error.to_string().contains("1 listed images are not in"), "{error}");
        assert!(!case.folder.path().join("out").exists(), "nothing is written before everything is checked");
        assert_eq!(case.import(true).unwrap().skipped, [("b.jpg".to_owned(), "missing".to_owned())]);
    }

    #[test]
    fn names_that_lead_elsewhere_and_names_listed_twice_are_refused_with_their_line() {
        for (rows, expected) in [
            ("../a.jpg,x", "line 2: `../a.jpg` is no file name"),
            ("..,x", "line 2: `..` is no file name"),
            ("a.jpg,x\na.jpg,y", "line 3: `a.jpg` is listed twice"),
        ] {
            let error = Case::new(&[("a.jpg", JPEG)], &format!("file,label\n{rows}\n")).import(false).unwrap_err();
            assert!(error.to_string().ends_with(expected), "{error}");
        }
    }

    #[test]
    fn a_folder_with_another_dataset_is_not_mixed_with_this_one() {
        let case = Case::new(&[("a.jpg", JPEG), ("b.jpg", JPEG)], "file,label\na.jpg,x\n");
        case.import(false).unwrap();
        fs::write(case.folder.path().join("labels.csv"), "file,label\nb.jpg,x\n").unwrap();
        assert!(case.import(false).unwrap_err().to_string().contains("holds another dataset"));
    }
}
