//! Preprocessing as a user runs it: alone, on ranks, stopped, killed, and run again.
#![cfg(all(feature = "image", feature = "hdf5"))]

mod prep;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bioscan_hpc::container::{self, ImageKey};
use bioscan_hpc::image::decode;
use bioscan_hpc::random::{Purpose, stream};
use prep::{
    Bench, assert_nothing_unfinished, assert_same_tree, has_mpirun, package, preprocess, program, quarantine, ranks, tree,
};
use rand::RngExt;

#[test]
fn one_process_makes_every_container_and_a_second_run_redoes_nothing() {
    let bench = Bench::with_chunks(3, 6);
    let out = bench.output("a");
    let job = bench.job_to("a");
    preprocess(program(), &job, 0);
    let folder = package(&out);
    let summary: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("summary.json")).unwrap()).unwrap();
    assert_eq!((&summary["chunks_done"], &summary["images"]), (&3.into(), &24.into()));

    // All containers hold the same bytes, and they are pictures of the promised size.
    let packs = container::open(&folder.join("packs")).unwrap();
    assert_eq!(packs.keys().len(), 24);
    for other in ["original_64.zip", "original_64.hdf5", "folder", "webdataset"] {
        let other = container::open(&folder.join(other)).unwrap();
        assert_eq!(other.keys().len(), 24);
        for key in packs.keys() {
            assert_eq!(other.read(&key).unwrap(), packs.read(&key).unwrap());
        }
    }
    let size = |file: &str| decode(&packs.read(&ImageKey::new(1, file)).unwrap().unwrap()).unwrap().size();
    assert_eq!((size("c1-000.jpg").width, size("c1-000.jpg").height), (85, 64));
    assert_eq!((size("c1-001.jpg").width, size("c1-001.jpg").height), (64, 85));

    let times = |folder: &Path| {
        let written = |path: &PathBuf| fs::metadata(folder.join(path)).unwrap().modified().unwrap();
        tree(folder).into_keys().filter(|path| path.starts_with("packs")).map(|path| (written(&path), path)).collect::<Vec<_>>()
    };
    let before = times(&folder);
    let again = preprocess(program(), &job, 0);
    assert_eq!(times(&folder), before);
    assert!(String::from_utf8_lossy(&again.stdout).contains("3/3 chunks (3 were done already)"));
}

#[test]
fn three_ranks_give_the_bytes_of_one() {
    if !has_mpirun() {
        return;
    }
    let bench = Bench::with_chunks(5, 4);
    preprocess(program(), &bench.job_to("one"), 0);
    let said = preprocess(ranks(3), &bench.job_to("three"), 0);
    assert_same_tree(&package(&bench.output("one")), &package(&bench.output("three")));
    let lines = String::from_utf8_lossy(&said.stdout).lines().count();
    assert_eq!(lines, 1, "only rank 0 speaks");
    // More ranks than chunks: the others have nothing to do and say nothing.
    preprocess(ranks(7), &bench.job_to("seven"), 0);
    assert_same_tree(&package(&bench.output("one")), &package(&bench.output("seven")));
}

#[test]
fn real_photographs_give_the_same_bytes_on_one_and_on_three_ranks() {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/bioscan-originals/images");
    if !images.is_dir() {
        eprintln!("SKIPPED: {} is not there", images.display());
        return;
    }
    let mut paths: Vec<PathBuf> = fs::read_dir(&images).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let bench = Bench::new();
    for (chunk, paths) in (1..).zip(paths.chunks(60).take(3)) {
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        let files: Vec<_> = paths.iter().map(|path| (name(path), fs::read(path).unwrap())).collect();
        bench.write_chunk(chunk, &files);
    }
    preprocess(program(), &bench.job_to("one"), 0);
    assert_eq!(container::open(&package(&bench.output("one")).join("packs")).unwrap().keys().len(), 180);
    if has_mpirun() {
        preprocess(ranks(3), &bench.job_to("three"), 0);
        assert_same_tree(&package(&bench.output("one")), &package(&bench.output("three")));
    }
}

#[test]
fn only_what_changed_is_made_again() {
    let bench = Bench::with_chunks(3, 3);
    let job = bench.job_to("a");
    preprocess(program(), &job, 0);
    let pack = |chunk: u32| package(&bench.output("a")).join(format!("packs/part{chunk}.pack"));
    let good = fs::read(pack(2)).unwrap();
    let mut flipped = good.clone();
    flipped[40] ^= 1;
    fs::write(pack(2), flipped).unwrap();
    bench.write_chunk(3, &[("new.jpg".into(), prep::photograph(200, 100, 5))]);
    let said = preprocess(program(), &job, 0);
    assert!(String::from_utf8_lossy(&said.stdout).contains("(1 were done already)"));
    assert_eq!(fs::read(pack(2)).unwrap(), good);
    let zip = container::open(&package(&bench.output("a")).join("original_64.zip")).unwrap();
    assert!(zip.read(&ImageKey::new(3, "new.jpg")).unwrap().is_some());
    assert!(zip.read(&ImageKey::new(3, "c3-000.jpg")).unwrap().is_none());
}

#[test]
fn a_run_that_ends_half_way_leaves_no_summary_that_vouches_for_the_packs_of_two_makes() {
    let bench = Bench::with_chunks(2, 3);
    let out = package(&bench.output("a"));
    preprocess(program(), &bench.job_to("a"), 0);
    let good = tree(&out);
    // The second chunk cannot be replaced.
    let blocked = out.join("packs/part2.pack");
    fs::remove_file(&blocked).unwrap();
    fs::create_dir_all(blocked.join("precious")).unwrap();
    preprocess(program(), &bench.write_job("a", &bench.output("a"), "quality = 90"), 6);
    assert!(!out.join("summary.json").exists());
    fs::remove_dir_all(&blocked).unwrap();
    preprocess(program(), &bench.job_to("a"), 0);
    assert_eq!(tree(&out), good);
}

#[test]
fn another_hdf5_layout_is_written_and_what_a_killed_writer_of_another_format_left_goes() {
    let bench = Bench::with_chunks(1, 3);
    let out = package(&bench.output("a"));
    let group = || {
        let file = hdf5::File::open(out.join("original_64.hdf5")).unwrap();
        file.member_names().unwrap().contains(&"bioscan_dataset".to_owned())
    };
    preprocess(program(), &bench.job_to("a"), 0);
    assert!(group());
    for left in [".folder.part/part1", ".folder.old.part/part1"] {
        fs::create_dir_all(out.join(left)).unwrap();
    }
    preprocess(program(), &bench.write_job("a", &bench.output("a"), "hdf5_layout = \"tool\""), 0);
    assert!(!group());
    assert_nothing_unfinished(&out);
    assert_eq!(container::open(&out.join("original_64.hdf5")).unwrap().keys().len(), 4);
    preprocess(program(), &bench.job_to("a"), 0);
    assert!(group());
}

#[test]
fn a_chunk_that_left_the_dataset_is_asked_about_and_its_pack_is_never_removed_unasked() {
    let bench = Bench::with_chunks(3, 3);
    let job = bench.job_to("a");
    preprocess(program(), &job, 0);
    fs::remove_file(bench.chunk_path(3)).unwrap();
    let said = preprocess(program(), &job, 2);
    assert!(String::from_utf8_lossy(&said.stderr).contains("part3, which is in the dataset no more"));
    let packs = package(&bench.output("a")).join("packs");
    assert!(packs.join("part3.pack").exists());
    ["part3.pack", "part3.json"].iter().for_each(|name| fs::remove_file(packs.join(name)).unwrap());
    preprocess(program(), &job, 0);
    preprocess(program(), &bench.job_to("two"), 0);
    assert_same_tree(&package(&bench.output("two")), &package(&bench.output("a")));
    let verified = program().arg("verify").arg(&job).output().unwrap();
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// Kills `child` after `wait`, its ranks too, and waits until nobody is left.
fn kill(mut child: Child, wait: Duration, victim: impl FnOnce(u32) -> Option<u32>) {
    let begun = Instant::now();
    while begun.elapsed() < wait && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    if let Some(pid) = victim(child.id()) {
        // The process may have come to its end by itself in the meantime.
        let _ = Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status().unwrap();
    }
    child.wait().unwrap();
}

/// A rank below the launcher `pid`, by the number of `choice`.
fn rank_below(launcher: u32, choice: usize) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{launcher}/task/{launcher}/children")).ok()?;
    let ranks: Vec<u32> = children.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    (!ranks.is_empty()).then(|| ranks[choice % ranks.len()])
}

fn spawn(mut command: Command, job: &Path) -> Child {
    command.arg("-qq").arg("preprocess").arg(job).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// How many random kills each test makes: a few in `make test`, hundreds in `make soak`.
fn kills(usual: u64) -> u64 {
    std::env::var("BIOSCAN_HPC_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Two packages and where the specimens are, by a detector.
const CROPS: &str = "detector = \"contrast\"\npackages = [\"cropped_resized\", \"original_resized\"]";

#[test]
fn killed_at_random_moments_and_run_again_it_ends_with_the_same_bytes() {
    let bench = Bench::with_chunks(4, 12);
    bench.write_chunk(5, &many_small(5, 900));
    let kinds = [("plain", ""), ("crops", CROPS)].map(|(name, settings)| {
        let timed = |name: &str| {
            let begun = Instant::now();
            preprocess(program(), &bench.write_job(name, &bench.output(name), settings), 0);
            begun.elapsed()
        };
        // The faster of two, because a busy machine would place every kill behind the end.
        (bench.output(name).join("images"), settings, timed(name).min(timed(&format!("{name}-warm"))))
    });
    let (mut random, mut cut_short, rounds) = (stream(1, Purpose::Order, 0, 0), 0, kills(12));
    let out = bench.output("killed").join("images");
    for round in 1..=rounds {
        // Crops take longer, so that one in four must do.
        let (undisturbed, settings, whole) = &kinds[usize::from(round % 4 == 0)];
        let job = bench.write_job("killed", &bench.output("killed"), settings);
        kill(spawn(program(), &job), whole.mul_f64(random.random_range(0.02..0.95)), Some);
        cut_short += u64::from(!out.join("original_64/summary.json").exists());
        preprocess(program(), &job, 0);
        assert_same_tree(undisturbed, &out);
        assert_nothing_unfinished(&out);
        fs::remove_dir_all(bench.output("killed")).unwrap();
        eprintln!("kill {round} of {rounds}: {cut_short} came before the end");
    }
    assert!(cut_short * 4 >= rounds, "the kills came too late to show anything: {cut_short} of {rounds}");
}

#[test]
fn a_killed_rank_ends_the_job_and_a_second_run_ends_with_the_same_bytes() {
    if !has_mpirun() {
        return;
    }
    let bench = Bench::with_chunks(5, 12);
    bench.write_chunk(6, &many_small(6, 900));
    let begun = Instant::now();
    preprocess(ranks(3), &bench.job_to("undisturbed"), 0);
    let whole = begun.elapsed();
    let mut random = stream(2, Purpose::Order, 0, 0);
    for round in 0..kills(8) {
        let job = bench.job_to("killed");
        let moment = whole.mul_f64(random.random_range(0.3..0.9));
        kill(spawn(ranks(3), &job), moment, |launcher| rank_below(launcher, random.random_range(0..3)));
        // Another number of ranks goes on where the first left off.
        preprocess(if round % 2 == 0 { ranks(2) } else { program() }, &job, 0);
        assert_same_tree(&package(&bench.output("undisturbed")), &package(&bench.output("killed")));
        assert_nothing_unfinished(&package(&bench.output("killed")));
        fs::remove_dir_all(bench.output("killed")).unwrap();
    }
}

/// `count` small photographs: at 410 or so a unit, more than one unit's worth.
fn many_small(chunk: u32, count: u32) -> Vec<(String, Vec<u8>)> {
    let patterns: Vec<Vec<u8>> = (0..8).map(|salt| prep::photograph(80, 64, salt)).collect();
    (0..count).map(|index| (format!("m{chunk}-{index:04}.jpg"), patterns[index as usize % 8].clone())).collect()
}

#[test]
fn a_chunk_is_shared_by_more_ranks_than_there_are_chunks_and_its_pack_is_one() {
    if !has_mpirun() {
        return;
    }
    let bench = Bench::new();
    bench.write_chunk(1, &many_small(1, 2000));
    preprocess(program(), &bench.job_to("one"), 0);
    for count in [2, 3, 4] {
        let name = format!("ranks{count}");
        let mut command = ranks(count);
        command.arg("-v");
        let said = preprocess(command, &bench.job_to(&name), 0);
        assert_same_tree(&package(&bench.output("one")), &package(&bench.output(&name)));
        let said = String::from_utf8(said.stderr).unwrap();
        for rank in 0..count {
            assert!(said.contains(&format!("rank={rank} prepared")), "rank {rank} of {count} had nothing to do:\n{said}");
        }
    }
}

#[test]
fn a_bug_at_one_image_ends_all_ranks_with_the_name_of_rank_chunk_and_image() {
    if !has_mpirun() {
        return;
    }
    let bench = Bench::with_chunks(3, 6);
    preprocess(program(), &bench.job_to("good"), 0);
    let job = bench.job_to("bug");
    let mut command = ranks(3);
    let said = command.env("BIOSCAN_HPC_PANIC_AT", "c2-003.jpg").arg("preprocess").arg(&job).output().unwrap();
    assert!(!said.status.success());
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains(" of 3 on ") && said.contains("at part2/c2-003.jpg"), "{said}");
    preprocess(program(), &job, 0);
    assert_same_tree(&package(&bench.output("good")), &package(&bench.output("bug")));
}

#[test]
fn a_signal_stops_between_images_with_85_and_the_next_run_goes_on() {
    let bench = Bench::with_chunks(4, 200);
    preprocess(program(), &bench.job_to("undisturbed"), 0);
    let job = bench.job_to("stopped");
    let out = package(&bench.output("stopped"));
    let mut child = spawn(program(), &job);
    let begun = Instant::now();
    while !out.join("packs/part1.json").exists() && !out.join("packs/part4.json").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(), "no chunk was finished");
        std::thread::sleep(Duration::from_millis(1));
    }
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(85));
    assert_nothing_unfinished(&out);
    let said = preprocess(program(), &job, 0);
    assert!(!String::from_utf8_lossy(&said.stdout).contains("(0 were done already)"));
    assert_same_tree(&package(&bench.output("undisturbed")), &out);
}

#[test]
fn a_signal_to_the_launcher_stops_every_rank() {
    if !has_mpirun() {
        return;
    }
    let bench = Bench::with_chunks(4, 250);
    let job = bench.job_to("stopped");
    let out = package(&bench.output("stopped"));
    let mut child = spawn(ranks(2), &job);
    let begun = Instant::now();
    while !out.join("packs").is_dir() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never began");
        std::thread::sleep(Duration::from_millis(1));
    }
    // mpirun forwards SIGUSR1 to its ranks, as Slurm sends it before a time limit.
    Command::new("kill").args(["-USR1", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(85));
    assert_nothing_unfinished(&out);
    preprocess(ranks(2), &job, 0);
}

#[test]
fn verify_finds_a_flipped_bit_in_each_thing_written() {
    let bench = Bench::with_chunks(2, 3);
    let job = bench.job_to("a");
    preprocess(program(), &job, 0);
    let verify = |exit: i32| {
        let output = program().arg("verify").arg(&job).output().unwrap();
        assert_eq!(output.status.code(), Some(exit), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(verify(0).contains("7 results checked, 0 faults"));
    let folder = package(&bench.output("a"));
    let files = [
        "packs/part1.pack",
        "original_64.zip",
        "original_64.hdf5",
        "folder/part2/c2-000.jpg",
        "webdataset/original_64-000001.tar",
        "quarantine.csv",
    ];
    for file in files {
        let path = folder.join(file);
        let good = fs::read(&path).unwrap();
        // The high bit too: what was text is none any more.
        for bit in [1, 0x80] {
            let mut bad = good.clone();
            bad[good.len() / 2] ^= bit;
            fs::write(&path, bad).unwrap();
            let top = file.split('/').next().unwrap();
            assert!(verify(5).contains(top), "{file}");
        }
        fs::write(&path, good).unwrap();
    }
    File::create(folder.join("packs/part9.json")).unwrap();
    assert!(verify(5).contains("part9.json"));
    assert_eq!(quarantine(&bench.output("a")), []);
}
