//! Values ↔ positions on a canvas, and the round values at which an axis is labelled.

/// An axis: from a range of values to a range of positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    /// The first and the last value.
    pub values: (f64, f64),
    /// Where they lie.
    pub positions: (f64, f64),
    /// Whether equal distances are equal factors.
    pub logarithmic: bool,
}

impl Axis {
    /// A linear axis.
    #[must_use]
    pub fn linear(values: (f64, f64), positions: (f64, f64)) -> Self {
        Self { values, positions, logarithmic: false }
    }

    /// A logarithmic axis over whole decades that hold `values`, both positive.
    #[must_use]
    pub fn decades(values: (f64, f64), positions: (f64, f64)) -> Self {
        let (low, high) = (values.0.max(1e-9).log10().floor(), values.1.max(1e-9).log10().ceil());
        Self { values: (10f64.powf(low), 10f64.powf(high.max(low + 1.0))), positions, logarithmic: true }
    }

    /// Where a value lies; what is outside lies on the edge.
    #[must_use]
    pub fn at(&self, value: f64) -> f64 {
        let along = |value: f64| if self.logarithmic { value.max(1e-9).log10() } else { value };
        let (from, to) = (along(self.values.0), along(self.values.1));
        let share = if to > from { ((along(value) - from) / (to - from)).clamp(0.0, 1.0) } else { 0.5 };
        self.positions.0 + share * (self.positions.1 - self.positions.0)
    }

    /// About `wanted` round values in the range; on a logarithmic axis the powers of ten.
    #[must_use]
    pub fn ticks(&self, wanted: usize) -> Vec<f64> {
        let (low, high) = self.values;
        if self.logarithmic {
            let (from, to) = (low.log10().round() as i32, high.log10().round() as i32);
            return (from..=to).map(|power| 10f64.powi(power)).collect();
        }
        let step = round_step((high - low) / wanted.max(1) as f64);
        let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
        (first..=last).map(|count| count as f64 * step).collect()
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that is at least `step`.
fn round_step(step: f64) -> f64 {
    if !(step > 0.0 && step.is_finite()) {
        return 1.0;
    }
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|round| *round >= step * 0.999_999).unwrap_or(power)
}

/// A round number as people write it: no more places than it needs, thousands set apart.
#[must_use]
pub fn label(value: f64) -> String {
    let value = if value == 0.0 { 0.0 } else { value };
    if value.abs() < 1000.0 {
        let text = format!("{value:.4}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    thousands(value.round() as u64)
}

/// `1,128,313`.
#[must_use]
pub fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let ticks = |low, high| Axis::linear((low, high), (0.0, 1.0)).ticks(5);
        assert_eq!(ticks(0.0, 100.0), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(ticks(0.0, 12.0), [0.0, 5.0, 10.0]);
        assert_eq!(Axis::decades((3.0, 4200.0), (0.0, 1.0)).ticks(5), [1.0, 10.0, 100.0, 1000.0, 10_000.0]);
    }

    #[test]
    fn a_value_lies_in_proportion_and_one_outside_on_the_edge() {
        let axis = Axis::linear((0.0, 10.0), (100.0, 0.0));
        assert_eq!([0.0, 2.5, 10.0, 99.0].map(|value| axis.at(value)), [100.0, 75.0, 0.0, 0.0]);
        let axis = Axis::decades((1.0, 100.0), (0.0, 10.0));
        assert_eq!([1.0, 10.0, 0.0].map(|value| axis.at(value)), [0.0, 5.0, 0.0]);
    }

    #[test]
    fn numbers_are_written_as_people_write_them() {
        assert_eq!([0.0, 0.2, 2.5, 100.0, 1500.0].map(label), ["0", "0.2", "2.5", "100", "1,500"]);
        assert_eq!([0, 999, 1000, 1_128_313].map(thousands), ["0", "999", "1,000", "1,128,313"]);
    }
}
