//! `report` on the command line: from run folders to one page, opened in a real browser.

#[path = "support/browser.rs"]
mod browser;
#[path = "support/runs.rs"]
#[expect(dead_code, reason = "shared with other tests")]
mod runs;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::cargo::cargo_bin_cmd;
use bioscan_hpc::config::Job;
use bioscan_hpc::container::{ImageKey, PackWriter, Writer};
use bioscan_hpc::telemetry::Provenance;
use browser::{browse, browser, probe};

/// A job of 72 runs of two classes with everything a page shows; names that would be markup if they were not escaped.
fn lab() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let path = runs::paper_job(root.path());
    let job = Job::load(&path).unwrap();
    for index in 0..72 {
        // The last run is missing.
        if index < 71 {
            let record = runs::record(&job, index, 5 + index % 3);
            runs::finish(&job.paths.runs(), &record);
            beside(&job.paths.runs().join(record.id.to_string()), 5 + index % 3);
        }
    }
    let metadata =
        "order\tfamily\tchunk_number\timage_file\tsmall_insect_order\tlarge_diptera_family\tcountry\tcoord-lat\tcoord-lon\tscale_factor
Diptera\tSciaridae\t1\t0.jpg\ttrain\ttrain\tCosta Rica\t10.327\t-84.08\t0.7578
Diptera\tPhoridae\t1\t1.jpg\ttest\tvalidation\tCosta Rica\t9.9\t-84\t0.7969
Hemiptera\t\t1\t2.jpg\ttrain\tno_split\tAustralia\t-35.019\t117.228\t1.5
<b>Wasps</b> & co\t\t1\t3.jpg\tvalidation\tno_split\t\t\t\tnone
";
    fs::write(job.paths.split_metadata(), metadata).unwrap();
    let mut pack = Box::new(PackWriter::create(&job.paths.packs(&job.preprocess.package()).join("part1.pack"), 1).unwrap());
    for image in 0..8 {
        pack.add(&ImageKey::new(1, format!("{image}.jpg")), PIXEL).unwrap();
    }
    pack.finish().unwrap();
    (root, path)
}

/// What training leaves in a run's folder, as [`runs::record`] counts it.
fn beside(folder: &Path, right: usize) {
    let name = |class: usize| ["Diptera", "Hemiptera"][class];
    let row = |image: usize| {
        let truth = image % 2;
        let says = if image < right { truth } else { 1 - truth };
        let sure = 0.6 + 0.04 * image as f64;
        format!("1,{image}.jpg,{},{},{sure:.6},{},{:.6}\n", name(truth), name(says), name(1 - says), 1.0 - sure)
    };
    let write = |file: &str, text: String| fs::write(folder.join(file), text).unwrap();
    write("predictions.csv", "chunk,image_file,truth,top1,p1,top2,p2\n".to_owned() + &(0..8).map(row).collect::<String>());
    let epoch = |epoch: usize| format!("{epoch},0.1,{},0.5,,{},1,0.5,0.5\n", 1.0 / (epoch + 1) as f64, 0.3 + 0.1 * epoch as f64);
    let header = "epoch,lr,loss_train,top1_train,loss_val,top1_val,top5_val,macro_top1_val,f1_macro_val\n".to_owned();
    write("metrics.csv", header + &(0..5).map(epoch).collect::<String>());
    write("timing.csv", "epoch,images,seconds,images_per_second\n0,100,2.0,50.0\n".into());
    write("provenance.json", serde_json::to_string(&Provenance::here(2, 1, "cpu")).unwrap());
}

/// The smallest JPEG a browser shows: one grey pixel.
const PIXEL: &[u8] = include_bytes!("fixtures/pixel.jpg");

fn report(job: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = cargo_bin_cmd!("bioscan-hpc").args(["-q", "report"]).arg(job).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
}

/// What every page of this job must have.
const FIGURES: [&str; 16] = [
    "validation_top1",
    "training_loss",
    "per_class_small_insect_order",
    "confusion_large_diptera_family-resnet50-CE",
    "calibration",
    "dataset_sizes",
    "distribution_small_insect_order",
    "dataset_tails",
    "dataset_pareto",
    "dataset_pareto_classes",
    "categories_order",
    "dataset_attributes",
    "dataset_sites",
    "categories_country",
    "distribution_scale_factor",
    "cost_core_hours",
];

#[test]
fn a_page_has_everything_needs_nothing_and_says_what_is_missing() {
    let (root, job) = lab();
    let (code, text) = report(&job, &[]);
    assert_eq!(code, Some(4), "{text}");
    let page = fs::read_to_string(root.path().join("out/report.html")).unwrap();
    for name in FIGURES {
        assert!(page.contains(&format!("id=\"figure-{name}\"")), "{name}");
        let svg = fs::read_to_string(root.path().join(format!("out/figures/{name}.svg"))).unwrap();
        assert!(page.contains(&svg), "{name} on the page is the file");
    }
    let table = |name: &str| fs::read_to_string(root.path().join(format!("out/figures/{name}.csv"))).unwrap();
    assert_eq!(table("categories_order"), "category,records\nDiptera,2\n<b>Wasps</b> & co,1\nHemiptera,1\n");
    assert!(table("dataset_ranks").starts_with("rank,categories,labelled,unlabelled,share,imbalance,most populated,"));
    assert!(page.contains("missing: large_diptera_family-vit_base_patch16_224-Focal-s3"));
    assert!(page.contains("data:image/jpeg;base64,/9j/") && page.contains("SYNTHETIC"));
    assert!(page.contains("&lt;b&gt;Wasps&lt;/b&gt; &amp; co") && !page.contains("<b>Wasps"), "names are no markup");
    let outside: Vec<&str> = page.split("http").skip(1).filter(|rest| !rest.starts_with("://www.w3.org/2000/svg")).collect();
    assert!(outside.is_empty() && !page.contains("<script") && !page.contains("<link"), "{:?}", outside.first());
    let (_, again) = report(&job, &[]);
    assert_eq!(again, text);
    let same = fs::read_to_string(root.path().join("out/report.html")).unwrap() == page;
    assert!(same, "the same runs make the same page, byte for byte");
}

#[test]
fn a_page_of_nothing_is_still_a_page() {
    let root = tempfile::tempdir().unwrap();
    let job = runs::paper_job(root.path());
    let out = root.path().join("page.html");
    let (code, text) = report(&job, &["--out", out.to_str().unwrap(), "--json"]);
    assert_eq!(code, Some(4), "{text}");
    let page = fs::read_to_string(out).unwrap();
    assert!(page.contains("0 of 72 runs") && page.contains("the dataset is not counted"));
}

#[test]
fn a_browser_shows_every_figure_with_no_text_cut_off_or_on_another() {
    let Some(browser) = browser() else { return };
    let (root, job) = lab();
    report(&job, &[]);
    // A real page, to look at names and numbers that a miniature does not have: BIOSCAN_HPC_PAGE=results/demo/report.html
    let real = std::env::var_os("BIOSCAN_HPC_PAGE").map(PathBuf::from);
    for page in [Some(root.path().join("out/report.html")), real].into_iter().flatten() {
        let said = probe(browser, root.path(), &page);
        assert_eq!(said["faults"], serde_json::json!([]), "{}", page.display());
        assert_eq!((said["broken"].clone(), said["wide"].clone()), (0.into(), false.into()), "{said}");
        assert!(said["figures"].as_u64() >= Some(FIGURES.len() as u64) && said["images"].as_u64() > Some(0), "{said}");
        let picture = root.path().join("page.png");
        browse(browser, &root.path().join("profile"), &[&format!("--screenshot={}", picture.display())], &page);
        let png = fs::read(&picture).unwrap();
        assert!(png.starts_with(b"\x89PNG") && png.len() > 20_000, "{} bytes", png.len());
    }
}
