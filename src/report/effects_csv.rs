//! A summary → CSV of the effects of the axes, one line an effect, in full precision.

use crate::error::{Error, Result};
use crate::report::Exporter;
use crate::report::aggregate::Summary;

const COLUMNS: [&str; 10] = ["table", "axis", "from", "to", "metric", "pairs", "mean", "low", "high", "synthetic"];

/// Tidy: one effect a line.
#[derive(Clone, Copy, Debug)]
pub struct EffectsCsv;

impl Exporter for EffectsCsv {
    fn file(&self) -> &'static str {
        "effects.csv"
    }

    fn export(&self, summary: &Summary) -> Result<String> {
        let refused = |error| Error::library("csv", error);
        let mut out = ::csv::Writer::from_writer(Vec::new());
        out.write_record(COLUMNS).map_err(refused)?;
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        for table in &summary.tables {
            for effect in &table.effects {
                let paired = effect.difference;
                let words = [&table.title, effect.axis, &effect.from, &effect.to, effect.metric.key()].map(str::to_owned);
                let figures = [paired.pairs.to_string(), paired.mean.to_string(), number(paired.low), number(paired.high)];
                out.write_record(words.into_iter().chain(figures).chain([summary.synthetic.to_string()])).map_err(refused)?;
            }
        }
        let bytes = out.into_inner().map_err(|error| Error::library("csv", error))?;
        String::from_utf8(bytes).map_err(|error| Error::library("csv", error))
    }
}
