//! One epoch's figures → a row of `metrics.csv`.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::evaluate::{DEFAULT_KS, Evaluation};
use crate::telemetry::Shares;
use crate::train::checkpoint::Row;

/// What one epoch came to. Fractions of 1; no times, so that a resumed run writes the same bytes (contract 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// 0-based.
    pub epoch: u64,
    /// Learning rate of the epoch.
    pub lr: f64,
    /// Mean training loss, measured while the weights moved.
    pub loss_train: f64,
    /// Training top-1, likewise; and top-3, top-5 and top-10.
    pub top1_train: f64,
    /// See `top1_train`.
    pub top3_train: f64,
    /// See `top1_train`.
    pub top5_train: f64,
    /// See `top1_train`.
    pub top10_train: f64,
    /// Mean validation loss; none without validation images, as in the columns below.
    pub loss_val: Option<f64>,
    /// Validation micro top-1: what the best epoch is chosen by.
    pub top1_val: Option<f64>,
    /// Validation micro top-3.
    pub top3_val: Option<f64>,
    /// Validation micro top-5.
    pub top5_val: Option<f64>,
    /// Validation micro top-10.
    pub top10_val: Option<f64>,
    /// Validation macro top-1.
    pub macro_top1_val: Option<f64>,
    /// Validation macro-F1.
    pub f1_macro_val: Option<f64>,
    /// Validation average-k for k = 1, 3, 5, 10 under thresholds of the same split, by Pl@ntNet's definition.
    pub avg1_val: Option<f64>,
    /// See `avg1_val`.
    pub avg3_val: Option<f64>,
    /// See `avg1_val`.
    pub avg5_val: Option<f64>,
    /// See `avg1_val`.
    pub avg10_val: Option<f64>,
    /// Those thresholds, λ_k.
    pub lambda1_val: Option<f64>,
    /// See `lambda1_val`.
    pub lambda3_val: Option<f64>,
    /// See `lambda1_val`.
    pub lambda5_val: Option<f64>,
    /// See `lambda1_val`.
    pub lambda10_val: Option<f64>,
}

impl EpochMetrics {
    /// An epoch's row from its sums over the training set and its validation, where there were images for one.
    #[must_use]
    pub fn of(epoch: u64, lr: f64, train: &Row, validation: Option<&Evaluation>) -> Self {
        let [top1_train, top3_train, top5_train, top10_train] = train.hits.map(|hits| hits / train.seen);
        let [top1_val, top3_val, top5_val, top10_val] = DEFAULT_KS.map(|k| Some(validation?.at(k)?.micro));
        let [avg1_val, avg3_val, avg5_val, avg10_val] = DEFAULT_KS.map(|k| Some(validation?.average_at(k)?.micro));
        let [lambda1_val, lambda3_val, lambda5_val, lambda10_val] = DEFAULT_KS.map(|k| Some(validation?.average_at(k)?.lambda));
        Self {
            epoch,
            lr,
            loss_train: train.loss / train.seen,
            top1_train,
            top3_train,
            top5_train,
            top10_train,
            loss_val: validation.and_then(|validation| validation.loss),
            top1_val,
            top3_val,
            top5_val,
            top10_val,
            macro_top1_val: validation.and_then(|validation| Some(validation.at(1)?.macro_all)),
            f1_macro_val: validation.map(|validation| validation.f1_macro),
            avg1_val,
            avg3_val,
            avg5_val,
            avg10_val,
            lambda1_val,
            lambda3_val,
            lambda5_val,
            lambda10_val,
        }
    }

    /// The training columns of k = 1, 3, 5, 10.
    #[must_use]
    pub fn top_train(&self) -> [f64; 4] {
        [self.top1_train, self.top3_train, self.top5_train, self.top10_train]
    }

    /// The validation columns of k = 1, 3, 5, 10: top-k, average-k and its threshold.
    #[must_use]
    pub fn of_k_val(&self) -> [[Option<f64>; 3]; 4] {
        [
            [self.top1_val, self.avg1_val, self.lambda1_val],
            [self.top3_val, self.avg3_val, self.lambda3_val],
            [self.top5_val, self.avg5_val, self.lambda5_val],
            [self.top10_val, self.avg10_val, self.lambda10_val],
        ]
    }
}

/// The whole of `metrics.csv`: a header and one row an epoch.
pub fn to_csv(history: &[EpochMetrics]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in history {
        writer.serialize(row).map_err(|error| Error::library("csv", error))?;
    }
    writer.into_inner().map_err(|error| Error::library("csv", error))
}

/// What an epoch took: training and validating together, and what the training part of it went to.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// 0-based.
    pub epoch: u64,
    /// Trained on by this life of the run, over all ranks.
    pub images: u64,
    /// Of wall time.
    pub seconds: f64,
    /// Of the training part.
    pub shares: Shares,
}

impl Timing {
    /// Training images a second.
    #[must_use]
    pub fn images_per_second(&self) -> f64 {
        self.images as f64 / self.seconds.max(1e-9)
    }

    /// A row of `timing.csv`, the one file of a run that holds wall times.
    #[must_use]
    pub fn row(&self) -> String {
        let Self { epoch, images, seconds, shares } = self;
        let Shares { waiting, copying, computing, communicating, checkpointing } = shares;
        let speed = self.images_per_second();
        format!(
            "{epoch},{images},{seconds:.3},{speed:.1},{waiting:.4},{copying:.4},{computing:.4},{communicating:.4},{checkpointing:.4}\n"
        )
    }
}

/// The header of `timing.csv`; the last five columns are fractions of the time spent training.
pub const TIMING_HEADER: &str = "epoch,images,seconds,images_per_second,waiting,copying,computing,communicating,checkpointing\n";

#[cfg(test)]
pub(super) fn example(epoch: u64) -> EpochMetrics {
    let row = Row { loss: 10.0, seen: 4.0, hits: [1.0, 2.0, 3.0, 4.0] };
    let figures = EpochMetrics::of(epoch, 0.001, &row, None);
    EpochMetrics {
        loss_val: Some(1.5),
        top1_val: Some(0.5),
        top5_val: Some(0.75),
        avg5_val: Some(0.625),
        lambda5_val: Some(0.03125),
        macro_top1_val: Some(0.125),
        ..figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_as_its_file_holds_it() {
        let csv = String::from_utf8(to_csv(&[example(0), example(1)]).unwrap()).unwrap();
        assert_eq!(
            csv,
            "epoch,lr,loss_train,top1_train,top3_train,top5_train,top10_train,loss_val,top1_val,top3_val,top5_val,top10_val,\
             macro_top1_val,f1_macro_val,avg1_val,avg3_val,avg5_val,avg10_val,lambda1_val,lambda3_val,lambda5_val,lambda10_val\n\
             0,0.001,2.5,0.25,0.5,0.75,1.0,1.5,0.5,,0.75,,0.125,,,,0.625,,,,0.03125,\n\
             1,0.001,2.5,0.25,0.5,0.75,1.0,1.5,0.5,,0.75,,0.125,,,,0.625,,,,0.03125,\n"
        );
    }

    #[test]
    fn a_row_of_times_has_a_value_for_each_column() {
        let shares = Shares { waiting: 0.25, computing: 0.75, ..Shares::default() };
        let row = Timing { epoch: 3, images: 100, seconds: 4.0, shares }.row();
        assert_eq!(row, "3,100,4.000,25.0,0.2500,0.0000,0.7500,0.0000,0.0000\n");
        assert_eq!(row.split(',').count(), TIMING_HEADER.split(',').count());
    }
}
