//! Tensors for the tests that set our networks beside another library's: filled by the formula of `fixtures/make_model_fixtures.py`, so that
//! no weights are stored, and compared.

use tch::Tensor;

/// `count` values in -1..1, multiples of 2⁻²³: the 24 highest bits of splitmix64(fnv1a64(name) + i).
pub fn noise(name: &str, count: usize) -> impl Iterator<Item = f64> {
    let base = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    (0..count as u64).map(move |i| {
        let z = base.wrapping_add(i).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 23) - 1.0
    })
}

/// The tensor `name` of `shape`: its noise, `spread` about `centre`.
pub fn filled(name: &str, shape: &[i64], (centre, spread): (f64, f64)) -> Tensor {
    let values: Vec<f32> = noise(name, shape.iter().product::<i64>() as usize).map(|v| (centre + spread * v) as f32).collect();
    Tensor::from_slice(&values).view(shape)
}

/// All values of a tensor, row by row.
pub fn values(tensor: &Tensor) -> Vec<f32> {
    Vec::<f32>::try_from(tensor.flatten(0, -1)).expect("float32")
}

/// The largest distance of two lists of equal length.
pub fn largest_difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
