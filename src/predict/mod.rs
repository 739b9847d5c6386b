//! a trained network and any images → a line of labels for each, in one order whatever the number of ranks and threads.
//!
//! ```text
//! folders, ZIPs, HDF5 files, tars, packs, single files        inputs: what there is, in order
//!   └─ batches of a fixed size, dealt to ranks and threads    scorer: read → decode → (crop) → resize → forward
//!        └─ rank 0 writes them in order                       lines: CSV and JSON lines
//!             ├─ quarantine.csv                               what could not be read, and why
//!             └─ with the truth at hand: every metric         truth
//! ```
//!
//! A batch holds the same images on any number of ranks and threads, and its arithmetic is one thread's on a CPU: so the bytes are the same.
//! What lies in memory is the list of names and, a thread, one batch.

mod inputs;
mod lines;
mod run;
mod scorer;
mod truth;

pub use inputs::{Inputs, Refusal};
pub use lines::{Answer, Writing};
pub use run::{Files, Request, Sink, Summary, predict, write_quarantine};
pub use scorer::{Classifier, Cropper};
pub use truth::Truth;
