//! This machine, job and binary → what they are, and what is wrong with which setting mends it.
//!
//! | file | step |
//! |---|---|
//! | [`facts`] | what is found here: the only part that looks at the world |
//! | [`findings`] | what of it is wrong: facts → faults, pure |

pub mod facts;
pub mod findings;

pub use facts::Facts;
pub use findings::{Finding, findings};
