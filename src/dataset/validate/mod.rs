//! a metadata table → its faults, counted, with the first examples of each kind.
//!
//! One file a group of checks; each finds the columns it is about and looks at every row once. Ids and barcodes are remembered as the
//! first half of their blake3: 16 bytes a distinct one, whatever its length.

mod barcode;
mod check;
#[cfg(test)]
mod found_tests;
mod geography;
mod identity;
mod measures;
mod report;
mod rows;
mod splits;
mod taxonomy;

pub use report::{Fault, Report, Severity};
pub use rows::{Options, validate, validate_with};
