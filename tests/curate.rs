//! A table beside its images: what is missing, broken, misplaced or there twice is found on any number of ranks, and cleaned away and back.

#[path = "support/archive.rs"]
mod archive;
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{edit, expect, on_ranks};

const METADATA: &str = "BIOSCAN_Insect_Dataset_metadata.tsv";

/// Three published chunks of four synthetic images each, and the same images as a folder of `part{N}` folders.
fn dataset(folder: &Path) -> PathBuf {
    let mut synth = on_ranks(1);
    synth.args(["synth", "--chunks", "3", "--images-per-chunk", "4", "--width", "96", "--height", "72", "--out"]);
    expect(synth.arg(folder.join("data")), 0);
    for chunk in 1..=3 {
        let path = folder.join(format!("data/bioscan_images_original_full_part{chunk}.zip"));
        let part = folder.join(format!("images/part{chunk}"));
        fs::create_dir_all(&part).unwrap();
        for (name, bytes) in archive::entries(&path) {
            fs::write(part.join(name.rsplit('/').next().unwrap()), bytes).unwrap();
        }
    }
    folder.join("data").join(METADATA)
}

fn validate(ranks: usize, table: &Path, images: &Path, size: &str, code: i32) -> String {
    let mut command = on_ranks(ranks);
    command.args(["metadata", "validate"]).arg(table).arg("--images").arg(images).args(["--size", size]);
    String::from_utf8(expect(&mut command, code).stdout).unwrap()
}

/// The images of a part in the order of their names.
fn images(part: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(part).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// Breaks one image, loses one, moves one to another part and overwrites one with another.
fn damage(folder: &Path) {
    let parts = [1, 2, 3].map(|part| images(&folder.join(format!("images/part{part}"))));
    let broken = &parts[0][0];
    let bytes = fs::read(broken).unwrap();
    fs::write(broken, &bytes[..bytes.len() / 2]).unwrap();
    fs::remove_file(&parts[0][1]).unwrap();
    fs::rename(&parts[1][0], folder.join("images/part3").join(parts[1][0].file_name().unwrap())).unwrap();
    fs::copy(&parts[2][0], &parts[2][1]).unwrap();
}

#[test]
fn a_sound_dataset_is_found_sound_as_chunks_and_as_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let table = dataset(folder.path());
    for images in ["data", "images"] {
        assert!(validate(1, &table, &folder.path().join(images), "96x72", 0).ends_with("no faults\n"));
    }
    assert!(validate(1, &table, &folder.path().join("data"), "256", 5).contains("not of the expected size: 12 rows"));
}

#[test]
fn damage_is_found_alike_on_one_rank_and_on_several() {
    let folder = tempfile::tempdir().unwrap();
    let table = dataset(folder.path());
    damage(folder.path());
    let alone = validate(1, &table, &folder.path().join("images"), "72", 5);
    for expected in [
        "fault: an image cannot be read: 1 rows",
        "fault: an image is missing: 1 rows",
        "fault: an image lies in another chunk than its record says: 1 rows",
        "warning: an image is that of another record: 1 rows",
    ] {
        assert!(alone.contains(expected), "{expected}\n{alone}");
    }
    if cfg!(feature = "mpi") {
        assert_eq!(validate(3, &table, &folder.path().join("images"), "72", 5), alone);
    }
}

#[test]
fn bad_images_are_cleaned_away_and_brought_back() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let table = dataset(folder.path());
    damage(folder.path());
    let clean = |treatment: &str| {
        let mut clean = on_ranks(1);
        clean.args(["metadata", "clean"]).arg(&table).arg("--out").arg(at("clean.tsv")).arg("--images").arg(at("images"));
        clean.args(["--bad-images", treatment, "--derive", "image_width,image_blake3,organism_pixels"]);
        expect(&mut clean, 0);
        fs::read_to_string(at("clean.tsv")).unwrap()
    };
    let marked = clean("mark");
    assert_eq!(marked.lines().count(), 1 + 12);
    assert!(marked.lines().next().unwrap().ends_with("\timage_width\timage_blake3\torganism_pixels\timage_fault\tduplicate_of"));
    assert!(marked.contains("\ttruncated: ") && marked.contains("\tpart3/"));
    assert_eq!(marked.matches("\tmissing\t").count(), 2, "one is lost, one is not where its record says");
    let dropped = clean("drop");
    assert_eq!(dropped.lines().count(), 1 + 8);
    assert!(dropped.lines().nth(5).unwrap().contains("\t96\t"));
    let mut undo = on_ranks(1);
    undo.args(["metadata", "undo"]).arg(at("clean.tsv")).arg(at("clean.tsv.ledger.jsonl")).arg("--out").arg(at("back.tsv"));
    expect(&mut undo, 0);
    assert_eq!(fs::read(at("back.tsv")).unwrap(), fs::read(&table).unwrap());
    // A hand in the result is noticed.
    edit(&at("clean.tsv"), |text| text.replacen("Diptera", "Dipteron", 1).replacen("Hymenoptera", "Hymenopteron", 1));
    expect(&mut undo, 2);
}

#[test]
fn the_documents_name_every_file_with_its_sha_256() {
    let folder = tempfile::tempdir().unwrap();
    dataset(folder.path());
    let data = folder.path().join("data");
    let chunk = "bioscan_images_original_full_part1.zip";
    let mut document = on_ranks(1);
    document.args(["metadata", "document", "--dataset", "bioscan-1m"]).arg(&data).args([METADATA, chunk]);
    expect(&mut document, 0);
    let croissant: serde_json::Value = serde_json::from_slice(&fs::read(data.join("croissant.json")).unwrap()).unwrap();
    let files = croissant["distribution"].as_array().unwrap();
    let sum = String::from_utf8(std::process::Command::new("sha256sum").arg(data.join(chunk)).output().unwrap().stdout).unwrap();
    assert_eq!(files[1]["sha256"], sum.split(' ').next().unwrap());
    assert_eq!(croissant["recordSet"][0]["field"].as_array().unwrap().len(), 28);
    let card = fs::read_to_string(data.join("README.md")).unwrap();
    assert!(card.contains("SYNTHETIC") && card.contains("12 records") && card.contains("license: \"cc-by-3.0\""), "{card}");
    assert!(croissant["description"].as_str().unwrap().starts_with("SYNTHETIC"));
    // It replaces its own card and nobody else's.
    expect(&mut document, 0);
    fs::write(data.join("README.md"), "# Mine\n").unwrap();
    expect(&mut document, 2);
    assert_eq!(fs::read_to_string(data.join("README.md")).unwrap(), "# Mine\n");
    expect(document.arg("--force"), 0);
    assert_eq!(fs::read_to_string(data.join("README.md")).unwrap(), card);
}
