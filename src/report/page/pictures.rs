//! Material → every figure of the page, each with the name its file gets.

use std::collections::BTreeMap;

use crate::evaluate::{Calibration, Evaluation};
use crate::report::Row;
use crate::report::figures::{Heading, Series, Style};
use crate::report::figures::{calibration, confusion, cost, curves, per_class, strips};
use crate::report::page::data;
use crate::report::page::material::{Material, Run};
use crate::report::statistics::mean;

/// A figure, drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Its place on the page.
    pub section: Section,
    /// Names it: `{name}.svg`.
    pub name: String,
    /// What a reader should know to read it.
    pub caption: String,
    /// Whether the page shows it at once, or on demand.
    pub in_front: bool,
    /// The text of the SVG.
    pub svg: String,
}

/// Parts of the page that hold figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// How training went.
    Training,
    /// What the models reach, by class.
    Classes,
    /// Calibration.
    Calibration,
    /// The data.
    Dataset,
    /// Times.
    Cost,
}

/// Every figure there is material for.
#[must_use]
pub fn pictures(material: &Material) -> Vec<Picture> {
    let mut all = vec![curves_of(material, true), curves_of(material, false)];
    all.extend(material.best_rows().into_iter().filter_map(|row| by_class(material, row)).flatten());
    all.extend(confusions(material));
    all.push(reliability(material));
    all.extend(material.statistics.iter().flat_map(|counted| data::pictures(counted, material.is_synthetic())));
    all.extend(cost_of(material));
    all
}

/// The style of a row, and every style with its name.
fn style(material: &Material, row: &Row) -> Style {
    let grid = &material.job.grid;
    let place = |found: Option<usize>| found.unwrap_or(0);
    Style::of(
        place(grid.backbones.iter().position(|backbone| *backbone == row.backbone)),
        place(grid.losses.iter().position(|loss| *loss == row.loss)),
    )
}

fn legend(material: &Material) -> Vec<Series> {
    let mut legend: Vec<Series> = Vec::new();
    for row in material.summary.tables.iter().flat_map(|table| &table.rows) {
        if legend.iter().all(|series| series.name != row.name()) {
            legend.push(Series { name: row.name(), style: style(material, row) });
        }
    }
    legend
}

/// Above a figure of this material.
fn heading(material: &Material, title: impl Into<String>) -> Heading {
    Heading::new(title, material.is_synthetic())
}

/// A panel a partition, a row of panels a table.
fn panels<T>(material: &Material, panel: impl Fn(&str, &[&Row]) -> T) -> Vec<Vec<T>> {
    let of_table = |rows: &[Row]| {
        let mut by_partition: Vec<(&str, Vec<&Row>)> = Vec::new();
        for row in rows {
            match by_partition.iter_mut().find(|(partition, _)| *partition == row.partition) {
                Some((_, rows)) => rows.push(row),
                None => by_partition.push((&row.partition, vec![row])),
            }
        }
        by_partition.iter().map(|(partition, rows)| panel(partition, rows)).collect()
    };
    material.summary.tables.iter().map(|table| of_table(&table.rows)).collect()
}

fn curves_of(material: &Material, accuracy: bool) -> Picture {
    let points = |run: &Run| {
        let value = |epoch: &crate::report::page::folder::Epoch| {
            if accuracy { epoch.top1_val.map(|top1| 100.0 * top1) } else { Some(epoch.loss_train) }
        };
        run.epochs.iter().filter_map(|epoch| Some(((epoch.epoch + 1) as f64, value(epoch)?))).collect()
    };
    // Where the models are good, the upper fifth, as in the original's figure: there are the differences.
    let last = |run: &Run| run.epochs.iter().rev().find_map(|epoch| epoch.top1_val);
    let low = if material.runs.iter().filter_map(last).all(|top1| top1 >= 0.8) { 80.0 } else { 0.0 };
    let curves = |rows: &[&Row]| {
        let of_row = |row: &&Row| {
            let style = style(material, row);
            let curve = move |run: &Run| curves::Curve { name: run.record.id.to_string(), style, points: points(run) };
            material.of_row(row).map(curve).collect::<Vec<_>>()
        };
        rows.iter().flat_map(of_row).collect()
    };
    let (title, unit, range, name, caption) = if accuracy {
        let caption = "Top-1 on the validation split after each epoch, a line a run. The epoch with the highest is the one that is tested. \
            Where the axis begins at 80, what is lower lies on its edge.";
        ("Validation accuracy", "top-1, %", Some((low, 100.0)), "validation_top1", caption)
    } else {
        let caption = "Mean training loss of each epoch, measured while the weights moved, a line a run. The focal loss is smaller by its \
            definition.";
        ("Training loss", "loss, nats", None, "training_loss", caption)
    };
    let figure = curves::Curves {
        heading: heading(material, title),
        unit: unit.into(),
        range,
        legend: legend(material),
        panels: panels(material, |title, rows| curves::Panel { title: title.to_owned(), curves: curves(rows) }),
    };
    Picture { section: Section::Training, name: name.into(), caption: caption.into(), in_front: true, svg: curves::draw(&figure) }
}

/// The accuracy of each class in every row of a partition: as marks on a line, and in shades as the original draws it.
fn by_class(material: &Material, best: &Row) -> Option<[Picture; 2]> {
    let rows: Vec<&Row> =
        material.summary.tables.iter().flat_map(|table| &table.rows).filter(|row| row.partition == best.partition).collect();
    let first = material.of_row(best).next()?;
    let recall = |row: &Row, label: &str| {
        let of_run = |run: &Run| {
            let class = run.record.evaluation.per_class.iter().find(|class| class.label == label)?;
            (class.support > 0).then_some(100.0 * class.recall)
        };
        mean(&material.of_row(row).filter_map(of_run).collect::<Vec<f64>>())
    };
    let classes = first.record.evaluation.per_class.iter().map(|class| per_class::Class {
        name: class.label.clone(),
        images: class.support,
        values: rows.iter().map(|row| recall(row, &class.label)).collect(),
    });
    let figure = per_class::PerClass {
        heading: heading(material, format!("Accuracy of each class, {}", best.partition)),
        series: rows.iter().map(|row| Series { name: row.name(), style: style(material, row) }).collect(),
        classes: classes.collect(),
    };
    let picture = |name: &str, caption: &str, svg: String| Picture {
        section: Section::Classes,
        name: format!("{name}_{}", best.partition),
        caption: caption.into(),
        in_front: true,
        svg,
    };
    let caption = "Classes in the order of their training images. A class of few test images moves in large steps.";
    Some([
        picture("per_class", caption, per_class::draw(&figure)),
        picture("per_class_shades", "The same numbers as shares.", strips::draw(&in_shades(figure))),
    ])
}

fn in_shades(figure: per_class::PerClass) -> strips::Strips {
    let cell = |value: Option<f64>, class: &str, row: &str| {
        let tip = |value| format!("{class}, {row}: {value:.2} %");
        value.map(|value| strips::Shade { strength: value / 100.0, text: format!("{:.2}", value / 100.0), tip: tip(value) })
    };
    let strip = |(place, series): (usize, &Series)| {
        let values = figure.classes.iter().map(|class| (class, class.values.get(place).copied().flatten()));
        (series.name.clone(), values.map(|(class, value)| cell(value, &class.name, &series.name)).collect())
    };
    strips::Strips {
        heading: figure.heading.clone(),
        classes: figure.classes.iter().map(|class| class.name.clone()).collect(),
        rows: figure.series.iter().enumerate().map(strip).collect(),
        full: "1".into(),
        key: "top-1 of the class (recall), mean over seeds; empty: no test image".into(),
    }
}

/// One a row; the best row of a partition is in front.
fn confusions(material: &Material) -> Vec<Picture> {
    let best = material.best_rows();
    let rows = material.summary.tables.iter().flat_map(|table| &table.rows).filter(|row| row.n > 0 && !row.mixed);
    let picture = |row: &Row| {
        let evaluations: Vec<&Evaluation> = material.of_row(row).map(|run| &run.record.evaluation).collect();
        let labels = |evaluation: &Evaluation| evaluation.per_class.iter().map(|class| class.label.clone()).collect::<Vec<_>>();
        let classes = labels(evaluations.first()?);
        let mut counts = vec![vec![0u64; classes.len()]; classes.len()];
        for evaluation in evaluations.iter().filter(|evaluation| labels(evaluation) == classes) {
            for (sum, count) in counts.iter_mut().flatten().zip(evaluation.confusion.iter().flatten()) {
                *sum += count;
            }
        }
        let title = format!("Confusion, {}, {}", row.partition, row.name());
        Some(Picture {
            section: Section::Classes,
            name: format!("confusion_{}-{}-{}", row.partition, row.backbone, row.loss),
            caption: format!("The {} runs of this row added up.", row.n),
            in_front: best.contains(&row),
            svg: confusion::draw(&confusion::ConfusionFigure { heading: heading(material, title), classes, counts }),
        })
    };
    rows.filter_map(picture).collect()
}

fn reliability(material: &Material) -> Picture {
    let line = |row: &&Row| {
        let mut pooled = Calibration::default();
        material.of_row(row).filter_map(|run| run.calibration.as_ref()).for_each(|calibration| pooled.merge(calibration));
        Some(calibration::Line { name: row.name(), style: style(material, row), report: pooled.report()? })
    };
    let panel = |title: &str, rows: &[&Row]| calibration::Panel {
        title: title.to_owned(),
        lines: rows.iter().filter_map(line).collect(),
    };
    let figure = calibration::Reliability {
        heading: heading(material, "Calibration"),
        legend: legend(material),
        panels: panels(material, panel),
    };
    Picture {
        section: Section::Calibration,
        name: "calibration".into(),
        caption: "Test predictions in 15 bins of probability, the seeds of a row together; the larger a mark, the more of them. Above the \
            diagonal a model is better than it says, below it is worse."
            .into(),
        in_front: true,
        svg: calibration::draw(&figure),
    }
}

/// What an hour of a run is an hour of, and how many of them it took.
#[must_use]
pub fn hours(run: &Run) -> (&'static str, f64) {
    let wall = run.times.iter().map(|time| time.seconds).sum::<f64>() / 3600.0;
    match &run.provenance {
        Some(made) if made.device.starts_with("cuda") => ("GPU-hours", wall * made.ranks as f64),
        Some(made) => ("core-hours", wall * (made.ranks * made.threads.max(1)) as f64),
        None => ("rank-hours", wall * run.record.ranks as f64),
    }
}

fn cost_of(material: &Material) -> Vec<Picture> {
    // A figure a unit: hours of a GPU and of a core are not to be added or set side by side.
    let mut rows: BTreeMap<&str, Vec<cost::Row>> = BTreeMap::new();
    for row in material.summary.tables.iter().flat_map(|table| &table.rows) {
        let mut by_unit: BTreeMap<&str, (f64, Vec<f64>)> = BTreeMap::new();
        for run in material.of_row(row).filter(|run| !run.times.is_empty()) {
            let (unit, hours) = hours(run);
            let (images, seconds) = run.times.iter().fold((0, 0.0), |sum, time| (sum.0 + time.images, sum.1 + time.seconds));
            let sums = by_unit.entry(unit).or_default();
            sums.0 += hours;
            sums.1.push(images as f64 / f64::max(seconds, 1e-9));
        }
        for (unit, (hours, rates)) in by_unit {
            let name = format!("{} {}", row.partition, row.name());
            let images_per_second = mean(&rates).unwrap_or(0.0);
            rows.entry(unit).or_default().push(cost::Row { name, style: style(material, row), hours, images_per_second });
        }
    }
    let picture = |(unit, rows): (&str, Vec<cost::Row>)| {
        let all: f64 = rows.iter().map(|row| row.hours).sum();
        let figure = cost::Cost { heading: heading(material, format!("Cost in {unit}")), unit: unit.into(), rows };
        Picture {
            section: Section::Cost,
            name: format!("cost_{}", unit.replace('-', "_")),
            caption: format!(
                "{all:.2} {unit} in all, from timing.csv: training and validation, epochs done again after a kill included, the final test not."
            ),
            in_front: true,
            svg: cost::draw(&figure),
        }
    };
    rows.into_iter().map(picture).collect()
}
