//! A text and its size → how much room it takes, so that names get the margin they need.
//!
//! Widths are Helvetica's (Adobe's AFM file), in thousandths of the size, with an eighth added for the wider fonts that stand in for it.

const FIRST: u32 = 0x20;
#[rustfmt::skip]
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
    1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
    333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
    556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];
const OTHERS: u16 = 700;
const STAND_INS: f64 = 1.125;

/// The font of every figure.
pub const FAMILY: &str = "Helvetica, Arial, Liberation Sans, sans-serif";

/// The width of `text` at `size`, in the same unit.
#[must_use]
pub fn width(text: &str, size: f64) -> f64 {
    let of = |c: char| WIDTHS.get((c as usize).wrapping_sub(FIRST as usize)).copied().unwrap_or(OTHERS);
    text.chars().map(|c| f64::from(of(c))).sum::<f64>() / 1000.0 * size * STAND_INS
}

/// The widest of `texts`.
pub fn widest<'a>(texts: impl IntoIterator<Item = &'a str>, size: f64) -> f64 {
    texts.into_iter().map(|text| width(text, size)).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_letters_take_less_room_than_wide_ones() {
        assert!((width("il", 1000.0) - 444.0 * STAND_INS).abs() < 1e-9);
        assert!((width("W0~", 1000.0) - (944.0 + 556.0 + 584.0) * STAND_INS).abs() < 1e-9);
        assert_eq!(widest(["il", "W"], 10.0), width("W", 10.0));
    }
}
