//! `weights`, `test` and `predict` as their user runs them, on one small trained run.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

#[cfg(feature = "hdf5")]
use bioscan_hpc::config::Hdf5Layout;
#[cfg(feature = "hdf5")]
use bioscan_hpc::container::Hdf5Writer;
use bioscan_hpc::container::{FolderWriter, ImageKey, TarWriter, Writer, ZipWriter, open};
use serde_json::Value;
use support::{RUN, TinyJob, edit, expect, on_ranks};

/// A trained run, the same for every test here.
fn trained() -> &'static TinyJob {
    static JOB: OnceLock<TinyJob> = OnceLock::new();
    JOB.get_or_init(|| {
        let job = TinyJob::new("").with_epochs(4);
        expect(&mut job.train(1), 0);
        job
    })
}

fn program(arguments: &[&str]) -> Command {
    let mut command = on_ranks(1);
    command.args(arguments);
    command
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The path of something below a folder of this test's own, with its keeper.
fn place(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    (folder, path)
}

fn tested(job: &TinyJob, arguments: &[&str]) -> Vec<Value> {
    let mut command = program(&["test", text(&job.file()), "--device", "cpu", "--json", "--experiment", RUN]);
    json(&expect(command.args(arguments), 0).stdout).as_array().unwrap().clone()
}

#[test]
fn training_from_scratch_must_be_asked_for() {
    let job = TinyJob::new("");
    edit(&job.file(), |text| text.replace("init = \"random\"\n", ""));
    let output = expect(&mut job.train(1), 2);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("does not say which weights resnet18 begins with"), "{message}");
    assert!(message.contains("init = \"random\""), "{message}");
}

#[test]
fn a_run_is_inspected_exported_and_taken_in_again() {
    let job = trained();
    for path in [job.run(""), job.run("best.safetensors"), checkpoint(job)] {
        let found = json(&expect(&mut program(&["weights", "inspect", text(&path), "--json"]), 0).stdout);
        assert_eq!((&found["backbone"], &found["classes"]), (&"resnet18".into(), &3.into()), "{found}");
        assert_eq!(found["class_names"].as_array().unwrap().len(), 3);
    }
    let (_keeper, exported) = place("exported");
    expect(&mut program(&["weights", "export", text(&job.run("")), "--out", text(&exported)]), 0);
    insta::assert_snapshot!(fs::read_to_string(exported.join("config.json")).unwrap());
    // Nothing is lost on the way: the same tensors in the same order.
    assert_eq!(fs::read(exported.join("model.safetensors")).unwrap(), fs::read(job.run("best.safetensors")).unwrap());

    let (_keeper, weights) = place("weights");
    expect(&mut program(&["weights", "import", text(&exported), "--out", text(&weights)]), 0);
    let imported = weights.join("resnet18.safetensors");
    assert!(imported.is_file());
    fs::write(&imported, b"something else").unwrap();
    let output = expect(&mut program(&["weights", "import", text(&exported), "--out", text(&weights)]), 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("another file of this name is there"));
}

#[test]
fn a_run_begins_with_imported_weights_and_says_what_becomes_of_the_head() {
    let (job, (_keeper, weights)) = (TinyJob::new(""), place("weights"));
    expect(&mut program(&["weights", "import", text(&trained().run("")), "--out", text(&weights)]), 0);
    edit(&job.file(), |text| {
        let text = text.replace("init = \"random\"\n", "");
        text.replace("output =", &format!("weights = {:?}, output =", weights.display().to_string()))
    });
    let output = expect(&mut job.train(1), 0);
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(log.contains("122 tensors loaded") || log.contains("102 tensors loaded"), "{log}");
    let config = fs::read_to_string(job.run("config.toml")).unwrap();
    assert!(config.contains("pretrained = \"") && !config.contains("pretrained = \"\""), "{config}");
}

fn checkpoint(job: &TinyJob) -> PathBuf {
    let entries = fs::read_dir(job.run("")).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "ckpt")).unwrap()
}

#[test]
fn what_is_no_backbone_ends_in_5_and_says_why() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/original.tar");
    let output = expect(&mut program(&["weights", "inspect", text(&fixture)]), 5);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("torch.save") && said.contains("FAULT") && said.contains("missing"), "{said}");
    let output = expect(&mut program(&["weights", "export", text(&fixture), "--out", "nowhere"]), 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no backbone known here"));
}

#[test]
fn every_split_and_any_weights_are_tested_and_an_ensemble_of_one_network_twice_is_that_network() {
    let (job, (_keeper, out)) = (trained(), place("out"));
    let own = tested(job, &[]);
    let record = json(&fs::read(job.run("test.json")).unwrap());
    assert_eq!(own[0]["evaluation"], record["evaluation"]);
    assert_eq!((&own[0]["name"], &own[0]["split"]), (&RUN.into(), &"test".into()));

    let copy = out.join("copy.safetensors");
    fs::create_dir_all(&out).unwrap();
    fs::copy(job.run("best.safetensors"), &copy).unwrap();
    let best = job.run("best.safetensors");
    let both = tested(job, &["--weights", text(&best), text(&copy), "--out", text(&out)]);
    assert_eq!((both.len(), &both[1]["evaluation"]), (2, &record["evaluation"]));
    assert_eq!(fs::read(out.join("copy/test-predictions.csv")).unwrap(), fs::read(job.run("predictions.csv")).unwrap());
    assert_eq!(json(&fs::read(out.join("copy/test.json")).unwrap())["evaluation"], record["evaluation"]);

    let together = tested(job, &["--weights", text(&best), text(&copy), "--ensemble"]);
    assert_eq!((together.len(), &together[0]["name"]), (1, &"ensemble".into()));
    assert_eq!(together[0]["evaluation"]["confusion"], record["evaluation"]["confusion"]);
    let loss = |of: &Value| of["evaluation"]["loss"].as_f64().unwrap();
    assert!((loss(&together[0]) - loss(&own[0])).abs() < 1e-5);

    let train = tested(job, &["--split", "train"]);
    assert_eq!((&train[0]["evaluation"]["used"], &train[0]["split"]), (&54.into(), &"train".into()));
}

#[test]
fn weights_for_other_classes_are_not_tested() {
    let job = TinyJob::new("");
    edit(&job.path("out/BIOSCAN_Insect_Dataset_metadata.tsv"), |text| text.replace("Blue", "Green"));
    let mut command = program(&["test", text(&job.file()), "--device", "cpu", "--experiment", RUN, "--weights"]);
    let output = expect(command.arg(trained().run("best.safetensors")), 2);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("`fc.weight` is [3, 512], not [2, 512]"), "{message}");
}

/// `predict` on `images`, with the run as the network.
fn predict(ranks: usize, images: &[&Path], arguments: &[&str]) -> Command {
    let mut command = on_ranks(ranks);
    command.arg("predict").arg(trained().run("")).args(images).args(["--device", "cpu"]).args(arguments);
    command
}

fn packs() -> PathBuf {
    trained().path("out/images/original_36/packs")
}

/// The images of the packs as one HDF5 file of `layout`.
#[cfg(feature = "hdf5")]
fn hdf5(path: &Path, layout: Hdf5Layout) {
    let reader = open(&packs()).unwrap();
    let mut writer = Box::new(Hdf5Writer::create_as(path, layout).unwrap());
    for key in reader.keys() {
        writer.add(&key, &reader.read(&key).unwrap().unwrap()).unwrap();
    }
    writer.finish().unwrap();
}

/// The lines of a table by file name, whatever container the name says it lay in.
fn by_file(csv: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8(csv.to_vec()).unwrap();
    let line = |line: &str| {
        let (image, rest) = line.split_once(',').unwrap();
        (image.rsplit('/').next().unwrap().to_owned(), rest.to_owned())
    };
    text.lines().skip(1).map(line).collect()
}

#[test]
fn labels_are_those_of_the_test_and_the_same_bytes_on_any_number_of_ranks_and_threads() {
    let one = expect(&mut predict(1, &[&packs()], &["--threads", "1"]), 0).stdout;
    let lines = by_file(&one);
    assert_eq!(lines.len(), 90);
    assert!(one.starts_with(b"image,top1,p1,top2,p2,top3,p3\npart1/c1-00.jpg,"));
    for line in fs::read_to_string(trained().run("predictions.csv")).unwrap().lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let ours: Vec<&str> = lines[cells[1]].split(',').collect();
        assert_eq!(ours[0], cells[3], "{line}");
        let (ours, theirs): (f64, f64) = (ours[1].parse().unwrap(), cells[4].parse().unwrap());
        // Another batch size adds in another order.
        assert!((ours - theirs).abs() < 1e-5, "{line}");
    }
    for (ranks, threads) in [(1, "3"), (2, "1"), (3, "2")] {
        let again = expect(&mut predict(ranks, &[&packs()], &["--threads", threads]), 0).stdout;
        assert!(again == one, "on {ranks} ranks of {threads} threads");
    }
}

#[test]
fn a_folder_a_zip_a_tar_an_exported_network_and_json_lines_say_the_same() {
    let (_keeper, root) = place("containers");
    fs::create_dir_all(&root).unwrap();
    let [zip, tars, parts, plain] = ["a.zip", "tars", "parts", "plain"].map(|name| root.join(name));
    let reader = open(&packs()).unwrap();
    let keys: Vec<ImageKey> = reader.keys();
    let tar = |chunk| Box::new(TarWriter::create(&tars, "original_36", chunk).unwrap());
    let mut writers: Vec<(Option<u32>, Box<dyn Writer>)> = vec![
        (None, Box::new(ZipWriter::create(&zip, "original_36").unwrap())),
        (None, Box::new(FolderWriter::create(&parts).unwrap())),
        (Some(1), tar(1)),
        (Some(2), tar(2)),
    ];
    fs::create_dir_all(&plain).unwrap();
    for key in &keys {
        let jpeg = reader.read(key).unwrap().unwrap();
        let takers = writers.iter_mut().filter(|(chunk, _)| chunk.is_none_or(|chunk| chunk == key.chunk));
        takers.for_each(|(_, writer)| writer.add(key, &jpeg).unwrap());
        fs::write(plain.join(&key.file), &jpeg).unwrap();
    }
    writers.into_iter().for_each(|(_, writer)| writer.finish().unwrap());

    let expected = by_file(&expect(&mut predict(1, &[&packs()], &[]), 0).stdout);
    for path in [&zip, &tars, &parts, &plain] {
        assert!(by_file(&expect(&mut predict(1, &[path], &[]), 0).stdout) == expected, "{}", path.display());
    }
    let (first, second) = (plain.join("c1-00.jpg"), plain.join("c2-44.jpg"));
    let single = expect(&mut predict(1, &[&second, &first], &["--json", "--top", "1"]), 0).stdout;
    let single = String::from_utf8(single).unwrap();
    let said: Vec<Value> = single.lines().map(|line| json(line.as_bytes())).collect();
    assert_eq!((said.len(), said[0]["image"].as_str()), (2, second.to_str()));
    assert_eq!(said[0]["top"][0]["label"], expected["c2-44.jpg"].split(',').next().unwrap());

    let exported = root.join("exported");
    expect(&mut program(&["weights", "export", text(&trained().run("")), "--out", text(&exported)]), 0);
    let mut command = program(&["predict", text(&exported), text(&plain), "--device", "cpu"]);
    assert!(by_file(&expect(&mut command, 0).stdout) == expected, "the card says what the network was shown");
}

#[cfg(feature = "hdf5")]
#[test]
fn an_hdf5_file_of_either_layout_says_the_same_on_any_ranks_and_a_broken_image_in_it_is_quarantined() {
    let (_keeper, root) = place("hdf5");
    fs::create_dir_all(&root).unwrap();
    let expected = by_file(&expect(&mut predict(1, &[&packs()], &[]), 0).stdout);
    for layout in [Hdf5Layout::Published, Hdf5Layout::Tool] {
        let path = root.join(format!("{layout:?}.hdf5"));
        hdf5(&path, layout);
        let one = expect(&mut predict(1, &[&path], &[]), 0).stdout;
        // The file knows no chunks, so that the name alone is the image's.
        assert!(one.starts_with(b"image,top1,p1,top2,p2,top3,p3\nc1-00.jpg,"), "{}", String::from_utf8_lossy(&one[..80]));
        assert!(by_file(&one) == expected, "{}", path.display());
        assert!(expect(&mut predict(2, &[&path], &["--threads", "2"]), 0).stdout == one, "on two ranks");
    }
    let (broken, out) = (root.join("broken.h5"), root.join("out"));
    let mut writer = Box::new(Hdf5Writer::create_as(&broken, Hdf5Layout::Published).unwrap());
    let whole = open(&packs()).unwrap().read(&ImageKey::new(1, "c1-00.jpg")).unwrap().unwrap().into_owned();
    writer.add(&ImageKey::new(1, "c1-00.jpg"), &whole).unwrap();
    writer.add(&ImageKey::new(1, "half.jpg"), &whole[..whole.len() / 2]).unwrap();
    writer.finish().unwrap();
    expect(&mut predict(1, &[&broken], &["--out", text(&out)]), 3);
    let table = fs::read_to_string(out.join("predictions.csv")).unwrap();
    assert_eq!(by_file(table.as_bytes()).get("c1-00.jpg"), expected.get("c1-00.jpg"));
    let quarantine = fs::read_to_string(out.join("quarantine.csv")).unwrap();
    assert!(quarantine.starts_with("image,reason,detail\nhalf.jpg,truncated,"), "{quarantine}");
}

#[test]
fn what_cannot_be_read_is_quarantined_and_the_truth_gives_metrics() {
    let (_keeper, root) = place("photos");
    let (photos, out) = (root.join("photos"), root.join("labels"));
    fs::create_dir_all(&photos).unwrap();
    let reader = open(&packs()).unwrap();
    let mut truth = String::from("file,label\n");
    for key in reader.keys() {
        fs::write(photos.join(&key.file), reader.read(&key).unwrap().unwrap()).unwrap();
        let class = ["Red", "Green", "Blue"][key.file[3..5].parse::<usize>().unwrap() % 3];
        truth += &format!("{},{class}\n", key.file);
    }
    truth += "elsewhere.jpg,Red\n";
    fs::write(root.join("truth.csv"), truth).unwrap();
    fs::write(photos.join("a-broken.jpg"), b"\xff\xd8\xff no more").unwrap();
    fs::write(photos.join("notes.txt"), b"not an image").unwrap();

    let truth_file = root.join("truth.csv");
    let arguments = ["--out", text(&out), "--truth", text(&truth_file)];
    expect(&mut predict(2, &[&photos], &arguments), 3);
    let quarantine = fs::read_to_string(out.join("quarantine.csv")).unwrap();
    let reasons: Vec<&str> = quarantine.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!(reasons, ["truncated", "not_jpeg"], "{quarantine}");
    let table = fs::read_to_string(out.join("predictions.csv")).unwrap();
    assert!(table.starts_with("image,truth,top1,p1,"), "{table}");
    let right = table.lines().skip(1).filter(|line| line.split(',').nth(1) == line.split(',').nth(2)).count();
    let metrics = json(&fs::read(out.join("metrics.json")).unwrap());
    assert_eq!((&metrics["used"], &metrics["expected"]), (&90.into(), &91.into()));
    assert!((metrics["top_k"][0]["micro"].as_f64().unwrap() - right as f64 / 90.0).abs() < 1e-12);
    assert_eq!(fs::read_to_string(out.join("predictions.jsonl")).unwrap().lines().count(), 90);
    assert!(fs::read_dir(&out).unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().ends_with(".part")));
}

#[test]
fn what_predict_would_ignore_is_refused_or_said_and_no_old_figures_stay() {
    let (_keeper, root) = place("strangers");
    fs::create_dir_all(&root).unwrap();
    let (truth, out) = (root.join("truth.csv"), root.join("labels"));
    let metrics = out.join("metrics.json");
    let labelled = |label: &str| {
        fs::write(&truth, format!("file,label\nc1-00.jpg,{label}\n")).unwrap();
        let output = expect(&mut predict(1, &[&packs()], &["--out", text(&out), "--truth", text(&truth)]), 0);
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(!labelled("Red").contains("no class") && metrics.is_file());
    let said = labelled("Redd");
    assert!(said.contains("1 labels of the truth are no class and count nowhere: `Redd` (did you mean `Red`?)"), "{said}");
    assert!(said.contains("there are no metrics") && !metrics.exists(), "{said}");
    labelled("Red");
    expect(&mut predict(1, &[&packs()], &["--out", text(&out)]), 0);
    assert!(!metrics.exists(), "the figures of an earlier call are not of these labels");
    for (option, detector) in [("--boxes", "boxes"), ("--detector-weights", "detr")] {
        let output = expect(&mut predict(1, &[&packs()], &[option, "there.json", "--detector", "contrast"]), 2);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&format!("{option} is for `--detector {detector}`")), "{said}");
    }
    let output = expect(&mut predict(1, &[&packs()], &["--classes", text(&root.join("nope.txt"))]), 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("nope.txt: there is no such file"));
}

#[test]
fn outputs_without_names_are_asked_for() {
    let (_keeper, copy) = place("network.safetensors");
    fs::copy(trained().run("best.safetensors"), &copy).unwrap();
    let nameless = || program(&["predict", text(&copy), text(&packs()), "--device", "cpu"]);
    let output = expect(&mut nameless(), 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("--classes large_insect_order"));
    let output = expect(nameless().args(["--classes", "large_insect_order"]), 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("there are 16 class names, and the weights have 3 outputs"));
}
