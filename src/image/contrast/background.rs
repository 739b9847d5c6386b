//! A picture's planes → what the dish would look like without a specimen, on a coarse grid.

use super::planes::Planes;
use super::saliency::contrast_of;

/// Working pixels a side of a grid cell: the dish's rings are wider than this.
pub const CELL: usize = 4;

/// Cells of the narrow median along a side of a cell of the wide one, which need follow nothing.
const COARSE: usize = 2;

/// Half the side of the wide median's window, in coarse cells: 248 working pixels, half the picture, hold more dish than specimen.
const WIDE: usize = 15;

/// Half the side of the narrow median's window, in cells: 68 working pixels follow the rings of the dish.
const NARROW: usize = 8;

/// Cells that differ more from the wide median than this (0..255) are no part of the second.
const FOREIGN: u8 = 20;

/// The dish at one value a cell of [`CELL`] working pixels a side.
///
/// Twice a median: a wide one that no specimen can carry, and a narrow one over the cells which the first finds alike.
pub fn background(planes: &Planes) -> Planes {
    let cells = planes.reduced(CELL);
    let coarse = cells.reduced(COARSE);
    let wide = medians(&coarse, &vec![true; coarse.luma.len()], &coarse, WIDE).enlarged(COARSE, cells.width, cells.height);
    let alike = |at| contrast_of(&cells, at, wide.luma[at], wide.blue[at], wide.red[at]) < FOREIGN;
    let alike: Vec<bool> = (0..cells.luma.len()).map(alike).collect();
    medians(&cells, &alike, &wide, NARROW)
}

fn medians(cells: &Planes, counted: &[bool], otherwise: &Planes, radius: usize) -> Planes {
    let of = |plane: &[u8], otherwise: &[u8]| median(plane, counted, otherwise, cells.width, cells.height, radius);
    Planes {
        width: cells.width,
        height: cells.height,
        luma: of(&cells.luma, &otherwise.luma),
        blue: of(&cells.blue, &otherwise.blue),
        red: of(&cells.red, &otherwise.red),
    }
}

/// The (lower) median of the `counted` values in the window of `2 radius + 1` cells a side around each cell, clipped at the edges;
/// the value of `otherwise` where fewer than an eighth of the window counts.
///
/// Huang's sliding histogram (1979): a step to the right adds a column and takes one away.
fn median(plane: &[u8], counted: &[bool], otherwise: &[u8], width: usize, height: usize, radius: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(plane.len());
    for y in 0..height {
        let rows = y.saturating_sub(radius)..(y + radius + 1).min(height);
        let mut window = Window { histogram: [0; 256], total: 0, below: 0, at: 0 };
        for x in 0..(radius.min(width)) {
            rows.clone().map(|row| row * width + x).filter(|&at| counted[at]).for_each(|at| window.add(plane[at]));
        }
        for x in 0..width {
            if x + radius < width {
                rows.clone().map(|row| row * width + x + radius).filter(|&at| counted[at]).for_each(|at| window.add(plane[at]));
            }
            if x > radius {
                rows.clone()
                    .map(|row| row * width + x - radius - 1)
                    .filter(|&at| counted[at])
                    .for_each(|at| window.remove(plane[at]));
            }
            let columns = (x + radius + 1).min(width) - x.saturating_sub(radius);
            let enough = 8 * window.total as usize >= rows.len() * columns;
            out.push(if enough { window.median() } else { otherwise[y * width + x] });
        }
    }
    out
}

/// A histogram that remembers where its median was.
struct Window {
    histogram: [u32; 256],
    total: u32,
    /// Values less than `at`.
    below: u32,
    at: u8,
}

impl Window {
    fn add(&mut self, value: u8) {
        self.histogram[usize::from(value)] += 1;
        self.total += 1;
        self.below += u32::from(value < self.at);
    }

    fn remove(&mut self, value: u8) {
        self.histogram[usize::from(value)] -= 1;
        self.total -= 1;
        self.below -= u32::from(value < self.at);
    }

    /// The value of rank `(total - 1) / 2`, counted from 0; needs at least one value.
    fn median(&mut self) -> u8 {
        let rank = (self.total.max(1) - 1) / 2;
        while self.below > rank {
            self.at -= 1;
            self.below -= self.histogram[usize::from(self.at)];
        }
        while self.at < 255 && self.below + self.histogram[usize::from(self.at)] <= rank {
            self.below += self.histogram[usize::from(self.at)];
            self.at += 1;
        }
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_clipped_windows_by_hand() {
        // Row 9 1 5 2 with radius 1: {9 1} → 1 (lower), {9 1 5} → 5, {1 5 2} → 2, {5 2} → 2.
        assert_eq!(median(&[9, 1, 5, 2], &[true; 4], &[0; 4], 4, 1, 1), [1, 5, 2, 2]);
        // Without the 5: {9 1} → 1, {9 1} → 1, {1 2} → 1, {2} → 2.
        assert_eq!(median(&[9, 1, 5, 2], &[true, true, false, true], &[0; 4], 4, 1, 1), [1, 1, 1, 2]);
        assert_eq!(median(&[9, 1], &[false, false], &[7, 8], 2, 1, 1), [7, 8]);
    }
}
