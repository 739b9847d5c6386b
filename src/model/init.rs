//! (seed, tensor name, distribution) → a tensor's initial values.
//!
//! Each tensor has its own stream, named by the hash of its name: its values depend on the seed and the name alone, not on
//! the other tensors, the number of classes or the threads. The normal distribution comes from its inverse CDF, one draw
//! an element, so that no element's value hangs on how many draws those before it took.

use std::f64::consts::SQRT_2;

use rand::Rng;

use crate::random::{Purpose, stream};

/// The distribution of a tensor's initial values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Init {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// Normal with mean 0.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// Uniform in ±bound.
    Uniform {
        /// The largest absolute value.
        bound: f64,
    },
}

impl Init {
    /// He et al. 2015 for ReLU by fan out, as timm initialises every convolution of a ResNet: std = √(2 / (outputs·k²)).
    pub fn kaiming_fan_out(outputs: i64, kernel: i64) -> Self {
        Self::Normal { std: SQRT_2 / ((outputs * kernel * kernel) as f64).sqrt() }
    }

    /// PyTorch's default for linear layers and convolutions, weight and bias alike: uniform in ±1/√fan_in.
    pub fn torch_default(fan_in: i64) -> Self {
        Self::Uniform { bound: 1.0 / (fan_in as f64).sqrt() }
    }

    /// The values of the tensor `name` with `len` elements.
    pub fn draw(self, seed: u64, name: &str, len: usize) -> Vec<f32> {
        let mut rng = stream(seed, Purpose::Weights, 0, name_hash(name));
        // The middle of one of 2⁵³ equal cells of (0, 1): never 0 nor 1, where the inverse CDF is infinite.
        let mut uniform = || ((rng.next_u64() >> 11) as f64 + 0.5) * (1.0 / (1u64 << 53) as f64);
        match self {
            Self::Zeros => vec![0.0; len],
            Self::Ones => vec![1.0; len],
            Self::Normal { std } => (0..len).map(|_| (std * normal_quantile(uniform())) as f32).collect(),
            Self::Uniform { bound } => (0..len).map(|_| (bound * (2.0 * uniform() - 1.0)) as f32).collect(),
        }
    }
}

/// The first eight bytes of the name's BLAKE3 hash, little endian.
fn name_hash(name: &str) -> u64 {
    let hash = blake3::hash(name.as_bytes());
    hash.as_bytes()[..8].iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// The inverse of the standard normal CDF for 0 < p < 1, to about 1 part in 10¹⁶: algorithm AS 241, PPND16 (Wichura 1988).
fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        return q * horner(&CENTRE, r);
    }
    let r = (-(if q < 0.0 { p } else { 1.0 - p }).ln()).sqrt();
    let tail = if r <= 5.0 { horner(&TAIL, r - 1.6) } else { horner(&FAR_TAIL, r - 5.0) };
    tail.copysign(q)
}

/// A ratio of two polynomials of degree 7; (numerator, denominator) by falling power.
fn horner(coefficients: &[(f64, f64); 8], r: f64) -> f64 {
    let (above, below) = coefficients.iter().fold((0.0, 0.0), |(above, below), &(a, b)| (above * r + a, below * r + b));
    above / below
}

const CENTRE: [(f64, f64); 8] = [
    (2.509_080_928_730_122_7e3, 5.226_495_278_852_854e3),
    (3.343_057_558_358_813e4, 2.872_908_573_572_194_3e4),
    (6.726_577_092_700_87e4, 3.930_789_580_009_271e4),
    (4.592_195_393_154_987e4, 2.121_379_430_158_659_7e4),
    (1.373_169_376_550_946e4, 5.394_196_021_424_751e3),
    (1.971_590_950_306_551_3e3, 6.871_870_074_920_579e2),
    (1.331_416_678_917_843_8e2, 4.231_333_070_160_091e1),
    (3.387_132_872_796_366_5, 1.0),
];

const TAIL: [(f64, f64); 8] = [
    (7.745_450_142_783_414e-4, 1.050_750_071_644_416_9e-9),
    (2.272_384_498_926_918_4e-2, 5.475_938_084_995_345e-4),
    (2.417_807_251_774_506e-1, 1.519_866_656_361_645_7e-2),
    (1.270_458_252_452_368_4, 1.481_039_764_274_800_8e-1),
    (3.647_848_324_763_204_5, 6.897_673_349_851e-1),
    (5.769_497_221_460_691, 1.676_384_830_183_803_8),
    (4.630_337_846_156_546, 2.053_191_626_637_759),
    (1.423_437_110_749_683_5, 1.0),
];

const FAR_TAIL: [(f64, f64); 8] = [
    (2.010_334_399_292_288_1e-7, 2.044_263_103_389_939_8e-15),
    (2.711_555_568_743_487_6e-5, 1.421_511_758_316_446e-7),
    (1.242_660_947_388_078_4e-3, 1.846_318_317_510_054_7e-5),
    (2.653_218_952_657_612_3e-2, 7.868_691_311_456_133e-4),
    (2.965_605_718_285_048_7e-1, 1.487_536_129_085_061_5e-2),
    (1.784_826_539_917_291_3, 1.369_298_809_227_358e-1),
    (5.463_784_911_164_114, 5.998_322_065_558_88e-1),
    (6.657_904_643_501_103, 1.0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_the_normal_table() {
        for (p, expected) in [
            (0.5, 0.0),
            (0.75, 0.674_489_750_196_081_7),
            (0.975, 1.959_963_984_540_054),
            (0.001, -3.090_232_306_167_813_5),
            (1e-12, -7.034_483_825_301_131),
            (1e-16, -8.222_082_216_130_436),
        ] {
            let quantile = normal_quantile(p);
            assert!((quantile - expected).abs() <= 1e-14 * expected.abs().max(1.0), "{p}: {quantile}, not {expected}");
        }
    }

    #[test]
    fn a_hundred_thousand_normals_have_the_moments_of_a_normal() {
        let values = Init::Normal { std: 0.02 }.draw(1, "blocks.0.attn.qkv.weight", 100_000);
        let n = values.len() as f64;
        let moment = |power: i32| values.iter().map(|&v| (f64::from(v) / 0.02).powi(power)).sum::<f64>() / n;
        // Within five standard errors: √(1/n), √(2/n), √(96/n).
        assert!(moment(1).abs() < 5.0 * (1.0 / n).sqrt(), "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "variance {}", moment(2));
        assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / n).sqrt(), "fourth moment {}", moment(4));
    }

    #[test]
    fn a_uniform_fills_its_interval_and_stays_inside() {
        let values = Init::torch_default(16).draw(1, "fc.weight", 10_000);
        let (low, high) = values.iter().fold((0f32, 0f32), |(low, high), &v| (low.min(v), high.max(v)));
        assert!((-0.25..-0.249).contains(&low) && (0.249..=0.25).contains(&high), "{low}..{high}");
    }

    #[test]
    fn kaiming_by_hand() {
        // 64 outputs of 3×3: √(2 / 576) = 1/√288.
        let Init::Normal { std } = Init::kaiming_fan_out(64, 3) else { panic!("normal") };
        assert!((std - 1.0 / 288f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn a_longer_tensor_begins_as_a_shorter_one_and_another_name_or_seed_is_another_stream() {
        let init = Init::Normal { std: 1.0 };
        assert_eq!(init.draw(1, "fc.weight", 5), init.draw(1, "fc.weight", 9)[..5]);
        assert_ne!(init.draw(1, "fc.weight", 5), init.draw(1, "fc.bias", 5));
        assert_ne!(init.draw(1, "fc.weight", 5), init.draw(2, "fc.weight", 5));
    }

    #[test]
    fn the_values_never_change_between_versions() {
        // Published runs rest on these numbers.
        assert_eq!(Init::Normal { std: 1.0 }.draw(1, "conv1.weight", 3), [-0.172_966_18, -0.968_345_3, 1.552_009_9]);
    }
}
