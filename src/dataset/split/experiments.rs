//! labels → the roles of every row in each experiment.

use std::collections::HashSet;

use crate::config::{EXPERIMENTS, Shares, Split};
use crate::dataset::labels::Labels;
use crate::dataset::role::Role;
use crate::dataset::split::{capped, regular};
use crate::dataset::taxonomy::DIPTERA;
use crate::random::{Purpose, stream};

/// Whether `column` is one of the paper's experiments.
#[must_use]
pub fn is_paper(column: &str) -> bool {
    EXPERIMENTS.contains(&column)
}

/// The two labels of every row that the paper's experiments rest on.
#[derive(Clone, Debug, Default)]
pub struct Labelled {
    /// Column `order`.
    pub orders: Labels,
    /// Column `family`.
    pub families: Labels,
}

/// All six columns in the order of [`EXPERIMENTS`]; `kept` may hand in one that exists already, which is then not made again.
#[must_use]
pub fn paper(
    rows: &Labelled,
    settings: &Split,
    mut kept: impl FnMut(&str) -> Option<Vec<Role>>,
) -> Vec<(&'static str, Vec<Role>)> {
    let [large_family, medium_family, small_family, large_order, medium_order, small_order] = EXPERIMENTS;
    let mut or = |name: &str, make: &dyn Fn() -> Vec<Role>| kept(name).unwrap_or_else(make);
    let families = or(large_family, &|| large_diptera_family(rows, settings.diptera_families, settings.seed));
    let orders = or(large_order, &|| large_insect_order(rows, &families, settings.seed));
    let medium_families = or(medium_family, &|| reduce(medium_family, &rows.families, &families, settings.medium));
    let small_families = or(small_family, &|| reduce(small_family, &rows.families, &families, settings.small));
    let medium_orders = or(medium_order, &|| reduce(medium_order, &rows.orders, &orders, settings.medium));
    let small_orders = or(small_order, &|| reduce(small_order, &rows.orders, &orders, settings.small));
    vec![
        (large_family, families),
        (medium_family, medium_families),
        (small_family, small_families),
        (large_order, orders),
        (medium_order, medium_orders),
        (small_order, small_orders),
    ]
}

/// The regular split of the `count` most populous families of Diptera.
#[must_use]
pub fn large_diptera_family(rows: &Labelled, count: usize, seed: u64) -> Vec<Role> {
    let families = rows.families.classes(|row| rows.orders.of(row) == Some(DIPTERA));
    let chosen: HashSet<u32> = families.into_iter().take(count).flat_map(|class| class.rows).collect();
    let mut roles = vec![Role::NoSplit; rows.families.len()];
    divide(EXPERIMENTS[0], &rows.families, Shares::PUBLISHED, seed, |row| chosen.contains(&row), &mut roles);
    roles
}

/// The regular split, order by order, of the rows that have no role in `families`; the others keep theirs.
#[must_use]
pub fn large_insect_order(rows: &Labelled, families: &[Role], seed: u64) -> Vec<Role> {
    let mut roles = families.to_vec();
    let free = |row: u32| families.get(row as usize) == Some(&Role::NoSplit);
    divide(EXPERIMENTS[3], &rows.orders, Shares::PUBLISHED, seed, free, &mut roles);
    roles
}

/// Gives the rows that `takes_part` names their roles by the regular split, class by class, each in its `shares`.
///
/// The shuffle of a class depends on the seed, the experiment's name and the class's name alone, so other classes may come and go.
pub fn divide(
    experiment: &str,
    labels: &Labels,
    shares: Shares,
    seed: u64,
    takes_part: impl Fn(u32) -> bool,
    roles: &mut [Role],
) {
    for class in labels.classes(takes_part) {
        if regular::sizes(class.rows.len(), shares).is_none() {
            tracing::warn!(experiment, class = class.name, specimens = class.rows.len(), "left out: a class needs 3 specimens");
        }
        let mut rng = stream(seed, Purpose::Split, key(experiment), key(&class.name));
        regular::assign(&class.rows, shares, &mut rng, |row, role| {
            if let Some(cell) = roles.get_mut(row as usize) {
                *cell = role;
            }
        });
    }
}

/// The subset of `parent` with `total` rows over all roles, each class capped at one common number a role.
#[must_use]
pub fn reduce(experiment: &str, labels: &Labels, parent: &[Role], total: u64) -> Vec<Role> {
    let mut roles = vec![Role::NoSplit; parent.len()];
    for (role, share) in std::iter::zip(Role::SPLIT, Shares::PUBLISHED.of_roles()) {
        let classes = labels.classes(|row| parent.get(row as usize) == Some(&role));
        let target = capped::target(share, total);
        let (rows, short) = capped::rows(&classes, target);
        let there = rows.len();
        // A dataset without these labels at all, as somebody's own photographs, is not short of anything.
        if short && there > 0 {
            tracing::warn!(experiment, %role, target, there, "the large set holds fewer: all of it is taken");
        }
        for row in rows {
            if let Some(cell) = roles.get_mut(row as usize) {
                *cell = role;
            }
        }
    }
    roles
}

/// A name as a number for [`stream`]: the first eight bytes of its blake3.
pub(super) fn key(name: &str) -> u64 {
    let hash = blake3::hash(name.as_bytes());
    hash.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rows with Diptera in a few families and some other orders, as numbers drawn by proptest say.
    fn rows(kinds: &[u8]) -> Labelled {
        let orders = ["Diptera", "Diptera", "Diptera", "Diptera", "Hymenoptera", "Coleoptera", "not_classified"];
        let families = ["Phoridae", "Sciaridae", "Psilidae", "not_classified", "Braconidae", "", "Phoridae"];
        let pick = |names: [&'static str; 7]| kinds.iter().map(move |kind| names[*kind as usize % 7]).collect();
        Labelled { orders: pick(orders), families: pick(families) }
    }

    fn count(roles: &[Role], role: Role) -> usize {
        roles.iter().filter(|cell| **cell == role).count()
    }

    fn settings(seed: u64) -> Split {
        Split { seed, medium: 60, small: 20, diptera_families: 2, ..Split::default() }
    }

    #[test]
    fn a_kept_column_is_the_parent_of_those_that_are_made() {
        let rows = rows(&[0; 20]);
        let published: Vec<Role> = (0..20).map(|row| if row < 10 { Role::Train } else { Role::Test }).collect();
        let made = paper(&rows, &settings(1), |name| (name == EXPERIMENTS[0]).then(|| published.clone()));
        let roles = |index: usize| made[index].1.clone();
        assert_eq!(roles(0), published);
        assert_eq!(roles(3), published, "the large order set keeps every role of the large Diptera set");
        assert_eq!(count(&roles(2), Role::Validation), 0);
        assert_eq!(count(&roles(2), Role::Test), 4);
    }

    proptest! {
        #[test]
        fn roles_are_complete_nested_and_a_function_of_the_seed(kinds in prop::collection::vec(0u8..7, 60..300), seed in 0u64..1000) {
            let rows = rows(&kinds);
            let made = paper(&rows, &settings(seed), |_| None);
            let roles = |index: usize| &made[index].1;
            // Complete: every row of a class of three or more has exactly one role in the large order set.
            for class in rows.orders.classes(|_| true).iter().filter(|class| class.rows.len() >= 9) {
                let split = class.rows.iter().filter(|row| roles(3)[**row as usize] != Role::NoSplit).count();
                prop_assert!(split + 2 >= class.rows.len(), "{}: {split} of {}", class.name, class.rows.len());
            }
            // Nested, role by role: small in medium in large, and the Diptera sets in the order sets.
            for (inner, outer) in [(2, 1), (1, 0), (5, 4), (4, 3), (0, 3)] {
                for (a, b) in std::iter::zip(roles(inner), roles(outer)) {
                    prop_assert!(*a == Role::NoSplit || a == b, "{} is not inside {}", EXPERIMENTS[inner], EXPERIMENTS[outer]);
                }
            }
            // Blank labels take no part; only the two most populous families do.
            for (row, role) in roles(3).iter().enumerate() {
                prop_assert!(rows.orders.of(row as u32).is_some() || *role == Role::NoSplit);
            }
            // The sets have their size wherever the parent has enough.
            for (index, total) in [(1, 60), (2, 20), (4, 60), (5, 20)] {
                let parent = roles(index / 3 * 3);
                for (role, share) in std::iter::zip(Role::SPLIT, Shares::PUBLISHED.of_roles()) {
                    let expected = capped::target(share, total).min(count(parent, role));
                    prop_assert_eq!(count(roles(index), role), expected);
                }
            }
            prop_assert_eq!(&made, &paper(&rows, &settings(seed), |_| None));
        }

        #[test]
        fn another_seed_is_another_split_of_the_same_sizes(seed in 0u64..1000) {
            let rows = rows(&(0..=255).cycle().take(700).collect::<Vec<u8>>());
            let (a, b) = (paper(&rows, &settings(seed), |_| None), paper(&rows, &settings(seed + 1), |_| None));
            for ((_, a), (_, b)) in std::iter::zip(&a, &b) {
                prop_assert_ne!(a, b);
                prop_assert_eq!(Role::SPLIT.map(|role| count(a, role)), Role::SPLIT.map(|role| count(b, role)));
            }
        }
    }
}
