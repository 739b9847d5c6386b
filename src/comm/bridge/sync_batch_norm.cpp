// Batch normalisation by the statistics of all ranks' images, as one differentiable function (Ioffe & Szegedy 2015, over the global batch).
//
// Libtorch calls alone, on whatever device the tensors are. Shares may be uneven or empty: each rank's statistics weigh as much as it has
// values a channel. Nothing here waits for the device: the count, too, is a tensor.
#include "guard.h"
#include "process_group.h"

#include <ATen/core/ivalue.h>
#include <ATen/ops/batch_norm_update_stats.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

using bioscan::Group;
using bioscan::guarded;
using bioscan::Message;

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What `c10d::ProcessGroup` is in an IValue, which knows no types of others.
c10::IValue packed(const c10::intrusive_ptr<c10d::ProcessGroup>& group) {
  return c10::IValue::make_capsule(group);
}

c10::intrusive_ptr<c10d::ProcessGroup> unpacked(const c10::IValue& value) {
  return c10::static_intrusive_pointer_cast<c10d::ProcessGroup>(value.toCapsule());
}

// The statistics of all ranks' values of a channel, `[C]` each; the counts are `[1]`.
struct Statistics {
  at::Tensor mean;
  at::Tensor variance;  // over the count, not the count less one
  at::Tensor count;
};

// Mean, sum of squared deviations and count of this rank's values, in the precision of `like`: `[2 C + 1]`.
at::Tensor of_this_rank(const at::Tensor& x, const at::Tensor& like) {
  const int64_t channels = x.size(1);
  if (x.numel() == 0) {
    return at::zeros({2 * channels + 1}, like.options());
  }
  const int64_t count = x.numel() / channels;
  // Running statistics to throw away: without any, those of 16-bit values would come back in 16 bits.
  const auto [mean, variance] = at::batch_norm_update_stats(x, at::zeros_like(like), at::zeros_like(like), /*momentum=*/0.0);
  return at::cat({mean, variance.mul(count), at::full({1}, count, like.options())});
}

// One message, and every rank adds up the same numbers in the same order: to the bit the same statistics everywhere. Means are combined
// with the deviations around them (Chan et al. 1979), because a difference of large sums would lose the variance in float32.
Statistics of_all_ranks(const at::Tensor& x, const at::Tensor& like, c10d::ProcessGroup& group) {
  const int64_t channels = x.size(1);
  at::Tensor mine = of_this_rank(x, like);
  at::Tensor all = at::empty({group.getSize(), mine.numel()}, mine.options());
  group._allgather_base(all, mine)->wait();
  const at::Tensor means = all.narrow(1, 0, channels);
  const at::Tensor squares = all.narrow(1, channels, channels);
  const at::Tensor counts = all.narrow(1, 2 * channels, 1);
  const at::Tensor count = counts.sum(0);
  const at::Tensor mean = means.mul(counts).sum(0).div(count);
  const at::Tensor variance = means.sub(mean).square_().mul_(counts).add_(squares).sum(0).div(count);
  return {mean, variance, count};
}

class SyncBatchNorm final : public torch::autograd::Function<SyncBatchNorm> {
 public:
  static at::Tensor forward(
      AutogradContext* context,
      const at::Tensor& x,
      const at::Tensor& weight,
      const at::Tensor& bias,
      const at::Tensor& running_mean,
      const at::Tensor& running_var,
      const c10::intrusive_ptr<c10d::ProcessGroup>& group,
      double momentum,
      double eps) {
    auto [mean, variance, count] = of_all_ranks(x, running_mean, *group);
    // A single value a channel has no variance: it is normalised by the running statistics, which stay, and so does a process alone.
    const at::Tensor varied = count > 1;
    const at::Tensor unbiased = at::where(varied, variance.mul(count).div(count.sub(1).clamp_min(1)), running_var);
    mean = at::where(varied, mean, running_mean);
    variance = at::where(varied, variance, running_var);
    // What moves the statistics with each value: nothing where they are the running ones.
    const at::Tensor share = at::where(varied, count.reciprocal(), at::zeros_like(count));
    running_mean.mul_(1 - momentum).add_(mean, momentum);
    running_var.mul_(1 - momentum).add_(unbiased, momentum);

    context->save_for_backward({x, weight, mean, variance, share});
    context->saved_data["group"] = packed(group);
    context->saved_data["eps"] = eps;
    return normalised(x, weight, bias, mean, variance, eps);
  }

  static variable_list backward(AutogradContext* context, variable_list outputs) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &mean = saved[2], &variance = saved[3], &share = saved[4];
    const double eps = context->saved_data["eps"].toDouble();
    const at::Tensor& grad = outputs[0];
    const auto group = unpacked(context->saved_data["group"]);

    // Of the scale and of the shift, this rank's part; the Reducer averages them as those of any other parameter.
    at::Tensor grad_weight = at::zeros_like(mean);
    at::Tensor grad_bias = at::zeros_like(mean);
    if (x.numel() > 0) {
      // Outside of training: mean and variance as constants, which the terms below make up for. The saved ones of training are empty, as a
      // forward pass outside of it leaves them: the CUDA kernel refuses none at all.
      const at::Tensor none = at::empty({0}, mean.options());
      std::tie(std::ignore, grad_weight, grad_bias) =
          at::native_batch_norm_backward(grad, x, weight, mean, variance, none, none, /*train=*/false, eps, {false, true, true});
    }

    at::Tensor grad_x;
    if (context->needs_input_grad(0)) {
      // Every value of every rank moved the statistics that all are normalised by. Ranks without values bring zeros.
      std::vector<at::Tensor> sums{at::cat({grad_weight, grad_bias})};
      group->allreduce(sums)->wait();
      const auto halves = sums.front().chunk(2);
      const at::Tensor scale = at::rsqrt(variance.add(eps)).mul_(weight);
      if (x.numel() == 0) {
        grad_x = at::empty_like(x);
      } else {
        // dx = scale · (dy − mean(dy) − x̂ · mean(dy · x̂)), the last two terms as one normalisation of x by other parameters.
        const at::Tensor towards = scale.mul(share).neg_();
        grad_x = normalised(x, towards.mul(halves[0]), towards.mul(halves[1]), mean, variance, eps);
        grad_x.addcmul_(grad, scale.view({1, -1, 1, 1}));
      }
    }
    return {grad_x, grad_weight, grad_bias, {}, {}, {}, {}, {}};
  }

 private:
  // (x − mean) / √(variance + eps) · weight + bias in one pass over x.
  static at::Tensor normalised(
      const at::Tensor& x,
      const at::Tensor& weight,
      const at::Tensor& bias,
      const at::Tensor& mean,
      const at::Tensor& variance,
      double eps) {
    if (x.numel() == 0) {
      return at::empty_like(x);
    }
    return std::get<0>(at::native_batch_norm(x, weight, bias, mean, variance, /*training=*/false, /*momentum=*/0.0, eps));
  }
};

}  // namespace

extern "C" {

// Moves the running statistics; `out` becomes the caller's.
Message bioscan_sync_batch_norm(
    const Group* group,
    const at::Tensor* x,
    const at::Tensor* weight,
    const at::Tensor* bias,
    const at::Tensor* running_mean,
    const at::Tensor* running_var,
    double momentum,
    double eps,
    at::Tensor** out) {
  return guarded([&] {
    const auto y = SyncBatchNorm::apply(*x, *weight, *bias, *running_mean, *running_var, group->handle, momentum, eps);
    *out = new at::Tensor(y);  // NOLINT(cppcoreguidelines-owning-memory): owned by Rust
  });
}

}  // extern "C"
