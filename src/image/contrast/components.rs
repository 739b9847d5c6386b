//! A plane of bytes and a threshold → the connected sets of pixels at or above it.

/// Pixels `from..to` of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub row: u32,
    pub from: u32,
    pub to: u32,
}

/// A set of pixels that touch along sides or corners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    pub x0: u32,
    pub y0: u32,
    pub x1: u32,
    pub y1: u32,
    /// Pixels.
    pub area: u32,
    /// Sum of their values.
    pub mass: u32,
    /// The greatest of them.
    pub peak: u8,
}

/// The whole plane as runs, to begin with.
pub fn rows(width: usize, height: usize) -> Vec<Run> {
    (0..height as u32).map(|row| Run { row, from: 0, to: width as u32 }).collect()
}

/// Pixels looked at together.
const BLOCK: usize = 32;

/// What of `within` is at or above `threshold`, in the order of rows and columns.
///
/// Runs at a higher threshold lie within those at a lower one, so that a rising series of thresholds reads the dish only once.
pub fn runs_above(plane: &[u8], width: usize, threshold: u8, within: &[Run]) -> Vec<Run> {
    let mut out = Vec::with_capacity(within.len());
    for run in within {
        let start = run.row as usize * width;
        let values = &plane[start + run.from as usize..start + run.to as usize];
        let mut at = 0;
        while at < values.len() {
            // Blocks without a single bright pixel are passed over at the speed of SIMD.
            let block = &values[at..(at + BLOCK).min(values.len())];
            if block.iter().fold(0, |most, &value| most.max(value)) < threshold {
                at += block.len();
                continue;
            }
            at += block.iter().take_while(|&&value| value < threshold).count();
            let length = values[at..].iter().take_while(|&&value| value >= threshold).count();
            out.push(Run { row: run.row, from: run.from + at as u32, to: run.from + (at + length) as u32 });
            at += length;
        }
    }
    out
}

/// Joins runs of neighbouring rows that touch, corners included.
pub fn components(plane: &[u8], width: usize, runs: &[Run]) -> Vec<Component> {
    let mut parent: Vec<u32> = (0..runs.len() as u32).collect();
    let (mut above, mut row_start) = (0, 0);
    for at in 0..runs.len() {
        let run = runs[at];
        if at > 0 && runs[at - 1].row != run.row {
            row_start = at;
            above = runs[..at].partition_point(|other| other.row + 1 < run.row);
        }
        while above < row_start && runs[above].to < run.from {
            above += 1;
        }
        let mut other = above;
        while other < row_start && runs[other].from <= run.to {
            join(&mut parent, other as u32, at as u32);
            other += 1;
        }
    }
    let mut place = vec![u32::MAX; runs.len()];
    let mut out: Vec<Component> = Vec::new();
    for (at, run) in runs.iter().enumerate() {
        let root = find(&mut parent, at as u32) as usize;
        if place[root] == u32::MAX {
            place[root] = out.len() as u32;
            out.push(Component { x0: run.from, y0: run.row, x1: run.to, y1: run.row + 1, area: 0, mass: 0, peak: 0 });
        }
        let component = &mut out[place[root] as usize];
        component.x0 = component.x0.min(run.from);
        component.x1 = component.x1.max(run.to);
        component.y1 = run.row + 1;
        component.area += run.to - run.from;
        let start = run.row as usize * width;
        for &value in &plane[start + run.from as usize..start + run.to as usize] {
            component.mass += u32::from(value);
            component.peak = component.peak.max(value);
        }
    }
    out
}

fn find(parent: &mut [u32], mut at: u32) -> u32 {
    while parent[at as usize] != at {
        parent[at as usize] = parent[parent[at as usize] as usize];
        at = parent[at as usize];
    }
    at
}

/// The earlier run becomes the root, so that components come in the order of their first pixel.
fn join(parent: &mut [u32], one: u32, two: u32) {
    let (one, two) = (find(parent, one), find(parent, two));
    parent[one.max(two) as usize] = one.min(two);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(plane: &[u8], width: usize, threshold: u8) -> Vec<(u32, u32, u32, u32, u32, u32)> {
        let runs = runs_above(plane, width, threshold, &rows(width, plane.len() / width));
        components(plane, width, &runs).iter().map(|c| (c.x0, c.y0, c.x1, c.y1, c.area, c.mass)).collect()
    }

    #[test]
    fn corners_join_and_gaps_part() {
        #[rustfmt::skip]
        let plane = [
            5, 0, 0, 0, 6,
            0, 5, 0, 0, 6,
            5, 0, 0, 0, 0,
        ];
        assert_eq!(found(&plane, 5, 5), [(0, 0, 2, 3, 3, 15), (4, 0, 5, 2, 2, 12)]);
        assert_eq!(found(&plane, 5, 6), [(4, 0, 5, 2, 2, 12)]);
        assert_eq!(found(&plane, 5, 7), []);
    }

    #[test]
    fn two_arms_that_meet_below_are_one() {
        #[rustfmt::skip]
        let plane = [
            9, 0, 9, 0, 9,
            9, 0, 9, 0, 9,
            9, 9, 9, 0, 9,
        ];
        assert_eq!(found(&plane, 5, 1), [(0, 0, 3, 3, 7, 63), (4, 0, 5, 3, 3, 27)]);
    }

    #[test]
    fn rows_do_not_run_into_each_other() {
        assert_eq!(found(&[0, 0, 9, 9, 0, 0], 3, 1), [(2, 0, 3, 1, 1, 9), (0, 1, 1, 2, 1, 9)]);
    }
}
