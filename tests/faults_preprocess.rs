//! Wrong input, a full disk, a folder with an owner: preprocessing ends as the design says, and what was good stays good.
#![cfg(all(feature = "image", feature = "hdf5"))]

mod prep;

use std::fs;
use std::path::Path;
use std::process::Command;

use bioscan_hpc::container::{self, ImageKey};
use bioscan_hpc::store::lock::Lock;
use prep::{
    Bench, assert_nothing_unfinished, assert_same_tree, has_mpirun, package, photograph, preprocess, program, quarantine, ranks,
};

/// (name, bytes).
type Files = Vec<(String, Vec<u8>)>;

/// A chunk of good photographs among every kind of bad file, and what the quarantine must say of each.
fn mixed_chunk() -> (Files, Vec<(&'static str, &'static str)>) {
    let good = photograph(200, 150, 1);
    let mut bomb = good.clone();
    let sof = bomb.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    bomb[sof + 5..sof + 9].copy_from_slice(&[0x75, 0x30, 0x75, 0x30]);
    let cmyk = {
        let pixels = vec![90u8; 4 * 16 * 16];
        let format = turbojpeg::PixelFormat::CMYK;
        let image = turbojpeg::Image { pixels: &pixels[..], width: 16, pitch: 64, height: 16, format };
        turbojpeg::compress(image, 75, turbojpeg::Subsamp::None).unwrap().to_vec()
    };
    let bad: Vec<(&str, Vec<u8>, &str)> = vec![
        ("cmyk.jpg", cmyk, "unsupported_colour"),
        ("empty.jpg", vec![], "empty"),
        ("half.jpg", good[..good.len() / 2].to_vec(), "truncated"),
        ("huge.jpg", bomb, "too_large"),
        ("picture.jpg", b"\x89PNG\r\n\x1a\n0000".to_vec(), "not_jpeg"),
        ("text.jpg", b"this is no photograph".to_vec(), "not_jpeg"),
        ("zz-flipped.jpg", good.clone(), "bad_crc"),
    ];
    let reasons = bad.iter().map(|(file, _, reason)| (*file, *reason)).collect();
    let mut files: Files = bad.into_iter().map(|(file, bytes, _)| (file.to_owned(), bytes)).collect();
    files.push(("good1.jpg".into(), good));
    files.push(("good2.jpg".into(), photograph(150, 200, 2)));
    (files, reasons)
}

#[test]
fn bad_images_are_quarantined_with_their_reasons_and_the_others_are_what_they_were() {
    let bench = Bench::with_chunks(3, 3);
    let (mut files, reasons) = mixed_chunk();
    files.sort();
    bench.write_chunk(2, &files);
    // One byte in the data of the last entry is flipped; the directory still has the CRC of what was meant.
    let path = bench.chunk_path(2);
    let mut bytes = fs::read(&path).unwrap();
    let name = b"zz-flipped.jpg";
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap();
    bytes[at + name.len() + 300] ^= 1;
    fs::write(&path, bytes).unwrap();
    // A download that broke off.
    let whole = fs::read(bench.chunk_path(3)).unwrap();
    fs::write(bench.chunk_path(3), &whole[..whole.len() * 2 / 3]).unwrap();

    let job = bench.job_to("a");
    let out = bench.output("a");
    let said = preprocess(program(), &job, 3);
    assert!(String::from_utf8_lossy(&said.stdout).contains("9 inputs quarantined"));
    let mut expected: Vec<(u32, String, String)> =
        reasons.iter().map(|(file, reason)| (2, (*file).to_owned(), (*reason).to_owned())).collect();
    expected.push((3, String::new(), "truncated_zip".into()));
    expected.push((3, "c3-003.jpg".into(), "truncated".into()));
    assert_eq!(quarantine(&out), expected);
    let packs = container::open(&package(&out).join("packs")).unwrap();
    let held: Vec<ImageKey> = packs.keys().into_iter().filter(|key| key.chunk > 1).collect();
    let saved = ["c3-000.jpg", "c3-001.jpg", "c3-002.jpg"].map(|file| ImageKey::new(3, file));
    assert_eq!(held, [vec![ImageKey::new(2, "good1.jpg"), ImageKey::new(2, "good2.jpg")], saved.to_vec()].concat());

    // The same good images without the bad ones around them give the same bytes.
    let clean = Bench::with_chunks(3, 3);
    clean.write_chunk(
        2,
        &files[files.len() - 9..].iter().filter(|(name, _)| name.starts_with("good")).cloned().collect::<Vec<_>>(),
    );
    preprocess(program(), &clean.job_to("a"), 0);
    let clean_packs = container::open(&package(&clean.output("a")).join("packs")).unwrap();
    for key in packs.keys() {
        assert_eq!(packs.read(&key).unwrap(), clean_packs.read(&key).unwrap(), "{key}");
    }
    // Once more: still 3, nothing redone, and on ranks the same bytes.
    assert!(String::from_utf8_lossy(&preprocess(program(), &job, 3).stdout).contains("(3 were done already)"));
    if has_mpirun() {
        preprocess(ranks(3), &bench.job_to("ranks"), 3);
        assert_same_tree(&package(&out), &package(&bench.output("ranks")));
    }
}

#[test]
fn a_mended_chunk_is_made_again_and_leaves_the_quarantine() {
    let bench = Bench::with_chunks(2, 3);
    let whole = fs::read(bench.chunk_path(1)).unwrap();
    fs::write(bench.chunk_path(1), b"").unwrap();
    preprocess(program(), &bench.job_to("a"), 3);
    fs::write(bench.chunk_path(1), whole).unwrap();
    let said = preprocess(program(), &bench.job_to("a"), 0);
    assert!(String::from_utf8_lossy(&said.stdout).contains("(1 were done already)"));
    assert_eq!(quarantine(&bench.output("a")), []);
}

#[test]
fn a_name_in_two_chunks_is_told_by_name_where_the_hdf5_cannot_hold_both() {
    let bench = Bench::new();
    for chunk in [1, 2] {
        bench.write_chunk(chunk, &[("same.jpg".into(), photograph(100, 80, chunk))]);
    }
    let said = preprocess(program(), &bench.job_to("a"), 2);
    assert!(String::from_utf8_lossy(&said.stderr).contains("same.jpg is in chunk 1 and in chunk 2"));
    if has_mpirun() {
        // Only the rank that writes the HDF5 sees it; all end with 2, and rank 0 says why.
        let said = preprocess(ranks(3), &bench.job_to("b"), 2);
        assert!(String::from_utf8_lossy(&said.stderr).contains("same.jpg is in chunk 1 and in chunk 2"));
    }
    assert_nothing_unfinished(&package(&bench.output("a")));
}

#[test]
fn a_rename_that_fails_ends_with_6_and_the_name_and_leaves_what_was_there() {
    let bench = Bench::with_chunks(2, 3);
    preprocess(program(), &bench.job_to("good"), 0);
    for blocked in
        ["packs/part2.pack", "packs/part1.json", "original_64.zip", "original_64.hdf5", "quarantine.csv", "summary.json"]
    {
        let job = bench.job_to("a");
        let path = package(&bench.output("a")).join(blocked);
        // A file cannot be renamed over a folder that is not empty.
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("precious"), b"x").unwrap();
        let said = preprocess(program(), &job, 6);
        let words = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(words.contains(blocked) && !words.contains("bug"), "{blocked}: {words}");
        assert_eq!(fs::read(path.join("precious")).unwrap(), b"x");
        fs::remove_dir_all(&path).unwrap();
        preprocess(program(), &job, 0);
        assert_same_tree(&package(&bench.output("good")), &package(&bench.output("a")));
        fs::remove_dir_all(bench.output("a")).unwrap();
    }
}

#[test]
fn a_folder_another_run_owns_is_left_alone() {
    let bench = Bench::with_chunks(1, 2);
    let job = bench.job_to("a");
    let folder = package(&bench.output("a"));
    let lock = Lock::acquire(&folder).unwrap();
    let said = preprocess(program(), &job, 2);
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(words.contains("owned by another run") && words.contains(&std::process::id().to_string()), "{words}");
    if has_mpirun() {
        let said = preprocess(ranks(2), &job, 2);
        assert_eq!(String::from_utf8_lossy(&said.stderr).matches("owned by another run").count(), 1, "said once");
    }
    drop(lock);
    preprocess(program(), &job, 0);
}

#[test]
fn a_dataset_without_chunks_is_refused_before_anything_is_written() {
    let bench = Bench::new();
    let said = preprocess(program(), &bench.job_to("a"), 2);
    assert!(String::from_utf8_lossy(&said.stderr).contains("no chunk named bioscan_images_original_full_part{N}.zip"));
    assert!(!bench.output("a").exists());
}

/// Runs `script` with `$OUT` a tmpfs of its own, in a mount namespace that ends with it; `None` where that is not permitted.
fn in_a_small_disk(script: &str, out: &Path, size: u64, job: &Path, copy: &Path, launcher: &str) -> Option<String> {
    fs::create_dir_all(out).unwrap();
    let whole = format!("mount -t tmpfs -o size={size} none \"$OUT\" || exit 99\n{script}");
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", &whole])
        .env("OUT", out)
        .env("JOB", job)
        .env("COPY", copy)
        .env("RUN", format!("{launcher} {} preprocess", env!("CARGO_BIN_EXE_bioscan-hpc")))
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .output();
    match output {
        Ok(output) if output.status.code() == Some(0) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        other => {
            eprintln!("SKIPPED: no mount namespace here: {other:?}");
            None
        }
    }
}

/// Fills the disk at ever later moments: during the packs, the folder, the ZIP, the HDF5.
fn full_disk(launcher: &str, shares: &[u64]) {
    const SCRIPT: &str = "
$RUN \"$JOB\" 2>&1; echo \"exit $?\"
find \"$OUT\" -name '.*.part' | sed 's/^/left /'
mount -o remount,size=64m \"$OUT\" || exit 98
$RUN \"$JOB\" 2>&1; echo \"exit $?\"
cp -a \"$OUT/.\" \"$COPY\"
exit 0";
    let bench = Bench::with_chunks(3, 12);
    preprocess(program(), &bench.job_to("undisturbed"), 0);
    let whole = package(&bench.output("undisturbed"));
    let total: u64 = prep::tree(&whole).values().map(|bytes| bytes.len() as u64).sum();
    for share in shares {
        let name = format!("full{share}");
        let (job, copy) = (bench.job_to(&name), bench.output(&format!("copy{share}")));
        fs::create_dir(&copy).unwrap();
        let Some(said) = in_a_small_disk(SCRIPT, &bench.output(&name), total * share / 100, &job, &copy, launcher) else {
            return;
        };
        let exits: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("exit ")).collect();
        assert_eq!(exits, ["6", "0"], "at {share} %: {said}");
        assert!(said.contains("No space left on device"), "at {share} %: {said}");
        assert!(said.contains("finished work is kept"), "at {share} %: {said}");
        if launcher.is_empty() {
            assert!(!said.lines().any(|line| line.starts_with("left ")), "at {share} %: {said}");
        }
        assert_same_tree(&whole, &package(&copy));
        assert_nothing_unfinished(&package(&copy));
    }
}

#[test]
fn a_full_disk_ends_with_6_in_clear_words_and_with_space_the_next_run_ends_well() {
    full_disk("", &[5, 20, 45, 60, 75, 90, 97]);
}

#[test]
fn a_disk_full_for_one_rank_ends_all_ranks_with_6() {
    if has_mpirun() {
        full_disk("mpirun --oversubscribe --bind-to none -n 2", &[20, 80]);
    }
}
