//! Checkpoints → files, written by a thread while training goes on.
//!
//! What is to be saved is copied to main memory at once, into the memory of the copy before; hashing, writing and flushing happen aside.
//! One checkpoint at a time is in flight: the next one waits for it, and so does the end of the run. An error of the thread comes out
//! there.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tch::{Device, Tensor};

use crate::error::{Error, IoContext, Result};
use crate::train::checkpoint::Checkpoint;
use crate::train::directory::RunDirectory;

/// A run's tensors by name.
type Named = Vec<(String, Tensor)>;

/// Saves the checkpoints of one run.
pub struct Keeper<'a> {
    /// `None` on the ranks that write nothing.
    directory: Option<&'a RunDirectory>,
    /// When the last one was asked for, or this life began.
    last: Instant,
    writer: Option<JoinHandle<Result<Named>>>,
    /// The memory of the last copy.
    spare: Named,
}

impl<'a> Keeper<'a> {
    /// Nothing is in flight yet. Where `directory` is `None`, another rank writes and this one only keeps the time.
    #[must_use]
    pub fn of(directory: Option<&'a RunDirectory>) -> Self {
        Self { directory, last: Instant::now(), writer: None, spare: Vec::new() }
    }

    /// How long ago the last checkpoint was asked for.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.last.elapsed()
    }

    /// Saves `checkpoint`, and with it `best`, the best weights as a safetensors file, where the checkpoint is the first that knows of
    /// them: a checkpoint never speaks of weights that are not there, nor do they take the place of the ones before any sooner.
    ///
    /// # Errors
    /// Those of the checkpoint before; this one's come out of the next call or of [`Keeper::settle`].
    pub fn save(&mut self, checkpoint: &Checkpoint, best: Option<Vec<u8>>) -> Result<()> {
        self.settle()?;
        self.last = Instant::now();
        let Some(directory) = self.directory.cloned() else { return Ok(()) };
        let folder = directory.path().to_owned();
        let copy = Checkpoint { position: checkpoint.position.clone(), tensors: on_host(&checkpoint.tensors, &mut self.spare)? };
        let write = move || {
            if let Some(best) = best {
                directory.offer_best(&best)?;
            }
            copy.save(directory.path())?;
            if let Some(best) = &copy.position.best {
                directory.take_best(&best.weights)?;
            }
            Ok(copy.tensors)
        };
        let thread = std::thread::Builder::new().name("checkpoint".into()).spawn(write);
        self.writer = Some(thread.at("start a thread to write", folder)?);
        Ok(())
    }

    /// Returns when nothing is in flight any more.
    ///
    /// # Errors
    /// What the thread met: the checkpoint is not on the disk, the one before it is.
    pub fn settle(&mut self) -> Result<()> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        self.spare = writer.join().map_err(|_| Error::library("checkpoint", "the writing thread panicked"))??;
        Ok(())
    }
}

impl Drop for Keeper<'_> {
    fn drop(&mut self) {
        // Only behind another error is something still in flight here; that one is told to the user, this one to the log.
        if let Err(error) = self.settle() {
            tracing::error!("the last checkpoint was not saved: {error}");
        }
    }
}

/// The tensors in main memory, copied into those of `spare` that fit.
fn on_host(tensors: &[(String, Tensor)], spare: &mut Named) -> Result<Named> {
    let mut spare = std::mem::take(spare).into_iter();
    let copied = tensors.iter().map(|(name, tensor)| {
        let free = spare.next().filter(|(_, free)| free.size() == tensor.size() && free.kind() == tensor.kind());
        let mut copy = match free {
            Some((_, free)) => free,
            None => Tensor::f_empty(tensor.size(), (tensor.kind(), Device::Cpu))?,
        };
        tch::no_grad(|| copy.f_copy_(tensor))?;
        Ok((name.clone(), copy))
    });
    copied.collect::<std::result::Result<_, tch::TchError>>().map_err(|error| Error::library("libtorch", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::hash;
    use crate::train::checkpoint::{Best, Position};

    fn checkpoint(step: u64) -> Checkpoint {
        let weight = Tensor::from_slice(&[step as f32, 2.0]);
        Checkpoint { position: Position { step, ..Position::default() }, tensors: vec![("model/w".into(), weight)] }
    }

    #[test]
    fn a_checkpoint_holds_what_was_there_when_it_was_asked_for_and_its_memory_is_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let directory = RunDirectory::at(folder.path());
        let mut keeper = Keeper::of(Some(&directory));
        let mut first = checkpoint(1);
        first.position.best = Some(Best { epoch: 0, top1: 0.5, weights: hash::of_bytes(b"weights") });
        keeper.save(&first, Some(b"weights".to_vec())).unwrap();
        // Training goes on and moves the weights while the thread writes.
        let _ = first.tensors[0].1.fill_(9.0);
        keeper.settle().unwrap();
        let (_, saved) = Checkpoint::take_newest(folder.path()).unwrap().unwrap();
        assert_eq!(Vec::<f32>::try_from(&saved.tensors[0].1).unwrap(), [1.0, 2.0]);
        assert_eq!(hash::read_sealed(&directory.best_weights()).unwrap().unwrap(), b"weights");
        let place = keeper.spare[0].1.data_ptr();
        keeper.save(&checkpoint(2), None).unwrap();
        keeper.settle().unwrap();
        assert_eq!(keeper.spare[0].1.data_ptr(), place);
        assert_eq!(Checkpoint::take_newest(folder.path()).unwrap().unwrap().1.position.step, 2);
    }

    #[test]
    fn weights_are_the_best_once_a_checkpoint_names_them_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let directory = RunDirectory::at(folder.path());
        let best = || hash::read_sealed(&directory.best_weights()).unwrap();
        directory.offer_best(b"first").unwrap();
        directory.take_best(&hash::of_bytes(b"first")).unwrap();
        assert_eq!(best().unwrap(), b"first");
        // A power cut behind this line: the checkpoint still names the first, and the run goes on with them.
        directory.offer_best(b"second").unwrap();
        directory.take_best(&hash::of_bytes(b"first")).unwrap();
        assert_eq!(best().unwrap(), b"first");
        // One between the seal and the weights: the checkpoint names the second.
        directory.offer_best(b"second").unwrap();
        hash::seal(&directory.best_weights(), &hash::of_bytes(b"second")).unwrap();
        assert_eq!(best(), None);
        directory.take_best(&hash::of_bytes(b"second")).unwrap();
        assert_eq!(best().unwrap(), b"second");
    }

    #[test]
    fn an_error_of_the_thread_comes_out_of_the_next_call() {
        let folder = tempfile::tempdir().unwrap();
        let blocked = folder.path().join("run");
        std::fs::write(&blocked, b"a file where the folder should be").unwrap();
        let directory = RunDirectory::at(&blocked);
        let mut keeper = Keeper::of(Some(&directory));
        keeper.save(&checkpoint(1), None).unwrap();
        let error = keeper.save(&checkpoint(2), None).unwrap_err();
        assert!(error.to_string().contains("run"), "{error}");
        keeper.settle().unwrap();
    }
}
