//! Randomness without state: every draw is a function of (seed, purpose, epoch, sample).
//!
//! There is no generator to save in a checkpoint and none to keep in step between ranks: whoever asks the same question
//! gets the same stream, whatever the number of ranks, threads or restarts.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// What a stream is for; two purposes never share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// The shuffle inside a class before it is divided into train, validation and test.
    Split = 1,
    /// The order of the samples in an epoch.
    Order = 2,
    /// Crop position and flip of one sample in one epoch.
    Augment = 3,
    /// Initial weights.
    Weights = 4,
    /// A synthetic record.
    SynthRecord = 5,
    /// A synthetic picture.
    SynthPicture = 6,
    /// Resampling for confidence intervals.
    Bootstrap = 7,
}

/// The stream for one question; `epoch` and `sample` are 0 where they do not apply.
///
/// ChaCha8 keyed with the four numbers (little endian, 8 bytes each): the streams are independent by the cipher, not by luck.
#[must_use]
pub fn stream(seed: u64, purpose: Purpose, epoch: u64, sample: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    for (slot, word) in key.chunks_exact_mut(8).zip([seed, purpose as u64, epoch, sample]) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// A permutation of `0..len`.
#[must_use]
pub fn permutation(len: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    order.shuffle(rng);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_question_has_the_same_answer_and_another_question_another() {
        let draw = |purpose, epoch, sample| permutation(100, &mut stream(1, purpose, epoch, sample));
        assert_eq!(draw(Purpose::Order, 3, 0), draw(Purpose::Order, 3, 0));
        assert_ne!(draw(Purpose::Order, 3, 0), draw(Purpose::Order, 4, 0));
        assert_ne!(draw(Purpose::Order, 3, 0), draw(Purpose::Augment, 3, 0));
        assert_ne!(draw(Purpose::Order, 3, 0), draw(Purpose::Order, 3, 1));
    }

    #[test]
    fn the_streams_never_change_between_versions() {
        // A published split and a resumed run rest on these numbers.
        assert_eq!(permutation(8, &mut stream(1, Purpose::Split, 0, 0)), [3, 6, 7, 1, 4, 2, 0, 5]);
    }
}
