//! A summary → CSV, one line a figure, in full precision: for R, pandas and spreadsheets.

use crate::error::Result;
use crate::report::Exporter;
use crate::report::aggregate::{Baseline, Cell, Row, Summary, Table};
use crate::store::rows;

const COLUMNS: [&str; 14] = [
    "table",
    "partition",
    "size",
    "backbone",
    "loss",
    "metric",
    "mean",
    "std",
    "n",
    "of",
    "published",
    "difference",
    "best",
    "synthetic",
];

/// Tidy: one observation a line.
#[derive(Clone, Copy, Debug)]
pub struct Csv;

impl Exporter for Csv {
    fn file(&self) -> &'static str {
        "tables.csv"
    }

    fn export(&self, summary: &Summary) -> Result<String> {
        let synthetic = summary.synthetic.to_string();
        let mut lines: Vec<Vec<String>> = Vec::new();
        for table in &summary.tables {
            lines.extend(table.baselines.iter().flat_map(|baseline| baseline_lines(table, baseline)));
            lines.extend(table.rows.iter().flat_map(|row| row.cells.iter().flatten().map(|cell| cell_line(table, row, cell))));
        }
        rows::csv(&COLUMNS, lines.into_iter().map(|line| line.into_iter().chain([synthetic.clone()])))
    }
}

fn baseline_lines(table: &Table, baseline: &Baseline) -> [Vec<String>; 3] {
    let figures = [("top_1", baseline.accuracy), ("f1_micro", baseline.accuracy), ("f1_macro", baseline.f1_macro)];
    figures.map(|(metric, value)| {
        let words = [&table.title, &baseline.partition, &baseline.size, "majority_class", "", metric].map(str::to_owned);
        let rest = [value.to_string()].into_iter().chain(std::iter::repeat_n(String::new(), 6));
        words.into_iter().chain(rest).collect()
    })
}

fn cell_line(table: &Table, row: &Row, cell: &Cell) -> Vec<String> {
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let loss = row.loss.to_string();
    let words = [&table.title, &row.partition, &row.size, &row.backbone, loss.as_str(), cell.metric.key()].map(str::to_owned);
    let figures = [cell.mean.to_string(), number(cell.std), cell.n.to_string(), cell.of.to_string()];
    let beside = [number(cell.published), number(cell.difference), cell.best.to_string()];
    words.into_iter().chain(figures).chain(beside).collect()
}
