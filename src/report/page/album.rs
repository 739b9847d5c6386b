//! Drawn figures → files, each as SVG and, where the binary has the feature, as PNG; those of the data with their counts as CSV.

use std::path::Path;

use rayon::prelude::*;

use crate::dataset::statistics::Statistics;
use crate::error::Result;
#[cfg(feature = "png")]
use crate::report::figures::png::{Painter, SCALE};
use crate::report::files::write_if_other;
use crate::report::page::{Picture, counts};
#[cfg(feature = "png")]
use crate::store::atomic;

/// Writes `{name}.svg` and `{name}.png` of each of `pictures` into `folder`, and the counts behind those of the data as `{name}.csv`; what
/// would stay the same is not drawn again.
pub fn write_figures(statistics: Option<&Statistics>, pictures: &[Picture], folder: &Path) -> Result<()> {
    for (name, table) in statistics.map(counts::tables).transpose()?.unwrap_or_default() {
        write_if_other(&folder.join(format!("{name}.csv")), table.as_bytes())?;
    }
    #[cfg(feature = "png")]
    let painter = Painter::new();
    pictures.par_iter().try_for_each(|picture| {
        let file = |ending: &str| folder.join(format!("{}.{ending}", picture.name));
        let is_other = write_if_other(&file("svg"), picture.svg.as_bytes())?;
        #[cfg(feature = "png")]
        if is_other || !file("png").is_file() {
            atomic::write(&file("png"), &painter.png(&picture.svg, SCALE)?)?;
        }
        #[cfg(not(feature = "png"))]
        let _ = is_other;
        Ok(())
    })
}
