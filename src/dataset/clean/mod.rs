//! a table and a plan → a cleaner table, and a ledger of every change: replayed on the same table it gives the same result, reversed on the
//! result it gives the table back.

mod facts;
mod fixes;
mod ledger;
mod plan;
mod replay;
mod run;

pub use facts::{ImageFacts, ImageTable};
pub use fixes::{Fix, Fixes};
pub use ledger::Content;
pub use plan::{Derived, Images, Plan};
pub use replay::{replay, reverse};
pub use run::{Summary, clean};
