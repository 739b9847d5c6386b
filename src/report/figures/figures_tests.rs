//! Figures by their structure: every name, every mark, every value under the pointer; and one whole figure as it was.

use crate::evaluate::Calibration;
use crate::report::figures::{Heading, Series, Style};
use crate::report::figures::{
    calibration, confusion, cost, curves, distribution, histogram, pareto, partitions, per_class, ranks, sites, sizes, strips,
    tails,
};

fn heading() -> Heading {
    Heading::new("A figure", false)
}

fn series(names: &[&str]) -> Vec<Series> {
    names.iter().enumerate().map(|(index, name)| Series { name: (*name).into(), style: Style::of(index, index) }).collect()
}

/// How often `part` occurs.
fn count(svg: &str, part: &str) -> usize {
    svg.matches(part).count()
}

#[test]
fn a_small_confusion_matrix_is_as_it_was() {
    let figure = confusion::ConfusionFigure {
        heading: Heading::new("Confusion, two classes", true),
        classes: vec!["Diptera".into(), "Hemiptera".into()],
        counts: vec![vec![9, 1], vec![0, 4]],
    };
    insta::assert_snapshot!(confusion::draw(&figure));
}

#[test]
fn forty_classes_have_their_names_on_both_sides_and_no_number_in_the_cells() {
    let classes: Vec<String> = (0..40).map(|class| format!("Family{class}idae")).collect();
    let counts = (0..40).map(|row| (0..40).map(|column| u64::from(row == column) * 7).collect()).collect();
    let svg = confusion::draw(&confusion::ConfusionFigure { heading: heading(), classes, counts });
    assert_eq!((count(&svg, ">Family7idae<"), count(&svg, "taken for"), count(&svg, ">1.00<")), (2, 40, 0));
}

#[test]
fn a_class_has_a_mark_a_series_and_a_class_without_images_none() {
    let class = |name: &str, values| per_class::Class { name: name.into(), images: 1234, values };
    let classes = vec![class("Diptera", vec![Some(99.5), Some(50.0)]), class("Embioptera", vec![None, None])];
    let svg = per_class::draw(&per_class::PerClass { heading: heading(), series: series(&["a CE", "b Focal"]), classes });
    assert!(svg.contains("Diptera, a CE: 99.50 %") && svg.contains(">1,234<") && svg.contains(">Embioptera<"));
    assert_eq!(count(&svg, "Embioptera,"), 0);
}

#[test]
fn a_strip_has_a_shade_a_class_with_its_value_in_it_and_none_where_there_is_nothing() {
    let shade = |strength| strips::Shade { strength, text: format!("{strength:.2}"), tip: format!("a tip of {strength}") };
    let rows =
        vec![("a CE".to_owned(), vec![Some(shade(1.0)), None]), ("b CE".into(), vec![Some(shade(0.25)), Some(shade(0.5))])];
    let classes = ["Diptera", "Embioptera"].map(String::from).into();
    let svg = strips::draw(&strips::Strips { heading: heading(), classes, rows, full: "1".into(), key: "a key".into() });
    assert_eq!(
        (count(&svg, "a tip of"), count(&svg, ">0.25<"), count(&svg, ">Embioptera<"), count(&svg, ">a key<")),
        (3, 1, 1, 1)
    );
}

#[test]
fn every_run_is_a_line_and_a_partition_without_runs_says_so() {
    let curve = |name: &str| curves::Curve { name: name.into(), style: Style::of(0, 0), points: vec![(1.0, 20.0), (2.0, 80.0)] };
    let panels = vec![vec![
        curves::Panel { title: "small".into(), curves: vec![curve("s1"), curve("s2")] },
        curves::Panel { title: "large".into(), curves: vec![] },
    ]];
    let figure =
        curves::Curves { heading: heading(), unit: "top-1, %".into(), range: Some((0.0, 100.0)), legend: vec![], panels };
    let svg = curves::draw(&figure);
    assert_eq!((count(&svg, ": 80.00 at epoch 2"), count(&svg, "no run"), count(&svg, ">epoch<")), (2, 1, 2));
}

#[test]
fn a_reliability_diagram_has_a_mark_a_bin_with_images() {
    let mut seen = Calibration::default();
    [(0.5, true), (0.5, false), (0.9, true)].into_iter().for_each(|(p, right)| seen.add(p, right));
    let line = calibration::Line { name: "a CE".into(), style: Style::of(0, 0), report: seen.report().unwrap() };
    let panels = vec![vec![calibration::Panel { title: "small".into(), lines: vec![line] }]];
    let svg = calibration::draw(&calibration::Reliability { heading: heading(), legend: vec![], panels });
    assert!(svg.contains("a CE: 2 predictions of 50.0 % on average, 50.0 % right"), "{svg}");
    assert_eq!((count(&svg, "predictions of"), count(&svg, "ECE 3.33 %")), (2, 1));
}

#[test]
fn the_figures_of_the_data_carry_every_count() {
    let classes = vec![("Diptera".into(), vec![700, 100, 200]), ("Embioptera".into(), vec![4, 0, 1])];
    let series = ["train", "validation", "test"].map(String::from).into();
    let svg = distribution::draw(&distribution::Distribution { heading: heading(), unit: "images".into(), series, classes });
    assert!(
        svg.contains("Diptera, train: 700") && !svg.contains("Embioptera, validation") && svg.contains("Embioptera, test: 1")
    );
    assert!(svg.contains(">1,000<") && svg.contains(">images (logarithmic)<"));
    let tail = tails::Tail { name: "species".into(), counts: (1..=5000).rev().collect() };
    let svg = tails::draw(&tails::Tails { heading: heading(), tails: vec![tail.clone()] });
    assert!(svg.contains("species: 5,000 categories, the largest of 5,000 records, the smallest of 1"));
    assert!(svg.len() < 20_000, "a long tail is drawn with no more points than one sees");
    let svg = pareto::draw(&pareto::Pareto {
        heading: heading(),
        unit: "records".into(),
        groups: "categories".into(),
        tails: vec![tail],
    });
    assert!(svg.contains("species: 55.30 % of 5,000 categories hold 80.0 % of the records"), "{svg}");
    assert!(svg.len() < 20_000, "no more points than one sees");
    let set = sizes::Dataset { name: "large".into(), classes: 2, images: [704, 100, 201], imbalance: 200.0 };
    let svg = sizes::draw(&sizes::Sizes { heading: heading(), datasets: vec![set] });
    assert!(svg.contains("1,005 in 2 classes, imbalance 200") && svg.contains("large, validation: 100"));
    let svg = ranks::draw(&ranks::Ranks { heading: heading(), ranks: vec![("species".into(), 84, 0.075, 8)] });
    assert!(svg.contains("species: 7.5 % of the records, 84 labelled, 8 distinct"));
    let row = cost::Row { name: "small a".into(), style: Style::of(0, 0), hours: 12.5, images_per_second: 1030.0 };
    let svg = cost::draw(&cost::Cost { heading: heading(), unit: "GPU-hours".into(), rows: vec![row] });
    assert!(svg.contains("small a: 12.5 GPU-hours") && svg.contains(">1,030<"));
}

#[test]
fn a_partition_has_a_bar_a_count_and_its_number_beside_it() {
    let counts = vec![("pretrain".into(), vec![4_677_756, 0]), ("test_unseen".into(), vec![7887, 1])];
    let series = ["samples", "species"].map(String::from).into();
    let svg = partitions::draw(&partitions::Partitions { heading: heading(), series, partitions: counts });
    assert!(svg.contains("pretrain: 4,677,756 samples") && svg.contains(">4,677,756<") && svg.contains(">7,887<"));
    // Of nothing there is no bar but the number; of one, whose logarithm is nothing, there are both.
    assert_eq!((count(&svg, "0 species"), count(&svg, ">0<"), count(&svg, "test_unseen: 1 species")), (0, 1, 1));
}

#[test]
fn every_site_is_a_disc_at_its_coordinates_the_largest_below() {
    let site = |latitude, longitude, records| sites::Site { latitude, longitude, records };
    let places = vec![site(-35.019, 117.228, 4), site(10.327, -84.08, 1234)];
    let svg = sites::draw(&sites::Sites { heading: heading(), sites: places });
    let (large, small) = (svg.find("10.327° N, 84.08° W: 1,234 records"), svg.find("35.019° S, 117.228° E: 4 records"));
    assert!(large.is_some() && large < small, "{svg}");
    assert!(svg.contains(">120° W<") && svg.contains(">30° N<") && !svg.contains(">180°<"), "the map ends where the sites do");
    assert_eq!((count(&svg, ">1,000 records</text>"), count(&svg, "up to 4 records they are equally small")), (1, 1));
}

#[test]
fn a_thousand_sites_are_a_small_file() {
    let site = |n: u32| sites::Site { latitude: f64::from(n % 90), longitude: f64::from(n % 180), records: u64::from(n) };
    let svg = sites::draw(&sites::Sites { heading: heading(), sites: (1..=1650).map(site).collect() });
    assert!(count(&svg, "<circle") >= 1650 && svg.len() < 200_000, "{}", svg.len());
}

#[test]
fn a_histogram_has_a_bar_a_bin_and_says_its_quartiles() {
    let values: Vec<(f64, u64)> = (0..9).map(|value| (f64::from(value), 3)).collect();
    let (along, note) = ("area_fraction".into(), "27 records".into());
    let svg = histogram::draw(&histogram::Histogram { heading: heading(), along, logarithmic: false, note, values });
    assert_eq!((count(&svg, "0 to 2.667: 9 records"), count(&svg, ": 9 records"), count(&svg, ">27 records<")), (1, 3, 1));
    // Once as text, and once under the pointer.
    assert_eq!(["Q1 2", "median 4", "Q3 6"].map(|quartile| count(&svg, &format!(">{quartile}<"))), [2, 2, 2]);
}

#[test]
fn a_figure_of_nothing_is_still_a_figure() {
    let empty = [
        curves::draw(&curves::Curves { heading: heading(), unit: "x".into(), range: None, legend: vec![], panels: vec![] }),
        per_class::draw(&per_class::PerClass { heading: heading(), series: vec![], classes: vec![] }),
        confusion::draw(&confusion::ConfusionFigure { heading: heading(), classes: vec![], counts: vec![] }),
        calibration::draw(&calibration::Reliability { heading: heading(), legend: vec![], panels: vec![] }),
        distribution::draw(&distribution::Distribution {
            heading: heading(),
            unit: "images".into(),
            series: vec![],
            classes: vec![],
        }),
        tails::draw(&tails::Tails { heading: heading(), tails: vec![] }),
        pareto::draw(&pareto::Pareto { heading: heading(), unit: "x".into(), groups: "y".into(), tails: vec![] }),
        strips::draw(&strips::Strips { heading: heading(), classes: vec![], rows: vec![], full: "1".into(), key: String::new() }),
        sizes::draw(&sizes::Sizes { heading: heading(), datasets: vec![] }),
        ranks::draw(&ranks::Ranks { heading: heading(), ranks: vec![] }),
        cost::draw(&cost::Cost { heading: heading(), unit: "core-hours".into(), rows: vec![] }),
        partitions::draw(&partitions::Partitions { heading: heading(), series: vec![], partitions: vec![] }),
        sites::draw(&sites::Sites { heading: heading(), sites: vec![] }),
        histogram::draw(&histogram::Histogram {
            heading: heading(),
            along: "x".into(),
            logarithmic: true,
            note: String::new(),
            values: vec![],
        }),
    ];
    assert!(empty.iter().all(|svg| svg.contains("A figure") && !svg.contains("NaN") && !svg.contains("inf")));
}
