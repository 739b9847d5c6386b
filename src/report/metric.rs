//! An evaluation → one of the figures a table shows.

use serde::Serialize;

use crate::evaluate::Evaluation;

/// A figure of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Micro top-1.
    #[serde(rename = "top_1")]
    Top1,
    /// Micro top-3.
    #[serde(rename = "top_3")]
    Top3,
    /// Micro top-5.
    #[serde(rename = "top_5")]
    Top5,
    /// Macro top-1; equals balanced accuracy.
    #[serde(rename = "macro_top_1")]
    MacroTop1,
    /// Macro top-3.
    #[serde(rename = "macro_top_3")]
    MacroTop3,
    /// Macro top-5.
    #[serde(rename = "macro_top_5")]
    MacroTop5,
    /// Micro-F1; equals top-1.
    F1Micro,
    /// Macro-F1.
    F1Macro,
    /// Micro top-10.
    #[serde(rename = "top_10")]
    Top10,
    /// Macro top-10.
    #[serde(rename = "macro_top_10")]
    MacroTop10,
    /// F1 weighted by support.
    F1Weighted,
    /// Average-5: five classes are named an image on average.
    #[serde(rename = "average_5")]
    Average5,
    /// Expected calibration error.
    CalibrationError,
    /// Mean loss, in nats.
    Loss,
}

/// Whose divisors a figure is made with: see [`crate::evaluate::original`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arithmetic {
    /// As the metrics are defined.
    #[default]
    Ours,
    /// As the original program divides.
    Original,
}

impl Metric {
    /// Every figure, in the order of files.
    pub const ALL: [Self; 14] = [
        Self::Top1,
        Self::Top3,
        Self::Top5,
        Self::MacroTop1,
        Self::MacroTop3,
        Self::MacroTop5,
        Self::F1Micro,
        Self::F1Macro,
        Self::Top10,
        Self::MacroTop10,
        Self::F1Weighted,
        Self::Average5,
        Self::CalibrationError,
        Self::Loss,
    ];

    /// How many of [`Metric::ALL`] the benchmark's own table has; they come first.
    pub const OF_THE_BENCHMARK: usize = 8;

    /// What a column is headed with.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Self::Top1 => "top-1",
            Self::Top3 => "top-3",
            Self::Top5 => "top-5",
            Self::MacroTop1 => "macro top-1",
            Self::MacroTop3 => "macro top-3",
            Self::MacroTop5 => "macro top-5",
            Self::F1Micro => "micro-F1",
            Self::F1Macro => "macro-F1",
            Self::Top10 => "top-10",
            Self::MacroTop10 => "macro top-10",
            Self::F1Weighted => "weighted F1",
            Self::Average5 => "average-5",
            Self::CalibrationError => "ECE",
            Self::Loss => "loss (nats)",
        }
    }

    /// What files call it.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Top1 => "top_1",
            Self::Top3 => "top_3",
            Self::Top5 => "top_5",
            Self::MacroTop1 => "macro_top_1",
            Self::MacroTop3 => "macro_top_3",
            Self::MacroTop5 => "macro_top_5",
            Self::F1Micro => "f1_micro",
            Self::F1Macro => "f1_macro",
            Self::Top10 => "top_10",
            Self::MacroTop10 => "macro_top_10",
            Self::F1Weighted => "f1_weighted",
            Self::Average5 => "average_5",
            Self::CalibrationError => "calibration_error",
            Self::Loss => "loss",
        }
    }

    /// Places behind the point that a reader is shown.
    #[must_use]
    pub fn decimals(self) -> usize {
        if self == Self::Loss { 4 } else { 2 }
    }

    /// Its value, in per cent but for the loss; `None` where it was not counted, or nothing was.
    #[must_use]
    pub fn of(self, evaluation: &Evaluation, arithmetic: Arithmetic) -> Option<f64> {
        let original = evaluation.as_original.as_ref();
        let micro = |k| evaluation.at(k).map(|top| top.micro);
        let macro_ = |k| match arithmetic {
            Arithmetic::Ours => evaluation.at(k).map(|top| top.macro_seen),
            Arithmetic::Original => original?.macro_top_k.get(&k).copied(),
        };
        let fraction = match self {
            Self::Top1 => micro(1),
            Self::Top3 => micro(3),
            Self::Top5 => micro(5),
            Self::Top10 => micro(10),
            Self::MacroTop1 => macro_(1),
            Self::MacroTop3 => macro_(3),
            Self::MacroTop5 => macro_(5),
            Self::MacroTop10 => macro_(10),
            Self::F1Micro => Some(evaluation.f1_micro),
            Self::F1Macro => Some(evaluation.f1_macro),
            Self::F1Weighted => Some(evaluation.f1_weighted),
            Self::Average5 => evaluation.average_at(5).map(|average| average.micro),
            Self::CalibrationError => evaluation.calibration.as_ref().map(|calibration| calibration.ece),
            Self::Loss if arithmetic == Arithmetic::Original => return original?.loss,
            Self::Loss => return evaluation.loss,
        };
        fraction.filter(|_| evaluation.used > 0).map(|fraction| 100.0 * fraction)
    }
}
