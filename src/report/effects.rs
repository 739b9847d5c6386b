//! Runs that differ in one axis alone → the effect of that axis, as a mean paired difference with its confidence interval.
//!
//! To ask what the loss does, each Focal run is set against the CE run of the same size, backbone and seed, and the differences are
//! averaged over all such pairs. The interval is Student's, 95 %: `mean ± t(0.975, n − 1) · s / √n` over the n differences, which are
//! taken to be independent (scipy's `ttest_rel`, statsmodels' `DescrStatsW.tconfint_mean`). The sizes have test sets of their own, so
//! the effect of the size is one of data *and* test set.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::config::Loss;
use crate::evaluate::RunRecord;
use crate::report::Metric;
use crate::report::metric::Arithmetic;
use crate::report::statistics::{mean, sample_std};
use crate::report::student::quantile;

/// What changing one axis does to one figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effect {
    /// `size`, `backbone` or `loss`.
    pub axis: &'static str,
    /// The value set out from.
    pub from: String,
    /// The value gone to.
    pub to: String,
    /// What changes.
    pub metric: Metric,
    /// The difference.
    #[serde(flatten)]
    pub difference: Paired,
}

/// A mean paired difference, in the unit of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// Pairs.
    pub pairs: usize,
    /// Mean of the differences, `to − from`.
    pub mean: f64,
    /// Lower end of the 95 % interval; `None` of one pair.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// A run by its place in a table.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// The first column.
    pub size: &'a str,
    /// The second.
    pub backbone: &'a str,
    /// The third.
    pub loss: Loss,
    /// What is averaged over.
    pub seed: u64,
    /// The run itself.
    pub record: &'a RunRecord,
}

/// The figures whose effects are given.
pub const METRICS: [Metric; 4] = [Metric::Top1, Metric::Top5, Metric::MacroTop1, Metric::F1Macro];

type AxisOf = for<'a> fn(&Placed<'a>) -> String;
const AXES: [(&str, AxisOf); 3] =
    [("size", |run| run.size.to_owned()), ("backbone", |run| run.backbone.to_owned()), ("loss", |run| run.loss.to_string())];

/// The effects of every axis with more than one value: each later value against the first, in the order the runs come in.
#[must_use]
pub fn effects(runs: &[Placed<'_>], arithmetic: Arithmetic) -> Vec<Effect> {
    let mut found = Vec::new();
    for (index, (axis, value)) in AXES.into_iter().enumerate() {
        let mut values: Vec<String> = Vec::new();
        // (what the other axes and the seed are) → (value of this one → run)
        let mut alike: BTreeMap<(Vec<String>, u64), BTreeMap<String, &RunRecord>> = BTreeMap::new();
        for run in runs {
            let own = value(run);
            let others = AXES.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, (_, value))| value(run)).collect();
            alike.entry((others, run.seed)).or_default().insert(own.clone(), run.record);
            if !values.contains(&own) {
                values.push(own);
            }
        }
        let Some((from, rest)) = values.split_first() else { continue };
        for to in rest {
            for metric in METRICS {
                let figure = |record: &RunRecord| metric.of(&record.evaluation, arithmetic);
                let difference = |pair: &BTreeMap<String, &RunRecord>| Some(figure(pair.get(to)?)? - figure(pair.get(from)?)?);
                let differences: Vec<f64> = alike.values().filter_map(difference).collect();
                if let Some(difference) = paired(&differences) {
                    found.push(Effect { axis, from: from.clone(), to: to.clone(), metric, difference });
                }
            }
        }
    }
    found
}

/// The mean of differences with Student's 95 % interval; `None` of none.
#[must_use]
pub fn paired(differences: &[f64]) -> Option<Paired> {
    let (mean, pairs) = (mean(differences)?, differences.len());
    let half = sample_std(differences).map(|std| quantile(0.975, (pairs - 1) as f64) * std / (pairs as f64).sqrt());
    Some(Paired { pairs, mean, low: half.map(|half| mean - half), high: half.map(|half| mean + half) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::aggregate::fixtures_tests::record;

    #[test]
    fn three_differences_by_hand() {
        // Mean 2, s = 1, t(0.975, 2) = 4.3027: 2 ± 4.3027 / √3.
        let found = paired(&[1.0, 2.0, 3.0]).unwrap();
        assert!((found.mean - 2.0).abs() < 1e-12 && (found.high.unwrap() - 2.0 - 4.302_652_73 / 3f64.sqrt()).abs() < 1e-6);
        assert_eq!(paired(&[1.5]).unwrap(), Paired { pairs: 1, mean: 1.5, low: None, high: None });
        assert_eq!(paired(&[]), None);
    }

    #[test]
    fn only_runs_that_agree_in_all_else_are_a_pair() {
        let percents = [("CE-s1", 90.0), ("CE-s2", 91.0), ("CE-s3", 92.0), ("Focal-s1", 89.0), ("Focal-s2", 88.0)];
        let records: Vec<_> =
            percents.map(|(rest, percent)| record(&format!("small_insect_order-resnet50-{rest}"), percent)).into();
        fn placed(record: &RunRecord) -> Placed<'_> {
            let id = &record.id;
            Placed { size: "small", backbone: &id.backbone, loss: id.loss, seed: id.seed, record }
        }
        let runs: Vec<Placed<'_>> = records.iter().map(placed).collect();
        let found = effects(&runs, Arithmetic::Ours);
        assert_eq!(found.len(), METRICS.len());
        let effect = &found[0];
        assert_eq!((effect.axis, effect.from.as_str(), effect.to.as_str(), effect.difference.pairs), ("loss", "CE", "Focal", 2));
        // 89 − 90 and 88 − 91; seed 3 has no partner.
        assert!((effect.difference.mean + 2.0).abs() < 1e-9);
    }
}
