//! The size of a feature map → the sine embedding of its places (Carion et al. 2020, after Vaswani et al. 2017).
//!
//! Rows and columns count from 1 and are normalised to 2π at the last; each gets 128 values, sine and cosine in turn, of frequencies
//! 10000^(-2·⌊i/2⌋/128). Rows come first. All in float32, in the order of operations of the original, so that its bits are met.

use tch::{Device, Kind, TchError, Tensor};

use super::WIDTH;

const TEMPERATURE: f64 = 10_000.0;
const EPS: f64 = 1e-6;

/// `[1, height · width, 256]`, row by row.
pub(super) fn sine(height: i64, width: i64, device: Device) -> Result<Tensor, TchError> {
    let rows = axis(height, device)?.f_unsqueeze(1)?.f_expand([height, width, WIDTH / 2], false)?;
    let columns = axis(width, device)?.f_unsqueeze(0)?.f_expand([height, width, WIDTH / 2], false)?;
    Tensor::f_cat(&[rows, columns], 2)?.f_reshape([1, height * width, WIDTH])
}

/// `[length, 128]`.
fn axis(length: i64, device: Device) -> Result<Tensor, TchError> {
    let options = (Kind::Float, device);
    let places = Tensor::f_arange_start(1, length + 1, options)?;
    let last = places.f_slice(0, length - 1, length, 1)?;
    let angles = places.f_div(&last.f_add_scalar(EPS)?)?.f_mul_scalar(std::f64::consts::TAU)?;

    let half = WIDTH / 2;
    let exponents = Tensor::f_arange(half, options)?.f_div_scalar_mode(2, "floor")?.f_mul_scalar(2)?.f_div_scalar(half)?;
    let angles = angles.f_unsqueeze(1)?.f_div(&Tensor::f_pow_scalar(TEMPERATURE, &exponents)?)?;
    let every_other = |first| angles.f_slice(1, first, half, 2);
    Tensor::f_stack(&[every_other(0)?.f_sin()?, every_other(1)?.f_cos()?], 2)?.f_flatten(1, -1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(embedding: &Tensor, place: i64, index: i64) -> f64 {
        embedding.double_value(&[0, place, index])
    }

    #[test]
    fn of_two_rows_and_four_columns_by_hand() {
        let embedding = sine(2, 4, Device::Cpu).unwrap();
        assert_eq!(embedding.size(), [1, 8, 256]);
        // Place 5 is row 2 of 2, column 2 of 4: angles 2π and π.
        let near = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-5, "{value}, not {expected}");
        near(at(&embedding, 5, 0), 0.0);
        near(at(&embedding, 5, 1), 1.0);
        near(at(&embedding, 5, 128), 0.0);
        near(at(&embedding, 5, 129), -1.0);
        // The second pair turns 10000^(2/128) = 1.1548 times slower.
        near(at(&embedding, 5, 2), (std::f64::consts::TAU / 1.154_781_984_689_458_2).sin());
        near(at(&embedding, 0, 131), (std::f64::consts::FRAC_PI_2 / 1.154_781_984_689_458_2).cos());
    }
}
