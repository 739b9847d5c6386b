//! the names of published files → those files here, whole and verified; and a folder here → a store or a hub ([`push`]).
//!
//! [`Manifest`] says what there is and where; [`plan`] what is missing here; [`fetch`] takes it, in parallel and by ranges, and asks again
//! as politely as [`retry`] says. Nothing is visible under its own name before its length and hashes are right.

mod credentials;
mod download;
mod fetch;
mod manifest;
mod page;
mod plan;
pub mod push;
mod retry;
mod server;
mod verify;

pub use fetch::{Fetched, Outcome, Request, fetch};
pub use manifest::{Entry, Manifest};
pub use plan::{Plan, State, plan};
