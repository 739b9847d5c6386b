//! values → files that are either whole or absent, and back.
//!
//! Contract 3 of the design lives here: write beside, fsync, rename, fsync the folder; what is published is never opened for
//! writing again.

pub mod atomic;
pub mod codec;
pub mod digests;
pub mod hash;
pub mod journal;
pub mod lock;
pub mod room;
pub mod rows;
