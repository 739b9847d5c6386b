//! A set of working pixels → the rectangle around it, its area and its overlap with another.

use super::components::Component;

/// Half-open rectangle of working pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rect {
    pub x0: usize,
    pub y0: usize,
    pub x1: usize,
    pub y1: usize,
}

impl Rect {
    pub fn of(component: &Component) -> Self {
        Self { x0: component.x0 as usize, y0: component.y0 as usize, x1: component.x1 as usize, y1: component.y1 as usize }
    }

    pub fn width(&self) -> usize {
        self.x1.saturating_sub(self.x0)
    }

    pub fn height(&self) -> usize {
        self.y1.saturating_sub(self.y0)
    }

    pub fn area(&self) -> usize {
        self.width() * self.height()
    }

    /// Intersection over union, 0..1.
    pub fn iou(&self, other: &Self) -> f32 {
        let shared =
            Self { x0: self.x0.max(other.x0), y0: self.y0.max(other.y0), x1: self.x1.min(other.x1), y1: self.y1.min(other.y1) };
        let shared = shared.area();
        shared as f32 / (self.area() + other.area() - shared).max(1) as f32
    }

    /// Grown by `by` pixels on every side, within a plane of `width` × `height`.
    pub fn grown(&self, by: usize, width: usize, height: usize) -> Self {
        Self {
            x0: self.x0.saturating_sub(by),
            y0: self.y0.saturating_sub(by),
            x1: (self.x1 + by).min(width),
            y1: (self.y1 + by).min(height),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rectangle_grows_up_to_the_edges_and_overlaps_by_hand() {
        let rect = Rect { x0: 1, y0: 5, x1: 5, y1: 9 };
        assert_eq!(rect.grown(2, 6, 20), Rect { x0: 0, y0: 3, x1: 6, y1: 11 });
        assert_eq!(rect.iou(&Rect { x0: 3, y0: 5, x1: 7, y1: 9 }), 8.0 / 24.0);
        assert_eq!(rect.iou(&Rect { x0: 5, y0: 5, x1: 7, y1: 9 }), 0.0);
    }
}
