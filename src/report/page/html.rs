//! Material and figures → the page.

use std::collections::BTreeSet;

use crate::report::figures::axis::thousands;
use crate::report::figures::svg::escape;
use crate::report::lines::SYNTHETIC;
use crate::report::page::data_uri::data_uri;
use crate::report::page::examples::{Example, Examples};
use crate::report::page::material::Material;
use crate::report::page::pictures::{Picture, Section};
use crate::report::page::{counts, tables};

const STYLE: &str = include_str!("style.css");

/// The parts of the page, in order: id and heading.
const PARTS: [(&str, &str); 9] = [
    ("tables", "Tables"),
    ("training", "Training"),
    ("classes", "Class by class"),
    ("calibration", "Calibration"),
    ("examples", "Example pictures"),
    ("dataset", "The dataset"),
    ("cost", "Cost"),
    ("missing", "What is missing"),
    ("provenance", "Provenance"),
];

/// The whole page. Equal material makes equal bytes: it holds no time and no path of this machine but those in the job.
#[must_use]
pub fn page(material: &Material, pictures: &[Picture]) -> String {
    let summary = &material.summary;
    let title = format!("{}: {} of {} runs", summary.job, summary.done, summary.of);
    let banner = if material.is_synthetic() { format!("<p class=\"banner\">{}</p>\n", escape(SYNTHETIC)) } else { String::new() };
    let links: String = PARTS.iter().map(|(id, name)| format!("<a href=\"#{id}\">{name}</a>\n")).collect();
    let parts: String = PARTS
        .iter()
        .map(|(id, name)| format!("<section id=\"{id}\">\n<h2>{name}</h2>\n{}</section>\n", part(id, material, pictures)))
        .collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\">\n<title>{0}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{0}</h1>\n{banner}<nav>\n{links}</nav>\n\
         </header>\n<main>\n{parts}</main>\n</body>\n</html>\n",
        escape(&title)
    )
}

fn part(id: &str, material: &Material, pictures: &[Picture]) -> String {
    let figures = |section| figures(pictures.iter().filter(|picture| picture.section == section));
    match id {
        "tables" => {
            let all: String = material.summary.tables.iter().map(tables::section).collect();
            all + &tables::notes_of(&material.summary.footnotes)
        }
        "training" => figures(Section::Training),
        "classes" => figures(Section::Classes),
        "calibration" => figures(Section::Calibration),
        "examples" => examples(&material.examples),
        "dataset" => {
            let tables = material.statistics.as_ref().map(counts::on_the_page).unwrap_or_default();
            tables + &figures(Section::Dataset)
        }
        "cost" => figures(Section::Cost),
        "missing" => missing(material),
        _ => provenance(material),
    }
}

fn figures<'a>(pictures: impl Iterator<Item = &'a Picture>) -> String {
    let figure = |picture: &Picture| {
        format!(
            "<figure id=\"figure-{}\">\n<div class=\"wide\">\n{}</div>\n<figcaption>{}</figcaption>\n</figure>\n",
            escape(&picture.name),
            picture.svg,
            escape(&picture.caption)
        )
    };
    let (front, behind): (Vec<&Picture>, Vec<&Picture>) = pictures.partition(|picture| picture.in_front);
    let mut text: String = front.into_iter().map(figure).collect();
    if !behind.is_empty() {
        let others: String = behind.iter().map(|picture| figure(picture)).collect();
        let of_the_data = behind.iter().all(|picture| picture.section == Section::Dataset);
        let what = if of_the_data { "of the data" } else { "of the other rows" };
        text.push_str(&format!("<details>\n<summary>{} more {what}</summary>\n{others}</details>\n", behind.len()));
    }
    if text.is_empty() { "<p>Nothing to show yet.</p>\n".into() } else { text }
}

fn examples(all: &[Examples]) -> String {
    if all.is_empty() {
        return "<p>Nothing to show yet.</p>\n".into();
    }
    let set = |set: &Examples| {
        let kinds = [("Right, the surest", &set.right), ("Wrong, the surest", &set.wrong), ("The least sure", &set.unsure)];
        let kinds: String = kinds
            .into_iter()
            .filter(|(_, examples)| !examples.is_empty())
            .map(|(name, examples)| {
                let cards: String = examples.iter().map(card).collect();
                format!("<h4>{name}</h4>\n<div class=\"cards\">\n{cards}</div>\n")
            })
            .collect();
        format!("<h3>{}</h3>\n{kinds}", escape(&set.id.to_string()))
    };
    let note = "<p>Test pictures as they were prepared, at most one of each true class in a row. One run of the best row of each \
        partition.</p>\n";
    format!("{note}{}", all.iter().map(set).collect::<String>())
}

fn card(example: &Example) -> String {
    let key = escape(&example.key.to_string());
    let picture = if example.jpeg.is_empty() {
        "<div class=\"no-picture\">no picture</div>".to_owned()
    } else {
        format!("<img src=\"{}\" alt=\"{key}\" title=\"{key}\">", data_uri("image/jpeg", &example.jpeg))
    };
    let right = example.said.first().is_some_and(|(class, _)| *class == example.truth);
    let said: String = example
        .said
        .iter()
        .take(3)
        .map(|(class, p)| format!("<li><meter value=\"{p:.4}\"></meter> {:.1} % {}</li>\n", 100.0 * p, escape(class)))
        .collect();
    let verdict = if right { "right" } else { "wrong" };
    format!(
        "<div class=\"card {verdict}\">{picture}\n<div><b>{}</b> <span>{verdict}</span></div>\n<ol>\n{said}</ol></div>\n",
        escape(&example.truth)
    )
}

fn missing(material: &Material) -> String {
    let summary = &material.summary;
    let mut notes: Vec<String> = Vec::new();
    notes.extend(summary.missing.iter().map(|id| format!("missing: {id}")));
    notes.extend(summary.left_out.iter().map(|left| format!("left out: {}: {}", left.folder, left.why)));
    notes.extend(material.faults.iter().cloned());
    if notes.is_empty() {
        "<p>Nothing: every run of the grid is here, and every file of it was read.</p>\n".into()
    } else {
        tables::notes_of(&notes)
    }
}

fn provenance(material: &Material) -> String {
    let made = || material.runs.iter().filter_map(|run| run.provenance.as_ref());
    let configs = || material.runs.iter().map(|run| &run.record.config);
    let distinct = |values: &mut dyn Iterator<Item = String>| {
        let values: BTreeSet<String> = values.filter(|value| !value.is_empty()).collect();
        if values.is_empty() { "not recorded".into() } else { values.into_iter().collect::<Vec<_>>().join(", ") }
    };
    let commit = |commit: &str| if commit.is_empty() { String::new() } else { format!(" ({commit})") };
    let libraries = |libraries: &std::collections::BTreeMap<String, String>| {
        libraries.iter().map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", ")
    };
    let mut lines = vec![
        (
            "This page".to_owned(),
            format!("bioscan-hpc {}{}", env!("CARGO_PKG_VERSION"), commit(option_env!("BIOSCAN_GIT_COMMIT").unwrap_or_default())),
        ),
        (
            "The runs".into(),
            distinct(&mut made().map(|made| format!("bioscan-hpc {}{}", made.version, commit(&made.git_commit)))),
        ),
        ("Libraries".into(), distinct(&mut made().map(|made| libraries(&made.libraries)))),
        ("Hosts".into(), distinct(&mut made().map(|made| format!("{} ({})", made.host, made.cpu)))),
        ("Devices".into(), distinct(&mut made().map(|made| made.device.clone()))),
        ("Ranks × threads".into(), distinct(&mut made().map(|made| format!("{} × {}", made.ranks, made.threads)))),
        ("Images".into(), distinct(&mut configs().map(|config| config.package.clone()))),
        ("Pretrained weights, blake3".into(), distinct(&mut configs().map(|config| config.pretrained.clone()))),
    ];
    if let Some(statistics) = &material.statistics {
        lines.push(("Records".into(), thousands(statistics.rows)));
    }
    let partitions: BTreeSet<&str> = material.runs.iter().map(|run| run.record.id.partition.as_str()).collect();
    for partition in partitions {
        let of = |config: &&crate::config::RunConfig| config.id.partition == partition;
        let prints = distinct(&mut configs().filter(of).map(|config| config.dataset_fingerprint.clone()));
        lines.push((format!("Fingerprint of {partition}"), prints));
    }
    let rows: String = lines
        .iter()
        .map(|(name, value)| format!("<tr><th>{}</th><td class=\"code\">{}</td></tr>\n", escape(name), escape(value)))
        .collect();
    let job = toml::to_string_pretty(&material.job).unwrap_or_else(|error| error.to_string());
    format!(
        "<div class=\"wide\"><table class=\"facts\">\n{rows}</table></div>\n<details>\n<summary>The job, as resolved</summary>\n<pre>{}</pre>\n</details>\n",
        escape(&job)
    )
}
