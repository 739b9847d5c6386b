//! (seed, epoch, sample) → where the training crop lies and whether it is mirrored.

use rand::RngExt;

use crate::image::{Size, View};
use crate::random::{Purpose, stream};

/// A random position, mirrored half of the time: torchvision's `RandomCrop` and `RandomHorizontalFlip(0.5)`.
#[must_use]
pub fn random(seed: u64, epoch: u64, sample: u64, image: Size, side: u32) -> View {
    let mut rng = stream(seed, Purpose::Augment, epoch, sample);
    View {
        x: rng.random_range(0..=image.width.saturating_sub(side)),
        y: rng.random_range(0..=image.height.saturating_sub(side)),
        flip: rng.random(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_views_stay_inside_and_reach_both_edges() {
        let views: Vec<View> = (0..400).map(|sample| random(1, 0, sample, Size { width: 8, height: 6 }, 4)).collect();
        assert!(views.iter().all(|view| view.x <= 4 && view.y <= 2));
        for edge in [0, 4] {
            assert!(views.iter().any(|view| view.x == edge));
        }
        let flipped = views.iter().filter(|view| view.flip).count();
        assert!((150..250).contains(&flipped), "{flipped} of 400 mirrored");
    }

    #[test]
    fn a_view_depends_on_its_epoch_and_sample_alone() {
        let view = |epoch, sample| random(7, epoch, sample, Size { width: 341, height: 256 }, 224);
        assert_eq!(view(3, 5), view(3, 5));
        assert_ne!(view(3, 5), view(4, 5));
    }
}
