//! Several packages from one pass, with crops by boxes from a file, and chunks of every kind that people keep.
#![cfg(all(feature = "image", feature = "hdf5"))]

mod prep;

use std::fs;
use std::path::Path;

use bioscan_hpc::container::{self, Hdf5Writer, ImageKey, TarWriter, Writer};
use bioscan_hpc::image::{RgbImage, Size, decode, encode};
use prep::{Bench, assert_same_tree, has_mpirun, photograph, preprocess, program, ranks, tree};

const PACKAGES: &str = r#"
detector = "boxes"
packages = ["cropped_resized", "original_resized", "cropped"]
crop = { boxes = "BOXES", fill = "bulk" }
"#;

/// A bench with a box for every image of its chunks but the last of each; `c1-000.jpg` alone is 320×240 with a box of 100×60.
fn boxed(bench: &Bench) -> String {
    let mut rows = "file,x0,y0,x1,y1\n".to_owned();
    for chunk in 1..=2 {
        let archive = container::ZipImages::open_chunk(&bench.chunk_path(chunk), chunk).unwrap();
        let keys = container::Reader::keys(&archive);
        for key in &keys[..keys.len() - 1] {
            rows += &format!("{},20,10,120,70\n", key.file);
        }
    }
    let path = bench.root.path().join("boxes.csv");
    fs::write(&path, rows).unwrap();
    PACKAGES.replace("BOXES", path.to_str().unwrap())
}

fn size(images: &Path, package: &str, file: &str) -> (u32, u32) {
    let packs = container::open(&images.join(package).join("packs")).unwrap();
    let image = decode(&packs.read(&ImageKey::new(1, file)).unwrap().unwrap()).unwrap();
    (image.width, image.height)
}

#[test]
fn one_pass_makes_the_crop_the_small_crop_and_the_small_original_on_any_number_of_ranks() {
    let bench = Bench::with_chunks(2, 5);
    let settings = boxed(&bench);
    let out = bench.output("one");
    let said = preprocess(program(), &bench.write_job("one", &out, &settings), 0);
    let said = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said.lines().count(), 3, "a line a package: {said}");
    assert!(said.contains("13 images, the specimen found in 11"), "{said}");

    let images = out.join("images");
    // 100×60 grows by 0.4 · 100 on both axes to 140×100 (139 where truncation takes one), of which the shorter side becomes 64.
    let (width, height) = size(&images, "cropped", "c1-000.jpg");
    assert!((139..=140).contains(&width) && (99..=100).contains(&height), "{width}×{height}");
    assert_eq!(size(&images, "cropped_64", "c1-000.jpg").1, 64);
    assert_eq!(size(&images, "original_64", "c1-000.jpg"), (85, 64));
    // Without a box the whole picture is its own crop.
    assert_eq!(size(&images, "cropped", "c1-005.jpg"), (150, 90));

    let table = fs::read_to_string(images.join("cropped/boxes.tsv")).unwrap();
    let mut lines = table.lines();
    assert_eq!(
        lines.next(),
        Some("processid\twidth_original\theight_original\tx0\ty0\tx1\ty1\tscale_factor\tarea_fraction\tscore")
    );
    // 60 / 256 = 0.234375; 6000 / 76800 = 0.078125.
    assert_eq!(lines.next(), Some("c1-000\t320\t240\t20\t10\t120\t70\t0.2344\t0.0781\t"));
    assert_eq!(lines.count(), 10);
    assert!(!images.join("original_64/boxes.tsv").exists());

    if has_mpirun() {
        preprocess(ranks(3), &bench.write_job("three", &bench.output("three"), &settings), 0);
        assert_same_tree(&images, &bench.output("three").join("images"));
    }
    let verified = program().arg("verify").arg(bench.root.path().join("one.toml")).output().unwrap();
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stdout));
}

#[test]
fn another_fill_makes_the_crops_again_and_leaves_the_original_as_it_is() {
    let bench = Bench::with_chunks(2, 3);
    let settings = boxed(&bench);
    let out = bench.output("a");
    let job = bench.write_job("a", &out, &settings);
    preprocess(program(), &job, 0);
    let before = tree(&out.join("images"));
    bench.write_job("a", &out, &settings.replace("bulk", "standalone"));
    preprocess(program(), &job, 0);
    let after = tree(&out.join("images"));
    let changed = |path: &str| before[Path::new(path)] != after[Path::new(path)];
    assert!(changed("cropped/packs/part1.json") && changed("cropped_64/packs/part1.json"));
    assert!(!changed("original_64/packs/part1.json"));
}

#[test]
fn a_box_outside_its_picture_spoils_the_crops_alone_until_the_box_is_mended() {
    let bench = Bench::with_chunks(2, 5);
    let settings = boxed(&bench);
    let boxes = bench.root.path().join("boxes.csv");
    let good = fs::read_to_string(&boxes).unwrap();
    fs::write(&boxes, good.replace("c1-001.jpg,20,10,120,70", "c1-001.jpg,900,900,940,920")).unwrap();
    let images = bench.output("a").join("images");
    let job = bench.write_job("a", &bench.output("a"), &settings);
    preprocess(program(), &job, 3);
    let held = |package: &str| container::open(&images.join(package).join("packs")).unwrap().keys().len();
    assert_eq!((held("cropped"), held("cropped_64"), held("original_64")), (12, 12, 13));
    let quarantine = |package: &str| fs::read_to_string(images.join(package).join("quarantine.csv")).unwrap().lines().count() - 1;
    assert_eq!((quarantine("cropped"), quarantine("cropped_64"), quarantine("original_64")), (1, 1, 0));

    fs::write(&boxes, good).unwrap();
    preprocess(program(), &job, 0);
    assert_eq!((held("cropped"), held("cropped_64"), held("original_64")), (13, 13, 13));

    // No detector ever looked: the same originals.
    preprocess(program(), &bench.job_to("without"), 0);
    assert_same_tree(&images.join("original_64"), &bench.output("without").join("images/original_64"));
}

#[test]
fn verify_names_a_box_table_that_is_damaged_or_missing() {
    let bench = Bench::with_chunks(2, 3);
    let job = bench.write_job("a", &bench.output("a"), &boxed(&bench));
    preprocess(program(), &job, 0);
    let folder = bench.output("a").join("images/cropped");
    let verify = |what: &str| {
        let output = program().arg("verify").arg(&job).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.code() == Some(5) && said.contains(what), "{what}: {said}");
    };
    for table in ["boxes.tsv", "packs/part1.boxes.tsv"] {
        let path = folder.join(table);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 0x80;
        fs::write(&path, bad).unwrap();
        verify("boxes.tsv");
        fs::remove_file(&path).unwrap();
        verify(table);
        fs::write(&path, good).unwrap();
    }
}

#[test]
fn a_chunk_may_be_a_zip_a_tar_an_hdf5_file_or_a_folder_and_gives_the_same_pack() {
    let files: Vec<(String, Vec<u8>)> = (0..4).map(|index| (format!("x{index}.jpg"), photograph(160, 120, index))).collect();
    let zip = Bench::new();
    zip.write_chunk(1, &files);
    let fill = |mut writer: Box<dyn Writer>| {
        files.iter().for_each(|(name, jpeg)| writer.add(&ImageKey::new(1, name), jpeg).unwrap());
        writer.finish().unwrap();
    };
    let tar = Bench::new();
    fill(Box::new(TarWriter::create(&tar.dataset(), "x", 1).unwrap()));
    fs::rename(tar.dataset().join("x-000001.tar"), tar.dataset().join("part1.tar")).unwrap();
    let hdf5 = Bench::new();
    fill(Box::new(Hdf5Writer::create(&hdf5.dataset().join("part1.hdf5"), &[]).unwrap()));
    let folder = Bench::new();
    fs::create_dir(folder.dataset().join("part1")).unwrap();
    files.iter().for_each(|(name, jpeg)| fs::write(folder.dataset().join("part1").join(name), jpeg).unwrap());

    let packs = [zip, tar, hdf5, folder].map(|bench| {
        preprocess(program(), &bench.job_to("a"), 0);
        fs::read(prep::package(&bench.output("a")).join("packs/part1.pack")).unwrap()
    });
    assert!(packs.iter().all(|pack| *pack == packs[0]));
}

#[test]
fn crops_without_a_detector_and_boxes_without_a_file_are_refused_before_any_work() {
    let bench = Bench::with_chunks(1, 1);
    let refused = |settings: &str| {
        let job = bench.write_job("bad", &bench.output("bad"), settings);
        let output = preprocess(program(), &job, 2);
        assert!(!bench.output("bad").exists());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused("packages = [\"cropped\"]").contains("preprocess.detector"));
    assert!(refused("detector = \"boxes\"").contains("preprocess.crop.boxes"));
    assert!(refused("detector = \"contrats\"").contains("contrast"), "the nearest name");
}

/// A light dish of 320×240 with a dark oval of 80×40 in its middle, or without it.
fn dish(specimen: bool) -> Vec<u8> {
    let mut image = RgbImage::black(Size { width: 320, height: 240 });
    for (index, pixel) in image.pixels.chunks_exact_mut(3).enumerate() {
        let (x, y) = ((index % 320) as f64 - 160.0, (index / 320) as f64 - 120.0);
        let inside = specimen && (x / 40.0).powi(2) + (y / 20.0).powi(2) < 1.0;
        pixel.copy_from_slice(if inside { &[70, 50, 40] } else { &[214, 222, 226] });
    }
    encode(&image, 90).unwrap()
}

#[test]
fn the_detector_without_weights_crops_what_is_there_and_keeps_an_empty_dish_whole() {
    let bench = Bench::new();
    bench.write_chunk(1, &[("beetle.jpg".into(), dish(true)), ("empty.jpg".into(), dish(false))]);
    let out = bench.output("a");
    let job = bench.write_job("a", &out, "detector = \"contrast\"\npackages = [\"cropped\"]\n");
    let said = preprocess(program(), &job, 0);
    assert!(String::from_utf8_lossy(&said.stdout).contains("2 images, the specimen found in 1"));
    // 80×40 grows by 0.4 · 80 on both axes: 112×72, give or take the detector's pixels.
    let (width, height) = size(&out.join("images"), "cropped", "beetle.jpg");
    assert!((100..=130).contains(&width) && (62..=90).contains(&height), "{width}×{height}");
    assert_eq!(size(&out.join("images"), "cropped", "empty.jpg"), (320, 240));
}
