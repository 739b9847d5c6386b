//! Our networks against timm's, from names and logits that `fixtures/make_model_fixtures.py` wrote.
//!
//! Weights and images are filled by the formula that stands there too, so no weight is stored.

#[path = "support/fixture.rs"]
mod fixture;
#[path = "support/tensors.rs"]
mod tensors;

use std::collections::BTreeMap;

use bioscan_hpc::model::{BACKBONES, Model};
use rayon::prelude::*;
use serde::Deserialize;
use tch::{Device, Kind, Tensor};
use tensors::{largest_difference, noise, values};

#[derive(Deserialize)]
struct Logits {
    cases: Vec<Case>,
    positions_224_to_64: Positions,
}

#[derive(Deserialize)]
struct Case {
    backbone: String,
    classes: usize,
    image_size: usize,
    images: usize,
    train: bool,
    logits: Vec<Vec<f32>>,
    #[serde(default)]
    running: BTreeMap<String, Vec<f32>>,
}

#[derive(Deserialize)]
struct Positions {
    shape: Vec<i64>,
    every: i64,
    values: Vec<f32>,
}

#[derive(Deserialize)]
struct Names {
    tensors: BTreeMap<String, BTreeMap<String, Vec<i64>>>,
}

fn fixture() -> Logits {
    fixture::json("model_logits")
}

fn centre_and_spread(name: &str, shape: &[i64]) -> (f64, f64) {
    let (stem, embedding) = (name.starts_with("bn1."), name.starts_with("patch_embed"));
    if matches!(name, "pos_embed" | "cls_token") {
        (0.0, 0.002)
    } else if let [_, fan_in @ ..] = shape
        && !fan_in.is_empty()
    {
        (0.0, if embedding { 0.01 } else { 1.0 } * (3.0 / fan_in.iter().product::<i64>() as f64).sqrt())
    } else if name.ends_with("running_var") {
        if stem { (1e-4, 2.5e-5) } else { (1.0, 0.25) }
    } else if name.ends_with(".weight") {
        if stem { (0.01, 0.001) } else { (1.0, 0.1) }
    } else {
        (0.0, if embedding { 0.001 } else { 0.1 })
    }
}

fn weight(name: &str, shape: &[i64]) -> Tensor {
    tensors::filled(name, shape, centre_and_spread(name, shape))
}

fn pictures(count: usize, side: usize) -> Tensor {
    let places =
        (0..count).flat_map(|n| (0..3).flat_map(move |c| (0..side).flat_map(move |y| (0..side).map(move |x| (n, c, y, x)))));
    let stripes = places.map(|(n, c, y, x)| ((3 * x + 5 * y + 11 * c + 17 * n) % 64) as f64 / 64.0);
    let grain = noise("images", count * 3 * side * side).map(|v| ((v + 1.0) * 1024.0).floor() / 2048.0);
    let values: Vec<f32> = stripes.zip(grain).map(|(stripes, grain)| ((stripes + grain) / 2.0) as f32).collect();
    Tensor::from_slice(&values).view([count as i64, 3, side as i64, side as i64])
}

/// The backbone with weights by the formula.
fn filled(backbone: &str, classes: usize, image_size: usize) -> Model {
    let model = Model::new(backbone, classes, image_size, Device::Cpu).expect("a known backbone");
    let fill = |(name, tensor): (String, Tensor)| (name.clone(), weight(&name, &tensor.size()));
    let state: Vec<(String, Tensor)> = model.state().into_par_iter().map(fill).collect();
    model.load_state(&state).expect("its own names and shapes");
    model
}

#[test]
fn logits_are_timms_to_1e_4() {
    let cases = fixture().cases;
    let covered: Vec<&str> = cases.iter().map(|case| case.backbone.as_str()).collect();
    assert!(BACKBONES.iter().all(|spec| covered.contains(&spec.name)), "every backbone has a case: {covered:?}");
    for case in cases {
        let model = filled(&case.backbone, case.classes, case.image_size);
        let images = pictures(case.images, case.image_size);
        let logits = tch::no_grad(|| model.forward(&images, case.train)).expect("logits");
        let difference = largest_difference(&values(&logits), &case.logits.concat());
        println!("{} train={}: largest difference {difference:e}", case.backbone, case.train);
        assert!(difference <= 1e-4, "{} train={}: {difference:e}", case.backbone, case.train);

        let buffers: BTreeMap<String, Tensor> = model.buffers().into_iter().collect();
        for (name, theirs) in &case.running {
            let difference = largest_difference(&values(&buffers[name])[..theirs.len()], theirs);
            assert!(difference <= 1e-4, "{name} after a training step: {difference:e}");
        }
    }
}

#[test]
fn names_and_shapes_are_timms() {
    let names: Names = fixture::json("model_names");
    assert_eq!(names.tensors["resnet50"].len(), 267);
    assert_eq!(names.tensors["vit_base_patch16_224"].len(), 152);
    for spec in BACKBONES {
        let model = Model::new(spec.name, 1000, spec.default_image_size, Device::Cpu).expect("a known backbone");
        let ours: BTreeMap<String, Vec<i64>> = model.state().into_iter().map(|(name, tensor)| (name, tensor.size())).collect();
        assert_eq!(ours, names.tensors[spec.name], "{}", spec.name);
    }
}

#[test]
fn weights_for_1000_classes_at_224_load_into_16_classes_at_64_as_in_timm() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vit_tiny_patch16_224.safetensors");
    std::fs::write(&path, filled("vit_tiny_patch16_224", 1000, 224).to_safetensors().expect("bytes")).expect("written");

    let model = Model::new("vit_tiny_patch16_224", 16, 64, Device::Cpu).expect("a known backbone");
    model.initialise(1).expect("initialised");
    let before: BTreeMap<String, Vec<f32>> = model.state().into_iter().map(|(name, tensor)| (name, values(&tensor))).collect();
    let report = model.load_pretrained(&path).expect("timm's names");
    assert_eq!((report.loaded, report.head_replaced, report.positions_resampled), (150, true, Some((14, 4))));

    let state: BTreeMap<String, Tensor> = model.state().into_iter().collect();
    assert_eq!(values(&state["head.weight"]), before["head.weight"], "the new head keeps its initial weights");
    assert!(state["norm.bias"].equal(&weight("norm.bias", &[192])));
    let expected = fixture().positions_224_to_64;
    assert_eq!(state["pos_embed"].size(), expected.shape);
    let ours: Vec<f32> = values(&state["pos_embed"]).into_iter().step_by(expected.every as usize).collect();
    let difference = largest_difference(&ours, &expected.values);
    println!("resampled positions: largest difference {difference:e}");
    assert!(difference <= 1e-8, "values are about 1e-3, the difference {difference:e}");
}

#[test]
fn weights_of_another_backbone_are_refused_with_every_reason_and_nothing_is_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("resnet34.safetensors");
    std::fs::write(&path, filled("resnet34", 16, 64).to_safetensors().expect("bytes")).expect("written");
    let model = Model::new("resnet50", 16, 64, Device::Cpu).expect("a known backbone");
    model.initialise(1).expect("initialised");
    let before = model.to_safetensors().expect("bytes");
    let error = model.load_pretrained(&path).expect_err("another network's weights");
    let text = error.to_string();
    for part in [
        "not resnet50's",
        "missing: `layer1.0.bn3.bias`",
        "of another shape: `layer1.0.conv1.weight` is [64, 64, 3, 3], not [64, 64, 1, 1]",
        "more",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert_eq!(model.to_safetensors().expect("bytes"), before);
}

#[test]
fn initial_weights_depend_on_the_seed_and_the_name_alone() {
    let initialised = |seed, classes| {
        let model = Model::new("resnet18", classes, 64, Device::Cpu).expect("a known backbone");
        model.initialise(seed).expect("initialised");
        model.state().into_iter().collect::<BTreeMap<_, _>>()
    };
    let (one, again, more_classes, two) = (initialised(1, 16), initialised(1, 16), initialised(1, 40), initialised(2, 16));
    for (name, tensor) in &one {
        assert!(tensor.equal(&again[name]), "{name}");
        assert!(name.starts_with("fc.") || tensor.equal(&more_classes[name]), "{name}");
    }
    assert!(!one["conv1.weight"].equal(&two["conv1.weight"]));
    // timm's zero_init_last: a block begins as the identity.
    assert_eq!(one["layer1.0.bn2.weight"].abs().max().double_value(&[]), 0.0);
    assert_eq!(one["layer1.0.bn1.weight"].min().double_value(&[]), 1.0);
}

#[test]
fn in_float64_every_parameter_gets_a_gradient_and_it_is_the_derivative() {
    for backbone in ["test_resnet", "resnet18", "vit_tiny_patch16_224"] {
        let model = filled(backbone, 4, 32).to_kind(Kind::Double).expect("float64");
        let images = pictures(2, 32).to_kind(Kind::Double);
        let loss =
            || model.forward(&images, false).expect("logits").log_softmax(-1, Kind::Double).select(1, 1).mean(Kind::Double);
        loss().backward();
        let parameters = model.parameters();
        assert!(parameters.iter().all(|(_, parameter)| parameter.grad().defined()), "{backbone}");
        // One step against the gradient, by finite difference.
        let slope: f64 = parameters.iter().map(|(_, p)| p.grad().square().sum(Kind::Double).double_value(&[])).sum();
        let step = 1e-7 / slope.sqrt();
        let shifted = |by: f64| {
            tch::no_grad(|| {
                for (_, parameter) in &parameters {
                    let moved = parameter + parameter.grad() * by;
                    parameter.shallow_clone().copy_(&moved);
                }
                loss().double_value(&[])
            })
        };
        let above = shifted(step);
        let below = shifted(-2.0 * step);
        let measured = (above - below) / (2.0 * step);
        assert!((measured / slope - 1.0).abs() < 1e-4, "{backbone}: {measured} by difference, {slope} by gradient");
    }
}

#[test]
fn one_image_reduced_to_one_pixel_trains_on_the_running_statistics_there() {
    // 32 pixels are one pixel after five halvings; PyTorch refuses such a batch, an epoch's last one may be it.
    let model = filled("resnet18", 4, 32);
    let buffers = |name: &str| model.buffers().into_iter().find(|(n, _)| n == name).map(|(_, tensor)| tensor.copy());
    let (early, late) = (buffers("bn1.running_mean").expect("named"), buffers("layer4.1.bn2.running_var").expect("named"));
    let logits = tch::no_grad(|| model.forward(&pictures(1, 32), true)).expect("logits");
    assert_eq!(i64::try_from(logits.isfinite().all()).expect("a truth value"), 1);
    assert!(!buffers("bn1.running_mean").expect("named").equal(&early));
    assert!(buffers("layer4.1.bn2.running_var").expect("named").equal(&late));
}

#[test]
fn sizes_that_cannot_be_are_refused_before_anything_is_built() {
    let refused = |name, classes, size| Model::new(name, classes, size, Device::Cpu).err().expect("refused");
    assert!(refused("vit_tiny_patch16_224", 16, 100).help().expect("help").contains("a multiple of 16"));
    assert!(refused("resnet18", 16, 16).to_string().contains("16 pixels"));
    assert!(refused("resnet18", 0, 64).to_string().contains("at least one class"));
    let model = Model::new("resnet18", 2, 64, Device::Cpu).expect("a known backbone");
    let error = model.forward(&pictures(1, 32), false).expect_err("the wrong size");
    assert_eq!(error.to_string(), "libtorch: resnet18 takes images [N, 3, 64, 64], not [1, 3, 32, 32]");
}
