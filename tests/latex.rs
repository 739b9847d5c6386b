//! The LaTeX tables through a real TeX: they compile, and none is wider than the column of text they are for, or higher than its page.

#[path = "support/runs.rs"]
#[expect(dead_code, reason = "shared with other tests")]
mod runs;

use std::fs;
use std::path::Path;
use std::process::Command;

use bioscan_hpc::config::Job;
use bioscan_hpc::evaluate::RunRecord;
use bioscan_hpc::report::latex::Latex;
use bioscan_hpc::report::published::Published;
use bioscan_hpc::report::{Arithmetic, Exporter, aggregate};

/// A page as conferences have it: one column of text, 5.5 inches wide and 9 high.
const PAGE: &str = r"\documentclass{article}
\usepackage{booktabs}
\setlength{\textwidth}{5.5in}
\setlength{\textheight}{9in}
\setlength{\oddsidemargin}{0.5in}
\setlength{\topmargin}{-0.5in}
\begin{document}
TABLES
\end{document}
";

/// Sets `tables` on a page in `folder`, twice for the references, and returns what TeX has to complain of; `None` where there is no TeX.
fn complaints(tables: &str, folder: &Path) -> Option<Vec<String>> {
    if Command::new("pdflatex").arg("--version").output().is_err() {
        eprintln!("SKIPPED: no pdflatex here (Debian: texlive-latex-recommended)");
        return None;
    }
    fs::write(folder.join("paper.tex"), PAGE.replace("TABLES", tables)).unwrap();
    for _ in 0..2 {
        let mut tex = Command::new("pdflatex");
        tex.args(["-interaction=nonstopmode", "-halt-on-error", "paper.tex"]).current_dir(folder);
        let output = tex.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    // BIOSCAN_HPC_PAPER=/tmp keeps the PDFs, to look at.
    if let Some(kept) = std::env::var_os("BIOSCAN_HPC_PAPER") {
        let name = format!("paper-{}.pdf", tables.len());
        fs::copy(folder.join("paper.pdf"), Path::new(&kept).join(name)).unwrap();
    }
    let log = String::from_utf8_lossy(&fs::read(folder.join("paper.log")).unwrap()).into_owned();
    let bad = |line: &&str| {
        ["Overfull", "Float too large", "undefined", "multiply defined", "Missing character"]
            .iter()
            .any(|word| line.contains(word))
    };
    Some(log.lines().filter(bad).map(str::to_owned).collect())
}

#[test]
fn the_golden_tables_compile_and_fit() {
    let folder = tempfile::tempdir().unwrap();
    let golden =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/snapshots/bioscan_hpc__report__exporter_tests__tables.tex.snap");
    let golden = fs::read_to_string(golden).unwrap();
    let tables = golden.splitn(3, "---\n").nth(2).unwrap();
    assert!(tables.starts_with("% \\usepackage{booktabs}"));
    if let Some(complaints) = complaints(tables, folder.path()) {
        assert_eq!(complaints, [""; 0]);
    }
}

/// The record of a run whose labels are as awkward as people's own.
fn awkward(job: &Job, index: usize) -> RunRecord {
    let mut record = runs::record(job, index, 4 + index % 4);
    record.evaluation.per_class[0].label = r"A_&5%{#}~^$<\e>".into();
    record.majority.class = 0;
    record.notes.insert("[seen] by_hand".into(), "a — b, 5 × 6 − 3 ≥ 2".into());
    record
}

#[test]
fn the_papers_whole_grid_fits_its_pages_whatever_the_classes_are_called() {
    let folder = tempfile::tempdir().unwrap();
    let job = Job::load(&runs::paper_job(folder.path())).unwrap();
    for missing in [0, 3, 40] {
        let records: Vec<RunRecord> = (0..72 - missing).map(|index| awkward(&job, index)).collect();
        let summary = aggregate(&job, &records, &Published::load().unwrap(), Arithmetic::Ours).unwrap();
        let tables = Latex.export(&summary).unwrap();
        assert_eq!(tables.matches("% missing: ").count(), missing);
        if let Some(complaints) = complaints(&tables, folder.path()) {
            assert_eq!(complaints, [""; 0], "{missing} runs missing");
        }
    }
}
