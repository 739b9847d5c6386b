//! A summary → CSV, one line a figure, in full precision: for R, pandas and spreadsheets.

use crate::error::{Error, Result};
use crate::report::Exporter;
use crate::report::aggregate::Summary;

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
        let refused = |error| Error::library("csv", error);
        let mut out = ::csv::Writer::from_writer(Vec::new());
        out.write_record(COLUMNS).map_err(refused)?;
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let synthetic = summary.synthetic.to_string();
        for table in &summary.tables {
            for baseline in &table.baselines {
                for (metric, value) in
                    [("top_1", baseline.accuracy), ("f1_micro", baseline.accuracy), ("f1_macro", baseline.f1_macro)]
                {
                    let words = [&table.title, &baseline.partition, &baseline.size, "majority_class", "", metric];
                    let rest = [&value.to_string(), "", "", "", "", "", "", &synthetic];
                    out.write_record(words.into_iter().chain(rest)).map_err(refused)?;
                }
            }
            for row in &table.rows {
                for cell in row.cells.iter().flatten() {
                    let loss = row.loss.to_string();
                    let words = [&table.title, &row.partition, &row.size, &row.backbone, loss.as_str(), cell.metric.key()];
                    let figures = [cell.mean.to_string(), number(cell.std), cell.n.to_string(), cell.of.to_string()];
                    let beside = [number(cell.published), number(cell.difference)];
                    let best = cell.best.to_string();
                    let rest = figures.iter().chain(&beside).map(String::as_str).chain([best.as_str(), synthetic.as_str()]);
                    out.write_record(words.into_iter().chain(rest)).map_err(refused)?;
                }
            }
        }
        let bytes = out.into_inner().map_err(|error| Error::library("csv", error))?;
        String::from_utf8(bytes).map_err(|error| Error::library("csv", error))
    }
}
