//! A summary → CSV of the effects of the axes, one line an effect, in full precision.

use crate::error::Result;
use crate::report::Exporter;
use crate::report::aggregate::Summary;
use crate::store::rows;

const COLUMNS: [&str; 10] = ["table", "axis", "from", "to", "metric", "pairs", "mean", "low", "high", "synthetic"];

/// Tidy: one effect a line.
#[derive(Clone, Copy, Debug)]
pub struct EffectsCsv;

impl Exporter for EffectsCsv {
    fn file(&self) -> &'static str {
        "effects.csv"
    }

    fn export(&self, summary: &Summary) -> Result<String> {
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let effects =
            summary.tables.iter().flat_map(|table| table.effects.iter().map(move |effect| (table.title.as_str(), effect)));
        let lines = effects.map(|(title, effect)| {
            let paired = effect.difference;
            let words = [title, effect.axis, &effect.from, &effect.to, effect.metric.key()].map(str::to_owned);
            let figures = [paired.pairs.to_string(), paired.mean.to_string(), number(paired.low), number(paired.high)];
            words.into_iter().chain(figures).chain([summary.synthetic.to_string()])
        });
        rows::csv(&COLUMNS, lines)
    }
}
