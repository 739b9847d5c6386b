//! Every container through its public face: what is written is read, and bad files are refused in words.
#![cfg(feature = "image")]

mod prep;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

#[cfg(feature = "hdf5")]
use bioscan_hpc::config::Hdf5Layout;
#[cfg(feature = "hdf5")]
use bioscan_hpc::container::Hdf5Writer;
use bioscan_hpc::container::{FolderWriter, ImageKey, PackWriter, Reader, TarWriter, Writer, ZipImages, ZipWriter, open, pack};
use bioscan_hpc::image::decode;
use proptest::prelude::*;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

fn images() -> Vec<(ImageKey, Vec<u8>)> {
    let key = |chunk, file: &str| ImageKey::new(chunk, file);
    vec![(key(2, "a.jpg"), vec![0xff; 1]), (key(2, "b c.jpg"), (0..=255).collect()), (key(10, "ä.jpg"), vec![7; 70_000])]
}

fn fill(mut writer: Box<dyn Writer>, images: &[(ImageKey, Vec<u8>)]) {
    for (key, bytes) in images {
        writer.add(key, bytes).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn every_container_gives_back_what_it_took_and_the_same_images_make_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let make = |round: &str| -> Vec<(std::path::PathBuf, bool)> {
        let mut made = vec![(at(&format!("{round}.zip")), true), (at(&format!("{round}-folder")), true)];
        fill(Box::new(ZipWriter::create(&made[0].0, "original_256").unwrap()), &images());
        fill(Box::new(FolderWriter::create(&made[1].0).unwrap()), &images());
        #[cfg(feature = "hdf5")]
        {
            let (path, tool) = (at(&format!("{round}.hdf5")), at(&format!("{round}-tool.h5")));
            fill(Box::new(Hdf5Writer::create(&path, &[("Description", "ä test")]).unwrap()), &images());
            fill(Box::new(Hdf5Writer::create_as(&tool, Hdf5Layout::Tool).unwrap()), &images());
            made.extend([(path, false), (tool, false)]);
        }
        let (packs, tars) = (at(&format!("{round}-packs")), at(&format!("{round}-tars")));
        for chunk in [2, 10] {
            let of_chunk: Vec<_> = images().into_iter().filter(|(key, _)| key.chunk == chunk).collect();
            fill(Box::new(PackWriter::create(&packs.join(pack::file_name(chunk)), chunk).unwrap()), &of_chunk);
            fill(Box::new(TarWriter::create(&tars, "original_256", chunk).unwrap()), &of_chunk);
        }
        made.extend([(packs, true), (tars.join("original_256-000010.tar"), true), (tars, true)]);
        made
    };
    let (first, second) = (make("first"), make("second"));
    for ((path, keeps_chunks), (again, _)) in first.iter().zip(&second) {
        if path.is_file() {
            assert_eq!(fs::read(path).unwrap(), fs::read(again).unwrap(), "{}", path.display());
        } else {
            prep::assert_same_tree(path, again);
        }
        let reader = open(path).unwrap();
        // One tar alone holds one chunk.
        let held = |key: &ImageKey| path.extension().is_none_or(|ending| ending != "tar") || key.chunk == 10;
        let images = || images().into_iter().filter(|(key, _)| held(key));
        let mut expected: Vec<ImageKey> =
            images().map(|(key, _)| ImageKey::new(if *keeps_chunks { key.chunk } else { 0 }, key.file)).collect();
        expected.sort();
        assert_eq!(reader.keys(), expected, "{}", path.display());
        for (key, bytes) in images() {
            assert_eq!(reader.read(&key).unwrap().as_deref(), Some(&bytes[..]), "{key} in {}", path.display());
        }
        assert_eq!(reader.read(&ImageKey::new(2, "nobody.jpg")).unwrap(), None);
    }
}

#[cfg(feature = "hdf5")]
#[test]
fn a_name_in_two_chunks_cannot_go_into_the_published_hdf5() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Hdf5Writer::create(&folder.path().join("x.hdf5"), &[]).unwrap();
    writer.add(&ImageKey::new(3, "a.jpg"), b"x").unwrap();
    let error = writer.add(&ImageKey::new(7, "a.jpg"), b"y").unwrap_err();
    assert!(error.to_string().contains("a.jpg is in chunk 3 and in chunk 7"));
    drop(writer);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Writes a ZIP with the entries in `names`, each holding its own name.
fn archive(path: &Path, names: &[&str], method: CompressionMethod) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for name in names {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(name.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

#[test]
fn a_zip_is_read_whatever_its_folders_and_its_compression() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.zip");
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        archive(&path, &["a.jpg", "deep/er/b.jpg", "images/part7/c.jpg", "__MACOSX/._a.jpg"], method);
        let zip = ZipImages::open(&path).unwrap();
        assert_eq!(zip.keys(), [ImageKey::new(0, "a.jpg"), ImageKey::new(0, "b.jpg"), ImageKey::new(7, "c.jpg")]);
        assert_eq!(zip.read(&ImageKey::new(0, "b.jpg")).unwrap().as_deref(), Some(&b"deep/er/b.jpg"[..]));
        let chunk = ZipImages::open_chunk(&path, 4).unwrap();
        assert_eq!(chunk.read(&ImageKey::new(4, "c.jpg")).unwrap().as_deref(), Some(&b"images/part7/c.jpg"[..]));
    }
}

#[test]
fn names_that_lead_outside_and_repeated_ones_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.zip");
    archive(
        &path,
        &["../up.jpg", "/root.jpg", "x/a.jpg", "y/a.jpg", "good.jpg", "twin1.jpg", "twin2.jpg"],
        CompressionMethod::Stored,
    );
    // The writer refuses to repeat a name, people's tools do not. Of the three places with `twin2.jpg` the second is the entry's
    // content, whose CRC must stay; the others are its names in the local header and in the directory.
    let mut bytes = fs::read(&path).unwrap();
    let places: Vec<usize> = (0..bytes.len() - 9).filter(|at| bytes[*at..at + 9] == *b"twin2.jpg").collect();
    assert_eq!(places.len(), 3);
    for at in [places[0], places[2]] {
        bytes[at + 4] = b'1';
    }
    fs::write(&path, bytes).unwrap();
    let zip = ZipImages::open_chunk(&path, 1).unwrap();
    assert_eq!(zip.keys(), [ImageKey::new(1, "good.jpg")]);
    let refused: Vec<_> = zip.refused().iter().map(|refused| (refused.file.as_str(), refused.reason)).collect();
    assert_eq!(
        refused,
        [("../up.jpg", "bad_name"), ("/root.jpg", "bad_name"), ("a.jpg", "duplicate_name"), ("twin1.jpg", "duplicate_name")]
    );
    assert!(zip.refused()[2].detail.contains("2 entries by this name (x/a.jpg, y/a.jpg)"));
    assert!(zip.refused()[3].detail.contains("2 entries by this name (twin1.jpg, twin1.jpg)"));
}

#[test]
fn a_truncated_archive_and_a_flipped_byte_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.zip");
    archive(&path, &["a.jpg", "b.jpg"], CompressionMethod::Stored);
    let good = fs::read(&path).unwrap();
    for length in [0, 10, good.len() / 2, good.len() - 1] {
        fs::write(&path, &good[..length]).unwrap();
        assert!(ZipImages::open(&path).unwrap_err().to_string().contains("not a whole ZIP archive"), "{length}");
    }
    // Local header: 30 bytes, then the name, then the content.
    let mut bad = good;
    bad[30 + 5] ^= 1;
    fs::write(&path, bad).unwrap();
    let zip = ZipImages::open_chunk(&path, 1).unwrap();
    let refused = zip.read_checked(&ImageKey::new(1, "a.jpg")).unwrap().unwrap().unwrap_err();
    assert_eq!(refused.reason, "bad_crc");
    assert!(zip.read_checked(&ImageKey::new(1, "b.jpg")).unwrap().unwrap().is_ok());
}

#[test]
fn more_entries_than_a_plain_zip_can_count_need_zip64_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.zip");
    let mut writer = Box::new(ZipWriter::create(&path, "original_256").unwrap());
    for index in 0..66_000u32 {
        writer.add(&ImageKey::new(1, format!("{index:05}.jpg")), &index.to_le_bytes()).unwrap();
    }
    writer.finish().unwrap();
    let zip = open(&path).unwrap();
    assert_eq!(zip.keys().len(), 66_000);
    assert_eq!(zip.read(&ImageKey::new(1, "65999.jpg")).unwrap().as_deref(), Some(&65_999u32.to_le_bytes()[..]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// A damaged archive is refused, or its entries are, or they read as what was written: never a panic, never other bytes.
    #[test]
    fn a_damaged_archive_never_gives_other_bytes(at in 0usize..2000, value: u8, cut in prop::option::of(0usize..2000)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.zip");
        archive(&path, &["part1/a.jpg", "part1/b.jpg", "part2/c.jpg"], CompressionMethod::Stored);
        let mut bytes = fs::read(&path).unwrap();
        let length = bytes.len();
        bytes[at % length] = value;
        bytes.truncate(cut.map_or(length, |cut| cut % length));
        fs::write(&path, bytes).unwrap();
        if let Ok(zip) = ZipImages::open(&path) {
            for key in zip.keys() {
                if let Ok(Some(read)) = zip.read(&key) {
                    prop_assert!([&b"part1/a.jpg"[..], b"part1/b.jpg", b"part2/c.jpg"].contains(&&*read), "{read:?}");
                }
            }
        }
    }

    /// A damaged JPEG is a fault or a picture, never a panic.
    #[test]
    fn a_damaged_jpeg_never_panics(places in prop::collection::vec((0usize..100_000, any::<u8>()), 1..6), cut in 0usize..100_000) {
        let mut jpeg = prep::photograph(64, 48, 3);
        for (at, value) in places {
            let at = at % jpeg.len();
            jpeg[at] = value;
        }
        jpeg.truncate(jpeg.len().saturating_sub(cut % (4 * jpeg.len())).max(jpeg.len() / 2));
        if let Ok(picture) = decode(&jpeg) {
            prop_assert_eq!(picture.pixels.len(), 3 * picture.size().area());
        }
    }
}
