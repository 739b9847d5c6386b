//! The published JSON-LD form ↔ rows: a plain array of objects of strings, one object a row, every object with the same keys.
//!
//! Written as Python's `json.dump(rows, file, indent=4)` writes it, which is how the published file was made; read in any layout.
//! Both ways one object at a time, because the published file has 2 GB; an object longer than [`LONGEST_ROW`](crate::dataset::table) is refused.

mod cells;
mod reader;
mod source;
mod writer;

pub use reader::Reader;
pub use writer::Writer;
