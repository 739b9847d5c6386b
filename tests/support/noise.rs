//! a tensor's name → numbers that fill it: the formula of `fixtures/make_model_fixtures.py`, so that no weights are stored.

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
