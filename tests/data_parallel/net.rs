//! A small network, a batch, and one data-parallel step of the two.

use bioscan_hpc::comm::reducer::Reducer;
use bioscan_hpc::comm::shares::{loss_scale, zero_loss};
use bioscan_hpc::comm::tensor_ext::clear_gradients;
use tch::nn::{self, ModuleT};
use tch::{Device, Kind, Tensor};

/// Convolution, BatchNorm, linear: every kind of parameter that the real networks have.
pub struct Net {
    pub variables: nn::VarStore,
    layers: nn::SequentialT,
    kind: Kind,
}

impl Net {
    /// The same weights for the same seed on every rank.
    pub fn new(kind: Kind, seed: i64) -> Self {
        tch::manual_seed(seed);
        let mut variables = nn::VarStore::new(Device::Cpu);
        let root = variables.root();
        let layers = nn::seq_t()
            .add(nn::conv2d(&root / "conv", 3, 8, 3, nn::ConvConfig::default()))
            .add(nn::batch_norm2d(&root / "bn", 8, nn::BatchNormConfig::default()))
            .add_fn(|x| x.relu().adaptive_avg_pool2d([1, 1]).flatten(1, -1))
            .add(nn::linear(&root / "head", 8, 5, nn::LinearConfig::default()));
        tch::no_grad(|| {
            // Statistics other than 0 and 1, or BatchNorm would hide its errors.
            for name in ["bn.running_mean", "bn.running_var"] {
                let mut statistics = variables.variables().remove(name).expect("a buffer of BatchNorm");
                let _ = statistics.uniform_(0.5, 1.5);
            }
        });
        variables.set_kind(kind);
        Self { variables, layers, kind }
    }

    pub fn parameters(&self) -> Vec<Tensor> {
        self.variables.trainable_variables()
    }

    /// The mean cross-entropy of a batch, in the network's own precision (tch's own helper casts to float32).
    pub fn loss(&self, batch: &Batch) -> Tensor {
        self.layers.forward_t(&batch.images, false).log_softmax(-1, self.kind).nll_loss(&batch.labels)
    }

    pub fn gradients(&self) -> Vec<Tensor> {
        self.parameters().iter().map(|parameter| parameter.grad().copy()).collect()
    }

    pub fn descend(&self, rate: f64) {
        tch::no_grad(|| {
            for mut parameter in self.parameters() {
                let change = parameter.grad() * -rate;
                let _ = parameter.g_add_(&change);
            }
        });
    }
}

pub struct Batch {
    pub images: Tensor,
    pub labels: Tensor,
}

impl Batch {
    pub fn whole(samples: usize, kind: Kind) -> Self {
        Self::of_side(samples, 12, kind)
    }

    pub fn of_side(samples: usize, side: usize, kind: Kind) -> Self {
        tch::manual_seed(7);
        let (samples, side) = (samples as i64, side as i64);
        let images = Tensor::randn([samples, 3, side, side], (Kind::Double, Device::Cpu)).to_kind(kind);
        Self { images, labels: Tensor::arange(samples, (Kind::Int64, Device::Cpu)).remainder(5) }
    }

    pub fn part(&self, start: usize, length: usize) -> Self {
        let cut = |tensor: &Tensor| tensor.narrow(0, start as i64, length as i64);
        Self { images: cut(&self.images), labels: cut(&self.labels) }
    }
}

/// This rank's part of one step; the gradients end up in the parameters.
pub fn backward(net: &Net, reducer: &mut Reducer, whole: &Batch, share: &[usize], rank: usize) -> Result<(), tch::TchError> {
    clear_gradients(&net.parameters()).unwrap();
    reducer.prepare_for_forward().unwrap();
    let start = share[..rank].iter().sum();
    let loss = match share[rank] {
        0 => zero_loss(&net.parameters()),
        local => net.loss(&whole.part(start, local)) * local as f64 * loss_scale(share.iter().sum(), share.len()),
    };
    reducer.prepare_for_backward(&[&loss]).unwrap();
    loss.f_backward()
}

/// max |a - b| / max |b|, the largest over all parameters.
pub fn largest_relative_difference(ours: &[Tensor], theirs: &[Tensor]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let difference = |(a, b): (&Tensor, &Tensor)| {
        let scale = b.abs().max().double_value(&[]);
        assert!(scale > 0.0, "a gradient of zero proves nothing");
        (a - b).abs().max().double_value(&[]) / scale
    };
    ours.iter().zip(theirs).map(difference).fold(0.0, f64::max)
}
