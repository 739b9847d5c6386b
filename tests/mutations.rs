//! Thousands of damaged and hostile inputs, the same in every run: no panic, no hang, no memory without bound, and a reason for each.
#![cfg(feature = "image")]

mod prep;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use bioscan_hpc::config::Fit;
use bioscan_hpc::container::{ImageKey, Pack, PackWriter, TarWriter, Writer, open_originals};
use bioscan_hpc::image::{Reason, RgbImage, Size, Target, decode, decode_upright_for};
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};
use zip::CompressionMethod::{Deflated, Stored};
use zip::write::SimpleFileOptions;

/// What a process that has met every input may have held at once: a picture at the limit of 64 megapixels, twice.
const MOST_MEMORY_KIB: u64 = 640 << 10;
const LONGEST: Duration = Duration::from_secs(20);

/// xorshift32: the mutations need no more, and are the same everywhere.
struct Dice(u32);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize % bound
    }
}

/// `good` cut at every 1/64, and `flips` copies with one to three bits turned.
fn mutations(good: &[u8], flips: usize, seed: u32) -> Vec<(String, Vec<u8>)> {
    let mut dice = Dice(seed);
    let cuts = (0..64).map(|part| (format!("cut to {part}/64"), good[..good.len() * part / 64].to_vec()));
    let flipped = (0..flips).map(|number| {
        let mut bytes = good.to_vec();
        for _ in 0..=dice.below(3) {
            // Half of them in the first kilobyte, where the headers are.
            let bound = if dice.below(2) == 0 { bytes.len().min(1024) } else { bytes.len() };
            let at = dice.below(bound);
            bytes[at] ^= 1 << dice.below(8);
        }
        (format!("flip {number}"), bytes)
    });
    cuts.chain(flipped).collect()
}

/// Runs `work` on one input; it must neither panic nor take long.
fn survive<T>(label: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(work));
    assert!(start.elapsed() < LONGEST, "{label} took {:?}", start.elapsed());
    result.unwrap_or_else(|_| panic!("{label} panics"))
}

/// The most memory this process has held, in KiB.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn draw(width: u32, height: u32) -> RgbImage {
    decode(&prep::photograph(width, height, 5)).unwrap()
}

/// `image` as a JPEG that `settings` makes of it.
fn drawn(image: &RgbImage, settings: impl FnOnce(&mut Compressor)) -> Vec<u8> {
    let mut compressor = Compressor::new().unwrap();
    settings(&mut compressor);
    let (width, height) = (image.width as usize, image.height as usize);
    let pixels = Image { pixels: &image.pixels[..], width, pitch: 3 * width, height, format: PixelFormat::RGB };
    compressor.compress_to_vec(pixels).unwrap()
}

/// One of each kind that cameras and tools write, and real photographs where they are.
fn pictures() -> Vec<(String, Vec<u8>)> {
    let image = draw(96, 72);
    let mut all = vec![
        ("4:2:0".to_owned(), prep::photograph(96, 72, 1)),
        ("4:4:4".into(), drawn(&image, |c| c.set_subsamp(Subsamp::None).unwrap())),
        ("grey".into(), drawn(&image, |c| c.set_subsamp(Subsamp::Gray).unwrap())),
        ("progressive".into(), drawn(&image, |c| c.set_progressive(true).unwrap())),
        ("1×1".into(), drawn(&draw(1, 1), |_| ())),
    ];
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/bioscan-originals/images");
    let mut found: Vec<_> =
        walk(&real).into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "jpg")).collect();
    found.sort();
    if found.is_empty() {
        eprintln!("no real photographs at {}: drawn ones alone", real.display());
    }
    all.extend(found.into_iter().take(2).map(|path| (path.display().to_string(), fs::read(path).unwrap())));
    all
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn a_damaged_picture_is_a_picture_or_has_a_reason_and_a_cut_one_is_never_a_picture() {
    let target = Target { fit: Fit::Shorter, length: 64 };
    let mut tried = 0;
    for (seed, (name, good)) in (1..).zip(pictures()) {
        assert!(decode(&good).is_ok(), "{name}");
        // A real photograph takes a hundred times as long.
        let flips = if good.len() > 100_000 { 20 } else { 300 };
        for (what, bytes) in mutations(&good, flips, seed) {
            let label = format!("{name}, {what}");
            tried += 1;
            let whole = survive(&label, || decode_upright_for(&bytes, target).map(drop));
            if let Err(fault) = &whole {
                assert!(!fault.detail.is_empty(), "{label}");
            }
            if what.starts_with("cut") {
                let fault = whole.expect_err(&label);
                let expected = match bytes.len() {
                    0 => vec![Reason::Empty],
                    1 => vec![Reason::NotJpeg],
                    _ => vec![Reason::Truncated],
                };
                assert!(expected.contains(&fault.reason), "{label} ({} bytes): {fault}", bytes.len());
            }
        }
    }
    assert!(tried >= 1800, "{tried}");
    let peak = peak_memory();
    assert!(peak < MOST_MEMORY_KIB, "{peak} KiB");
}

#[test]
fn what_is_no_photograph_has_its_reason() {
    let good = prep::photograph(96, 72, 1);
    let sof = good.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let changed = |at: usize, bytes: &[u8]| {
        let mut changed = good.clone();
        changed[sof + at..][..bytes.len()].copy_from_slice(bytes);
        changed
    };
    let cmyk = {
        let pixels = vec![90u8; 4 * 16 * 16];
        let image = Image { pixels: &pixels[..], width: 16, pitch: 64, height: 16, format: PixelFormat::CMYK };
        turbojpeg::compress(image, 75, Subsamp::None).unwrap().to_vec()
    };
    let cases: Vec<(&str, Vec<u8>, &[Reason])> = vec![
        ("zero bytes", vec![], &[Reason::Empty]),
        ("a PNG called .jpg", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(), &[Reason::NotJpeg]),
        ("a text", b"404 not found".to_vec(), &[Reason::NotJpeg]),
        ("CMYK", cmyk, &[Reason::UnsupportedColour]),
        ("16 bits a sample", changed(4, &[16]), &[Reason::Unsupported, Reason::Corrupt]),
        ("12 bits a sample", changed(4, &[12]), &[Reason::Unsupported, Reason::Corrupt]),
        ("30,000×30,000", changed(5, &[0x75, 0x30, 0x75, 0x30]), &[Reason::TooLarge]),
        ("0×0", changed(5, &[0; 4]), &[Reason::Corrupt, Reason::Unsupported, Reason::Truncated]),
        ("zeros", vec![0; 10_000], &[Reason::NotJpeg]),
        ("only markers", [0xff, 0xd8].repeat(500), &[Reason::Corrupt, Reason::Truncated]),
    ];
    for (label, bytes, reasons) in cases {
        let fault = survive(label, || decode(&bytes)).expect_err(label);
        assert!(reasons.contains(&fault.reason), "{label}: {fault}");
        assert!(!fault.detail.is_empty());
        assert!(decode(&good).is_ok(), "after {label} the next picture is refused");
    }
}

/// Four images as the archives below hold them.
fn held() -> Vec<(String, Vec<u8>)> {
    (0..4).map(|index| (format!("{index}.jpg"), prep::photograph(32, 24, index))).collect()
}

/// Writes them to `zip`, stored and deflated in turn.
fn fill<W: Write + Seek>(mut zip: zip::ZipWriter<W>) -> W {
    for (index, (file, bytes)) in held().iter().enumerate() {
        let method = if index % 2 == 0 { Stored } else { Deflated };
        zip.start_file(format!("part1/{file}"), SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap()
}

fn zipped(streamed: bool) -> Vec<u8> {
    if streamed {
        fill(zip::ZipWriter::new_stream(Vec::new())).into_inner()
    } else {
        fill(zip::ZipWriter::new(Cursor::new(Vec::new()))).into_inner()
    }
}

#[test]
fn a_damaged_zip_gives_the_right_bytes_or_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.zip");
    let images: BTreeSet<Vec<u8>> = held().into_iter().map(|(_, bytes)| bytes).collect();
    for (streamed, seed) in [(false, 11), (true, 12)] {
        let good = zipped(streamed);
        // Half of the flips go to the end, where the directory is.
        let mut dice = Dice(seed);
        let tail = (0..200).map(|number| {
            let mut bytes = good.clone();
            let at = bytes.len() - 1 - dice.below(400);
            bytes[at] ^= 1 << dice.below(8);
            (format!("directory {number}"), bytes)
        });
        for (what, bytes) in mutations(&good, 200, seed).into_iter().chain(tail) {
            let label = format!("streamed {streamed}, {what}");
            fs::write(&path, &bytes).unwrap();
            let (right, reasons) = survive(&label, || read_all(&path));
            assert!(right.iter().all(|bytes| images.contains(bytes)), "{label} gives other bytes");
            assert!(right.len() == images.len() || !reasons.is_empty(), "{label}: {} images and no reason", right.len());
            assert!(reasons.iter().all(|reason| !reason.is_empty()));
        }
    }
}

/// Every image that reads as whole, and every reason that is given.
fn read_all(path: &Path) -> (Vec<Vec<u8>>, Vec<String>) {
    let originals = match open_originals(path, 1) {
        Ok(originals) => originals,
        Err(error) => return (vec![], vec![error.to_string()]),
    };
    let mut reasons: Vec<String> = originals.refused().iter().map(|refused| refused.detail.clone()).collect();
    let mut right = Vec::new();
    for (file, _) in originals.files() {
        match originals.read_checked(&file) {
            Ok(Ok(bytes)) => right.push(bytes),
            Ok(Err(refused)) => reasons.push(refused.detail),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    (right, reasons)
}

#[test]
fn names_that_lead_outside_or_repeat_are_refused_among_any_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.zip");
    let names =
        ["../up.jpg", "/etc/root.jpg", "C:\\x.jpg", "a/../../b.jpg", "x/twin.jpg", "y/twin.jpg", "a\u{7}.jpg", "good.jpg"];
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for name in names {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(name.as_bytes()).unwrap();
    }
    fs::write(&path, zip.finish().unwrap().into_inner()).unwrap();
    let (right, reasons) = survive("names", || read_all(&path));
    assert_eq!(right, [b"good.jpg".to_vec()]);
    assert_eq!(reasons.len(), 6, "the twins are one: {reasons:?}");
}

#[test]
fn a_damaged_pack_gives_the_right_bytes_or_an_error_and_a_damaged_tar_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let images = held();
    let mut pack = Box::new(PackWriter::create(&folder.path().join("part1.pack"), 1).unwrap());
    let mut tar = Box::new(TarWriter::create(folder.path(), "original_256", 1).unwrap());
    for (file, bytes) in &images {
        pack.add(&ImageKey::new(1, file), bytes).unwrap();
        tar.add(&ImageKey::new(1, file), bytes).unwrap();
    }
    pack.finish().unwrap();
    tar.finish().unwrap();
    let damaged = folder.path().join("damaged.pack");
    for (what, bytes) in mutations(&fs::read(folder.path().join("part1.pack")).unwrap(), 300, 21) {
        // A mapped file is never written again, so each has a file of its own.
        let _ = fs::remove_file(&damaged);
        fs::write(&damaged, bytes).unwrap();
        survive(&what, || {
            let Ok(pack) = Pack::open(&damaged) else { return };
            for (index, image) in pack.images().enumerate() {
                match image {
                    Ok((file, bytes)) => assert_eq!((file, bytes), (images[index].0.as_str(), &images[index].1[..]), "{what}"),
                    Err(error) => assert!(error.to_string().contains("damaged"), "{error}"),
                }
            }
        });
    }
    let damaged = folder.path().join("damaged.tar");
    for (what, bytes) in mutations(&fs::read(folder.path().join("original_256-000001.tar")).unwrap(), 300, 22) {
        fs::write(&damaged, bytes).unwrap();
        let (right, _) = survive(&what, || read_all(&damaged));
        assert!(right.len() <= images.len());
    }
    assert!(peak_memory() < MOST_MEMORY_KIB);
}

/// HDF5 has no checksums over what it holds, so that other bytes may come out; what they are is for the decoder to find.
#[cfg(feature = "hdf5")]
#[test]
fn a_damaged_hdf5_file_ends_in_images_or_in_reasons() {
    use bioscan_hpc::config::Hdf5Layout;
    use bioscan_hpc::container::Hdf5Writer;

    let folder = tempfile::tempdir().unwrap();
    let images = held();
    for (layout, seed) in [(Hdf5Layout::Published, 31), (Hdf5Layout::Tool, 32)] {
        let path = folder.path().join("part1.hdf5");
        let mut file = Box::new(Hdf5Writer::create_as(&path, layout).unwrap());
        images.iter().for_each(|(name, bytes)| file.add(&ImageKey::new(1, name), bytes).unwrap());
        file.finish().unwrap();
        assert_eq!(read_all(&path).0.len(), images.len());
        for (what, bytes) in mutations(&fs::read(&path).unwrap(), 400, seed) {
            let label = format!("{layout:?}, {what}");
            // libhdf5 keeps what it knows of a file by its inode.
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
            let (found, reasons) = survive(&label, || read_all(&path));
            assert!(found.len() <= images.len() && reasons.iter().all(|reason| !reason.is_empty()), "{label}");
        }
    }
    assert!(peak_memory() < MOST_MEMORY_KIB);
}

#[test]
fn the_smallest_picture_is_a_picture() {
    assert_eq!(decode(&drawn(&draw(1, 1), |_| ())).unwrap().size(), Size { width: 1, height: 1 });
}
