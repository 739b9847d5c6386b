//! A position embedding learned on one grid of patches → the same on another grid.

use tch::{Kind, TchError, Tensor};

/// Resamples `[1, 1 + G², width]` to `[1, 1 + grid², width]`: the class token's position stays, the others are resized as a
/// `width`-channel picture, bicubic with antialiasing (timm's `resample_abs_pos_embed`). None where G² is not a square.
pub(super) fn resample(embedding: &Tensor, grid: i64) -> Result<Option<Tensor>, TchError> {
    let (_, tokens, width) = embedding.size3()?;
    let Some(old_grid) = side(tokens - 1) else { return Ok(None) };
    let kind = embedding.kind();
    let cls = embedding.f_narrow(1, 0, 1)?;
    let picture = embedding.f_narrow(1, 1, tokens - 1)?.f_to_kind(Kind::Float)?;
    let picture = picture.f_reshape([1, old_grid, old_grid, width])?.f_permute([0, 3, 1, 2])?;
    let resized = picture.f_internal_upsample_bicubic2d_aa([grid, grid], false, None, None)?;
    let tokens = resized.f_permute([0, 2, 3, 1])?.f_reshape([1, grid * grid, width])?.f_to_kind(kind)?;
    Tensor::f_cat(&[cls, tokens], 1).map(Some)
}

/// The side of a square of so many patches.
pub(super) fn side(patches: i64) -> Option<i64> {
    let side = (patches.max(0) as f64).sqrt().round() as i64;
    (side > 0 && side * side == patches).then_some(side)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn a_constant_stays_constant_and_the_class_token_is_untouched() {
        let embedding = Tensor::cat(
            &[
                Tensor::full([1, 1, 4], 9.0, (Kind::Float, Device::Cpu)),
                Tensor::full([1, 25, 4], 0.5, (Kind::Float, Device::Cpu)),
            ],
            1,
        );
        let resampled = resample(&embedding, 3).unwrap().unwrap();
        assert_eq!(resampled.size(), [1, 10, 4]);
        assert_eq!(resampled.double_value(&[0, 0, 3]), 9.0);
        let others = resampled.narrow(1, 1, 9);
        assert!((others - 0.5).abs().max().double_value(&[]) < 1e-6);
    }

    #[test]
    fn only_squares_have_a_side() {
        assert_eq!([196, 16, 1, 0, 15, -1].map(side), [Some(14), Some(4), Some(1), None, None, None]);
    }
}
