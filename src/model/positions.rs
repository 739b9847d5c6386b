//! A position embedding learned on one grid of patches → the same on another grid.

use tch::{Kind, TchError, Tensor};

/// The patches a side of an embedding of this shape, if it is a square grid behind a class token.
pub(super) fn patches_a_side(shape: &[i64]) -> Option<usize> {
    let &[1, tokens, _] = shape else { return None };
    usize::try_from(side(tokens - 1)?).ok()
}

/// The patches a side of both embeddings, given their shapes, if these are square grids that differ in nothing else.
pub(super) fn grids(found: &[i64], wanted: &[i64]) -> Option<(i64, i64)> {
    let (&[1, found_tokens, found_width], &[1, wanted_tokens, wanted_width]) = (found, wanted) else { return None };
    let (from, to) = (side(found_tokens - 1)?, side(wanted_tokens - 1)?);
    (from != to && found_width == wanted_width).then_some((from, to))
}

/// Resamples `[1, 1 + from², width]` to `[1, 1 + to², width]`: the class token's position stays, the others are resized as a
/// `width`-channel picture, bicubic with antialiasing (timm's `resample_abs_pos_embed`).
pub(super) fn resample(embedding: &Tensor, from: i64, to: i64) -> Result<Tensor, TchError> {
    let (_, _, width) = embedding.size3()?;
    let class_token = embedding.f_narrow(1, 0, 1)?;
    let picture = embedding.f_narrow(1, 1, from * from)?.f_to_kind(Kind::Float)?;
    let picture = picture.f_reshape([1, from, from, width])?.f_permute([0, 3, 1, 2])?;
    let resized = picture.f_internal_upsample_bicubic2d_aa([to, to], false, None, None)?;
    let tokens = resized.f_permute([0, 2, 3, 1])?.f_reshape([1, to * to, width])?.f_to_kind(embedding.kind())?;
    Tensor::f_cat(&[class_token, tokens], 1)
}

fn side(patches: i64) -> Option<i64> {
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
        let resampled = resample(&embedding, 5, 3).unwrap();
        assert_eq!(resampled.size(), [1, 10, 4]);
        assert_eq!(resampled.double_value(&[0, 0, 3]), 9.0);
        let others = resampled.narrow(1, 1, 9);
        assert!((others - 0.5).abs().max().double_value(&[]) < 1e-6);
    }

    #[test]
    fn only_square_grids_that_differ_in_nothing_else_are_resampled() {
        assert_eq!(grids(&[1, 197, 192], &[1, 17, 192]), Some((14, 4)));
        assert_eq!(grids(&[1, 197, 192], &[1, 197, 192]), None); // nothing to do
        assert_eq!(grids(&[1, 197, 384], &[1, 17, 192]), None); // another width
        assert_eq!(grids(&[1, 198, 192], &[1, 17, 192]), None); // two extra tokens: another architecture
        assert_eq!(grids(&[197, 192], &[1, 17, 192]), None);
    }
}
