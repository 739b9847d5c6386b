//! A table → the lines people read, before any format: what stands in each column.

use crate::report::aggregate::{Cell, Row, Table};
use crate::report::metric::Metric;

/// The columns in front of the metrics.
const FIRST: [&str; 4] = ["size", "backbone", "loss", "n"];

/// What a column of a line shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shown {
    /// Words.
    Text(String),
    /// A mean and its spread.
    Figure(Cell),
    /// A number without a spread.
    Plain(f64),
    /// A difference.
    Signed(f64),
    /// Nothing there to show.
    Nothing,
}

/// The headings of all columns.
pub(super) fn headings() -> Vec<&'static str> {
    FIRST.into_iter().chain(Metric::ALL.map(Metric::heading)).collect()
}

/// How many of the columns hold words.
pub(super) const WORDS: usize = FIRST.len();

/// The lines of one partition after another: its baseline, its rows, and under a row the published figures with the difference.
pub(super) fn groups(table: &Table) -> Vec<Vec<Vec<Shown>>> {
    let mut groups: Vec<(&str, Vec<Vec<Shown>>)> = Vec::new();
    for row in &table.rows {
        if groups.last().is_none_or(|(partition, _)| *partition != row.partition) {
            groups.push((&row.partition, baseline(table, &row.partition)));
        }
        if let Some((_, lines)) = groups.last_mut() {
            lines.extend(lines_of(row));
        }
    }
    groups.into_iter().map(|(_, lines)| lines).collect()
}

fn baseline(table: &Table, partition: &str) -> Vec<Vec<Shown>> {
    let found = table.baselines.iter().find(|baseline| baseline.partition == partition);
    let line = |baseline: &crate::report::aggregate::Baseline| {
        let figures = Metric::ALL.map(|metric| match metric {
            Metric::Top1 | Metric::F1Micro => Shown::Plain(baseline.accuracy),
            Metric::F1Macro => Shown::Plain(baseline.f1_macro),
            _ => Shown::Nothing,
        });
        let name = Shown::Text(format!("always {}", baseline.majority_class));
        [Shown::Text(baseline.size.clone()), name, Shown::Nothing, Shown::Nothing].into_iter().chain(figures).collect()
    };
    found.map(line).into_iter().collect()
}

fn lines_of(row: &Row) -> Vec<Vec<Shown>> {
    let words =
        |loss: &str, n: Shown| [Shown::Text(row.size.clone()), Shown::Text(row.backbone.clone()), Shown::Text(loss.into()), n];
    let figures = row.cells.iter().map(|cell| match cell {
        Some(cell) => Shown::Figure(*cell),
        None if row.mixed => Shown::Text("mixed".into()),
        None => Shown::Nothing,
    });
    let n = Shown::Text(format!("{}/{}", row.n, row.of));
    let mut lines: Vec<Vec<Shown>> = vec![words(&row.loss.to_string(), n).into_iter().chain(figures).collect()];
    if row.cells.iter().flatten().any(|cell| cell.published.is_some()) {
        let of = |pick: fn(&Cell) -> Option<f64>, show: fn(f64) -> Shown| {
            let shown = row.cells.iter().map(|cell| cell.as_ref().and_then(pick).map_or(Shown::Nothing, show));
            shown.collect::<Vec<_>>()
        };
        lines.push(words("published", Shown::Nothing).into_iter().chain(of(|cell| cell.published, Shown::Plain)).collect());
        lines.push(words("difference", Shown::Nothing).into_iter().chain(of(|cell| cell.difference, Shown::Signed)).collect());
    }
    lines
}

/// What is said of chance, under a table.
pub(super) fn chance_note(table: &Table) -> Option<String> {
    let each: Vec<String> =
        table.baselines.iter().map(|baseline| format!("{} {:.2}", baseline.size, baseline.chance_f1_macro)).collect();
    (!each.is_empty()).then(|| format!("macro-F1 of chance (1 / classes): {}", each.join(", ")))
}

/// All footnotes of a table, behind the one on chance.
pub(super) fn footnotes(table: &Table) -> impl Iterator<Item = String> {
    chance_note(table).into_iter().chain(table.footnotes.clone())
}

/// What a table of synthetic data is headed with.
pub(super) const SYNTHETIC: &str = "SYNTHETIC data: these figures say nothing about insects";
