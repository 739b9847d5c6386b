//! an order and a family → what all its specimens have in common.

use crate::dataset::picture::orders;
use crate::dataset::taxonomy::DIPTERA_FAMILIES;

/// What a class looks like. Lengths are in body lengths, colours 0..255 a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// Body length in picture heights.
    pub length: f32,
    /// Width of the abdomen.
    pub breadth: f32,
    /// Width of the thorax.
    pub shoulders: f32,
    /// Width of the head.
    pub head: f32,
    /// Colour of the thorax.
    pub thorax: [f32; 3],
    /// Colour of the abdomen.
    pub abdomen: [f32; 3],
    /// Stripes across the abdomen.
    pub stripes: u8,
    /// Their colour.
    pub stripe: [f32; 3],
    /// Colour of legs, antennae, tails and head.
    pub limbs: [f32; 3],
    /// Colour of the eyes.
    pub eyes: [f32; 3],
    /// Length of a leg.
    pub legs: f32,
    /// How much longer the hind legs are.
    pub hind_legs: f32,
    /// Thickness of a leg.
    pub thickness: f32,
    /// Length of the antennae.
    pub antennae: f32,
    /// Threads or pincers at the end.
    pub tails: u8,
    /// Their length.
    pub tail_length: f32,
    /// Their thickness.
    pub tail_thickness: f32,
    /// Wings.
    pub wings: Wings,
}

/// The wings of a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Wings {
    /// 0, 1 or 2.
    pub pairs: u8,
    /// Length of the fore wing.
    pub length: f32,
    /// Its width.
    pub breadth: f32,
    /// How far it is spread from the body, in radians.
    pub angle: f32,
    /// Its colour.
    pub colour: [f32; 3],
    /// 1 where nothing shines through.
    pub alpha: f32,
    /// Colour of veins and spots.
    pub veins: [f32; 3],
    /// Size of a spot beyond the middle of the wing; 0 for none.
    pub spots: f32,
}

/// Nearly.
pub(super) const BLACK: [f32; 3] = [35.0, 32.0, 32.0];
const GLASS: [f32; 3] = [205.0, 210.0, 214.0];

/// A dark, two-winged insect of middling build: what the classes are variations of.
pub(super) const PLAIN: Look = Look {
    length: 0.62,
    breadth: 0.3,
    shoulders: 0.3,
    head: 0.26,
    thorax: [70.0, 66.0, 64.0],
    abdomen: [90.0, 84.0, 80.0],
    stripes: 0,
    stripe: BLACK,
    limbs: [60.0, 50.0, 44.0],
    eyes: [110.0, 40.0, 36.0],
    legs: 0.45,
    hind_legs: 1.0,
    thickness: 0.025,
    antennae: 0.2,
    tails: 0,
    tail_length: 0.0,
    tail_thickness: 0.02,
    wings: Wings {
        pairs: 1,
        length: 0.85,
        breadth: 0.3,
        angle: 0.75,
        colour: GLASS,
        alpha: 0.55,
        veins: [150.0, 150.0, 150.0],
        spots: 0.0,
    },
};

impl Look {
    /// The look of a family, where it is one of the 40 of the Diptera task, or of an order. Names that are not known look plain.
    #[must_use]
    pub fn of(order: &str, family: Option<&str>) -> Self {
        match family.and_then(|family| DIPTERA_FAMILIES.iter().position(|(name, _)| *name == family)) {
            Some(index) => diptera(index),
            None => orders::look(order),
        }
    }
}

/// All Diptera have one pair of clear wings, a grey thorax and red eyes; ten hues of the abdomen and four builds make 40 families.
fn diptera(family: usize) -> Look {
    let hue = (family % 10) as f32 * 36.0;
    // Families next to each other in number are the ones most often met: they differ in hue; the build changes every ten.
    match family / 10 {
        0 => Look { abdomen: hsl(hue, 0.75, 0.36), ..PLAIN },
        1 => Look {
            abdomen: hsl(hue, 0.75, 0.66),
            thorax: [52.0, 50.0, 56.0],
            breadth: 0.42,
            shoulders: 0.36,
            length: 0.54,
            ..PLAIN
        },
        2 => Look {
            abdomen: hsl(hue, 0.8, 0.5),
            stripes: 4,
            breadth: 0.34,
            wings: Wings { colour: [120.0, 108.0, 96.0], veins: BLACK, spots: 0.4, ..PLAIN.wings },
            ..PLAIN
        },
        _ => Look {
            abdomen: hsl(hue, 0.7, 0.5),
            thorax: hsl(hue + 180.0, 0.4, 0.6),
            breadth: 0.17,
            shoulders: 0.22,
            head: 0.18,
            length: 0.72,
            legs: 0.75,
            wings: Wings { breadth: 0.2, angle: 0.55, ..PLAIN.wings },
            ..PLAIN
        },
    }
}

/// Hue in degrees, saturation and lightness 0..1 → RGB 0..255.
fn hsl(hue: f32, saturation: f32, lightness: f32) -> [f32; 3] {
    let chroma = saturation * lightness.min(1.0 - lightness);
    [0.0, 8.0, 4.0].map(|offset| {
        let k = (offset + hue / 30.0).rem_euclid(12.0);
        255.0 * (lightness - chroma * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::taxonomy::{DIPTERA, ORDERS};

    #[test]
    fn no_two_classes_look_the_same() {
        let families = DIPTERA_FAMILIES.iter().map(|(family, _)| Look::of(DIPTERA, Some(family)));
        let looks: Vec<Look> = families.chain(ORDERS.iter().map(|(order, _)| Look::of(order, None))).collect();
        for (index, look) in looks.iter().enumerate() {
            assert!(!looks[..index].contains(look), "class {index}");
        }
    }

    #[test]
    fn all_families_of_diptera_share_the_wings_of_their_order() {
        for (family, _) in DIPTERA_FAMILIES {
            assert_eq!(Look::of(DIPTERA, Some(family)).wings.pairs, 1, "{family}");
        }
    }

    #[test]
    fn hsl_gives_the_primary_colours() {
        assert_eq!(hsl(0.0, 1.0, 0.5), [255.0, 0.0, 0.0]);
        assert_eq!(hsl(120.0, 1.0, 0.5), [0.0, 255.0, 0.0]);
        assert_eq!(hsl(210.0, 0.0, 0.5), [127.5; 3]);
    }
}
