//! What the tch crate lacks, through libtorch's C++: tensors in, tensors changed in place.

use super::bridge;
use crate::error::{Error, Result};
use tch::{Device, TchError, Tensor};

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
    bridge::done(message)
}

/// The constants of a step of SGD.
#[derive(Clone, Copy, Debug)]
pub struct SgdStep {
    /// η.
    pub lr: f64,
    /// μ.
    pub momentum: f64,
    /// λ.
    pub weight_decay: f64,
    /// Nesterov's form.
    pub nesterov: bool,
}

/// Moves `parameters` by their gradients with libtorch's fused kernel, and `velocities` with them: `g ← ∇ + λw`, `v ← μv + g`,
/// `w ← w − η(g + μv)` (Nesterov) or `w − ηv`. One launch for many tensors on a GPU. A parameter without a gradient stays as it is.
///
/// # Errors
/// Where a parameter, its gradient and its velocity do not lie alike in memory, and what libtorch refuses.
pub fn sgd_step(parameters: &[Tensor], velocities: &[Tensor], step: SgdStep) -> Result<()> {
    debug_assert_eq!(parameters.len(), velocities.len(), "a velocity for each parameter");
    let SgdStep { lr, momentum, weight_decay, nesterov } = step;
    let (weights, memory) = (bridge::handles(parameters), bridge::handles(velocities));
    let options = bridge::SgdOptions { lr, momentum, weight_decay, nesterov };
    let count = weights.len().min(memory.len());
    // SAFETY: the handles are live tensors, borrowed for the length of the call, `count` of each.
    let message = unsafe { bridge::bioscan_sgd_step(weights.as_ptr(), memory.as_ptr(), count, &raw const options) };
    bridge::done(message)
}

/// How a GPU computes with 32-bit floats; a CPU knows one way alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arithmetic {
    /// Products from 10 bits of mantissa.
    pub tf32: bool,
    /// Kernels whose result varies are passed over where there is another.
    pub deterministic: bool,
}

impl Arithmetic {
    /// From now on, for the whole process. libtorch begins with TF32 in convolutions.
    pub fn set(self) {
        // SAFETY: sets flags that libtorch reads where it chooses a kernel.
        unsafe { bridge::bioscan_set_arithmetic(self.tf32, self.deterministic) }
    }

    /// What libtorch has been told.
    #[must_use]
    pub fn now() -> Self {
        let mut now = Self::default();
        // SAFETY: both places are live for the length of the call.
        unsafe { bridge::bioscan_arithmetic(&raw mut now.tf32, &raw mut now.deterministic) };
        now
    }
}

/// Computes `work` with convolutions and matrix products in bfloat16 and all else as PyTorch's autocast has it; parameters stay
/// float32, and so do their gradients. The backward pass follows the kinds of the forward pass and needs no such care.
pub fn in_bfloat16<T>(device: Device, work: impl FnOnce() -> T) -> T {
    /// Leaves autocast even where `work` panics.
    struct Inside(bool);
    impl Drop for Inside {
        fn drop(&mut self) {
            // SAFETY: sets state of this thread; entered below.
            unsafe { bridge::bioscan_autocast_leave(self.0) }
        }
    }
    let inside = Inside(device.is_cuda());
    // SAFETY: sets state of this thread, which `inside` takes back.
    unsafe { bridge::bioscan_autocast_enter(inside.0) };
    work()
}

/// The same `[N, C, H, W]`, with the channels of a place side by side in memory; libtorch takes the hint from the strides.
///
/// # Errors
/// For other than four dimensions, in libtorch's words.
pub fn channels_last(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])
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
    fn bfloat16_holds_inside_and_not_after_and_gradients_stay_float32() {
        let weight = Tensor::from_slice(&[1.0f32, 2.0]).view([1, 2]).set_requires_grad(true);
        let x = Tensor::from_slice(&[1.0f32, 0.001]).view([1, 2]);
        let product = || x.linear(&weight, None::<Tensor>);
        let inside = in_bfloat16(Device::Cpu, product);
        assert_eq!((inside.kind(), product().kind()), (Kind::BFloat16, Kind::Float));
        inside.sum(Kind::Float).backward();
        assert_eq!(weight.grad().kind(), Kind::Float);
        assert!(std::panic::catch_unwind(|| in_bfloat16(Device::Cpu, || panic!("inside"))).is_err());
        assert_eq!(product().kind(), Kind::Float);
    }

    #[test]
    fn libtorch_computes_as_it_was_told() {
        for arithmetic in [Arithmetic { tf32: true, deterministic: true }, Arithmetic::default()] {
            arithmetic.set();
            assert_eq!(Arithmetic::now(), arithmetic);
        }
    }

    #[test]
    fn channels_last_changes_strides_and_no_value() {
        let x = Tensor::arange(24, (Kind::Int64, Device::Cpu)).view([1, 2, 3, 4]);
        let last = channels_last(&x).unwrap();
        assert_eq!((last.size(), last.stride()), (x.size(), vec![24, 1, 8, 2]));
        assert!(last.equal(&x));
    }

    #[test]
    fn tensors_that_lie_differently_are_not_stepped_over() {
        let weight = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        weight.sum(Kind::Float).backward();
        let step = SgdStep { lr: 1.0, momentum: 0.9, weight_decay: 0.0, nesterov: true };
        let turned = Tensor::zeros([3, 2], (Kind::Float, Device::Cpu)).transpose(0, 1);
        let refused = sgd_step(std::slice::from_ref(&weight), &[turned], step).unwrap_err();
        assert!(refused.to_string().contains("lie differently"), "{refused}");
        assert_eq!(weight.abs().max().double_value(&[]), 0.0);
    }

    #[test]
    fn without_nvidias_libraries_the_loader_gives_its_reason_and_the_cpu_works() {
        if let Err(error) = load_cuda() {
            assert!(error.to_string().starts_with("libtorch_cuda: lib"), "{error}");
        }
        assert_eq!(Tensor::from(2.0).double_value(&[]), 2.0);
    }
}
