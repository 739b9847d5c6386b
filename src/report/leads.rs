//! A summary and the outcomes of its test images → which row of a partition is the best by more than the noise.

use std::collections::BTreeMap;

use crate::config::ExperimentId;
use crate::report::Metric;
use crate::report::aggregate::{Lead, Row, Summary, Table};
use crate::report::bootstrap::{Interval, METRICS, Pair, intervals};
use crate::report::outcomes::Outcomes;

/// Replicates of the bootstrap where nobody asks for another number.
pub const REPLICATES: u64 = 1000;
/// Fewer replicates than these tell no 2.5 % quantile: five lie beyond it.
pub const FEWEST: u64 = 200;

/// Tests the leads of every partition there are outcomes of, and says how in a footnote.
pub fn mark_all(summary: &mut Summary, outcomes: &BTreeMap<String, Outcomes>, replicates: u64) {
    for (partition, outcomes) in outcomes {
        mark_best(summary, partition, outcomes, replicates);
    }
    if summary.tables.iter().any(|table| table.leads.iter().any(|lead| lead.low.is_some())) {
        summary.footnotes.push(note(replicates));
    }
}

/// Tests the leads of the rows of one partition on `outcomes`, and marks the cells whose lead over every other row exceeds the noise.
pub fn mark_best(summary: &mut Summary, partition: &str, outcomes: &Outcomes, replicates: u64) {
    for table in &mut summary.tables {
        if table.rows.iter().any(|row| row.partition == partition) {
            table.footnotes.extend(refused_note(partition, outcomes));
            mark(table, partition, outcomes, replicates);
        }
    }
}

/// The footnote that says how the marks were come by.
#[must_use]
pub fn note(replicates: u64) -> String {
    format!(
        "bold: the highest mean of its size where its lead over every other row exceeds the noise: the 2.5 % and 97.5 % quantiles of \
         {replicates} paired bootstrap replicates, over test images and seeds together, the spread over few seeds stretched as Student's t \
         asks, lie above zero; rows of fewer than two common \
         seeds are not compared, nor are top-10, average-k, ECE and loss; not corrected for the number of comparisons"
    )
}

fn refused_note(partition: &str, outcomes: &Outcomes) -> Option<String> {
    let [(id, why), rest @ ..] = outcomes.refused.as_slice() else { return None };
    let others: Vec<String> = rest.iter().map(|(id, _)| id.to_string()).collect();
    let others = if others.is_empty() { String::new() } else { format!("; likewise {}", others.join(", ")) };
    Some(format!("{partition}: without usable predictions, so in no comparison: {id}: {why}{others}"))
}

fn mark(table: &mut Table, partition: &str, outcomes: &Outcomes, replicates: u64) {
    let rows: Vec<usize> = (0..table.rows.len()).filter(|&row| table.rows[row].partition == partition).collect();
    let runs: Vec<Vec<&ExperimentId>> = rows.iter().map(|&row| runs_of(&table.rows[row], outcomes)).collect();
    // (best, other) as positions in `rows`, with what there is to compare.
    let mut asked: Vec<((usize, usize), Option<Pair>)> = Vec::new();
    let ranking = METRICS.map(|metric| ranking(&table.rows, &rows, metric));
    for (best, others) in ranking.iter().flatten() {
        for &other in others {
            if asked.iter().all(|(pair, _)| *pair != (*best, other)) {
                asked.push(((*best, other), Pair::of(outcomes, &runs[*best], &runs[other])));
            }
        }
    }
    let pairs: Vec<Pair> = asked.iter().filter_map(|(_, pair)| pair.clone()).collect();
    let mut answers = intervals(outcomes, &pairs, replicates).into_iter();
    let answered: Vec<((usize, usize), Option<Interval>)> =
        asked.into_iter().map(|(pair, there)| (pair, there.and_then(|_| answers.next()))).collect();
    for (index, (metric, ranking)) in METRICS.into_iter().zip(ranking).enumerate() {
        let Some((best, others)) = ranking else { continue };
        let mut beats_all = !others.is_empty();
        for other in others {
            let interval = answered.iter().find(|(pair, _)| *pair == (best, other)).and_then(|(_, interval)| *interval);
            let interval = interval.map(|interval| interval[index]);
            beats_all &= interval.is_some_and(|(low, _)| low > 0.0);
            let (one, two) = (&table.rows[rows[best]], &table.rows[rows[other]]);
            let mean = |row: &Row| row.cell(metric).map_or(f64::NAN, |cell| cell.mean);
            table.leads.push(Lead {
                partition: partition.to_owned(),
                metric,
                best: one.name(),
                other: two.name(),
                difference: mean(one) - mean(two),
                low: interval.map(|(low, _)| low),
                high: interval.map(|(_, high)| high),
            });
        }
        let cells = table.rows[rows[best]].cells.iter_mut().flatten();
        cells.filter(|cell| cell.metric == metric).for_each(|cell| cell.best = beats_all);
    }
}

fn runs_of<'a>(row: &Row, outcomes: &'a Outcomes) -> Vec<&'a ExperimentId> {
    outcomes.runs.iter().filter(|id| !row.mixed && id.backbone == row.backbone && id.loss == row.loss).collect()
}

/// The row with the highest mean and the others that have one, as positions in `of`.
fn ranking(rows: &[Row], of: &[usize], metric: Metric) -> Option<(usize, Vec<usize>)> {
    let mut means: Vec<(usize, f64)> =
        of.iter().enumerate().filter_map(|(place, &row)| Some((place, rows[row].cell(metric)?.mean))).collect();
    // Stable, so that of equal means the first stays first.
    means.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut places = means.into_iter().map(|(place, _)| place);
    Some((places.next()?, places.collect()))
}
