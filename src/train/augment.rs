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

/// The middle, as torchvision's `CenterCrop` rounds it (half to even).
#[must_use]
pub fn centre(image: Size, side: u32) -> View {
    let middle = |length: u32| (f64::from(length.saturating_sub(side)) / 2.0).round_ties_even() as u32;
    View { x: middle(image.width), y: middle(image.height), flip: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_where_torchvision_puts_it() {
        // int(round((341 - 224) / 2)) = round(58.5) = 58; (256 - 224) / 2 = 16.
        assert_eq!(centre(Size { width: 341, height: 256 }, 224), View { x: 58, y: 16, flip: false });
        assert_eq!(centre(Size { width: 224, height: 224 }, 224), View { x: 0, y: 0, flip: false });
    }

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
