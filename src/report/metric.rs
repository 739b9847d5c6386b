//! An evaluation → one of the figures a table shows, in per cent.

use serde::Serialize;

use crate::evaluate::Evaluation;

/// A figure of the benchmark's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
    /// Macro top-1.
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
}

impl Metric {
    /// In the order of the table's columns.
    pub const ALL: [Self; 8] =
        [Self::Top1, Self::Top3, Self::Top5, Self::MacroTop1, Self::MacroTop3, Self::MacroTop5, Self::F1Micro, Self::F1Macro];

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
        }
    }

    /// Its value in per cent; `None` where that k was not counted, or nothing was.
    #[must_use]
    pub fn of(self, evaluation: &Evaluation) -> Option<f64> {
        let micro = |k| evaluation.at(k).map(|top| top.micro);
        let macro_ = |k| evaluation.at(k).map(|top| top.macro_seen);
        let fraction = match self {
            Self::Top1 => micro(1),
            Self::Top3 => micro(3),
            Self::Top5 => micro(5),
            Self::MacroTop1 => macro_(1),
            Self::MacroTop3 => macro_(3),
            Self::MacroTop5 => macro_(5),
            Self::F1Micro => Some(evaluation.f1_micro),
            Self::F1Macro => Some(evaluation.f1_macro),
        };
        fraction.filter(|_| evaluation.used > 0).map(|fraction| 100.0 * fraction)
    }
}
