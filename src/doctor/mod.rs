//! This machine, job and binary → what they are, and what is wrong with which setting mends it.
//!
//! | file | step |
//! |---|---|
//! | [`facts`] | what is found here: the only part that looks at the world |
//! | [`findings`] | what of it is wrong: facts → faults, pure |
//! | `speed` | what a rehearsal of training shows to be slow, pure |

pub mod facts;
pub mod findings;
mod speed;

pub use facts::Facts;
pub use findings::{Finding, findings};
pub use speed::slow;
