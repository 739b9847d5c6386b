//! an order → its look: one entry an order, drawn from field guides with a broad brush.

use crate::dataset::picture::look::{BLACK, Look, PLAIN, Wings};
use crate::dataset::taxonomy::DIPTERA;

const NO_WINGS: Wings = Wings { pairs: 0, ..PLAIN.wings };

/// What the specimens of an order look like; Diptera here are those outside the 40 families.
pub(super) fn look(order: &str) -> Look {
    let two = |wings: Wings| Wings { pairs: 2, ..wings };
    match order {
        // Diptera outside the 40 families are plain: grey all over.
        DIPTERA => PLAIN,
        "Hymenoptera" => Look {
            thorax: [40.0, 34.0, 30.0],
            abdomen: [226.0, 178.0, 40.0],
            stripes: 3,
            breadth: 0.26,
            shoulders: 0.24,
            antennae: 0.5,
            wings: two(Wings {
                colour: [214.0, 186.0, 120.0],
                length: 0.8,
                breadth: 0.22,
                angle: 0.9,
                veins: [120.0, 84.0, 40.0],
                ..PLAIN.wings
            }),
            ..PLAIN
        },
        "Coleoptera" => Look {
            thorax: [22.0, 30.0, 58.0],
            abdomen: [24.0, 36.0, 78.0],
            breadth: 0.58,
            shoulders: 0.48,
            head: 0.3,
            legs: 0.35,
            thickness: 0.04,
            limbs: [20.0, 22.0, 34.0],
            wings: Wings {
                length: 0.72,
                breadth: 0.3,
                angle: 0.16,
                colour: [30.0, 46.0, 104.0],
                alpha: 0.97,
                veins: [12.0, 14.0, 30.0],
                ..PLAIN.wings
            },
            ..PLAIN
        },
        "Hemiptera" => Look {
            thorax: [96.0, 158.0, 52.0],
            abdomen: [120.0, 176.0, 70.0],
            breadth: 0.5,
            shoulders: 0.54,
            head: 0.34,
            legs: 0.3,
            limbs: [96.0, 128.0, 50.0],
            wings: Wings {
                length: 0.75,
                breadth: 0.24,
                angle: 0.14,
                colour: [146.0, 196.0, 92.0],
                alpha: 0.9,
                veins: [70.0, 118.0, 40.0],
                ..PLAIN.wings
            },
            ..PLAIN
        },
        "Lepidoptera" => Look {
            length: 0.5,
            thorax: [130.0, 92.0, 56.0],
            abdomen: [150.0, 110.0, 70.0],
            breadth: 0.24,
            antennae: 0.45,
            wings: Wings {
                pairs: 2,
                length: 0.95,
                breadth: 0.62,
                angle: 1.15,
                colour: [188.0, 120.0, 58.0],
                alpha: 0.96,
                veins: [96.0, 54.0, 24.0],
                spots: 0.3,
            },
            ..PLAIN
        },
        "Psocodea" => Look {
            length: 0.46,
            thorax: [196.0, 164.0, 112.0],
            abdomen: [214.0, 184.0, 132.0],
            breadth: 0.46,
            head: 0.44,
            antennae: 0.8,
            legs: 0.35,
            limbs: [150.0, 118.0, 74.0],
            wings: Wings {
                length: 0.9,
                breadth: 0.3,
                angle: 0.28,
                colour: [206.0, 180.0, 140.0],
                alpha: 0.7,
                veins: [130.0, 98.0, 60.0],
                ..PLAIN.wings
            },
            ..PLAIN
        },
        "Thysanoptera" => Look {
            thorax: [216.0, 108.0, 40.0],
            abdomen: BLACK,
            breadth: 0.13,
            shoulders: 0.14,
            head: 0.11,
            legs: 0.2,
            antennae: 0.15,
            wings: two(Wings {
                length: 0.55,
                breadth: 0.05,
                angle: 0.5,
                colour: [120.0, 112.0, 104.0],
                alpha: 0.8,
                ..PLAIN.wings
            }),
            ..PLAIN
        },
        "Trichoptera" => Look {
            thorax: [96.0, 70.0, 46.0],
            abdomen: [110.0, 82.0, 56.0],
            antennae: 1.0,
            length: 0.52,
            wings: Wings {
                length: 1.1,
                breadth: 0.26,
                angle: 0.2,
                colour: [128.0, 92.0, 58.0],
                alpha: 0.95,
                veins: [64.0, 42.0, 24.0],
                spots: 0.2,
                ..PLAIN.wings
            },
            ..PLAIN
        },
        "Orthoptera" => Look {
            length: 0.75,
            thorax: [150.0, 150.0, 50.0],
            abdomen: [180.0, 176.0, 80.0],
            breadth: 0.2,
            shoulders: 0.24,
            legs: 0.4,
            hind_legs: 1.9,
            thickness: 0.045,
            limbs: [140.0, 132.0, 44.0],
            antennae: 0.6,
            wings: Wings { length: 0.6, breadth: 0.1, angle: 0.08, colour: [168.0, 160.0, 70.0], alpha: 0.9, ..PLAIN.wings },
            ..PLAIN
        },
        "Blattodea" => Look {
            thorax: [140.0, 62.0, 28.0],
            abdomen: [160.0, 76.0, 34.0],
            breadth: 0.52,
            shoulders: 0.6,
            head: 0.2,
            antennae: 0.9,
            limbs: [120.0, 56.0, 28.0],
            tails: 2,
            tail_length: 0.1,
            wings: Wings {
                length: 0.85,
                breadth: 0.3,
                angle: 0.1,
                colour: [172.0, 86.0, 40.0],
                alpha: 0.9,
                veins: [110.0, 48.0, 20.0],
                ..PLAIN.wings
            },
            ..PLAIN
        },
        "Neuroptera" => Look {
            thorax: [110.0, 190.0, 130.0],
            abdomen: [130.0, 204.0, 150.0],
            breadth: 0.15,
            shoulders: 0.18,
            length: 0.56,
            eyes: [220.0, 170.0, 30.0],
            antennae: 0.7,
            wings: two(Wings {
                length: 1.2,
                breadth: 0.4,
                angle: 0.7,
                colour: [176.0, 226.0, 196.0],
                alpha: 0.75,
                veins: [84.0, 160.0, 110.0],
                ..PLAIN.wings
            }),
            ..PLAIN
        },
        "Ephemeroptera" => Look {
            thorax: [176.0, 150.0, 176.0],
            abdomen: [200.0, 172.0, 198.0],
            stripes: 5,
            stripe: [140.0, 100.0, 140.0],
            breadth: 0.15,
            shoulders: 0.22,
            length: 0.5,
            antennae: 0.08,
            tails: 3,
            tail_length: 0.7,
            wings: Wings {
                length: 0.9,
                breadth: 0.5,
                angle: 1.45,
                colour: [214.0, 190.0, 216.0],
                alpha: 0.8,
                veins: [150.0, 116.0, 156.0],
                ..PLAIN.wings
            },
            ..PLAIN
        },
        "Dermaptera" => Look {
            length: 0.66,
            thorax: [96.0, 30.0, 30.0],
            abdomen: [128.0, 40.0, 36.0],
            stripes: 6,
            stripe: [78.0, 20.0, 22.0],
            breadth: 0.22,
            shoulders: 0.22,
            limbs: [190.0, 140.0, 60.0],
            tails: 2,
            tail_length: 0.25,
            tail_thickness: 0.07,
            wings: NO_WINGS,
            ..PLAIN
        },
        "Archaeognatha" => Look {
            thorax: [128.0, 132.0, 140.0],
            abdomen: [150.0, 154.0, 162.0],
            stripes: 7,
            stripe: [104.0, 108.0, 118.0],
            breadth: 0.26,
            shoulders: 0.34,
            antennae: 0.8,
            legs: 0.25,
            limbs: [110.0, 112.0, 120.0],
            tails: 3,
            tail_length: 0.5,
            tail_thickness: 0.035,
            length: 0.55,
            wings: NO_WINGS,
            ..PLAIN
        },
        "Plecoptera" => Look {
            length: 0.66,
            thorax: [50.0, 62.0, 60.0],
            abdomen: [60.0, 76.0, 74.0],
            breadth: 0.2,
            shoulders: 0.28,
            antennae: 0.6,
            tails: 2,
            tail_length: 0.4,
            wings: two(Wings {
                length: 0.95,
                breadth: 0.2,
                angle: 0.1,
                colour: [70.0, 92.0, 90.0],
                alpha: 0.85,
                veins: [36.0, 50.0, 50.0],
                ..PLAIN.wings
            }),
            ..PLAIN
        },
        "Embioptera" => Look {
            length: 0.7,
            thorax: [92.0, 40.0, 110.0],
            abdomen: [116.0, 56.0, 136.0],
            breadth: 0.14,
            shoulders: 0.18,
            head: 0.2,
            legs: 0.28,
            thickness: 0.06,
            limbs: [80.0, 36.0, 96.0],
            wings: NO_WINGS,
            ..PLAIN
        },
        "Odonata" => Look {
            length: 0.8,
            thorax: [40.0, 120.0, 190.0],
            abdomen: [50.0, 140.0, 210.0],
            breadth: 0.08,
            wings: two(Wings { length: 0.75, breadth: 0.14, angle: 1.3, ..PLAIN.wings }),
            ..PLAIN
        },
        "Zoraptera" => Look { length: 0.4, abdomen: [190.0, 170.0, 150.0], wings: NO_WINGS, ..PLAIN },
        _ => Look { length: 0.4, wings: Wings { breadth: 0.5, ..PLAIN.wings }, ..PLAIN },
    }
}
