//! Named tensors → which backbone they are, for how many classes, for images of which size.

use tch::Tensor;

use super::registry::{BACKBONES, Spec};
use super::weights::{self, Shapes, is_under};
use super::{positions, vit};
use crate::error::{Error, Result};

/// What a set of tensors was found to be.
#[derive(Clone, Copy)]
pub struct Recognised {
    /// The backbone.
    pub spec: &'static Spec,
    /// Outputs of its classifier; `None` where it has no classifier.
    pub classes: Option<usize>,
    /// The side of the images it was made for, pixels; a ResNet takes any, and this is what its published weights were trained on.
    pub image_size: usize,
}

/// Recognises `tensors` by the names and shapes of all of them, as `backbone` or, without one, as any backbone known here.
///
/// # Errors
/// Wrong usage that lists what is missing, unexpected and misshapen, compared with `backbone` or with the backbone most alike.
pub fn recognise(tensors: &[(String, Tensor)], backbone: Option<&str>) -> Result<Recognised> {
    let found = weights::shapes_of(tensors);
    let candidates: Vec<&'static Spec> = match backbone {
        Some(name) => vec![Spec::find(name)?],
        None => BACKBONES.iter().collect(),
    };
    let mut nearest: Option<(usize, &Spec, String)> = None;
    for spec in candidates {
        let recognised = facts(spec, &found);
        let wanted = spec.shapes(recognised.classes.unwrap_or(1), recognised.image_size)?;
        let headless = recognised.classes.is_none();
        match weights::fit(&wanted, &found, |name| headless && is_under(name, spec.head)) {
            Ok(()) => return Ok(recognised),
            Err(message) => {
                let alike = wanted.iter().filter(|(name, shape)| found.get(*name) == Some(shape)).count();
                if nearest.as_ref().is_none_or(|(most, ..)| alike > *most) {
                    nearest = Some((alike, spec, message));
                }
            }
        }
    }
    let (_, spec, message) = nearest.ok_or_else(|| Error::usage("there is no backbone to compare with"))?;
    Err(match backbone {
        Some(name) => weights::misfit(name, message),
        None => {
            let known: Vec<&str> = BACKBONES.iter().map(|spec| spec.name).collect();
            Error::usage(format!("these weights are of no backbone known here; most alike is {}: {message}", spec.name))
                .with_help(format!("known are {}, under timm's names", known.join(", ")))
        }
    })
}

/// What the shapes say if they are those of `spec`.
fn facts(spec: &'static Spec, found: &Shapes) -> Recognised {
    // Only a network of patches has the size of its images in its shapes.
    let positions = found.get(vit::POSITIONS).filter(|_| spec.image_size_step > 1);
    let patches = positions.and_then(|shape| positions::patches_a_side(shape));
    let image_size = patches.map_or(spec.default_image_size, |patches| patches * spec.image_size_step);
    Recognised { spec, classes: weights::classes(spec.head, found), image_size }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    /// Tensors of these shapes that take no memory.
    fn tensors(spec: &Spec, classes: usize, image_size: usize) -> Vec<(String, Tensor)> {
        let shapes = spec.shapes(classes, image_size).unwrap();
        shapes
            .into_iter()
            .map(|(name, shape)| (name, Tensor::zeros([], (Kind::Float, Device::Cpu)).expand(shape, false)))
            .collect()
    }

    #[test]
    fn every_backbone_is_told_from_every_other_whatever_its_classes_and_image_size() {
        for spec in BACKBONES {
            let image_size = if spec.head == "head" { 96 } else { spec.default_image_size };
            let found = recognise(&tensors(spec, 7, image_size), None).unwrap();
            assert_eq!((found.spec.name, found.classes, found.image_size), (spec.name, Some(7), image_size));
            let mut headless = tensors(spec, 7, image_size);
            headless.retain(|(name, _)| !is_under(name, spec.head));
            let found = recognise(&headless, None).unwrap();
            assert_eq!((found.spec.name, found.classes), (spec.name, None));
        }
    }

    #[test]
    fn what_is_no_backbone_is_compared_with_the_one_most_alike() {
        let mut tensors = tensors(Spec::find("resnet34").unwrap(), 7, 224);
        tensors.retain(|(name, _)| name != "layer4.2.bn2.weight");
        let error = recognise(&tensors, None).err().unwrap();
        assert!(error.to_string().contains("most alike is resnet34: 1 missing: `layer4.2.bn2.weight`"), "{error}");
        let error = recognise(&tensors, Some("resnet18")).err().unwrap();
        assert!(error.to_string().starts_with("these weights are not resnet18's: "), "{error}");
    }
}
