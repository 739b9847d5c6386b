//! Student's quantiles and paired intervals against scipy's and statsmodels', from figures that `fixtures/make_statistics_fixtures.py`
//! wrote.

#[path = "support/fixture.rs"]
mod fixture;

use bioscan_hpc::report::effects::paired;
use bioscan_hpc::report::student::quantile;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixtures {
    quantiles: Vec<Quantile>,
    paired: Vec<Case>,
}

#[derive(Deserialize)]
struct Quantile {
    df: f64,
    p: f64,
    t: f64,
}

#[derive(Deserialize)]
struct Case {
    base: Vec<f64>,
    other: Vec<f64>,
    mean: f64,
    low: f64,
    high: f64,
}

fn fixtures() -> Fixtures {
    let fixtures: Fixtures = fixture::json("statistics");
    assert!(fixtures.quantiles.len() > 20 && fixtures.paired.len() > 3);
    fixtures
}

#[test]
fn quantiles_are_scipys() {
    for Quantile { df, p, t } in fixtures().quantiles {
        let ours = quantile(p, df);
        assert!((ours / t - 1.0).abs() < 1e-9, "t({p}, {df}): {ours}, scipy {t}");
    }
}

#[test]
fn paired_intervals_are_those_of_scipy_and_statsmodels() {
    for case in fixtures().paired {
        let differences: Vec<f64> = case.other.iter().zip(&case.base).map(|(other, base)| other - base).collect();
        let ours = paired(&differences).unwrap();
        for (ours, theirs) in [(ours.mean, case.mean), (ours.low.unwrap(), case.low), (ours.high.unwrap(), case.high)] {
            assert!((ours - theirs).abs() < 1e-8, "{} pairs: {ours}, fixture {theirs}", differences.len());
        }
    }
}
