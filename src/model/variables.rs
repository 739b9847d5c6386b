//! Declarations (name, shape, initial values) → the named tensors of a network.

use std::fmt::Display;

use tch::{Device, Kind, TchError, Tensor};

use super::init::Init;
use super::weights::Shapes;
use crate::comm::tensor_ext::channels_last;

/// One named tensor.
pub(super) struct Variable {
    /// timm's name, `layer1.0.conv1.weight`.
    pub name: String,
    /// The one tensor; layers hold shallow clones of it.
    pub tensor: Tensor,
    /// Where its initial values come from.
    pub init: Init,
    /// A parameter; otherwise a buffer (BatchNorm's running statistics).
    pub trainable: bool,
}

impl Variable {
    /// The tensor's shape.
    pub fn shape(&self) -> Vec<i64> {
        self.tensor.size()
    }
}

/// Every tensor of a network, in the order of declaration.
pub(super) struct Variables {
    device: Device,
    sketched: bool,
    all: Vec<Variable>,
}

impl Variables {
    /// None yet; those to come live on `device`, in float32.
    pub fn new(device: Device) -> Self {
        Self { device, sketched: false, all: Vec::new() }
    }

    /// None yet; those to come have their names and shapes and no memory of their own, so that they cannot be written to.
    pub fn sketch() -> Self {
        Self { sketched: true, ..Self::new(Device::Cpu) }
    }

    /// The scope whose names have no prefix.
    pub fn root(&mut self) -> Scope<'_> {
        Scope { variables: self, prefix: String::new() }
    }

    /// The variables in the order of declaration.
    pub fn iter(&self) -> impl Iterator<Item = &Variable> {
        self.all.iter()
    }

    /// Where they live.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Gives up these tensors for those of `other`, the same declarations in the same order; memory is then theirs together.
    pub fn share(&self, other: &Self) -> Result<(), TchError> {
        tch::no_grad(|| {
            self.iter().zip(other.iter()).try_for_each(|(mine, theirs)| mine.tensor.shallow_clone().f_set_data(&theirs.tensor))
        })
    }

    /// Their shapes by name.
    pub fn shapes(&self) -> Shapes {
        self.iter().map(|variable| (variable.name.clone(), variable.shape())).collect()
    }

    /// Changes the kind of every tensor in place, so that the layers see it.
    pub fn to_kind(&self, kind: Kind) -> Result<(), TchError> {
        self.replace(|tensor| tensor.f_to_kind(kind))
    }

    /// Lays every tensor of four dimensions out channels last, in place, so that the layers see it.
    pub fn to_channels_last(&self) -> Result<(), TchError> {
        self.replace(|tensor| if tensor.dim() == 4 { channels_last(tensor) } else { Ok(tensor.shallow_clone()) })
    }

    fn replace(&self, changed: impl Fn(&Tensor) -> Result<Tensor, TchError>) -> Result<(), TchError> {
        tch::no_grad(|| {
            self.iter().try_for_each(|variable| variable.tensor.shallow_clone().f_set_data(&changed(&variable.tensor)?))
        })
    }

    fn declare(&mut self, name: String, shape: &[i64], init: Init, trainable: bool) -> Result<Tensor, TchError> {
        let mut tensor = Tensor::f_zeros(if self.sketched { &[] } else { shape }, (Kind::Float, self.device))?;
        if self.sketched {
            tensor = tensor.f_expand(shape, false)?;
        }
        if trainable {
            tensor = tensor.f_requires_grad_(true)?;
        }
        let handle = tensor.shallow_clone();
        self.all.push(Variable { name, tensor, init, trainable });
        Ok(handle)
    }
}

/// A place in the tree of names.
pub(super) struct Scope<'a> {
    variables: &'a mut Variables,
    prefix: String,
}

impl Scope<'_> {
    /// The scope one name further down.
    pub fn under(&mut self, name: impl Display) -> Scope<'_> {
        let prefix = self.join(name);
        Scope { variables: self.variables, prefix }
    }

    /// Declares a trainable tensor.
    pub fn parameter(&mut self, name: &str, shape: &[i64], init: Init) -> Result<Tensor, TchError> {
        let name = self.join(name);
        self.variables.declare(name, shape, init, true)
    }

    /// Declares a tensor that is kept and saved but not trained.
    pub fn buffer(&mut self, name: &str, shape: &[i64], init: Init) -> Result<Tensor, TchError> {
        let name = self.join(name);
        self.variables.declare(name, shape, init, false)
    }

    fn join(&self, name: impl Display) -> String {
        if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) }
    }
}
