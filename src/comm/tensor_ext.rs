//! What the tch crate lacks, through libtorch's C++: tensors in, tensors changed in place.

use super::bridge;
use crate::error::{Error, Result};
use tch::Tensor;

/// Sets the gradients of `parameters` to None, as PyTorch's `zero_grad(set_to_none=True)`.
///
/// tch's own `zero_grad` zeroes them in place, which libtorch refuses once they are views into the buckets of a
/// [`Reducer`](super::reducer::Reducer); None also saves the memory between two steps.
///
/// # Errors
/// Where libtorch refuses, in its words.
pub fn clear_gradients(parameters: &[Tensor]) -> Result<()> {
    let handles = bridge::handles(parameters);
    // SAFETY: the handles are live tensors, borrowed for the length of the call.
    let message = unsafe { bridge::bioscan_clear_gradients(handles.as_ptr(), handles.len()) };
    bridge::outcome(message).map_err(|error| Error::library("libtorch", error))
}

/// Loads libtorch's CUDA half, which the linker leaves out because no symbol asks for it.
///
/// Call it first thing in `main`: libtorch remembers the first answer to "is there CUDA?", and asked earlier it stays at no.
///
/// # Errors
/// The loader's reason, for instance that this libtorch was installed without NVIDIA's libraries. The CPU works all the same;
/// a run that wanted a GPU must say the reason aloud.
pub fn load_cuda() -> Result<()> {
    // SAFETY: dlopen runs the static constructors of NVIDIA's and libtorch's libraries, which are made for being loaded at any time.
    let message = unsafe { bridge::bioscan_load_cuda() };
    bridge::outcome(message).map_err(|error| Error::library("libtorch_cuda", error))
}

/// Lets the process keep the memory of freed tensors for the next ones (up to 1 GiB) instead of giving it back to the kernel after
/// every step. Worth it on a CPU, where tensors come from `malloc`.
pub fn keep_freed_memory() {
    // SAFETY: only sets parameters of the allocator.
    unsafe { bridge::bioscan_keep_freed_memory() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn cleared_gradients_are_none_and_the_next_backward_starts_afresh() {
        let weight = Tensor::from_slice(&[1.0, 2.0]).set_requires_grad(true);
        for _ in 0..2 {
            (&weight * 3.0).sum(Kind::Double).backward();
            assert_eq!(Vec::<f64>::try_from(weight.grad()).unwrap(), [3.0, 3.0], "not 6: nothing was left over");
            clear_gradients(std::slice::from_ref(&weight)).unwrap();
            assert!(!weight.grad().defined());
        }
    }

    #[test]
    fn without_nvidias_libraries_the_loader_gives_its_reason_and_the_cpu_works() {
        if let Err(error) = load_cuda() {
            assert!(error.to_string().starts_with("libtorch_cuda: lib"), "{error}");
        }
        assert_eq!(Tensor::from(2.0).double_value(&[]), 2.0);
    }
}
