//! One epoch's figures → a row of `metrics.csv`.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What one epoch came to. Fractions of 1; no times, so that a resumed run writes the same bytes (contract 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// 0-based.
    pub epoch: u64,
    /// Learning rate of the epoch.
    pub lr: f64,
    /// Mean training loss, measured while the weights moved.
    pub loss_train: f64,
    /// Training top-1, likewise.
    pub top1_train: f64,
    /// Mean validation loss; none without validation images, as in the columns below.
    pub loss_val: Option<f64>,
    /// Validation micro top-1: what the best epoch is chosen by.
    pub top1_val: Option<f64>,
    /// Validation micro top-5.
    pub top5_val: Option<f64>,
    /// Validation macro top-1.
    pub macro_top1_val: Option<f64>,
    /// Validation macro-F1.
    pub f1_macro_val: Option<f64>,
}

/// The whole of `metrics.csv`: a header and one row an epoch.
pub fn to_csv(history: &[EpochMetrics]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in history {
        writer.serialize(row).map_err(|error| Error::library("csv", error))?;
    }
    writer.into_inner().map_err(|error| Error::library("csv", error))
}

/// Appends to `timing.csv`, the one file of a run that holds wall times.
pub fn timing_row(epoch: u64, images: u64, seconds: f64) -> String {
    format!("{epoch},{images},{seconds:.3},{:.1}\n", images as f64 / seconds.max(1e-9))
}

/// The header of `timing.csv`.
pub const TIMING_HEADER: &str = "epoch,images,seconds,images_per_second\n";

#[cfg(test)]
pub(super) fn example(epoch: u64) -> EpochMetrics {
    EpochMetrics {
        epoch,
        lr: 0.001,
        loss_train: 2.5,
        top1_train: 0.25,
        loss_val: Some(1.5),
        top1_val: Some(0.5),
        top5_val: Some(0.75),
        macro_top1_val: Some(0.125),
        f1_macro_val: None,
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
            "epoch,lr,loss_train,top1_train,loss_val,top1_val,top5_val,macro_top1_val,f1_macro_val\n\
             0,0.001,2.5,0.25,1.5,0.5,0.75,0.125,\n\
             1,0.001,2.5,0.25,1.5,0.5,0.75,0.125,\n"
        );
        assert_eq!(timing_row(3, 100, 4.0), "3,100,4.000,25.0\n");
    }
}
