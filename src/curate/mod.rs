//! a dataset → what its images are, what is wrong with them, and the documents that go with it.
//!
//! The tables are the dataset room's business; this one looks at the images beside them, in parallel and under MPI.

mod about;
mod card;
mod croissant;
mod document;
#[cfg(feature = "image")]
mod duplicates;
mod files;
#[cfg(feature = "image")]
mod inspect;
#[cfg(all(test, feature = "image"))]
mod likeness_tests;
#[cfg(feature = "image")]
mod shelf;
#[cfg(feature = "image")]
mod survey;

pub use about::About;
pub use document::{Documented, Request, document};
#[cfg(feature = "image")]
pub use duplicates::Likeness;
#[cfg(feature = "image")]
pub use inspect::{Expected, inspect};
#[cfg(feature = "image")]
pub use shelf::Shelf;
#[cfg(feature = "image")]
pub use survey::{Looking, survey};
