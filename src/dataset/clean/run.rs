//! A cleaning from the table to the table and its ledger.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::dataset::clean::ledger::{Content, Entry, Ledger, VERSION, texts};
use crate::dataset::clean::plan::{Plan, Rules};
use crate::dataset::record::StringRecord;
use crate::dataset::table;
use crate::error::{Error, Result};
use crate::store::atomic;

/// What a cleaning did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Rows of the result.
    pub rows: u64,
    /// Rows that are not in it.
    pub removed: u64,
    /// Cells that have another text, by the reason.
    pub changed: BTreeMap<String, u64>,
}

/// Cleans the table `from` into `to` and writes down every change in `ledger`. The ledger is there before the table is.
pub fn clean(from: &Path, to: &Path, ledger: &Path, plan: &Plan) -> Result<Summary> {
    are_distinct(&[from, to, ledger])?;
    let source = content_of(from)?;
    let mut table = table::open(from)?;
    let rules = Rules::find(plan, table.columns())?;
    let columns = table.columns().names().to_vec();
    let names: Vec<String> = columns.iter().chain(&rules.added).cloned().collect();
    let mut summary = Summary::default();
    table::write(to, &names, |out| {
        atomic::write_with(ledger, |file| {
            let mut journal = Ledger { path: ledger, out: file };
            journal.write(&Entry::Begin { version: VERSION, source, columns, added: rules.added.clone() })?;
            let mut result = Content::default();
            result.add(names.iter().map(String::as_str));
            table::for_each(table.as_mut(), |number, row, _| {
                let mut cells: Vec<String> = row.iter().map(str::to_owned).collect();
                cells.resize(names.len(), String::new());
                let entries = rules.apply(u64::from(number) + 1, row, &mut cells);
                entries.iter().try_for_each(|entry| journal.write(entry))?;
                if matches!(entries.first(), Some(Entry::Removed { .. })) {
                    summary.removed += 1;
                    return Ok(());
                }
                summary.rows += 1;
                for entry in &entries {
                    if let Entry::Changed { why, .. } = entry {
                        *summary.changed.entry(why.clone()).or_default() += 1;
                    }
                }
                result.add(cells.iter().map(String::as_str));
                out.write(&StringRecord::from(cells))
            })?;
            journal.write(&Entry::End { result: result.finish(), rows: summary.rows })
        })
    })?;
    Ok(summary)
}

/// Refuses two paths of one file, there or not: one would be written over the other.
pub(super) fn are_distinct(paths: &[&Path]) -> Result<()> {
    let mut seen = Vec::new();
    for path in paths {
        let place = place_of(path);
        if seen.contains(&place) {
            return Err(Error::usage(format!("{} would be written over itself", path.display()))
                .with_help("the table, the result and the ledger must be three files"));
        }
        seen.push(place);
    }
    Ok(())
}

/// Where `path` leads; a file that is not there is known by its folder.
fn place_of(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let in_folder = || Some(folder.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(in_folder).unwrap_or_else(|| path.to_owned())
}

/// The [`Content`] of the table at `path`.
pub(super) fn content_of(path: &Path) -> Result<String> {
    let mut table = table::open(path)?;
    let mut content = Content::default();
    content.add(table.columns().names().iter().map(String::as_str));
    table::for_each(table.as_mut(), |_, row, _| {
        content.add(texts(row));
        Ok(())
    })?;
    Ok(content.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::clean::{Derived, Fixes, ImageFacts, ImageTable, Images, replay, reverse};

    const TABLE: &str = "image_file,chunk_number,genus,species,tribe,nucraw
a.jpg,1,Philaenus,Philaenus spumarius,not_classified,NACGTNN
b.jpg,1,,Aus bus,no_data,ACGT
c.jpg,2,NA,,Unknown,
d.jpg,2,Aus,\"Aus, \"\"odd\"\"\",Aini,AC
";

    fn plan(images: Images) -> Plan {
        let good = |blake3: &str| ImageFacts { width: 4, height: 3, bytes: 9, blake3: blake3.into(), ..ImageFacts::default() };
        let facts = [
            ("part1/a.jpg".to_owned(), good("aa")),
            ("part1/b.jpg".to_owned(), ImageFacts { fault: Some("truncated".into()), ..ImageFacts::default() }),
            ("part2/c.jpg".to_owned(), good("cc")),
            ("part2/d.jpg".to_owned(), ImageFacts { duplicate_of: Some("part1/a.jpg".into()), ..good("aa") }),
        ];
        let derive = vec![Derived::BarcodeLength, Derived::ImageWidth];
        let facts: ImageTable = facts.into_iter().collect();
        Plan { fixes: Fixes::known(), genus_from_species: true, placeholders: true, derive, images, facts }
    }

    struct Case(tempfile::TempDir);

    impl Case {
        fn new() -> Self {
            let case = Self(tempfile::tempdir().unwrap());
            std::fs::write(case.at("m.csv"), TABLE).unwrap();
            case
        }

        fn at(&self, name: &str) -> std::path::PathBuf {
            self.0.path().join(name)
        }

        fn text(&self, name: &str) -> String {
            std::fs::read_to_string(self.at(name)).unwrap()
        }

        fn clean(&self, images: Images) -> Summary {
            clean(&self.at("m.csv"), &self.at("out.csv"), &self.at("ledger.jsonl"), &plan(images)).unwrap()
        }
    }

    #[test]
    fn every_change_is_made_and_written_down() {
        let case = Case::new();
        let summary = case.clean(Images::Mark);
        assert_eq!(
            case.text("out.csv"),
            "image_file,chunk_number,genus,species,tribe,nucraw,barcode_length,image_width,image_fault,duplicate_of
a.jpg,1,Philaenus,Philaenus spumarius,Philaenini,NACGTNN,4,4,,
b.jpg,1,Aus,Aus bus,not_classified,ACGT,4,,truncated,
c.jpg,2,NA,not_classified,not_classified,,0,4,,
d.jpg,2,Aus,\"Aus, \"\"odd\"\"\",Aini,AC,2,4,,part1/a.jpg
"
        );
        assert_eq!((summary.rows, summary.removed, summary.changed["the species names its genus"]), (4, 0, 1));
        assert!(
            case.text("ledger.jsonl")
                .contains(r#"{"what":"changed","row":1,"column":"tribe","from":"not_classified","to":"Philaenini""#)
        );
    }

    #[test]
    fn a_record_without_an_image_is_marked_or_goes() {
        let case = Case::new();
        std::fs::write(case.at("m.csv"), format!("{TABLE}e.jpg,2,,,,\n")).unwrap();
        assert_eq!(case.clean(Images::Mark).rows, 5);
        assert!(
            case.text("out.csv").ends_with("e.jpg,2,not_classified,not_classified,not_classified,,0,,missing,\n"),
            "{}",
            case.text("out.csv")
        );
        assert_eq!(case.clean(Images::Drop).removed, 3);
        assert!(case.text("ledger.jsonl").contains("the image cannot be used: missing"));
        std::fs::write(case.at("m.csv"), "genus,species,tribe\nAus,,\n").unwrap();
        let error = clean(&case.at("m.csv"), &case.at("out.csv"), &case.at("l.jsonl"), &plan(Images::Drop)).unwrap_err();
        assert!(error.to_string().contains("no columns that say where its images lie"), "{error}");
    }

    #[test]
    fn a_ledger_replays_to_the_result_and_reverses_to_the_source() {
        for images in [Images::Keep, Images::Mark, Images::Drop] {
            let case = Case::new();
            let summary = case.clean(images);
            assert_eq!(summary.removed, if images == Images::Drop { 2 } else { 0 });
            replay(&case.at("m.csv"), &case.at("ledger.jsonl"), &case.at("again.csv")).unwrap();
            assert_eq!(case.text("again.csv"), case.text("out.csv"));
            reverse(&case.at("out.csv"), &case.at("ledger.jsonl"), &case.at("back.csv")).unwrap();
            assert_eq!(case.text("back.csv"), TABLE);
        }
    }

    #[test]
    fn nothing_is_written_over_another() {
        let case = Case::new();
        std::os::unix::fs::symlink(case.0.path(), case.at("link")).unwrap();
        let [table, out] = ["m.csv", "out.csv"].map(|name| case.at(name));
        for (to, ledger) in [(&table, &out), (&out, &table), (&out, &case.at("link/out.csv")), (&out, &case.at("link/m.csv"))] {
            let error = clean(&table, to, ledger, &plan(Images::Keep)).unwrap_err();
            assert!(error.to_string().contains("would be written over itself"), "{error}");
        }
        assert_eq!(case.text("m.csv"), TABLE);
        case.clean(Images::Keep);
        for (from, follow) in [("m.csv", replay as fn(&Path, &Path, &Path) -> Result<u64>), ("out.csv", reverse)] {
            let error = follow(&case.at(from), &case.at("ledger.jsonl"), &case.at("ledger.jsonl")).unwrap_err();
            assert!(error.to_string().contains("would be written over itself"), "{error}");
        }
    }

    #[test]
    fn a_column_is_added_once_and_a_genus_is_a_word() {
        let case = Case::new();
        std::fs::write(case.at("m.csv"), "genus,species\n,  Aus bus\n").unwrap();
        let plan = Plan { genus_from_species: true, ..Plan::default() };
        clean(&case.at("m.csv"), &case.at("out.csv"), &case.at("l.jsonl"), &plan).unwrap();
        assert_eq!(case.text("out.csv"), "genus,species\nAus,  Aus bus\n");
        let plan = Plan { derive: vec![Derived::BarcodeLength; 2], ..plan };
        let error = clean(&case.at("m.csv"), &case.at("out.csv"), &case.at("l.jsonl"), &plan).unwrap_err();
        assert!(error.to_string().contains("`barcode_length` is to be added twice"), "{error}");
    }

    #[test]
    fn a_ledger_of_another_table_and_half_a_ledger_are_refused() {
        let case = Case::new();
        case.clean(Images::Drop);
        std::fs::write(case.at("other.csv"), TABLE.replace("Aini", "Bini")).unwrap();
        let error = replay(&case.at("other.csv"), &case.at("ledger.jsonl"), &case.at("x.csv")).unwrap_err();
        assert!(error.to_string().contains("is not the table that the ledger is about"), "{error}");
        let error = reverse(&case.at("m.csv"), &case.at("ledger.jsonl"), &case.at("x.csv")).unwrap_err();
        assert!(error.to_string().contains("is not the result that the ledger is about"), "{error}");
        let ledger = case.text("ledger.jsonl");
        let half: String = ledger.lines().take(ledger.lines().count() - 1).map(|line| format!("{line}\n")).collect();
        std::fs::write(case.at("ledger.jsonl"), half).unwrap();
        let error = replay(&case.at("m.csv"), &case.at("ledger.jsonl"), &case.at("x.csv")).unwrap_err();
        assert!(error.to_string().contains("the ledger has no end"), "{error}");
        assert!(!case.at("x.csv").exists());
    }

    #[test]
    fn what_a_fix_needs_must_be_there() {
        let case = Case::new();
        std::fs::write(case.at("m.csv"), "image_file,genus\na.jpg,Aus\n").unwrap();
        let plan = Plan { fixes: Fixes::known(), ..Plan::default() };
        let error = clean(&case.at("m.csv"), &case.at("out.csv"), &case.at("l.jsonl"), &plan).unwrap_err();
        assert!(error.to_string().contains("no column `tribe`"), "{error}");
        assert!(!case.at("out.csv").exists() && !case.at("l.jsonl").exists());
    }
}
