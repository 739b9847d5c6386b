//! Floats in main memory that Rust writes and libtorch reads, without a copy in between.

use tch::{Device, Kind, Tensor};

use super::bridge;
use crate::error::{Error, Result};

/// Kinds of main memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// What the kernel may move elsewhere.
    Pageable,
    /// What stays where it is, so that a GPU reads it without the CPU. Scarce, and slow to ask for.
    Pinned,
}

/// A float32 tensor on the CPU whose elements may be written while no other tensor looks at them.
#[derive(Debug)]
pub struct HostTensor(Tensor);

impl HostTensor {
    /// Of `shape`, whose first dimension counts rows; of any value where it is pinned, else all zero.
    ///
    /// # Errors
    /// Where there is no such memory, or none that is pinned because there is no GPU.
    pub fn new(shape: &[i64], memory: Memory) -> Result<Self> {
        match memory {
            Memory::Pageable => Tensor::f_zeros(shape, (Kind::Float, Device::Cpu)).map(Self).map_err(libtorch),
            Memory::Pinned => pinned(shape).map(Self),
        }
    }

    /// How many elements it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.numel()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its elements, row by row; `None` while a tensor that [`rows`](Self::rows) gave, or one that libtorch made of it, is alive.
    pub fn values_mut(&mut self) -> Option<&mut [f32]> {
        // A tensor without elements has no memory either.
        if self.is_empty() {
            return Some(&mut []);
        }
        // SAFETY: the handle is live.
        if unsafe { bridge::bioscan_storage_uses(self.0.as_ptr()) } != 1 {
            return None;
        }
        // SAFETY: a contiguous float32 tensor of `len` elements in main memory, as `new` made it, every one of which has some value; and as
        // shown above no other tensor uses its memory, and nobody can make one while `self` is borrowed mutably.
        Some(unsafe { std::slice::from_raw_parts_mut(self.0.data_ptr().cast::<f32>(), self.0.numel()) })
    }

    /// Its first `count` rows as a tensor over the same memory.
    pub fn rows(&self, count: usize) -> Result<Tensor> {
        self.0.f_narrow(0, 0, count as i64).map_err(libtorch)
    }
}

fn pinned(shape: &[i64]) -> Result<Tensor> {
    let mut out = std::ptr::null_mut();
    // SAFETY: `shape` is live for the length of the call; `out` is written on success.
    bridge::done(unsafe { bridge::bioscan_pinned(shape.as_ptr(), shape.len(), &raw mut out) })?;
    // SAFETY: a call without a message has made a tensor that is ours.
    Ok(unsafe { Tensor::from_ptr(out) })
}

fn libtorch(error: impl std::fmt::Display) -> Error {
    Error::library("libtorch", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rust_writes_libtorch_reads_and_what_it_still_reads_is_not_written_over() {
        let mut host = HostTensor::new(&[3, 2], Memory::Pageable).unwrap();
        host.values_mut().unwrap().copy_from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let rows = host.rows(2).unwrap();
        assert_eq!(Vec::<f32>::try_from(rows.view([-1])).unwrap(), [1.0, 2.0, 3.0, 4.0]);
        assert!(host.values_mut().is_none());
        // A graph that needs the images for the backward pass holds them too.
        let weight = Tensor::from_slice(&[1f32, 1.0]).set_requires_grad(true);
        let product = rows.matmul(&weight);
        drop(rows);
        assert!(host.values_mut().is_none());
        drop(product);
        assert_eq!(host.values_mut().unwrap()[5], 6.0);
        assert!(HostTensor::new(&[0, 2], Memory::Pageable).unwrap().values_mut().unwrap().is_empty());
    }
}
