//! (seed, epoch, sample) → where the training crop lies and whether it is mirrored.

use rand::RngExt;

use crate::random::{Purpose, stream};

/// The square a network sees of a resized image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Left edge in pixels.
    pub x: u32,
    /// Upper edge in pixels.
    pub y: u32,
    /// Mirrored left to right.
    pub flip: bool,
}

impl View {
    /// A random position, mirrored half of the time: torchvision's `RandomCrop` and `RandomHorizontalFlip(0.5)`.
    pub fn random(seed: u64, epoch: u64, sample: u64, image: (u32, u32), side: u32) -> Self {
        let mut rng = stream(seed, Purpose::Augment, epoch, sample);
        let (width, height) = image;
        Self {
            x: rng.random_range(0..=width.saturating_sub(side)),
            y: rng.random_range(0..=height.saturating_sub(side)),
            flip: rng.random(),
        }
    }

    /// The middle, as torchvision's `CenterCrop` rounds it (half to even).
    pub fn centre(image: (u32, u32), side: u32) -> Self {
        let middle = |length: u32| (f64::from(length.saturating_sub(side)) / 2.0).round_ties_even() as u32;
        Self { x: middle(image.0), y: middle(image.1), flip: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_where_torchvision_puts_it() {
        // int(round((341 - 224) / 2)) = round(58.5) = 58; (256 - 224) / 2 = 16.
        assert_eq!(View::centre((341, 256), 224), View { x: 58, y: 16, flip: false });
        assert_eq!(View::centre((224, 224), 224), View { x: 0, y: 0, flip: false });
    }

    #[test]
    fn random_views_stay_inside_and_reach_both_edges() {
        let views: Vec<View> = (0..400).map(|sample| View::random(1, 0, sample, (8, 6), 4)).collect();
        assert!(views.iter().all(|view| view.x <= 4 && view.y <= 2));
        for edge in [0, 4] {
            assert!(views.iter().any(|view| view.x == edge));
        }
        let flipped = views.iter().filter(|view| view.flip).count();
        assert!((150..250).contains(&flipped), "{flipped} of 400 mirrored");
    }

    #[test]
    fn a_view_depends_on_its_epoch_and_sample_alone() {
        let view = |epoch, sample| View::random(7, epoch, sample, (341, 256), 224);
        assert_eq!(view(3, 5), view(3, 5));
        assert_ne!(view(3, 5), view(4, 5));
    }
}
