//! The page of the paper's whole grid, 16 and 40 classes, as a person sees it on the screen and on paper.
#![cfg(feature = "image")]

#[path = "support/browser.rs"]
mod browser;
#[path = "support/grid.rs"]
mod grid;
#[path = "support/runs.rs"]
#[expect(dead_code, reason = "shared with other tests")]
mod runs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::cargo::cargo_bin_cmd;
use bioscan_hpc::config::Job;
use bioscan_hpc::image::{RgbImage, encode};
use browser::{browse, browser, probe};

/// The job of the whole grid with its metadata, split, and all runs but the last; the folder it lies in.
fn lab() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let path = runs::paper_job(root.path());
    let text =
        fs::read_to_string(&path).unwrap().replace("dataset = \"data\"", &format!("dataset = {:?}", root.path().join("data")));
    fs::write(&path, text + "[split]\nmedium = 1400\nsmall = 700\n").unwrap();
    let run = |arguments: &[&str], last: &Path| {
        cargo_bin_cmd!("bioscan-hpc").arg("-q").args(arguments).arg(last).assert().success();
    };
    run(&["synth", "--chunks", "113", "--images-per-chunk", "25", "--metadata-only", "--out"], &root.path().join("data"));
    run(&["metadata", "split"], &path);
    let shade = |pixel: u32| [pixel % 64 * 4, pixel / 64 * 4, 90].map(|value| value as u8);
    let picture = RgbImage { width: 64, height: 48, pixels: (0..64 * 48).flat_map(shade).collect() };
    grid::finish(&Job::load(&path).unwrap(), 71, &encode(&picture, 90).unwrap());
    let mut report = cargo_bin_cmd!("bioscan-hpc");
    report.args(["-q", "report", "--bootstrap", "200"]).arg(&path).assert().code(4);
    (root, path)
}

#[test]
fn sixteen_and_forty_classes_are_readable_on_the_screen_and_whole_on_paper() {
    let Some(browser) = browser() else { return };
    let (root, _) = lab();
    let (page, profile) = (root.path().join("out/report.html"), root.path().join("profile"));
    let said = probe(browser, root.path(), &page);
    assert_eq!((said["faults"].clone(), said["broken"].clone()), (serde_json::json!([]), 0.into()));
    for name in
        ["confusion_large_diptera_family-resnet50-CE", "per_class_small_diptera_family", "categories_family", "dataset_tails"]
    {
        assert!(fs::read_to_string(&page).unwrap().contains(&format!("id=\"figure-{name}\"")), "{name}");
    }
    let paper = root.path().join("page.pdf");
    browse(browser, &profile, &["--no-pdf-header-footer", &format!("--print-to-pdf={}", paper.display())], &page);
    assert!(fs::read(&paper).unwrap().starts_with(b"%PDF"));
    // BIOSCAN_HPC_LOOK=/tmp keeps page, figures and paper, to look at.
    if let Some(kept) = std::env::var_os("BIOSCAN_HPC_LOOK") {
        assert!(Command::new("cp").arg("-r").arg(root.path()).arg(kept).status().unwrap().success());
    }
    // Poppler finds no word that is folded away, and gives the words of each page; without it the paper is only there.
    let Ok(output) = Command::new("pdftotext").arg("-layout").arg(&paper).arg("-").output() else {
        eprintln!("SKIPPED: no pdftotext here (Debian: poppler-utils), so the words on paper are not read");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let pages: Vec<&str> = text.split('\u{c}').collect();
    // Each matrix, most of them folded on the screen: its title and what stands at its bottom are on one page.
    const BOTTOM: &str = "share of the images of the true class";
    for title in ["Confusion, large_diptera_family, vit_base_patch16_224 Focal", "Confusion, small_insect_order, resnet50 CE"] {
        let titled: Vec<&&str> = pages.iter().filter(|page| page.contains(title)).collect();
        let whole = titled.iter().filter(|page| page.contains(BOTTOM)).count();
        assert_eq!((titled.len(), whole), (1, 1), "{title}, on {} pages", pages.len());
    }
    assert!(text.contains("[train]"), "the job, as resolved, is folded on the screen, too");
}
