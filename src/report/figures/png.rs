//! The text of an SVG → the same picture in pixels, for programs that take no SVG.
//!
//! Its text is set in DejaVu Sans Condensed, which the binary brings along: a compute node has no fonts, and so a figure has the same
//! pixels everywhere.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::error::{Error, Result};

/// Pixels a unit of the canvas: 288 to the inch, where a unit is a 96th of one.
pub const SCALE: f32 = 3.0;

/// The fonts' family: "Condensed" is no part of its name, but their width.
const FAMILY: &str = "DejaVu Sans";

/// Draws figures; the fonts are read once.
pub struct Painter(Options<'static>);

impl Painter {
    /// With its fonts, and no others.
    #[must_use]
    pub fn new() -> Self {
        let mut fonts = fontdb::Database::new();
        fonts.load_font_data(dejavu::sans_condensed::regular().to_vec());
        fonts.load_font_data(dejavu::sans_condensed::bold().to_vec());
        // Whatever family a figure names, there is this one, whose only width is the condensed.
        fonts.set_sans_serif_family(FAMILY);
        Self(Options { fontdb: Arc::new(fonts), font_family: FAMILY.into(), ..Options::default() })
    }

    /// A PNG of `svg` at `scale` pixels a unit.
    ///
    /// # Errors
    /// Of a text that is no SVG, or of one too large for memory: a fault of this program.
    pub fn png(&self, svg: &str, scale: f32) -> Result<Vec<u8>> {
        self.pixels(svg, scale)?.encode_png().map_err(|error| Error::library("resvg", error))
    }

    fn pixels(&self, svg: &str, scale: f32) -> Result<Pixmap> {
        let tree = Tree::from_str(svg, &self.0).map_err(|error| Error::library("resvg", error))?;
        let size = tree.size().to_int_size().scale_by(scale).ok_or_else(|| Error::library("resvg", "a figure of no size"))?;
        let mut pixels =
            Pixmap::new(size.width(), size.height()).ok_or_else(|| Error::library("resvg", "a figure too large to draw"))?;
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
        Ok(pixels)
    }
}

impl Default for Painter {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::report::figures::Heading;
    use crate::report::figures::confusion::{self, ConfusionFigure};
    use crate::report::figures::distribution::{self, Distribution};

    /// Set to draw the pictures anew instead of comparing with them.
    const REDRAW: &str = "BIOSCAN_HPC_REDRAW";
    /// A difference of a channel that no eye sees: another libm rounds edges otherwise.
    const UNSEEN: u8 = 24;

    fn golden(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/figures").join(name)
    }

    /// The share of pixels that look different; 1 where the sizes do.
    fn difference(one: &Pixmap, other: &Pixmap) -> f64 {
        if (one.width(), one.height()) != (other.width(), other.height()) {
            return 1.0;
        }
        let looks_other = |(a, b): (&[u8; 4], &[u8; 4])| a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) > UNSEEN);
        let (one, other) = (one.data().as_chunks().0, other.data().as_chunks().0);
        one.iter().zip(other).filter(|pair| looks_other(*pair)).count() as f64 / one.len() as f64
    }

    fn assert_looks_as_before(name: &str, svg: &str) {
        let (painter, path) = (Painter::new(), golden(name));
        if std::env::var_os(REDRAW).is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, painter.png(svg, 1.0).unwrap()).unwrap();
        }
        let before = Pixmap::decode_png(&std::fs::read(&path).unwrap()).unwrap();
        let difference = difference(&painter.pixels(svg, 1.0).unwrap(), &before);
        assert!(difference < 0.002, "{name}: {:.2} % of the pixels look different; {REDRAW}=1 draws it anew", 100.0 * difference);
    }

    fn confusion(classes: usize) -> String {
        let name = |class: usize| {
            ["Diptera", "Hymenoptera", "Archaeognatha"].get(class).map_or(format!("Family{class}idae"), |n| (*n).into())
        };
        let counts =
            (0..classes).map(|row| (0..classes).map(|column| u64::from(row == column) * 9 + u64::from(column == 0)).collect());
        confusion::draw(&ConfusionFigure {
            heading: Heading::new("Confusion", true),
            classes: (0..classes).map(name).collect(),
            counts: counts.collect(),
        })
    }

    #[test]
    fn figures_look_as_they_did() {
        assert_looks_as_before("confusion-3.png", &confusion(3));
        assert_looks_as_before("confusion-40.png", &confusion(40));
        let figure = Distribution {
            heading: Heading::new("Images", false),
            unit: "images".into(),
            series: ["train", "validation", "test"].map(String::from).into(),
            classes: vec![("Diptera".into(), vec![700, 100, 200]), ("Embioptera".into(), vec![4, 0, 1])],
        };
        assert_looks_as_before("distribution.png", &distribution::draw(&figure));
    }

    #[test]
    fn a_changed_figure_is_seen_to_be_one() {
        let painter = Painter::new();
        let pixels = |svg: &str| painter.pixels(svg, 1.0).unwrap();
        let (svg, other) = (confusion(3), confusion(3).replace("Hymenoptera", "Hymenopters"));
        assert_eq!(difference(&pixels(&svg), &pixels(&svg)), 0.0);
        assert!(difference(&pixels(&svg), &pixels(&other)) > 0.0);
        assert_eq!(difference(&pixels(&svg), &pixels(&confusion(4))), 1.0);
        assert!(difference(&pixels(&svg), &pixels(&svg.replace("SYNTHETIC data", ""))) > 0.002);
    }

    #[test]
    fn text_is_drawn_with_the_font_that_comes_along_and_scale_multiplies_the_pixels() {
        let svg = |text: &str| {
            format!(
                r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 20" width="60" height="20" font-family="Helvetica, sans-serif" font-size="12"><text x="2" y="15">{text}</text></svg>"#
            )
        };
        let painter = Painter::new();
        let inked =
            |text: &str| painter.pixels(&svg(text), 2.0).unwrap().pixels().iter().filter(|pixel| pixel.alpha() > 0).count();
        assert!(inked("Diptera") > 300 && inked("") == 0);
        let large = painter.pixels(&svg("x"), 3.0).unwrap();
        assert_eq!((large.width(), large.height()), (180, 60));
        assert!(painter.png("no svg", 1.0).is_err());
    }
}
