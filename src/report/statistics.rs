//! Numbers → their mean, sample standard deviation and median.

/// The arithmetic mean; `None` of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The sample standard deviation, over n − 1; `None` of fewer than two values, which show no spread.
#[must_use]
pub fn sample_std(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// The middle value, or the mean of the two in the middle; `None` of nothing.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_std_of_three_seeds_divides_by_two() {
        // Mean 92; deviations −2, 0, 2; 8 / 2 = 4.
        let values = [90.0, 92.0, 94.0];
        assert_eq!((mean(&values), sample_std(&values)), (Some(92.0), Some(2.0)));
    }

    #[test]
    fn one_value_has_a_mean_and_no_spread_and_none_has_neither() {
        assert_eq!((mean(&[7.0]), sample_std(&[7.0])), (Some(7.0), None));
        assert_eq!((mean(&[]), sample_std(&[]), median(&[])), (None, None, None));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        assert_eq!(median(&[9.0, 1.0, 4.0, 2.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 4.0]), Some(4.0));
    }
}
