//! One specimen's box, and the two published numbers that follow from it.

/// Where the specimen lies in the picture `file`, in pixels of the original: columns `x0..x1`, rows `y0..y1`, the ends excluded.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxRecord {
    /// File name with its ending, without a folder.
    pub file: String,
    /// The size of the picture the numbers are about, where it is given.
    pub original: Option<Original>,
    /// Left edge. Boxes may reach beyond the picture, so all four may lie outside it.
    pub x0: i64,
    /// Upper edge.
    pub y0: i64,
    /// Right edge, more than `x0`.
    pub x1: i64,
    /// Lower edge, more than `y0`.
    pub y1: i64,
    /// How sure its detector was, the higher the surer; `None` for a box that a person drew.
    pub score: Option<f64>,
}

/// Width and height of an original in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Original {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// Edges beyond this are no pixels of any picture.
pub(super) const FARTHEST_EDGE: i64 = 1_000_000;

impl BoxRecord {
    /// Its area in pixels.
    #[must_use]
    pub fn area(&self) -> i64 {
        (self.x1 - self.x0) * (self.y1 - self.y0)
    }

    /// `round(min(x1 - x0, y1 - y0) / 256, 4)`: how much smaller the shorter side becomes at 256 pixels.
    #[must_use]
    pub fn scale_factor(&self) -> f64 {
        round4((self.x1 - self.x0).min(self.y1 - self.y0) as f64 / 256.0)
    }

    /// `round((x1 - x0) * (y1 - y0) / (width * height), 4)`; `None` where the original's size is not given.
    #[must_use]
    pub fn area_fraction(&self) -> Option<f64> {
        let of = |original: Original| f64::from(original.width) * f64::from(original.height);
        self.original.map(|original| round4(self.area() as f64 / of(original)))
    }

    /// What is wrong with the box, naming the column.
    pub(super) fn fault(&self) -> Option<String> {
        let edges = [("x0", self.x0), ("y0", self.y0), ("x1", self.x1), ("y1", self.y1)];
        if let Some((name, value)) = edges.into_iter().find(|(_, value)| value.abs() > FARTHEST_EDGE) {
            return Some(format!("`{name}` is {value}, beyond any picture"));
        }
        for (low, from, high, to) in [("x0", self.x0, "x1", self.x1), ("y0", self.y0, "y1", self.y1)] {
            if from >= to {
                return Some(format!("`{high}` is {to}, not more than `{low}`, which is {from}"));
            }
        }
        let outside = |from, to, side: u32| to <= 0 || from >= i64::from(side);
        let original = self.original?;
        (outside(self.x0, self.x1, original.width) || outside(self.y0, self.y1, original.height))
            .then(|| format!("the box lies outside its picture of {}×{} pixels", original.width, original.height))
    }
}

/// Python's `round(value, 4)`: to the nearest decimal of the double's exact value, a tie to the even digit, as Rust's formatting does.
fn round4(value: f64) -> f64 {
    format!("{value:.4}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(side: i64) -> BoxRecord {
        BoxRecord { file: "a.jpg".into(), original: None, x0: 10, y0: 20, x1: 10 + side, y1: 20 + side, score: None }
    }

    #[test]
    fn ties_go_to_the_even_digit_as_in_python() {
        // 8/256 = 0.03125 and 24/256 = 0.09375 are exact: round(0.03125, 4) is 0.0312 in Python, round(0.09375, 4) is 0.0938.
        assert_eq!(square(8).scale_factor(), 0.0312);
        assert_eq!(square(24).scale_factor(), 0.0938);
        // 0.00005 is a little more than a tie as a double, 0.00015 a little less: Python says 0.0001 for both.
        assert_eq!((round4(0.00005), round4(0.00015)), (0.0001, 0.0001));
    }

    #[test]
    fn what_no_picture_can_hold_is_named_by_its_column() {
        let fault = |change: fn(&mut BoxRecord)| {
            let mut record = BoxRecord { original: Some(Original { width: 100, height: 50 }), ..square(20) };
            change(&mut record);
            record.fault()
        };
        assert_eq!(fault(|_| ()), None);
        assert_eq!(fault(|record| record.x0 = -5), None, "a box may reach beyond an edge");
        assert_eq!(fault(|record| record.x1 = 10).unwrap(), "`x1` is 10, not more than `x0`, which is 10");
        assert_eq!(fault(|record| record.y1 = 1 << 40).unwrap(), "`y1` is 1099511627776, beyond any picture");
        assert!(fault(|record| (record.y0, record.y1) = (50, 60)).unwrap().contains("outside its picture of 100×50"));
    }
}
