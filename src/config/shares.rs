//! three numbers of a job file → the shares of train, validation and test.

use serde::{Deserialize, Serialize};

/// Shares of train, validation and test: each above 0, because a run needs all three, and 1 in sum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>")]
pub struct Shares([f64; 3]);

impl Shares {
    /// Those of the published experiments.
    pub const PUBLISHED: Self = Self([0.7, 0.1, 0.2]);

    /// In the order train, validation, test.
    #[must_use]
    pub fn of_roles(self) -> [f64; 3] {
        self.0
    }
}

impl Default for Shares {
    fn default() -> Self {
        Self::PUBLISHED
    }
}

/// From a list, because a fourth number behind an array of three would be ignored without a word.
impl TryFrom<Vec<f64>> for Shares {
    type Error = String;

    fn try_from(numbers: Vec<f64>) -> Result<Self, String> {
        // Decimal fractions have no exact binary ones: 0.7 + 0.1 + 0.2 is not 1 to the last bit.
        const ROUNDING: f64 = 1e-9;
        let are_shares =
            |shares: &[f64; 3]| shares.iter().all(|share| *share > 0.0) && (shares.iter().sum::<f64>() - 1.0).abs() <= ROUNDING;
        numbers.as_slice().try_into().ok().filter(are_shares).map(Self).ok_or_else(|| {
            format!(
                "{numbers:?} cannot be the shares of train, validation and test: they are three numbers above 0 that sum to 1, \
                 as [0.8, 0.1, 0.1]"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Split, from_text};

    fn read(numbers: &str) -> crate::error::Result<Split> {
        from_text(&format!("shares = {{ mine_split = {numbers} }}"), "job.toml")
    }

    #[test]
    fn three_positive_numbers_that_sum_to_1_are_shares() {
        for numbers in ["[0.8, 0.1, 0.1]", "[0.7, 0.1, 0.2]", "[0.6, 0.2, 0.2]", "[0.3333333333, 0.3333333333, 0.3333333334]"] {
            read(numbers).unwrap();
        }
        assert_eq!(read("[0.8, 0.1, 0.1]").unwrap().shares["mine_split"].of_roles(), [0.8, 0.1, 0.1]);
    }

    #[test]
    fn whatever_else_is_refused_where_it_stands() {
        let no_role_empty = ["[0.8, 0.0, 0.2]", "[1, 0, 0]", "[1.2, -0.1, -0.1]", "[nan, 0.5, 0.5]"];
        let sum = ["[0.8, 0.1, 0.2]", "[70, 10, 20]", "[inf, 0.1, 0.2]", "[0.7, 0.1, 0.20000001]"];
        let three = ["[]", "[0.8, 0.2]", "[0.7, 0.1, 0.2, 0.1]", "[0.7, 0.1, 0.2, 0.0]"];
        for numbers in [no_role_empty, sum, three].concat() {
            let error = read(numbers).unwrap_err();
            assert!(error.to_string().contains("three numbers above 0 that sum to 1"), "{numbers}: {error}");
        }
        let crate::error::Error::Config(error) = read("[0.8, 0.1, 0.2]").unwrap_err() else { panic!("no place in the file") };
        assert_eq!(
            error.message,
            "[0.8, 0.1, 0.2] cannot be the shares of train, validation and test: they are three numbers above 0 that sum to 1, \
             as [0.8, 0.1, 0.1]"
        );
        assert_eq!(error.span, Some((24, 15).into()));
    }

    #[test]
    fn a_job_without_shares_is_recorded_as_before_there_were_any() {
        let without = serde_json::to_string(&Split::default()).unwrap();
        assert!(without.ends_with("\"keep_published\":true}"), "{without}");
        let with = serde_json::to_string(&read("[0.8, 0.1, 0.1]").unwrap()).unwrap();
        assert!(with.ends_with("\"keep_published\":true,\"shares\":{\"mine_split\":[0.8,0.1,0.1]}}"), "{with}");
    }
}
