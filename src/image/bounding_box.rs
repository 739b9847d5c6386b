//! Where a specimen lies in its original: whole pixels.

/// Half-open pixel rectangle of an original: x0 <= x < x1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundingBox {
    /// The first column.
    pub x0: i32,
    /// The first row.
    pub y0: i32,
    /// One past the last column.
    pub x1: i32,
    /// One past the last row.
    pub y1: i32,
}

impl BoundingBox {
    /// Columns; 0 where it ends before it begins.
    #[must_use]
    pub fn width(&self) -> i64 {
        (i64::from(self.x1) - i64::from(self.x0)).max(0)
    }

    /// Rows; 0 where it ends before it begins.
    #[must_use]
    pub fn height(&self) -> i64 {
        (i64::from(self.y1) - i64::from(self.y0)).max(0)
    }

    /// Pixels.
    #[must_use]
    pub fn area(&self) -> i64 {
        self.width().saturating_mul(self.height())
    }

    /// Intersection over union, 0..1; 0 where both are empty.
    #[must_use]
    pub fn iou(&self, other: &Self) -> f64 {
        let shared =
            Self { x0: self.x0.max(other.x0), y0: self.y0.max(other.y0), x1: self.x1.min(other.x1), y1: self.y1.min(other.y1) };
        let shared = shared.area() as f64;
        let union = self.area() as f64 + other.area() as f64 - shared;
        if union > 0.0 { shared / union } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_squares_that_share_a_quarter_of_each_have_an_iou_of_a_seventh() {
        let (one, two) = (BoundingBox { x0: 0, y0: 0, x1: 4, y1: 4 }, BoundingBox { x0: 2, y0: 2, x1: 6, y1: 6 });
        assert_eq!((one.width(), one.height(), one.area()), (4, 4, 16));
        assert_eq!(one.iou(&two), 4.0 / 28.0);
        assert_eq!(one.iou(&one), 1.0);
    }

    #[test]
    fn boxes_apart_empty_or_inside_out_share_nothing_and_none_overflows() {
        let (one, apart) = (BoundingBox { x0: 0, y0: 0, x1: 4, y1: 4 }, BoundingBox { x0: 4, y0: 0, x1: 8, y1: 4 });
        assert_eq!(one.iou(&apart), 0.0);
        let inside_out = BoundingBox { x0: 3, y0: 3, x1: 1, y1: 1 };
        assert_eq!((inside_out.area(), inside_out.iou(&inside_out)), (0, 0.0));
        let all = BoundingBox { x0: i32::MIN, y0: i32::MIN, x1: i32::MAX, y1: i32::MAX };
        assert_eq!((all.width(), all.area()), (u32::MAX.into(), i64::MAX));
    }
}
