//! A plane of bytes → the same without what is narrower than a square.

/// Grey opening with a square of `2 radius + 1` pixels: a fibre of fewer pixels across vanishes, a body keeps its extent.
///
/// The plane ends as if continued by its own edge values.
pub fn open(plane: &[u8], width: usize, radius: usize) -> Vec<u8> {
    let eroded = sweep(plane, width, radius, u8::min);
    sweep(&eroded, width, radius, u8::max)
}

/// The extreme over the square around each pixel, one direction after the other.
fn sweep(plane: &[u8], width: usize, radius: usize, extreme: impl Fn(u8, u8) -> u8 + Copy) -> Vec<u8> {
    let merge = |into: &mut [u8], from: &[u8]| into.iter_mut().zip(from).for_each(|(into, &from)| *into = extreme(*into, from));
    let mut across = plane.to_vec();
    for (out, row) in across.chunks_exact_mut(width).zip(plane.chunks_exact(width)) {
        for step in 1..=radius.min(width - 1) {
            merge(&mut out[step..], &row[..width - step]);
            merge(&mut out[..width - step], &row[step..]);
        }
    }
    let mut down = across.clone();
    for step in 1..=radius {
        let shift = (step * width).min(plane.len());
        merge(&mut down[shift..], &across[..plane.len() - shift]);
        merge(&mut down[..plane.len() - shift], &across[shift..]);
    }
    down
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_vanishes_and_a_square_of_the_windows_size_stays() {
        let mut plane = vec![0u8; 9 * 7];
        (0..9).for_each(|x| plane[9 + x] = 50);
        (3..6).for_each(|y| (2..5).for_each(|x| plane[9 * y + x] = 80));
        let opened = open(&plane, 9, 1);
        let mut square = vec![0u8; 9 * 7];
        (3..6).for_each(|y| (2..5).for_each(|x| square[9 * y + x] = 80));
        assert_eq!(opened, square);
    }

    #[test]
    fn a_plane_smaller_than_the_window_is_no_trouble() {
        assert_eq!(open(&[3, 9], 1, 3), [3, 3]);
        assert_eq!(open(&[3, 9], 2, 3), [3, 3]);
        assert_eq!(open(&[7], 1, 2), [7]);
    }
}
