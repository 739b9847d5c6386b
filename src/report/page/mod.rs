//! A job and its runs → one HTML page that needs nothing but itself: no network, no script, no other file.
//!
//! | file | step |
//! |---|---|
//! | [`material`] | reads all that the page shows, and notes what it could not read |
//! | [`folder`] | one run's `metrics.csv`, `timing.csv`, `provenance.json` |
//! | [`examples`] | chooses pictures a model was right, wrong and unsure about, and fetches them |
//! | [`pictures`] | material → every figure |
//! | `data` | those of the data, which need no job |
//! | `attributes` | and of these, what BIOSCAN-5M says of partitions, places and sizes |
//! | `values` | text → numbers and places |
//! | `album` | the figures as files |
//! | `counts` | the tables behind the figures of the data |
//! | [`tables`] | a summary's tables as HTML |
//! | [`html`] | material and figures → the page |
//! | [`data_uri`] | bytes → text that stands in the page |

mod album;
mod attributes;
mod counts;
mod data;
pub mod data_uri;
pub mod examples;
pub mod folder;
pub mod html;
pub mod material;
pub mod pictures;
pub mod tables;
mod values;

pub use album::write_figures;
pub use data::pictures as pictures_of_data;
pub use html::page;
pub use material::Material;
pub use pictures::{Picture, pictures};
