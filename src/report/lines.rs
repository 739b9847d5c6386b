//! A table → the lines people read, before any format: what stands in each column.

use crate::report::aggregate::{Baseline, Cell, Row, Table};
use crate::report::effects::{Effect, METRICS as OF_EFFECTS, Paired};
use crate::report::metric::Metric;

/// The columns in front of the metrics.
const FIRST: [&str; 4] = ["size", "backbone", "loss", "n"];

/// What a column of a line shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shown {
    /// Words.
    Text(String),
    /// A mean and its spread.
    Figure(Cell),
    /// A number without a spread.
    Plain(f64),
    /// A difference.
    Signed(f64),
    /// A difference with its interval.
    Interval(Paired),
    /// Nothing there to show.
    Nothing,
}

/// A grid of cells, ready for a format: its first columns hold words, the others figures.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lines {
    /// How many of the columns hold words.
    pub words: usize,
    /// What the columns are headed with.
    pub headings: Vec<&'static str>,
    /// Lines that belong together, one group after another.
    pub groups: Vec<Vec<Vec<Shown>>>,
}

/// The benchmark's figures: a partition's baseline, its rows, and under a row the published figures with the difference.
pub(super) fn main_lines(table: &Table) -> Lines {
    let (metrics, _) = Metric::ALL.split_at(Metric::OF_THE_BENCHMARK);
    lines(table, metrics, true)
}

/// The same in two parts for a page of paper, each half as wide: what counts every image alike, and what counts every class alike.
pub(super) fn halves(table: &Table) -> [(&'static str, Lines); 2] {
    let of_images = [Metric::Top1, Metric::Top3, Metric::Top5, Metric::F1Micro];
    let of_classes = [Metric::MacroTop1, Metric::MacroTop3, Metric::MacroTop5, Metric::F1Macro];
    [("micro", lines(table, &of_images, true)), ("macro", lines(table, &of_classes, true))]
}

/// The other figures, those that any row has; `None` where none has any.
pub(super) fn further_lines(table: &Table) -> Option<Lines> {
    let there = further(table);
    (!there.is_empty()).then(|| lines(table, &there, false))
}

/// The same in parts of at most `columns` figures, as even as can be.
pub(super) fn further_parts(table: &Table, columns: usize) -> Vec<Lines> {
    let there = further(table);
    let parts = there.len().div_ceil(columns).max(1);
    there.chunks(there.len().div_ceil(parts).max(1)).map(|metrics| lines(table, metrics, false)).collect()
}

fn further(table: &Table) -> Vec<Metric> {
    let (_, metrics) = Metric::ALL.split_at(Metric::OF_THE_BENCHMARK);
    metrics.iter().copied().filter(|&metric| table.rows.iter().any(|row| row.cell(metric).is_some())).collect()
}

/// The effects of the axes; `None` where there are none.
pub(super) fn effect_lines(table: &Table) -> Option<Lines> {
    let headings = ["axis", "from → to", "pairs"].into_iter().chain(OF_EFFECTS.map(Metric::heading)).collect();
    let mut groups: Vec<Vec<Vec<Shown>>> = Vec::new();
    let mut rest: &[Effect] = &table.effects;
    while let Some(first) = rest.first() {
        let alike = |effect: &&Effect| (effect.axis, &effect.from, &effect.to) == (first.axis, &first.from, &first.to);
        let (own, others) = rest.split_at(rest.iter().take_while(alike).count());
        let figure = |metric| {
            let found = own.iter().find(|effect| effect.metric == metric);
            found.map_or(Shown::Nothing, |effect| Shown::Interval(effect.difference))
        };
        let words = [first.axis.to_owned(), format!("{} → {}", first.from, first.to), first.difference.pairs.to_string()];
        groups.push(vec![words.map(Shown::Text).into_iter().chain(OF_EFFECTS.map(figure)).collect()]);
        rest = others;
    }
    (!groups.is_empty()).then_some(Lines { words: 3, headings, groups })
}

/// What the intervals of the effects are.
const EFFECTS_NOTE: &str = "effects: mean paired difference over runs that agree in all else, in percentage points, with Student's \
    95 % interval over the pairs, which are taken to be independent; sizes have test sets of their own";

fn lines(table: &Table, metrics: &[Metric], with_neighbours: bool) -> Lines {
    let mut groups: Vec<(&str, Vec<Vec<Shown>>)> = Vec::new();
    for row in &table.rows {
        if groups.last().is_none_or(|(partition, _)| *partition != row.partition) {
            let baseline = table.baselines.iter().find(|baseline| with_neighbours && baseline.partition == row.partition);
            groups.push((&row.partition, baseline.map(|baseline| baseline_line(baseline, metrics)).into_iter().collect()));
        }
        if let Some((_, lines)) = groups.last_mut() {
            lines.push(row_line(row, metrics));
            if with_neighbours && row.cells.iter().flatten().any(|cell| cell.published.is_some()) {
                lines.extend(published_lines(row, metrics));
            }
        }
    }
    let headings = FIRST.into_iter().chain(metrics.iter().map(|metric| metric.heading())).collect();
    Lines { words: FIRST.len(), headings, groups: groups.into_iter().map(|(_, lines)| lines).collect() }
}

fn baseline_line(baseline: &Baseline, metrics: &[Metric]) -> Vec<Shown> {
    let figures = metrics.iter().map(|metric| match metric {
        Metric::Top1 | Metric::F1Micro => Shown::Plain(baseline.accuracy),
        Metric::F1Macro => Shown::Plain(baseline.f1_macro),
        _ => Shown::Nothing,
    });
    let name = Shown::Text(format!("always {}", baseline.majority_class));
    [Shown::Text(baseline.size.clone()), name, Shown::Nothing, Shown::Nothing].into_iter().chain(figures).collect()
}

/// The first four columns of a row.
fn words(row: &Row, loss: &str, n: Shown) -> impl Iterator<Item = Shown> {
    [Shown::Text(row.size.clone()), Shown::Text(row.backbone.clone()), Shown::Text(loss.into()), n].into_iter()
}

fn row_line(row: &Row, metrics: &[Metric]) -> Vec<Shown> {
    let figures = metrics.iter().map(|&metric| match row.cell(metric) {
        Some(cell) => Shown::Figure(*cell),
        None if row.mixed => Shown::Text("mixed".into()),
        None => Shown::Nothing,
    });
    words(row, &row.loss.to_string(), Shown::Text(format!("{}/{}", row.n, row.of))).chain(figures).collect()
}

fn published_lines(row: &Row, metrics: &[Metric]) -> [Vec<Shown>; 2] {
    let line = |name: &str, pick: fn(&Cell) -> Option<f64>, show: fn(f64) -> Shown| {
        let figures = metrics.iter().map(|&metric| row.cell(metric).and_then(pick).map_or(Shown::Nothing, show));
        words(row, name, Shown::Nothing).chain(figures).collect()
    };
    [line("published", |cell| cell.published, Shown::Plain), line("difference", |cell| cell.difference, Shown::Signed)]
}

/// What is said of chance, under a table.
pub(super) fn chance_note(table: &Table) -> Option<String> {
    let each: Vec<String> =
        table.baselines.iter().map(|baseline| format!("{} {:.2}", baseline.size, baseline.chance_f1_macro)).collect();
    (!each.is_empty()).then(|| format!("macro-F1 of chance (1 / classes): {}", each.join(", ")))
}

/// All footnotes of a table, behind the one on chance.
pub(super) fn footnotes(table: &Table) -> impl Iterator<Item = String> {
    let effects = (!table.effects.is_empty()).then(|| EFFECTS_NOTE.to_owned());
    chance_note(table).into_iter().chain(effects).chain(table.footnotes.clone())
}

/// What a table of synthetic data is headed with.
pub(super) const SYNTHETIC: &str = "SYNTHETIC data: these figures say nothing about insects";
