//! Our DETR against Hugging Face's, from logits, boxes and crops that `fixtures/make_detr_fixtures.py` wrote.
//!
//! Weights and pictures are filled by the formula that stands there too, so no weight is stored.

#[path = "support/fixture.rs"]
mod fixture;
#[path = "support/tensors.rs"]
mod tensors;

use std::collections::BTreeMap;

use bioscan_hpc::config::CropTool;
use bioscan_hpc::image::{BoundingBox, RgbImage, crop, extended_box};
use bioscan_hpc::model::Detr;
use bioscan_hpc::preprocess::DetrDetector;
use rayon::prelude::*;
use serde::Deserialize;
use tch::{Device, Tensor};
use tensors::{filled, largest_difference, noise, values};

#[derive(Deserialize)]
struct Fixture {
    tensors: BTreeMap<String, Vec<i64>>,
    network: Vec<NetworkCase>,
    pictures: Vec<PictureCase>,
}

#[derive(Deserialize)]
struct NetworkCase {
    shape: [i64; 4],
    logits: Vec<f32>,
    boxes: Vec<f32>,
    best: Vec<Best>,
}

#[derive(Deserialize)]
struct Best {
    #[serde(rename = "box")]
    fractions: [f32; 4],
    score: f32,
}

#[derive(Deserialize)]
struct PictureCase {
    size: [u32; 2],
    best: Best,
    tight: [i32; 4],
    kept: [i32; 4],
    pixels: String,
}

fn fixture() -> Fixture {
    fixture::json("detr")
}

fn centre_and_spread(name: &str, shape: &[i64]) -> (f64, f64) {
    let (stem, last) = (name.contains(".conv_encoder.model.bn1."), name.starts_with("model.decoder.layers.5.final_layer_norm."));
    if name.starts_with("model.query_position_embeddings") {
        (0.0, 1.0)
    } else if let [_, fan_in @ ..] = shape
        && !fan_in.is_empty()
    {
        let pointed = name.contains("q_proj") || name.contains("k_proj");
        let gain = match pointed {
            true => 3.0,
            false if name.contains("bbox_predictor.layers.2") => 2.0,
            false => 1.0,
        };
        (0.0, gain * (3.0 / fan_in.iter().product::<i64>() as f64).sqrt())
    } else if name.ends_with("running_var") {
        if stem { (1e-4, 2.5e-5) } else { (1.0, 0.25) }
    } else if name.ends_with(".weight") {
        if stem || last { (0.01, 0.001) } else { (1.0, 0.1) }
    } else {
        (0.0, if last { 0.001 } else { 0.1 })
    }
}

fn weight(name: &str, shape: &[i64]) -> Tensor {
    filled(name, shape, centre_and_spread(name, shape))
}

/// Every tensor by the formula.
fn state() -> Vec<(String, Tensor)> {
    let fill = |(name, shape): (String, Vec<i64>)| (name.clone(), weight(&name, &shape));
    Detr::tensors().expect("its names").into_par_iter().map(fill).collect()
}

fn inputs([count, channels, height, width]: [i64; 4]) -> Tensor {
    let along = |length: i64| (0..length).collect::<Vec<_>>().into_iter();
    let places = along(count).flat_map(|n| {
        along(channels).flat_map(move |c| along(height).flat_map(move |y| along(width).map(move |x| (n, c, y, x))))
    });
    let grain = noise("pictures", (count * channels * height * width) as usize).map(|v| ((v + 1.0) * 1024.0).floor() / 1024.0);
    let values: Vec<f32> = places
        .zip(grain)
        .map(|((n, c, y, x), grain)| {
            let stripes = ((3 * x + 5 * y + 11 * c + 17 * n) % 64) as f64 / 32.0 - 1.0;
            let contrast = ((y / 32 * 7 + x / 32 * 3 + n) % 5) as f64 / 2.0;
            ((stripes + grain - 1.0) * contrast) as f32
        })
        .collect();
    Tensor::from_slice(&values).view([count, channels, height, width])
}

fn picture([width, height]: [u32; 2]) -> RgbImage {
    let places = (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| (x, y, c))));
    RgbImage { width, height, pixels: places.map(|(x, y, c)| (37 * x + 91 * y + 53 * c + x * y) as u8).collect() }
}

fn corners([x0, y0, x1, y1]: [i32; 4]) -> BoundingBox {
    BoundingBox { x0, y0, x1, y1 }
}

#[test]
fn names_and_shapes_are_hugging_faces() {
    let ours: BTreeMap<String, Vec<i64>> = Detr::tensors().expect("its names").into_iter().collect();
    assert_eq!(ours.len(), 530);
    assert_eq!(ours, fixture().tensors);
}

#[test]
fn logits_boxes_and_the_choice_among_them_are_hugging_faces() {
    let detr = Detr::from_state(&state(), Device::Cpu).expect("its own names and shapes");
    for case in fixture().network {
        let pictures = inputs(case.shape);
        let (logits, boxes) = detr.outputs(&pictures).expect("outputs");
        let apart = (largest_difference(&values(&logits), &case.logits), largest_difference(&values(&boxes), &case.boxes));
        println!("{:?}: logits {:e}, boxes {:e} apart", case.shape, apart.0, apart.1);
        assert!(apart.0 <= 1e-4 && apart.1 <= 1e-5, "{:?}: {apart:?}", case.shape);
        let found = detr.locate(&pictures).expect("boxes");
        assert_eq!(found.len(), case.best.len());
        for ((fractions, score), theirs) in found.iter().zip(&case.best) {
            // The next best query's box lies a hundred times further away.
            assert!(largest_difference(fractions, &theirs.fractions) <= 1e-5, "{fractions:?}, not {:?}", theirs.fractions);
            assert!((score - theirs.score).abs() <= 1e-5, "{score}, not {}", theirs.score);
        }
    }
}

#[test]
fn from_a_file_of_weights_and_a_picture_comes_the_originals_crop() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("detr.safetensors");
    let prefixed: Vec<(String, Tensor)> = state().into_iter().map(|(name, tensor)| (format!("model.{name}"), tensor)).collect();
    Tensor::write_safetensors(&prefixed, &path).expect("written");
    let detector = DetrDetector::new(&path, Device::Cpu).expect("with Lightning's prefix");
    for case in fixture().pictures {
        let image = picture(case.size);
        let found = detector.locate(&[&image, &picture([30, 90]), &image]).expect("boxes");
        let (tight, score) = found[0];
        assert!(found.len() == 3 && found[2] == found[0] && found[1] != found[0], "each has its own: {found:?}");
        println!("{:?}: {tight:?} at {score}, theirs {:?} at {}", case.size, case.best.fractions, case.best.score);
        assert_eq!(tight, corners(case.tight));
        assert!((score - case.best.score).abs() <= 1e-5, "{score}, not {}", case.best.score);
        let tool = CropTool::default();
        let kept = extended_box(tight, &tool);
        assert_eq!(kept, corners(case.kept));
        let pixels = crop(&image, kept, tool.fill.rgb()).expect("a crop").pixels;
        assert!(pixels.iter().map(|byte| format!("{byte:02x}")).collect::<String>() == case.pixels, "pixels of {kept:?}");
    }
}

#[test]
fn weights_of_another_network_are_refused_by_name_and_shape() {
    let path = fixture::path("lightning.ckpt");
    let error = Detr::load(&path, Device::Cpu).err().expect("refused");
    let text = error.to_string();
    for part in [
        "lightning.ckpt: these weights are not the crop tool's",
        "528 missing: `bbox_predictor.layers.0.bias`",
        "unexpected: `bn.bias`",
        "2 of another shape: `class_labels_classifier.bias` is [3], not [2], `class_labels_classifier.weight` is [3, 4], not [2, 256]",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert!(error.help().expect("help").contains("num_labels=1"));
}
