//! A timm name → how to build that backbone. To add one, add its line here (and its family's file, if that is new).

use tch::TchError;

use super::variables::{Scope, Variables};
use super::weights::Shapes;
use super::{Backbone, resnet, vit};
use crate::config::nearest;
use crate::error::{Error, Result};

type Build = fn(&mut Scope<'_>, usize, usize) -> Result<Box<dyn Backbone>, TchError>;

/// One backbone this program can train.
pub struct Spec {
    /// timm's (and for ResNets torchvision's) name.
    pub name: &'static str,
    /// The side its published weights were trained on, pixels.
    pub default_image_size: usize,
    /// The side must be a multiple of this, pixels.
    pub image_size_step: usize,
    /// The prefix of the classifier's tensors.
    pub head: &'static str,
    /// The prefix of the tensors that see the image first.
    pub first_conv: &'static str,
    /// Scope, classes, image size → the network.
    build: Build,
}

/// Every backbone, by family and size.
pub static BACKBONES: &[Spec] = &[
    // Its stem is three convolutions.
    Spec { first_conv: "conv1.0", ..resnet("test_resnet", 160, |scope, classes, _| resnet::build(scope, classes, resnet::TEST)) },
    resnet("resnet18", 224, |scope, classes, _| resnet::build(scope, classes, resnet::RESNET18)),
    resnet("resnet34", 224, |scope, classes, _| resnet::build(scope, classes, resnet::RESNET34)),
    resnet("resnet50", 224, |scope, classes, _| resnet::build(scope, classes, resnet::RESNET50)),
    vit("test_vit", 160, |scope, classes, size| vit::build(scope, classes, size, vit::TEST)),
    vit("vit_tiny_patch16_224", 224, |scope, classes, size| vit::build(scope, classes, size, vit::TINY)),
    vit("vit_small_patch16_224", 224, |scope, classes, size| vit::build(scope, classes, size, vit::SMALL)),
    vit("vit_base_patch16_224", 224, |scope, classes, size| vit::build(scope, classes, size, vit::BASE)),
];

const fn resnet(name: &'static str, default_image_size: usize, build: Build) -> Spec {
    // Five halvings: below 32 pixels nothing would be left to pool, above it any size will do.
    Spec { name, default_image_size, image_size_step: 1, head: "fc", first_conv: "conv1", build }
}

const fn vit(name: &'static str, default_image_size: usize, build: Build) -> Spec {
    Spec { name, default_image_size, image_size_step: vit::PATCH, head: "head", first_conv: "patch_embed.proj", build }
}

/// The smallest side any backbone takes, pixels.
const SMALLEST_IMAGE: usize = 32;

impl Spec {
    /// The backbone of that name, or an error that names the nearest one and lists all.
    pub fn find(name: &str) -> Result<&'static Self> {
        if let Some(spec) = BACKBONES.iter().find(|spec| spec.name == name) {
            return Ok(spec);
        }
        let names: Vec<&str> = BACKBONES.iter().map(|spec| spec.name).collect();
        let hint = nearest(name, names.iter().copied()).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        Err(Error::usage(format!("there is no backbone `{name}`")).with_help(format!("{hint}known are {}", names.join(", "))))
    }

    /// Names and shapes of the network's tensors; none of them is made.
    pub(super) fn shapes(&self, classes: usize, image_size: usize) -> Result<Shapes> {
        let mut variables = Variables::sketch();
        drop(self.build(&mut variables.root(), classes, image_size)?);
        Ok(variables.shapes())
    }

    /// Declares the network's tensors and wires them up.
    pub(super) fn build(&self, scope: &mut Scope<'_>, classes: usize, image_size: usize) -> Result<Box<dyn Backbone>> {
        if classes == 0 {
            return Err(Error::usage(format!("{} needs at least one class", self.name)));
        }
        let step = self.image_size_step;
        if image_size < SMALLEST_IMAGE || !image_size.is_multiple_of(step) {
            let rule = if step == 1 { String::new() } else { format!(" and a multiple of {step}") };
            return Err(Error::usage(format!("{} cannot take images of {image_size} pixels a side", self.name)).with_help(
                format!(
                    "the side must be at least {SMALLEST_IMAGE}{rule}; its weights were trained on {}",
                    self.default_image_size
                ),
            ));
        }
        (self.build)(scope, classes, image_size).map_err(|e| Error::library("libtorch", e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_backbone_is_answered_with_the_nearest_name() {
        let error = Spec::find("resnet_50").err().unwrap();
        assert_eq!(error.to_string(), "there is no backbone `resnet_50`");
        assert!(error.help().unwrap().starts_with("did you mean `resnet50`? known are test_resnet, resnet18, "));
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = BACKBONES.iter().map(|spec| spec.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), BACKBONES.len());
    }
}
