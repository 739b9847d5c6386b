//! The outcomes of a partition's test images → whether one row's lead over another exceeds the noise.
//!
//! A paired bootstrap over test images and seeds (Efron & Tibshirani 1993, ch. 16): each replicate draws as many test images as there
//! are, with replacement, the *same* for every run, and as many seeds as two rows share, with replacement, the *same* for both rows; the
//! figures of each run are taken on the drawn images and averaged over the drawn seeds, and the difference of the two rows is noted. A
//! lead exceeds the noise where the 2.5 % and 97.5 % quantiles of the differences lie on the same side of zero.
//!
//! Three seeds drawn from three spread too little: their variance is that over n instead of n − 1, and nothing in it knows how poorly
//! three values show a spread. So the part of a difference that is due to the drawn seeds is stretched by `√(n / (n − 1)) · t(0.975, n − 1) /
//! 1.96`, after Hesterberg's expanded percentile interval (2015, §4.3): 2.7 for three seeds, 1.2 for ten. Without an effect of the images
//! the interval is then about Student's. Rows with fewer than two seeds in common are never told apart: one run shows no spread.

use rand::Rng;
use rayon::prelude::*;

use crate::config::ExperimentId;
use crate::random::{Purpose, stream};
use crate::report::Metric;
use crate::report::multinomial::draw;
use crate::report::outcomes::Outcomes;
use crate::report::student::quantile as quantile_of_t;

/// The figures that can be had from a list of the five likeliest classes, and so can be compared.
pub const METRICS: [Metric; 9] = [
    Metric::Top1,
    Metric::Top3,
    Metric::Top5,
    Metric::MacroTop1,
    Metric::MacroTop3,
    Metric::MacroTop5,
    Metric::F1Micro,
    Metric::F1Macro,
    Metric::F1Weighted,
];

/// The seed of every replicate.
const SEED: u64 = 1;

/// The k of the top-k figures.
const KS: [u8; 3] = [1, 3, 5];

/// One run's figures on one replicate, as fractions, in the order of [`METRICS`].
pub type Figures = [f64; METRICS.len()];

/// A question: the rows to compare, each as the positions of its runs in [`Outcomes::runs`], one a seed; both in the same order of seeds.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Positions of the runs of one row.
    pub one: Vec<usize>,
    /// Positions of the runs of the other, of the same seeds.
    pub other: Vec<usize>,
}

/// An answer: the quantiles of the differences `one − other`, in per cent, in the order of [`METRICS`].
pub type Interval = [(f64, f64); METRICS.len()];

impl Pair {
    /// The runs of two rows with a seed in common; `None` where they share fewer than two.
    #[must_use]
    pub fn of(outcomes: &Outcomes, one: &[&ExperimentId], other: &[&ExperimentId]) -> Option<Self> {
        let position = |id: &ExperimentId| outcomes.runs.iter().position(|run| run == id);
        let mut pair = Self { one: vec![], other: vec![] };
        for id in one {
            let partner = other.iter().find(|other| other.seed == id.seed).and_then(|other| position(other));
            if let (Some(mine), Some(theirs)) = (position(id), partner) {
                pair.one.push(mine);
                pair.other.push(theirs);
            }
        }
        (pair.one.len() > 1).then_some(pair)
    }
}

/// Answers all `pairs` at once from `replicates` replicates.
#[must_use]
pub fn intervals(outcomes: &Outcomes, pairs: &[Pair], replicates: u64) -> Vec<Interval> {
    if replicates == 0 || pairs.is_empty() {
        return vec![];
    }
    let counts: Vec<u64> = outcomes.groups.iter().map(|group| group.images).collect();
    let most_seeds = pairs.iter().map(|pair| pair.one.len()).max().unwrap_or(0);
    let stretches: Vec<f64> = pairs.iter().map(|pair| stretch(pair.one.len())).collect();
    let replicate = |number: u64| {
        let mut rng = stream(SEED, Purpose::Bootstrap, number, 0);
        let seeds: Vec<u64> = (0..most_seeds).map(|_| rng.next_u64()).collect();
        let figures = figures(outcomes, &draw(&counts, &mut rng));
        let answer = |(pair, &stretch): (&Pair, &f64)| difference(pair, stretch, &seeds, &figures);
        pairs.iter().zip(&stretches).map(answer).collect::<Vec<Figures>>()
    };
    let all: Vec<Vec<Figures>> = (0..replicates).into_par_iter().map(replicate).collect();
    let interval = |pair: usize| {
        let quantiles = |metric: usize| {
            let mut differences: Vec<f64> = all.iter().map(|replicate| 100.0 * replicate[pair][metric]).collect();
            differences.sort_by(f64::total_cmp);
            (quantile(&differences, 0.025), quantile(&differences, 0.975))
        };
        std::array::from_fn(quantiles)
    };
    (0..pairs.len()).map(interval).collect()
}

/// The mean of the differences of two rows over the drawn seeds, stretched away from that over all seeds.
fn difference(pair: &Pair, stretch: f64, seeds: &[u64], figures: &[Figures]) -> Figures {
    let shared = pair.one.len();
    let one_each: [f64; METRICS.len()] = std::array::from_fn(|metric| {
        let differences = pair.one.iter().zip(&pair.other).map(|(&one, &other)| figures[one][metric] - figures[other][metric]);
        differences.sum::<f64>() / shared as f64
    });
    let mut sum = [0.0; METRICS.len()];
    for &drawn in seeds.iter().take(shared) {
        let seed = ((u128::from(drawn) * shared as u128) >> 64) as usize;
        let (one, other) = (&figures[pair.one[seed]], &figures[pair.other[seed]]);
        for ((sum, one), other) in sum.iter_mut().zip(one).zip(other) {
            *sum += one - other;
        }
    }
    std::array::from_fn(|metric| one_each[metric] + stretch * (sum[metric] / shared as f64 - one_each[metric]))
}

/// How much `seeds` drawn seeds are stretched; see the head of this file.
fn stretch(seeds: usize) -> f64 {
    let n = seeds as f64;
    (n / (n - 1.0)).sqrt() * quantile_of_t(0.975, n - 1.0) / 1.959_963_984_540_054
}

/// Every run's figures where each group counts as often as it was drawn.
#[must_use]
pub fn figures(outcomes: &Outcomes, drawn: &[u64]) -> Vec<Figures> {
    let classes = outcomes.classes;
    let mut support = vec![0u64; classes];
    let mut tallies = vec![Tally::new(classes); outcomes.runs.len()];
    for (group, &weight) in outcomes.groups.iter().zip(drawn).filter(|(_, weight)| **weight > 0) {
        let truth = group.truth as usize;
        support[truth] += weight;
        for (tally, outcome) in tallies.iter_mut().zip(&group.outcomes) {
            tally.said[outcome.says as usize] += weight;
            for (hits, k) in tally.hits.iter_mut().zip(KS) {
                hits[truth] += if outcome.rank < k { weight } else { 0 };
            }
        }
    }
    tallies.iter().map(|tally| tally.figures(&support)).collect()
}

/// What one run reaches, by class.
#[derive(Clone)]
struct Tally {
    /// Images whose truth is among the k likeliest, for each of [`KS`].
    hits: [Vec<u64>; KS.len()],
    /// Images said to be of a class.
    said: Vec<u64>,
}

impl Tally {
    fn new(classes: usize) -> Self {
        Self { hits: std::array::from_fn(|_| vec![0; classes]), said: vec![0; classes] }
    }

    fn figures(&self, support: &[u64]) -> Figures {
        let total = support.iter().sum::<u64>().max(1) as f64;
        let present = support.iter().filter(|&&images| images > 0).count().max(1) as f64;
        let share = |hits: u64, of: u64| if of == 0 { 0.0 } else { hits as f64 / of as f64 };
        let micro = |hits: &Vec<u64>| hits.iter().sum::<u64>() as f64 / total;
        let macro_ = |hits: &Vec<u64>| hits.iter().zip(support).map(|(&hits, &of)| share(hits, of)).sum::<f64>() / present;
        let [one, three, five] = &self.hits;
        let (mut f1_sum, mut f1_weighted, mut f1_classes) = (0.0, 0.0, 0u32);
        for ((&hits, &said), &of) in one.iter().zip(&self.said).zip(support).filter(|((_, said), of)| **said + **of > 0) {
            let f1 = share(2 * hits, said + of);
            f1_sum += f1;
            f1_weighted += f1 * of as f64;
            f1_classes += 1;
        }
        let f1_macro = f1_sum / f64::from(f1_classes.max(1));
        let macros = [macro_(one), macro_(three), macro_(five)];
        let [a, b, c] = macros;
        [micro(one), micro(three), micro(five), a, b, c, micro(one), f1_macro, f1_weighted / total]
    }
}

/// The value with a share `p` of the sorted values below it, between neighbours in proportion (numpy's default).
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let place = p * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::outcomes::{Group, Outcome};

    fn id(text: &str) -> ExperimentId {
        format!("small_insect_order-{text}").parse().unwrap()
    }

    /// 100 images of two classes, two rows of two seeds: row A is right on all but `wrong_a` images, row B on all but `wrong_b` others.
    fn outcomes(wrong_a: u64, wrong_b: u64) -> Outcomes {
        let group = |images, truth: u16, a: u8, b: u8| {
            let outcome = |rank| Outcome { rank, says: if rank == 0 { truth } else { 1 - truth } };
            Group { images, truth, outcomes: vec![outcome(a), outcome(a), outcome(b), outcome(b)] }
        };
        let groups =
            vec![group(50, 0, 0, 0), group(50 - wrong_a - wrong_b, 1, 0, 0), group(wrong_a, 1, 1, 0), group(wrong_b, 1, 0, 1)];
        let runs = ["a-CE-s1", "a-CE-s2", "b-CE-s1", "b-CE-s2"].map(id).to_vec();
        Outcomes { runs, classes: 2, groups, ..Outcomes::default() }
    }

    fn top_1(outcomes: &Outcomes) -> (f64, f64) {
        intervals(outcomes, &[Pair { one: vec![0, 1], other: vec![2, 3] }], 1000)[0][0]
    }

    #[test]
    fn figures_on_the_images_themselves_are_those_of_the_whole_split() {
        let outcomes = outcomes(10, 0);
        let counts: Vec<u64> = outcomes.groups.iter().map(|group| group.images).collect();
        let [top1, top3, _, macro1, _, _, f1_micro, f1_macro, f1_weighted] = figures(&outcomes, &counts)[0];
        assert_eq!((top1, top3, macro1, f1_micro), (0.9, 1.0, 0.9, 0.9));
        // Class 0: 2·50 / (50 + 60); class 1: 2·40 / (50 + 40).
        let expected = (100.0 / 110.0 + 80.0 / 90.0) / 2.0;
        assert!((f1_macro - expected).abs() < 1e-12 && (f1_weighted - expected).abs() < 1e-12);
    }

    #[test]
    fn a_wide_lead_exceeds_the_noise_and_a_narrow_one_does_not() {
        let (low, high) = top_1(&outcomes(2, 22));
        assert!(low > 0.0 && low < 20.0 && high > 20.0, "{low} {high}");
        let (low, high) = top_1(&outcomes(10, 12));
        assert!(low < 0.0 && high > 0.0, "{low} {high}");
    }

    #[test]
    fn runs_that_err_on_the_same_images_differ_by_nothing_in_any_replicate() {
        let mut same = outcomes(10, 0);
        same.groups.iter_mut().for_each(|group| group.outcomes = vec![group.outcomes[0]; 4]);
        assert_eq!(top_1(&same), (0.0, 0.0));
    }

    #[test]
    fn the_width_is_that_of_the_normal_approximation() {
        // Discordant images 10 and 20 of 100: sd of the difference = √(0.3 − 0.1²) / √100 = 5.385 %; ± 1.96 sd about −(−10).
        let (low, high) = top_1(&outcomes(10, 20));
        assert!((low - (10.0 - 10.555)).abs() < 1.2 && (high - 20.555).abs() < 1.2, "{low} {high}");
    }

    #[test]
    fn three_seeds_that_lead_by_ten_six_and_one_per_cent_do_not_lead_by_more_than_the_noise() {
        // Student alone: mean 5.67, s = 4.51, ± 4.30 · 4.51 / √3 = 11.2. The drawn seeds unstretched would stay above zero by themselves.
        let outcome = |right: bool| Outcome { rank: u8::from(!right), says: u16::from(!right) };
        let group = |images, b: [bool; 3]| Group {
            images,
            truth: 0,
            outcomes: [true, true, true].into_iter().chain(b).map(outcome).collect(),
        };
        let (all, two, one) = ([false; 3], [false, false, true], [false, true, true]);
        let groups = vec![group(9000, [true; 3]), group(100, all), group(500, two), group(400, one)];
        let runs = ["a-CE-s1", "a-CE-s2", "a-CE-s3", "b-CE-s1", "b-CE-s2", "b-CE-s3"].map(id).to_vec();
        let outcomes = Outcomes { runs, classes: 2, groups, ..Outcomes::default() };
        let (low, high) = intervals(&outcomes, &[Pair { one: vec![0, 1, 2], other: vec![3, 4, 5] }], 1000)[0][0];
        assert!((low - (5.67 - 12.6)).abs() < 1.5 && (high - (5.67 + 11.7)).abs() < 1.5, "{low} {high}");
        assert!((stretch(3) - 2.689).abs() < 1e-3 && (stretch(10) - 1.216).abs() < 2e-3);
    }

    #[test]
    fn only_seeds_that_both_rows_have_are_paired_and_one_is_too_few() {
        let outcomes = outcomes(1, 1);
        let ids: Vec<&ExperimentId> = outcomes.runs.iter().collect();
        let stranger = id("b-CE-s9");
        let pair = Pair::of(&outcomes, &ids[..2], &[ids[3], ids[2]]).unwrap();
        assert_eq!((pair.one, pair.other), (vec![0, 1], vec![2, 3]));
        assert!(Pair::of(&outcomes, &ids[..2], &[ids[3], &stranger]).is_none());
    }
}
