//! The arithmetic and the table of `make bench`: its harness is a program of its own, which runs no `#[test]`.

#[path = "bench/statistics.rs"]
mod statistics;
#[path = "bench/table.rs"]
#[expect(dead_code, reason = "only the harness measures in every unit")]
mod table;

use statistics::{Spread, psnr, turns};
use table::{Group, Row, Target, Unit, Verdict, markdown};

#[test]
fn the_median_of_an_even_number_lies_between_two_and_the_mean_elsewhere() {
    assert_eq!(Spread::median([3.0, 1.0, 2.0]), Spread { middle: 2.0, min: 1.0, max: 3.0, n: 3 });
    assert_eq!(Spread::median([4.0, 1.0, 2.0, 8.0]).middle, 3.0);
    assert_eq!(Spread::mean(&[4.0, 1.0, 2.0, 8.0]), Spread { middle: 3.75, min: 1.0, max: 8.0, n: 4 });
}

#[test]
fn a_ratio_is_taken_within_each_round() {
    // Rounds 6/2, 8/4 and 5/5; the ratio of the medians would be 6/4.
    let ratios = Spread::of_ratios(&[6.0, 8.0, 5.0], &[2.0, 4.0, 5.0]);
    assert_eq!(ratios, Spread { middle: 2.0, min: 1.0, max: 3.0, n: 3 });
}

#[test]
fn each_round_is_begun_by_another_and_leaves_nobody_out() {
    let rounds: Vec<Vec<usize>> = (0..4).map(|round| turns(3, round).collect()).collect();
    assert_eq!(rounds, [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]);
}

#[test]
fn one_step_of_difference_everywhere_is_48_decibels() {
    // 20 · log10(255 / 1) = 48.13.
    assert!((psnr(&[10, 20, 30], &[11, 19, 31]) - 48.1308).abs() < 1e-4);
    // One of four differs by 2: the mean square is again 1.
    assert!((psnr(&[0, 0, 0, 2], &[0; 4]) - 48.1308).abs() < 1e-4);
    assert_eq!(psnr(&[7; 3], &[7; 3]), f64::INFINITY);
}

fn row(value: Option<f64>, target: Target) -> Row {
    let value = value.map(|value| Spread::median([value]));
    Row { figure: "resize".into(), ours: "10 ms".into(), peer: "290 ms".into(), value, unit: Unit::Times, target }
}

#[test]
fn a_target_is_met_at_its_very_value_and_the_direction_is_the_target_s() {
    assert_eq!(row(Some(1.9), Target::AtLeast(1.9)).verdict(), Verdict::Met);
    assert_eq!(row(Some(1.89), Target::AtLeast(1.9)).verdict(), Verdict::Missed);
    assert_eq!(row(Some(1.05), Target::AtMost(1.05)).verdict(), Verdict::Met);
    assert_eq!(row(Some(1.06), Target::AtMost(1.05)).verdict(), Verdict::Missed);
    assert_eq!(row(Some(0.5), Target::Stated).verdict(), Verdict::Stated);
    assert_eq!(row(None, Target::AtLeast(1.0)).verdict(), Verdict::NotMeasured);
}

#[test]
fn a_value_that_is_no_number_is_missed() {
    assert_eq!(row(Some(f64::NAN), Target::AtLeast(1.0)).verdict(), Verdict::Missed);
}

#[test]
fn the_table_reads_so() {
    let mut rows = vec![row(None, Target::AtLeast(28.0)), row(Some(0.4), Target::Stated)];
    rows[0].value = Some(Spread::median([29.04, 27.5, 33.0]));
    rows[1] = Row { unit: Unit::Share, ..rows[1].clone() };
    rows.push(Row::not_measured("2 ranks over 1", Unit::Times, Target::AtLeast(1.9), "no mpirun"));
    let group = Group { title: "Resize".into(), rows, notes: vec!["12 photographs".into()] };
    insta::assert_snapshot!(markdown(&[group]), @r"
    ## Resize

    | figure | ours | peer | value [min..max] | n | target | |
    |---|---|---|---|---|---|---|
    | resize | 10 ms | 290 ms | 29.0× [27.5×..33.0×] | 3 | ≥ 28.0× | met |
    | resize | 10 ms | 290 ms | 40 % | 1 | – | stated |
    | 2 ranks over 1 | – | no mpirun | – | – | ≥ 1.90× | not measured |

    - 12 photographs
    ");
}
