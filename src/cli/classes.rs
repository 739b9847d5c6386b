//! `--classes`: the names of a network's outputs.

use std::path::Path;

use crate::error::{Error, IoContext, Result};
use crate::train::{LARGE_INSECT_ORDER, PUBLISHED_ORDERS};

/// The names in `file`, one a line in the order of the outputs; the word `large_insect_order` stands for the published checkpoint's.
pub fn class_names(file: &Path) -> Result<Vec<String>> {
    if file.as_os_str() == LARGE_INSECT_ORDER {
        return Ok(PUBLISHED_ORDERS.map(String::from).to_vec());
    }
    let text = std::fs::read_to_string(file).at_named(file)?;
    let names: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if names.is_empty() {
        return Err(Error::input(file, "holds no class names").with_help("one a line, in the order of the network's outputs"));
    }
    Ok(names)
}
