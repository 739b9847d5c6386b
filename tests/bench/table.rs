//! measured rows → a Markdown table, each figure against its target. Pure: `tests/bench_core.rs` tests it.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::statistics::Spread;

/// What a figure is to reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The larger the better.
    AtLeast(f64),
    /// The smaller the better.
    AtMost(f64),
    /// No promise; the number is there to be read.
    Stated,
}

/// What a figure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A ratio.
    Times,
    /// A part of the whole, written in per cent.
    Share,
    /// dB.
    Decibels,
    /// MiB.
    Mebibytes,
    /// ms.
    Milliseconds,
}

/// Whether a figure reached its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It did.
    Met,
    /// It did not.
    Missed,
    /// It has no target.
    Stated,
    /// It could not be measured here; the row says why.
    NotMeasured,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What is compared, on what.
    pub figure: String,
    /// What ours took.
    pub ours: String,
    /// What the peer took; where nothing was measured, why.
    pub peer: String,
    /// The figure itself; `None` where it could not be measured.
    pub value: Option<Spread>,
    /// Its unit.
    pub unit: Unit,
    /// What it is to reach.
    pub target: Target,
}

impl Row {
    /// A row that only says why there is no number.
    pub fn not_measured(figure: impl Into<String>, unit: Unit, target: Target, why: impl fmt::Display) -> Self {
        Self { figure: figure.into(), ours: "–".into(), peer: why.to_string(), value: None, unit, target }
    }

    /// The middle value against the target.
    pub fn verdict(&self) -> Verdict {
        match (self.value, self.target) {
            (None, _) => Verdict::NotMeasured,
            (_, Target::Stated) => Verdict::Stated,
            (Some(value), Target::AtLeast(least)) if value.middle >= least => Verdict::Met,
            (Some(value), Target::AtMost(most)) if value.middle <= most => Verdict::Met,
            _ => Verdict::Missed,
        }
    }
}

/// The rows of one program of measurements, and what a reader must know about them.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// What is measured.
    pub title: String,
    /// The figures.
    pub rows: Vec<Row>,
    /// How it was done.
    pub notes: Vec<String>,
}

/// The groups as Markdown.
pub fn markdown(groups: &[Group]) -> String {
    let mut text = String::new();
    for group in groups {
        let _ = writeln!(text, "## {}\n", group.title);
        text += "| figure | ours | peer | value [min..max] | n | target | |\n|---|---|---|---|---|---|---|\n";
        for row in &group.rows {
            let (value, n) =
                row.value.map_or(("–".into(), "–".into()), |value| (spread(value, row.unit), value.n.to_string()));
            let (target, verdict) = (target(row.target, row.unit), verdict(row.verdict()));
            let _ = writeln!(text, "| {} | {} | {} | {value} | {n} | {target} | {verdict} |", row.figure, row.ours, row.peer);
        }
        text.push('\n');
        for note in &group.notes {
            let _ = writeln!(text, "- {note}");
        }
        if !group.notes.is_empty() {
            text.push('\n');
        }
    }
    text
}

fn spread(value: Spread, unit: Unit) -> String {
    let middle = number(value.middle, unit);
    if value.n == 1 { middle } else { format!("{middle} [{}..{}]", number(value.min, unit), number(value.max, unit)) }
}

fn target(target: Target, unit: Unit) -> String {
    match target {
        Target::AtLeast(least) => format!("≥ {}", number(least, unit)),
        Target::AtMost(most) => format!("≤ {}", number(most, unit)),
        Target::Stated => "–".into(),
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "met",
        Verdict::Missed => "**missed**",
        Verdict::Stated => "stated",
        Verdict::NotMeasured => "not measured",
    }
}

fn number(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Times if value < 10.0 => format!("{value:.2}×"),
        Unit::Times => format!("{value:.1}×"),
        Unit::Share => format!("{:.0} %", 100.0 * value),
        Unit::Decibels => format!("{value:.2} dB"),
        Unit::Mebibytes => format!("{value:.0} MiB"),
        Unit::Milliseconds => format!("{value:.1} ms"),
    }
}
