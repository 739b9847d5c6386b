//! The split at full size gives every per-class count of BIOSCAN-1M (`fixtures/split_counts.csv`: the published tables, re-derived
//! with the original code).

use std::collections::BTreeMap;

use bioscan_hpc::config::Split;
use bioscan_hpc::dataset::Role;
use bioscan_hpc::dataset::labels::Labels;
use bioscan_hpc::dataset::split::{Labelled, paper};
use bioscan_hpc::dataset::synth::Specimens;
use bioscan_hpc::dataset::taxonomy::{SPECIMENS, SPECIMENS_PER_CHUNK};

const PUBLISHED: &str = include_str!("fixtures/split_counts.csv");

/// (experiment, class) → train, validation, test.
type Counts = BTreeMap<(String, String), [usize; 3]>;

fn published() -> Counts {
    let line = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let count = |index: usize| cells[index].parse().unwrap();
        ((cells[0].to_owned(), cells[1].to_owned()), [count(2), count(3), count(4)])
    };
    PUBLISHED.lines().skip(1).map(line).collect()
}

fn counted(columns: &[(&str, Vec<Role>)], rows: &Labelled) -> Counts {
    let mut counts = Counts::new();
    for (experiment, roles) in columns {
        let labels: &Labels = if experiment.ends_with("family") { &rows.families } else { &rows.orders };
        for (row, role) in (0..).zip(roles) {
            if let Some(position) = role.position() {
                let class = labels.of(row).unwrap().to_owned();
                counts.entry(((*experiment).to_owned(), class)).or_default()[position] += 1;
            }
        }
    }
    counts
}

#[test]
fn every_class_of_all_six_experiments_has_its_published_size() {
    let specimens = Specimens::new(SPECIMENS, SPECIMENS_PER_CHUNK, 7);
    let mut rows = Labelled::default();
    for specimen in specimens.range(0..SPECIMENS) {
        rows.orders.push(specimen.kind.order);
        rows.families.push(specimen.family());
    }
    assert_eq!(rows.orders.len(), 1_128_313);
    let columns = paper(&rows, &Split::default(), |_| None);
    let (published, counted) = (published(), counted(&columns, &rows));
    assert_eq!(published.len(), 3 * (16 + 40));
    for (key, counts) in &published {
        assert_eq!(counted.get(key), Some(counts), "{key:?}");
    }
    assert_eq!(counted.len(), published.len(), "classes that no experiment should have");
}
