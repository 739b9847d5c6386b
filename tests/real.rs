//! Real photographs from a folder to a table: 720 BIOSCAN originals, imported, prepared on one rank and on three, split, a ResNet-50
//! trained on two ranks, tested, its table printed. `make real` runs the same at full size.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use support::{expect, on_ranks};

const CLASSES: [&str; 4] = ["valid", "empty", "blurry", "fragmented"];

fn originals() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/bioscan-originals");
    let there = folder.join("labels.csv").is_file();
    if !there {
        eprintln!("SKIPPED: no real photographs in {}", folder.display());
    }
    there.then_some(folder)
}

fn job(folder: &Path, output: &str) -> PathBuf {
    let file = folder.join(format!("{output}.toml"));
    let text = format!(
        r#"name = "quality"
paths = {{ dataset = "{0}/dataset", output = "{0}/{output}" }}
[preprocess]
size = 40
formats = ["zip", "hdf5"]
[train]
init = "random"
epochs = 2
global_batch = 32
lr = 0.02
threads = 1
crop = {{ resize = 36, size = 32 }}
[grid]
partitions = [{{ name = "quality", label = "quality", split = "quality_split" }}]
backbones = ["resnet50"]
losses = ["CE"]
seeds = [1]
"#,
        folder.display()
    );
    fs::write(&file, text).unwrap();
    file
}

/// Every file below `folder`, by its name there.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn from_720_photographs_to_a_table_with_the_majority_beside_it() {
    let Some(originals) = originals() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, three) = (job(folder.path(), "one"), job(folder.path(), "three"));
    let dataset = folder.path().join("dataset");
    // 40 of the 720 have no label; they are imported and take part in no split.
    let mut import = on_ranks(1);
    import.arg("import").arg(originals.join("images")).arg(originals.join("labels.csv"));
    expect(import.args(["--label", "quality", "--images-per-chunk", "150", "--out"]).arg(&dataset), 0);

    expect(on_ranks(1).arg("preprocess").arg(&one), 0);
    expect(on_ranks(3).arg("preprocess").arg(&three), 0);
    let images = |output: &str| tree(&folder.path().join(output).join("images"));
    let prepared = images("one");
    assert!(prepared.keys().any(|path| path.ends_with("packs/part5.pack")), "{:?}", prepared.keys());
    assert!(prepared == images("three"), "one rank and three prepare different bytes");

    expect(on_ranks(1).arg("metadata").arg("split").arg(&one), 0);
    expect(on_ranks(2).arg("train").arg(&one).args(["--index", "0", "--device", "cpu"]), 0);
    let answer = expect(on_ranks(1).arg("aggregate").arg(&one), 0);
    let table = String::from_utf8(answer.stdout).unwrap();
    eprintln!("{table}");
    assert!(table.contains("always valid"), "the majority baseline stands beside the result:\n{table}");

    let record = fs::read(folder.path().join("one/runs/quality-resnet50-CE-s1/test.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let per_class = record["evaluation"]["per_class"].as_array().unwrap();
    let labels: Vec<&str> = per_class.iter().map(|class| class["label"].as_str().unwrap()).collect();
    assert_eq!(labels, CLASSES, "by count: 378, 195, 67, 40");
    let support = |class: &serde_json::Value| class["support"].as_u64().unwrap();
    // round(0.2 n) of each class, as the split's rule has it: 75.6, 39, 13.4, 8.
    assert_eq!(per_class.iter().map(support).collect::<Vec<_>>(), [76, 39, 13, 8]);
    assert_eq!(record["majority"]["accuracy"].as_f64().unwrap(), 76.0 / 136.0);
    assert_eq!(record["config"]["synthetic"], false);
}
